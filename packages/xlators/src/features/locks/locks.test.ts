/** Who gets which lock, who waits, and what a statedump says of it. */

import {
  type Ctx,
  EntrylkCommand,
  EntrylkType,
  entryLoc,
  Dict,
  Errno,
  type Fd,
  type Inode,
  inodeLoc,
  LOCK_INFO,
  LockCommand,
  LockType,
  ONLY_GRANTED,
  OpenFlag,
  type Reply,
} from '@ashlar/core'
import { errnoOf, good, memoryStorage, TestVolume, until, within } from '@ashlar/testkit'
import { parseDict, serialiseDict } from '@ashlar/wire'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LOCKS_SHOWN_MAX } from './dump.ts'
import { locks } from './index.ts'

let volume: TestVolume
let file: Inode
let fd: Fd

beforeEach(async () => {
  volume = await TestVolume.start({
    definitions: [memoryStorage, locks],
    volfile: `volume m
  type testing/memory
end-volume
volume l
  type features/locks
  subvolumes m
end-volume`,
  })
  await volume.write('/f', 'data')
  file = await volume.inode('/f')
  fd = await volume.open('/f', OpenFlag.RDWR)
})
afterEach(async () => {
  fd.unref()
  await volume.stop()
})

const by = (lkOwner: string, client = 'c1'): Ctx => ({ ...volume.ctx, client, lkOwner, pid: 7 })

function inodelk(
  ctx: Ctx,
  type: number,
  range: { start?: bigint; len?: bigint; wait?: boolean; domain?: string } = {},
): Promise<Reply<'inodelk'>> {
  const { start = 0n, len = 0n, wait = false, domain = 'd' } = range
  return volume.top.inodelk(ctx, {
    domain,
    loc: inodeLoc(file),
    command: wait ? LockCommand.SETLKW : LockCommand.SETLK,
    flock: { type, whence: 0, start, len, pid: ctx.pid, lkOwner: ctx.lkOwner },
  })
}

function entrylk(ctx: Ctx, command: number, name: string | undefined): Promise<Reply<'entrylk'>> {
  return volume.top.entrylk(ctx, {
    domain: 'd',
    loc: inodeLoc(volume.graph.inodes.root),
    name,
    command,
    type: EntrylkType.WRLCK,
  })
}

function posixlk(ctx: Ctx, type: number, wait = false, through = fd): Promise<Reply<'lk'>> {
  return volume.top.lk(ctx, {
    fd: through,
    command: wait ? LockCommand.SETLKW : LockCommand.SETLK,
    flock: { type, whence: 0, start: 10n, len: 5n, pid: ctx.pid, lkOwner: ctx.lkOwner },
  })
}

const dump = (): Readonly<Record<string, unknown>> => volume.graph.xlator('l')?.dump?.() ?? {}
const said = (): string[] =>
  Object.entries(dump())
    .filter(([key]) => key.includes('lk'))
    .map(([key, text]) => `${key}=${String(text)}`)

describe('removals', () => {
  const remove = (ctx: Ctx): Promise<Reply<'unlink'>> => {
    const loc = entryLoc(volume.graph.inodes.root, 'f', volume.graph.inodes.create())
    return volume.top.unlink(ctx, { loc, xflags: 0 })
  }

  it('wait for transactions of other clients on the inode', async () => {
    good(await inodelk(by('a', 'c2'), LockType.WRLCK))
    let removed = false
    const removal = remove(by('b')).then(reply => {
      removed = true
      return reply
    })
    // What comes after it on the wire is answered before it.
    expect(errnoOf(await inodelk(by('c', 'c3'), LockType.RDLCK))).toBe(Errno.EAGAIN)
    expect(removed).toBe(false)
    good(await inodelk(by('a', 'c2'), LockType.UNLCK))
    good(await removal)
  })

  // One client's rename has distribute's lock of a file and waits for replicate's lock of the name,
  // which another client's unlink has: bricks of GlusterFS leave both waiting for ever.
  it('do not wait for locks of distribute', async () => {
    good(await inodelk(by('a', 'c2'), LockType.WRLCK, { domain: 'dht.file.migrate' }))
    good(await inodelk(by('a', 'c2'), LockType.RDLCK, { domain: 'dht.layout.heal' }))
    good(await remove(by('b')))
  })
})

