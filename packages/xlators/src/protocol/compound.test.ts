/** Compounds between a client and a brick over a real socket, and without: the same, in more records. */

import {
  type Ctx,
  Dict,
  entryLoc,
  EntrylkCommand,
  EntrylkType,
  Errno,
  type Fd,
  gfidFromRandom,
  type Graph,
  inodeLoc,
  LockCommand,
  LockType,
  type Loc,
  OpenFlag,
  ROOT_CTX,
  type Step,
  stepReply,
  systemRandom,
} from '@ashlar/core'
import { countedNetwork, memoryStorage, SocketBrick, type TestVolume, until } from '@ashlar/testkit'
import { tcpNetwork } from '@ashlar/transport'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { locks } from '../features/locks/index.ts'
import { Peer } from './client/peer.ts'

const WAIT_MS = 8000
const network = countedNetwork(tcpNetwork())
const random = systemRandom()
let brick: SocketBrick

beforeEach(async () => {
  brick = await SocketBrick.start({ layers: [memoryStorage, locks] })
})
afterEach(async () => {
  await brick.stop()
  vi.restoreAllMocks()
})

const openFiles = (): number[] => brick.clients().map(({ fds }) => fds)

async function mount(): Promise<TestVolume> {
  const volume = await brick.mount({ env: { network } })
  network.take()
  return volume
}

const ctx: Ctx = { ...ROOT_CTX, pid: 4711, lkOwner: 'owner-1' }
const other: Ctx = { ...ctx, lkOwner: 'owner-2' }
const fresh = (): Dict => new Dict().setGfid('gfid-req', gfidFromRandom(random.bytes(16)))
const names = (): string[] => network.take().map(({ name }) => name)

function nameLock(loc: Loc, name: string, command: number, by = ctx): Step {
  const type = EntrylkType.WRLCK
  return { fop: 'entrylk', args: { loc, domain: 'd', name, command, type }, ctx: by }
}

function creation(graph: Graph, name: string): { step: Step; fd: Fd } {
  const loc = entryLoc(graph.inodes.root, name, graph.inodes.create())
  const flags = OpenFlag.RDWR | OpenFlag.CREAT
  const fd = graph.openFd(loc.inode, { flags, pid: 1 })
  const args = { loc, fd, flags, mode: 0o100644, umask: 0, xdata: fresh() }
  return { step: { fop: 'create', args }, fd }
}

const writing = (fd: Fd, text: string): Step => ({
  fop: 'writev',
  args: { fd, data: Buffer.from(text), offset: 0, flags: 0 },
})

