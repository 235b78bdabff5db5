/** Both ends against each other: a client graph and a brick graph over a real socket. */

import {
  type Ctx,
  Dict,
  entryLoc,
  Errno,
  type Fd,
  gfidFromRandom,
  type Graph,
  Iatt,
  type Inode,
  inodeLoc,
  LockCommand,
  LockType,
  NULL_GFID,
  OpenFlag,
  parseVolfile,
  printVolfile,
  ROOT_CTX,
  SetAttr,
  type Step,
  systemRandom,
} from '@ashlar/core'
import { good, memoryStorage, SocketBrick, until } from '@ashlar/testkit'
import { isFailure, RpcClient } from '@ashlar/transport'
import { fopProgram } from '@ashlar/wire'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { locks } from '../features/locks/index.ts'
import type { Server } from './server/index.ts'

const WAIT_MS = 8000
const layers = [memoryStorage, locks]
const random = systemRandom()
let brick: SocketBrick

beforeEach(async () => {
  brick = await SocketBrick.start({ layers })
})
afterEach(() => brick.stop())

const ctx: Ctx = { ...ROOT_CTX, pid: 4711, lkOwner: 'owner-1' }
const other: Ctx = { ...ctx, lkOwner: 'owner-2' }

function fresh(): Dict {
  return new Dict().setGfid('gfid-req', gfidFromRandom(random.bytes(16)))
}

async function makeFile(graph: Graph, parent: Inode, name: string): Promise<Fd> {
  const loc = entryLoc(parent, name, graph.inodes.create())
  const flags = OpenFlag.RDWR | OpenFlag.CREAT
  const fd = graph.openFd(loc.inode, { flags, pid: 1 })
  const mode = 0o100644
  const made = good(
    await graph.top.create(ctx, { loc, fd, flags, mode, umask: 0o22, xdata: fresh() }),
  )
  const { gfid, type } = made.stat
  const inode = graph.inodes.link(loc.inode, { gfid, type }, parent, name)
  graph.inodes.lookup(inode)
  return (inode === fd.inode ? fd : fd.moveTo(inode)).bind()
}

async function makeDirectory(graph: Graph, name: string): Promise<Inode> {
  const loc = entryLoc(graph.inodes.root, name, graph.inodes.create())
  const made = good(await graph.top.mkdir(ctx, { loc, mode: 0o755, umask: 0o22, xdata: fresh() }))
  const { gfid, type } = made.stat
  const inode = graph.inodes.link(loc.inode, { gfid, type }, graph.inodes.root, name)
  graph.inodes.lookup(inode)
  return inode
}

const flock = (type: number, start: number, len: number, lkOwner: string) => ({
  type,
  whence: 0,
  start: BigInt(start),
  len: BigInt(len),
  pid: 4711,
  lkOwner,
})