describe('inodelks', () => {
  it('of readers go together, a writer waits for all of them', async () => {
    good(await inodelk(by('a'), LockType.RDLCK))
    good(await inodelk(by('b'), LockType.RDLCK))
    expect(errnoOf(await inodelk(by('c'), LockType.WRLCK))).toBe(Errno.EAGAIN)
    const waiting = inodelk(by('c'), LockType.WRLCK, { wait: true })
    good(await inodelk(by('a'), LockType.UNLCK))
    expect(said().some(line => line.includes('BLOCKED'))).toBe(true)
    good(await inodelk(by('b'), LockType.UNLCK))
    good(await waiting)
  })

  it('are granted in the order in which they were asked for', async () => {
    good(await inodelk(by('a'), LockType.RDLCK))
    const writer = inodelk(by('b'), LockType.WRLCK, { wait: true })
    // A reader would fit beside the first, but the writer was here before it.
    expect(errnoOf(await inodelk(by('c'), LockType.RDLCK))).toBe(Errno.EAGAIN)
    // Who holds a lock already must not wait behind one that waits for it.
    good(await inodelk(by('a'), LockType.RDLCK, { start: 5n }))
    good(await inodelk(by('a'), LockType.UNLCK, { start: 5n }))
    good(await inodelk(by('a'), LockType.UNLCK))
    good(await writer)
  })

  it('are released by exactly the range that was locked, in their own domain', async () => {
    good(await inodelk(by('a'), LockType.WRLCK, { len: 10n }))
    expect(errnoOf(await inodelk(by('a'), LockType.UNLCK, { len: 5n }))).toBe(Errno.EINVAL)
    good(await inodelk(by('b'), LockType.WRLCK, { len: 10n, domain: 'other' }))
    good(await inodelk(by('b'), LockType.WRLCK, { start: 10n }))
    good(await inodelk(by('a'), LockType.UNLCK, { len: 10n }))
  })

  it('go with their client, and what it waits for is refused', async () => {
    good(await inodelk(by('a', 'c1'), LockType.WRLCK))
    const gone = inodelk(by('b', 'c2'), LockType.WRLCK, { wait: true })
    const next = inodelk(by('c', 'c3'), LockType.WRLCK, { wait: true })
    volume.graph.clientGone('c2')
    expect(errnoOf(await gone)).toBe(Errno.EAGAIN)
    volume.graph.clientGone('c1')
    good(await next)
  })
})

describe('entrylks', () => {
  it('of a name exclude that name, one of a directory all of its names', async () => {
    good(await entrylk(by('a'), EntrylkCommand.LOCK_NB, 'x'))
    good(await entrylk(by('b'), EntrylkCommand.LOCK_NB, 'y'))
    expect(errnoOf(await entrylk(by('b'), EntrylkCommand.LOCK_NB, 'x'))).toBe(Errno.EAGAIN)
    const whole = entrylk(by('c'), EntrylkCommand.LOCK, undefined)
    good(await entrylk(by('a'), EntrylkCommand.UNLOCK, 'x'))
    expect(errnoOf(await entrylk(by('d'), EntrylkCommand.LOCK_NB, 'x'))).toBe(Errno.EAGAIN)
    good(await entrylk(by('b'), EntrylkCommand.UNLOCK, 'y'))
    good(await whole)
    expect(errnoOf(await entrylk(by('a'), EntrylkCommand.UNLOCK, 'x'))).toBe(Errno.EINVAL)
  })

  // A rename has one name and waits for another one; a heal waits for the directory meanwhile.
  it('are granted to who has one already before who waits for that', async () => {
    good(await entrylk(by('rename'), EntrylkCommand.LOCK, 'a'))
    good(await entrylk(by('other'), EntrylkCommand.LOCK, 'b'))
    const heal = entrylk(by('heal'), EntrylkCommand.LOCK, undefined)
    const second = entrylk(by('rename'), EntrylkCommand.LOCK, 'b')
    good(await entrylk(by('other'), EntrylkCommand.UNLOCK, 'b'))
    good(await within('the second name is had', 1000, second))
    good(await entrylk(by('rename'), EntrylkCommand.UNLOCK, 'a'))
    good(await entrylk(by('rename'), EntrylkCommand.UNLOCK, 'b'))
    good(await heal)
  })
})