describe.each([
  ['a brick that knows compounds', true],
  ['a brick that does not', false],
])('%s', (_, knows) => {
  const start = (): Promise<TestVolume> => {
    if (!knows) vi.spyOn(Peer.prototype, 'compounds', 'get').mockReturnValue(false)
    return mount()
  }

  test('runs lock, create, write in order; the fd is the one that the create opens', async () => {
    const { graph } = await start()
    const root = inodeLoc(graph.inodes.root)
    const { step, fd } = creation(graph, 'f')
    const reply = await graph.top.compound(ctx, {
      steps: [nameLock(root, 'f', EntrylkCommand.LOCK_NB, other), step, writing(fd, 'text')],
    })
    expect(names()).toEqual(
      knows ? ['COMPOUND(ENTRYLK CREATE WRITE)'] : ['ENTRYLK', 'CREATE', 'WRITE'],
    )
    if (!reply.ok) throw new Error(`errno ${reply.errno}`)
    const made = stepReply(reply.replies, 1, 'create')
    if (made?.ok !== true) throw new Error('not created')
    expect(stepReply(reply.replies, 2, 'writev')).toMatchObject({ ok: true, written: 4 })
    const inode = graph.inodes.link(fd.inode, made.stat, graph.inodes.root, 'f')
    if (inode !== fd.inode) fd.moveTo(inode)
    fd.bind()
    const read = await graph.top.readv(ctx, { fd, size: 10, offset: 0, flags: 0 })
    expect(read.ok && read.data.toString()).toBe('text')
    expect(openFiles()).toEqual([1])
    // The lock is its own owner's.
    const mine = nameLock(root, 'f', EntrylkCommand.LOCK_NB)
    const refused = await graph.top.compound(ctx, { steps: [mine, writing(fd, 'more')] })
    expect(refused).toMatchObject({ ok: true, replies: [{ ok: false, errno: Errno.EAGAIN }] })
    const unlock = nameLock(root, 'f', EntrylkCommand.UNLOCK, other)
    const freed = await graph.top.compound(ctx, {
      steps: [unlock, mine, { fop: 'readv', args: { fd, size: 10, offset: 1, flags: 0 } }],
    })
    if (!freed.ok) throw new Error(`errno ${freed.errno}`)
    const last = stepReply(freed.replies, 2, 'readv')
    expect(last?.ok === true && last.data.toString()).toBe('ext')
    fd.unref()
    await until('the release', WAIT_MS, () => openFiles()[0] === 0)
  })

  test('stops at the first failure, and tells what ran', async () => {
    const { graph } = await start()
    const { root } = graph.inodes
    const absent = entryLoc(root, 'absent', graph.inodes.create())
    const made = entryLoc(root, 'made', graph.inodes.create())
    const reply = await graph.top.compound(ctx, {
      steps: [
        { fop: 'stat', args: { loc: inodeLoc(root) } },
        { fop: 'unlink', args: { loc: absent, xflags: 0 } },
        { fop: 'mkdir', args: { loc: made, mode: 0o755, umask: 0, xdata: fresh() } },
      ],
    })
    expect(reply.ok && reply.replies.length).toBe(2)
    expect(reply.ok && reply.replies[1]).toMatchObject({ ok: false, errno: Errno.ENOENT })
    const looked = await graph.top.lookup(ctx, { loc: made })
    expect(looked).toMatchObject({ ok: false, errno: Errno.ENOENT })
  })

  test('a step that fails by itself ends the list where it stands', async () => {
    const { graph } = await start()
    const { root } = graph.inodes
    const nothing = inodeLoc(graph.inodes.create())
    const made = entryLoc(root, 'made', graph.inodes.create())
    const reply = await graph.top.compound(ctx, {
      steps: [
        { fop: 'stat', args: { loc: inodeLoc(root) } },
        { fop: 'stat', args: { loc: nothing } },
        { fop: 'mkdir', args: { loc: made, mode: 0o755, umask: 0, xdata: fresh() } },
      ],
    })
    expect(reply).toMatchObject({ replies: [{ ok: true }, { ok: false, errno: Errno.EINVAL }] })
    expect(names()).toEqual(['STAT'].map(name => (knows ? `COMPOUND(${name})` : name)))
  })

  test('more than one record holds goes in several', async () => {
    const { graph } = await start()
    const { step, fd } = creation(graph, 'f')
    const stat: Step = { fop: 'stat', args: { loc: inodeLoc(graph.inodes.root) } }
    const reply = await graph.top.compound(ctx, {
      steps: [step, writing(fd, 'a'), ...Array.from({ length: 17 }, () => stat), writing(fd, 'b')],
    })
    expect(reply.ok && reply.replies.filter(each => each.ok).length).toBe(20)
    if (knows) expect(names().length).toBe(3)
    fd.unref()
  })

  test('POSIX locks and files outlive a broken connection', async () => {
    const { graph, events } = await start()
    const { step, fd } = creation(graph, 'f')
    const flock = {
      type: LockType.WRLCK,
      whence: 0,
      start: 0n,
      len: 0n,
      pid: 1,
      lkOwner: ctx.lkOwner,
    }
    const lock: Step = { fop: 'lk', args: { fd, command: LockCommand.SETLK, flock } }
    const reply = await graph.top.compound(ctx, { steps: [step, lock] })
    const made = reply.ok ? stepReply(reply.replies, 0, 'create') : reply
    if (made?.ok !== true) throw new Error('not created')
    const inode = graph.inodes.link(fd.inode, made.stat, graph.inodes.root, 'f')
    ;(inode === fd.inode ? fd : fd.moveTo(inode)).bind()
    events.length = 0
    brick.disconnectAll()
    await until('the brick to be back', WAIT_MS, () =>
      events.some(each => each.kind === 'child-up'),
    )
    expect(openFiles()).toEqual([1])
    const refused = await graph.top.lk(other, { ...lock.args, flock } as never)
    expect(refused).toMatchObject({ ok: false, errno: Errno.EAGAIN })
    fd.unref()
  })

  test('without a connection nothing is known', async () => {
    const { graph, events } = await start()
    await brick.volume.stop()
    await until('the bad news', WAIT_MS, () => events.some(each => each.kind === 'child-down'))
    const stat: Step = { fop: 'stat', args: { loc: inodeLoc(graph.inodes.root) } }
    const reply = await graph.top.compound(ctx, { steps: [stat, stat] })
    expect(reply).toMatchObject({ ok: false, errno: Errno.ENOTCONN })
  })
})