describe('files through both ends', () => {
  test('made, written, read, listed, renamed, removed', async () => {
    const { graph } = await brick.mount()
    const { top, inodes } = graph
    const directory = await makeDirectory(graph, 'dir')
    const fd = await makeFile(graph, directory, 'naïve')
    const data = random.bytes(300_000)
    expect(good(await top.writev(ctx, { fd, data, offset: 0, flags: 0 })).written).toBe(300_000)
    const back = good(await top.readv(ctx, { fd, size: 400_000, offset: 1000, flags: 0 }))
    expect(back.data.equals(data.subarray(1000))).toBe(true)
    expect(good(await top.fstat(ctx, { fd })).stat.size).toBe(300_000)
    const loc = entryLoc(directory, 'naïve', inodes.create())
    const looked = good(await top.lookup(ctx, { loc }))
    expect(looked.stat.gfid).toBe(fd.inode.gfid)
    expect(looked.postparent.gfid).toBe(directory.gfid)

    const stat = new Iatt()
    stat.mode = 0o600
    const at = inodeLoc(fd.inode)
    const changed = good(await top.setattr(ctx, { loc: at, stat, valid: SetAttr.MODE }))
    expect(changed.poststat.mode & 0o7777).toBe(0o600)
    const dict = new Dict().setBytes('user.a', Buffer.from([0, 1, 255]))
    good(await top.setxattr(ctx, { loc: at, dict, flags: 0 }))
    const got = good(await top.getxattr(ctx, { loc: at, name: 'user.a' }))
    expect(got.dict.getBytes('user.a')).toEqual(Buffer.from([0, 1, 255]))
    const none = await top.getxattr(ctx, { loc: at, name: 'user.b' })
    expect(none.ok ? 0 : none.errno).toBe(Errno.ENODATA)

    const listing = graph.openFd(directory, { flags: 0, pid: 1 })
    good(await top.opendir(ctx, { loc: inodeLoc(directory), fd: listing }))
    listing.bind()
    const list = good(await top.readdirp(ctx, { fd: listing, size: 65_536, offset: 0n }))
    expect(list.entries.map(each => each.name)).toContain('naïve')
    expect(list.eof).toBe(true)
    listing.unref()

    const newloc = entryLoc(inodes.root, 'moved', inodes.create())
    const oldloc = entryLoc(directory, 'naïve', fd.inode)
    expect(good(await top.rename(ctx, { oldloc, newloc })).stat.gfid).toBe(fd.inode.gfid)
    good(await top.unlink(ctx, { loc: entryLoc(inodes.root, 'moved', fd.inode), xflags: 0 }))
    const emptied = entryLoc(inodes.root, 'dir', directory)
    good(await top.rmdir(ctx, { loc: emptied, xflags: 0 }))
    fd.unref()
  })

  test('an anonymous fd works by gfid', async () => {
    const { graph } = await brick.mount()
    const fd = await makeFile(graph, graph.inodes.root, 'f')
    good(await graph.top.writev(ctx, { fd, data: Buffer.from('text'), offset: 0, flags: 0 }))
    const anonymous = graph.anonymousFd(fd.inode, OpenFlag.RDWR)
    const read = good(await graph.top.readv(ctx, { fd: anonymous, size: 10, offset: 0, flags: 0 }))
    expect(read.data.toString()).toBe('text')
    anonymous.unref()
    fd.unref()
  })

  // As after an outage: the file was opened while this brick was away.
  test('an fd that was never opened here is, before it appends', async () => {
    const { graph } = await brick.mount()
    const { top } = graph
    const fd = await makeFile(graph, graph.inodes.root, 'f')
    good(await top.writev(ctx, { fd, data: Buffer.from('before '), offset: 0, flags: 0 }))
    const data = Buffer.from('more ')
    const append = { data, offset: 0, flags: 0 }
    const flags = OpenFlag.WRONLY | OpenFlag.APPEND
    const alone = graph.openFd(fd.inode, { flags, pid: 1 })
    await Promise.all([1, 2].map(async () => good(await top.writev(ctx, { fd: alone, ...append }))))
    const compounded = graph.openFd(fd.inode, { flags, pid: 1 })
    const steps: Step[] = [
      { fop: 'writev', args: { fd: compounded, ...append } },
      { fop: 'fsync', args: { fd: compounded, datasync: false } },
    ]
    good(await top.compound(ctx, { steps }))
    const read = good(await top.readv(ctx, { fd, size: 99, offset: 0, flags: 0 }))
    expect(read.data.toString()).toBe('before more more more ')
    expect(brick.clients()[0]?.fds).toBe(3)
    for (const each of [alone, compounded]) each.unref()
    await until('the releases', WAIT_MS, () => brick.clients()[0]?.fds === 1)

    const unlinked = { loc: entryLoc(graph.inodes.root, 'f', fd.inode), xflags: 0 }
    fd.unref()
    await until('the release', WAIT_MS, () => brick.clients()[0]?.fds === 0)
    const late = graph.openFd(fd.inode, { flags, pid: 1 })
    good(await top.unlink(ctx, unlinked))
    const refused = await top.writev(ctx, { fd: late, ...append })
    expect([Errno.ENOENT, Errno.ESTALE]).toContain(refused.ok ? 0 : refused.errno)
    late.unref()
  })

  test('names that lead elsewhere are refused', async () => {
    const { graph } = await brick.mount()
    for (const [name, errno] of [
      ['..', Errno.EINVAL],
      ['a/b', Errno.EPERM],
    ] as const) {
      const loc = { ...inodeLoc(graph.inodes.create()), pargfid: graph.inodes.root.gfid, name }
      const reply = await graph.top.lookup(ctx, { loc })
      expect(reply.ok ? 0 : reply.errno).toBe(errno)
    }
  })

  test('`.` is the directory itself, for lookups and nothing else', async () => {
    const { graph } = await brick.mount()
    const { root } = graph.inodes
    const loc = { ...inodeLoc(graph.inodes.create()), pargfid: root.gfid, name: '.' }
    expect(good(await graph.top.lookup(ctx, { loc })).stat.gfid).toBe(root.gfid)
    const removed = await graph.top.rmdir(ctx, { loc, xflags: 0 })
    expect(removed.ok ? 0 : removed.errno).toBe(Errno.EINVAL)
  })

  test('fds are released on the brick', async () => {
    const { graph } = await brick.mount()
    const fds = await Promise.all(
      ['a', 'b', 'c'].map(name => makeFile(graph, graph.inodes.root, name)),
    )
    expect(brick.clients()[0]?.fds).toBe(3)
    for (const fd of fds) fd.unref()
    await until('the releases', WAIT_MS, () => brick.clients()[0]?.fds === 0)
  })
})