describe('holders', () => {
  const told = (): string[] =>
    volume.events.flatMap(event =>
      event.kind === 'inodelk-contention' ? [event.client ?? ''] : [],
    )

  it('are told that somebody waits, once for each lock that they have', async () => {
    good(await inodelk(by('a', 'c1'), LockType.WRLCK))
    const second = inodelk(by('b', 'c2'), LockType.WRLCK, { wait: true })
    const third = inodelk(by('c', 'c3'), LockType.WRLCK, { wait: true })
    expect(told()).toEqual(['c1'])
    good(await inodelk(by('a', 'c1'), LockType.UNLCK))
    good(await second)
    // The third one has waited since before the second had it.
    expect(told()).toEqual(['c1', 'c2'])
    const again = inodelk(by('a', 'c1'), LockType.WRLCK, { wait: true })
    good(await inodelk(by('b', 'c2'), LockType.UNLCK))
    good(await third)
    good(await inodelk(by('c', 'c3'), LockType.UNLCK))
    good(await again)
    const last = inodelk(by('b', 'c2'), LockType.WRLCK, { wait: true })
    expect(told()).toEqual(['c1', 'c2', 'c3', 'c1'])
    good(await inodelk(by('a', 'c1'), LockType.UNLCK))
    good(await last)
  })

  it('are told that a removal waits, whenever they have got the lock', async () => {
    good(await inodelk(by('a', 'c1'), LockType.WRLCK))
    const second = inodelk(by('b', 'c2'), LockType.WRLCK, { wait: true })
    const loc = entryLoc(volume.graph.inodes.root, 'f', volume.graph.inodes.create())
    const removal = volume.top.unlink(by('c', 'c3'), { loc, xflags: 0 })
    good(await inodelk(by('a', 'c1'), LockType.UNLCK))
    good(await second)
    await until('the second is told', 1000, () => told().includes('c2'))
    good(await inodelk(by('b', 'c2'), LockType.UNLCK))
    good(await removal)
  })
})

describe('a statedump', () => {
  it('tells every lock: kind, domain, state, range or name, and who has it', async () => {
    good(await inodelk(by('\x01\xff'), LockType.RDLCK, { start: 3n, len: 4n }))
    const waiting = inodelk(by('b', 'c2'), LockType.WRLCK, { wait: true })
    good(await posixlk(by('a'), LockType.WRLCK))
    const posix = posixlk(by('b', 'c2'), LockType.RDLCK, true)
    good(await entrylk(by('a'), EntrylkCommand.LOCK, 'na"me'))
    expect(dump()).toMatchObject({ 'locked-inodes': 2 })
    expect(said().map(line => line.replace(/^inode\.\d\./, ''))).toEqual([
      'inodelk.d[0](ACTIVE)=type=READ, start=3, len=4, pid=7, owner=01ff, client=c1',
      'inodelk.d[0](BLOCKED)=type=WRITE, start=0, len=0, pid=7, owner=62, client=c2',
      'posixlk[0](ACTIVE)=type=WRITE, start=10, len=5, pid=7, owner=61, client=c1',
      'posixlk[0](BLOCKED)=type=READ, start=10, len=5, pid=7, owner=62, client=c2',
      'entrylk.d[0](ACTIVE)=type=WRITE, on="na\\"me", pid=7, owner=61, client=c1',
    ])
    volume.graph.clientGone('c1')
    good(await waiting)
    good(await posix)
    volume.graph.clientGone('c2')
    expect(dump()).toEqual({ 'locked-inodes': 0 })
  })

  it('has a limit', async () => {
    for (let i = 0; i < LOCKS_SHOWN_MAX + 5; i++) {
      good(await inodelk(by(`o${i}`), LockType.RDLCK))
    }
    expect(said()).toHaveLength(LOCKS_SHOWN_MAX)
    expect(dump()).toMatchObject({ 'locks-not-shown': 5 })
  })
})

// What GlusterFS's FUSE bridge asks when a process that waits for a lock gets a signal.
it('a waiting fcntl lock is called off by the process that asked for it, and no other', async () => {
  good(await posixlk(by('a'), LockType.WRLCK))
  const waiting = { ...by('b', 'c2'), pid: 100 }
  const flock = { type: LockType.WRLCK, whence: 0, start: 10n, len: 5n, pid: 99, lkOwner: 'b' }
  const waits = volume.top.lk(waiting, { fd, command: LockCommand.SETLKW, flock })
  const interrupt = (ctx: Ctx): Promise<Reply<'fgetxattr'>> =>
    volume.top.fgetxattr(ctx, { fd, name: 'glusterfs.intrlk.tposix.kblocked.0,10-5' })
  for (const other of [
    { ...waiting, pid: 99 },
    { ...waiting, client: 'c3' },
  ]) {
    good(await interrupt(other))
    expect(said().some(text => text.includes('BLOCKED'))).toBe(true)
  }
  good(await interrupt(waiting))
  expect(errnoOf(await waits)).toBe(Errno.EINTR)
})