describe('a lock that waits', () => {
  test('keeps its compound, and no other call of the connection', async () => {
    const { graph } = await mount()
    const root = inodeLoc(graph.inodes.root)
    const made = entryLoc(graph.inodes.root, 'made', graph.inodes.create())
    const held = nameLock(root, 'made', EntrylkCommand.LOCK_NB, other)
    await graph.top.compound(ctx, { steps: [held] })
    const waiting = graph.top.compound(ctx, {
      steps: [
        nameLock(root, 'made', EntrylkCommand.LOCK),
        { fop: 'mkdir', args: { loc: made, mode: 0o755, umask: 0, xdata: fresh() } },
      ],
    })
    const looked = await graph.top.lookup(ctx, { loc: made })
    expect(looked).toMatchObject({ ok: false, errno: Errno.ENOENT })
    await graph.top.compound(ctx, {
      steps: [nameLock(root, 'made', EntrylkCommand.UNLOCK, other)],
    })
    expect(await waiting).toMatchObject({ ok: true, replies: [{ ok: true }, { ok: true }] })
  })

  test('is not taken together with file data', async () => {
    const { graph } = await mount()
    const { step, fd } = creation(graph, 'f')
    const lock = nameLock(inodeLoc(graph.inodes.root), 'f', EntrylkCommand.LOCK)
    const reply = await graph.top.compound(ctx, { steps: [lock, step, writing(fd, 'text')] })
    expect(reply).toMatchObject({ ok: false, errno: Errno.EINVAL })
    fd.unref()
  })

  test('of a client that goes: nothing behind it runs, and nothing stays locked', async () => {
    const [one, two] = [await mount(), await mount()]
    const held = nameLock(inodeLoc(two.graph.inodes.root), 'made', EntrylkCommand.LOCK_NB, other)
    const first = await two.top.compound(ctx, { steps: [held] })
    expect(first).toMatchObject({ replies: [{ ok: true }] })
    const made = entryLoc(one.graph.inodes.root, 'made', one.graph.inodes.create())
    const waiting = one.top.compound(ctx, {
      steps: [
        nameLock(inodeLoc(one.graph.inodes.root), 'made', EntrylkCommand.LOCK),
        { fop: 'mkdir', args: { loc: made, mode: 0o755, umask: 0, xdata: fresh() } },
      ],
    })
    await until('the wait', WAIT_MS, () =>
      brick.clients().some(({ waitingLocks }) => waitingLocks === 1),
    )
    await one.stop()
    expect(await waiting).toMatchObject({ ok: false, errno: Errno.ENOTCONN })
    await until('its end on the brick', WAIT_MS, () => openFiles().length === 1)
    const unlock = nameLock(inodeLoc(two.graph.inodes.root), 'made', EntrylkCommand.UNLOCK, other)
    const again = nameLock(inodeLoc(two.graph.inodes.root), 'made', EntrylkCommand.LOCK_NB)
    const reply = await two.top.compound(ctx, { steps: [unlock, again] })
    expect(reply).toMatchObject({ replies: [{ ok: true }, { ok: true }] })
    const loc = entryLoc(two.graph.inodes.root, 'made', two.graph.inodes.create())
    expect(await two.top.lookup(ctx, { loc })).toMatchObject({ ok: false, errno: Errno.ENOENT })
  })
})