describe('locks through both ends', () => {
  test('conflict, wait, are granted, and can be given up', async () => {
    const { graph } = await brick.mount()
    const { top } = graph
    const fd = await makeFile(graph, graph.inodes.root, 'f')
    const lk = (who: Ctx, command: number, type: number) =>
      top.lk(who, { fd, command, flock: flock(type, 0, 10, who.lkOwner) })
    good(await lk(ctx, LockCommand.SETLK, LockType.WRLCK))
    const refused = await lk(other, LockCommand.SETLK, LockType.WRLCK)
    expect(refused.ok ? 0 : refused.errno).toBe(Errno.EAGAIN)
    const abort = new AbortController()
    const waiting = lk({ ...other, signal: abort.signal }, LockCommand.SETLKW, LockType.WRLCK)
    abort.abort()
    const interrupted = await waiting
    expect(interrupted.ok ? 0 : interrupted.errno).toBe(Errno.EINTR)
    const granted = lk(other, LockCommand.SETLKW, LockType.WRLCK)
    good(await lk(ctx, LockCommand.SETLK, LockType.UNLCK))
    good(await granted)
    fd.unref()
  })

  test('of a client that goes are free for others', async () => {
    const one = await brick.mount()
    const two = await brick.mount()
    const fd = await makeFile(one.graph, one.graph.inodes.root, 'f')
    const full = flock(LockType.WRLCK, 0, 0, 'owner-1')
    const lock = { command: LockCommand.SETLK, flock: full }
    good(await one.graph.top.lk(ctx, { fd, ...lock }))
    const loc = inodeLoc(fd.inode)
    good(await one.graph.top.inodelk(ctx, { loc, domain: 'd', ...lock }))
    const inode = two.graph.inodes.obtain(fd.inode.gfid)
    const same = two.graph.anonymousFd(inode, OpenFlag.RDWR)
    const refused = await two.graph.top.lk(other, { fd: same, ...lock })
    expect(refused.ok ? 0 : refused.errno).toBe(Errno.EAGAIN)
    const wait = { command: LockCommand.SETLKW, flock: full }
    const granted = two.graph.top.lk(other, { fd: same, ...wait })
    const grantedInode = two.graph.top.inodelk(other, {
      loc: inodeLoc(inode),
      domain: 'd',
      ...wait,
    })
    await one.graph.stop()
    good(await granted)
    good(await grantedInode)
    expect(brick.clients().length).toBe(1)
  })
})

describe('a broken connection', () => {
  test('fails calls at once; files are open and locks held again after it', async () => {
    const { graph, events } = await brick.mount()
    const fd = await makeFile(graph, graph.inodes.root, 'f')
    good(await graph.top.writev(ctx, { fd, data: Buffer.from('abc'), offset: 0, flags: 0 }))
    good(
      await graph.top.lk(ctx, {
        fd,
        command: LockCommand.SETLK,
        flock: flock(LockType.WRLCK, 5, 10, 'owner-1'),
      }),
    )
    events.length = 0
    // The brick drops the connection; its files stay.
    brick.disconnectAll()
    // Seen at once: the client tries again 50 ms later.
    const isDown = () => events.some(each => each.kind === 'child-down')
    await vi.waitUntil(isDown, { interval: 1, timeout: WAIT_MS })
    const meanwhile = await graph.top.fstat(ctx, { fd })
    expect(meanwhile.ok ? 0 : meanwhile.errno).toBe(Errno.ENOTCONN)
    await until('the brick to be back', WAIT_MS, () =>
      events.some(each => each.kind === 'child-up'),
    )
    const read = good(await graph.top.readv(ctx, { fd, size: 3, offset: 0, flags: 0 }))
    expect(read.data.toString()).toBe('abc')
    expect(brick.clients()[0]?.fds).toBe(1)
    const refused = await graph.top.lk(other, {
      fd,
      command: LockCommand.SETLK,
      flock: flock(LockType.WRLCK, 0, 0, 'owner-2'),
    })
    expect(refused.ok ? 0 : refused.errno).toBe(Errno.EAGAIN)
    fd.unref()
    await until('the release', WAIT_MS, () => brick.clients()[0]?.fds === 0)
  })

  test('a client waits for a brick that is not there yet', async () => {
    await brick.volume.stop()
    const waiting = await brick.connect()
    await until('the bad news', WAIT_MS, () =>
      waiting.events.some(each => each.kind === 'child-down'),
    )
    await using _again = await SocketBrick.start({
      layers,
      options: { 'listen-port': `${brick.address.port}` },
    })
    await until('the good news', WAIT_MS, () =>
      waiting.events.some(each => each.kind === 'child-up'),
    )
  })
})