describe('locks that move to the next connection of their client', () => {
  let next: Ctx
  let fdNext: Fd
  let fdOther: Fd
  beforeEach(async () => {
    next = by('a', 'c1-next')
    fdNext = await volume.open('/f', OpenFlag.RDWR)
    fdOther = await volume.open('/f', OpenFlag.RDWR)
  })
  afterEach(() => {
    fdNext.unref()
    fdOther.unref()
  })

  async function lockInfo(of = fd): Promise<Dict> {
    return good(await volume.top.fgetxattr(by('a'), { fd: of, name: LOCK_INFO })).dict
  }
  async function claim(value: Dict | Buffer, xdata?: Dict): Promise<Reply<'fsetxattr'>> {
    const dict = value instanceof Dict ? value : new Dict().setBytes(LOCK_INFO, value)
    return volume.top.fsetxattr(next, { fd: fdNext, dict, flags: 0, xdata })
  }

  it('are named by the brick and the fd, in the form of GlusterFS', async () => {
    expect((await lockInfo()).size).toBe(0)
    good(await posixlk(by('a'), LockType.WRLCK))
    const named = parseDict((await lockInfo()).getBytes(LOCK_INFO) as Buffer)
    expect([...named].map(([, value]) => value)).toEqual([
      { kind: 'oldstr', value: Buffer.from(`${fd.serial}\0`) },
    ])
    expect((await lockInfo(fdNext)).size).toBe(0)
  })

  it('outlive the old fd and the old connection', async () => {
    good(await posixlk(by('a'), LockType.WRLCK))
    good(await claim(await lockInfo()))
    expect((await lockInfo()).size).toBe(0)
    volume.graph.xlator('l')?.release?.(fd)
    volume.graph.clientGone('c1')
    good(await volume.top.flush(by('a'), { fd }))
    expect(errnoOf(await posixlk(by('b', 'c2'), LockType.RDLCK))).toBe(Errno.EAGAIN)
    expect(said().map(line => line.replace(/^.*client=/, ''))).toEqual(['c1-next'])
    const waiting = posixlk(by('b', 'c2'), LockType.RDLCK, true)
    volume.graph.clientGone('c1-next')
    good(await waiting)
  })

  it('are still waited for after they have moved, and granted to the next connection', async () => {
    const other = by('b', 'c2')
    good(await posixlk(other, LockType.WRLCK, false, fdOther))
    const waiting = posixlk(by('a'), LockType.WRLCK, true)
    good(await claim(await lockInfo()))
    volume.graph.clientGone('c1')
    good(await posixlk(other, LockType.UNLCK, false, fdOther))
    good(await waiting)
    expect(errnoOf(await posixlk(other, LockType.RDLCK, false, fdOther))).toBe(Errno.EAGAIN)
    good(await posixlk(next, LockType.UNLCK))
    expect(dump()).toEqual({ 'locked-inodes': 0 })
  })

  it('go without what waits, for clients of ours', async () => {
    const flock = { type: LockType.WRLCK, whence: 0, start: 50n, len: 5n, pid: 7, lkOwner: 'a' }
    good(await volume.top.lk(by('a'), { fd, command: LockCommand.SETLK, flock }))
    const other = by('b', 'c2')
    good(await posixlk(other, LockType.WRLCK, false, fdOther))
    const waiting = posixlk(by('a'), LockType.WRLCK, true)
    good(await claim(await lockInfo(), new Dict().setInt(ONLY_GRANTED, 1)))
    volume.graph.clientGone('c1')
    expect(errnoOf(await waiting)).toBe(Errno.EAGAIN)
    expect(said().map(line => line.replace(/^.*type=WRITE, /, ''))).toEqual([
      'start=50, len=5, pid=7, owner=61, client=c1-next',
      'start=10, len=5, pid=7, owner=62, client=c2',
    ])
  })

  it('stay where they are when other bricks are meant', async () => {
    good(await posixlk(by('a'), LockType.WRLCK))
    good(await claim(serialiseDict(new Dict().setUint('another-brick', fd.serial))))
    good(await claim(serialiseDict(new Dict())))
    volume.graph.clientGone('c1')
    expect(dump()).toEqual({ 'locked-inodes': 0 })
  })

  it('are not claimed by what cannot be read', async () => {
    good(await posixlk(by('a'), LockType.WRLCK))
    expect(errnoOf(await claim(Buffer.from('garbage')))).toBe(Errno.EINVAL)
    expect(errnoOf(await claim(new Dict().setInt(LOCK_INFO, 5)))).toBe(Errno.EINVAL)
    const [brick = ''] = parseDict((await lockInfo()).getBytes(LOCK_INFO) as Buffer).keys()
    const wrong = serialiseDict(new Dict().setString(brick, 'no number'))
    expect(errnoOf(await claim(wrong))).toBe(Errno.EINVAL)
  })
})