describe('admission', () => {
  test('by address', async () => {
    const options = { 'auth.addr./b.allow': '10.0.0.*' }
    await using strict = await SocketBrick.start({ layers, options })
    const { events } = await strict.connect()
    await until('the refusal', WAIT_MS, () => events.some(each => each.kind === 'auth-failed'))
  })

  test('taken back and given again: a client that lives comes again', async () => {
    const { events, graph } = await brick.mount()
    const file = await makeFile(graph, graph.inodes.root, 'open')
    const server = brick.volume.graph
    const admitting = printVolfile(server.volfile)
    const ups = (): number => events.filter(each => each.kind === 'child-up').length
    expect(ups()).toBe(1)
    server.reconfigure(parseVolfile(admitting.replace('b.allow *', 'b.allow 10.0.0.1')))
    await until('the refusal', WAIT_MS, () => events.some(each => each.kind === 'auth-failed'))
    server.reconfigure(parseVolfile(admitting))
    await until('the brick', WAIT_MS, () => ups() === 2)
    good(await graph.top.fstat(ctx, { fd: file }))
    file.unref()
  })

  test('by user name and password, whatever the address', async () => {
    const options = {
      'auth.addr./b.allow': '10.0.0.1',
      'auth.login./b.allow': 'someone',
      'auth.login.someone.password': 'secret',
    }
    await using strict = await SocketBrick.start({ layers, options })
    await strict.mount({ options: { username: 'someone', password: 'secret' } })
    const wrong = await strict.connect({ options: { username: 'someone', password: 'guess' } })
    await until('the refusal', WAIT_MS, () =>
      wrong.events.some(each => each.kind === 'auth-failed'),
    )
  })

  test('no fop is served before it', async () => {
    let up = false
    const rpc = new RpcClient({
      env: brick.volume.env,
      name: 'stranger',
      address: () => brick.address,
      connected: () => {
        up = true
      },
    })
    onTestFinished(() => rpc.stop())
    rpc.start()
    await until('a connection', WAIT_MS, () => up)
    const args = { gfid: NULL_GFID, xdata: undefined }
    expect(isFailure(await rpc.call(fopProgram, fopProgram.procedures.STAT, args))).toBe(true)
  })

  test('a subdirectory is shown as the root', async () => {
    const whole = await brick.mount()
    const directory = await makeDirectory(whole.graph, 'sub')
    const inside = await makeFile(whole.graph, directory, 'inside')
    const { graph } = await brick.mount({ subdirectory: '/sub' })
    const root = good(await graph.top.stat(ctx, { loc: inodeLoc(graph.inodes.root) }))
    expect(root.stat.gfid).toBe(graph.inodes.root.gfid)
    const loc = entryLoc(graph.inodes.root, 'inside', graph.inodes.create())
    const found = good(await graph.top.lookup(ctx, { loc }))
    expect(found.stat.gfid).toBe(inside.inode.gfid)
    expect(found.postparent.gfid).toBe(graph.inodes.root.gfid)
    inside.unref()
  })
})

describe('news for clients', () => {
  test('reach the one they are for', async () => {
    const { events } = await brick.mount()
    const bystander = await brick.mount()
    const [first] = brick.clients()
    const server = brick.volume.graph.xlator('server') as Server
    const gfid = gfidFromRandom(random.bytes(16))
    const stat = new Iatt()
    stat.gfid = gfid
    stat.size = 17
    const change = {
      gfid,
      flags: 8,
      expireTime: 60,
      stat,
      parentStat: new Iatt(),
      oldParentStat: new Iatt(),
    }
    const from = { name: '/b' } as never
    server.notify({ kind: 'cache-invalidation', change, client: first?.client }, from)
    await until('the news', WAIT_MS, () => events.some(each => each.kind === 'cache-invalidation'))
    const news = events.find(each => each.kind === 'cache-invalidation')
    expect(news).toMatchObject({ change: { gfid, flags: 8, stat: { size: 17 } } })
    expect(bystander.events.some(each => each.kind === 'cache-invalidation')).toBe(false)
  })
})
