import {
  Dict,
  EMPTY_IATT,
  Errno,
  entryLoc,
  failure,
  Iatt,
  type Inode,
  inodeLoc,
  type Reply,
  ROOT_CTX,
  ROOT_GFID,
  S_IFDIR,
  UpcallFlag,
} from '@ashlar/core'
import { fileStat, gfidOf, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { mdCache } from './index.ts'

function rootStat(time: number): Iatt {
  const stat = new Iatt()
  stat.gfid = ROOT_GFID
  stat.mode = S_IFDIR | 0o755
  stat.mtime = time
  stat.ctime = time
  return stat
}

describe('md-cache', () => {
  let world: Scripted
  let file: Inode
  const start = (options: Record<string, string> = {}): void => {
    world = scripted(mdCache, options)
    file = world.file('f')
  }
  beforeEach(() => start())

  const stat = (inode = file): Promise<Reply<'stat'>> =>
    world.graph.top.stat(ROOT_CTX, { loc: inodeLoc(inode) })
  const answerStat = (reply: Iatt): Promise<void> =>
    world.waiting('stat').answer({ ok: true, stat: reply })
  const learn = async (reply: Iatt, inode = file): Promise<void> => {
    const asked = stat(inode)
    await answerStat(reply)
    await asked
  }
  const lookup = (name = 'f', xdata?: Dict): Promise<Reply<'lookup'>> => {
    const { root } = world.graph.inodes
    const inode = world.graph.inodes.child(root, name) ?? world.graph.inodes.create()
    return world.graph.top.lookup(ROOT_CTX, { loc: entryLoc(root, name, inode), xdata })
  }
  const chmod = (): Promise<Reply<'setattr'>> =>
    world.graph.top.setattr(ROOT_CTX, { loc: inodeLoc(file), stat: EMPTY_IATT, valid: 1 })
  const write = (): Promise<Reply<'writev'>> => {
    const fd = world.graph.openFd(file, { flags: 2, pid: 1 })
    return world.graph.top.writev(ROOT_CTX, { fd, data: Buffer.from('x'), offset: 0, flags: 0 })
  }

  test('attributes are good for a second', async () => {
    await learn(fileStat('f', 10))
    world.clock.advance(900)
    expect(await stat()).toMatchObject({ ok: true, stat: { mtime: 10 } })
    expect(world.calls).toHaveLength(1)
    world.clock.advance(200)
    void stat()
    expect(world.outstanding).toEqual(['stat'])
  })

  test('a making tells the attributes of the directory', async () => {
    const { root, ...inodes } = world.graph.inodes
    void inodes
    const loc = entryLoc(root, 'new', world.graph.inodes.create())
    const made = world.graph.top.mkdir(ROOT_CTX, { loc, mode: 0o755, umask: 0 })
    await world.waiting('mkdir').answer({
      ...{ ok: true, stat: fileStat('n', 20) },
      ...{ preparent: rootStat(10), postparent: rootStat(20) },
    })
    await made
    expect(await stat(root)).toMatchObject({ ok: true, stat: { mtime: 20 } })
  })

  test('replies that overtake each other: the later ctime counts', async () => {
    await learn(fileStat('f', 10))
    const changed = chmod()
    await world.waiting('setattr').answer({
      ...{ ok: true, prestat: fileStat('f', 10), poststat: fileStat('f', 30) },
    })
    await changed
    const fd = world.graph.openFd(file, { flags: 0, pid: 1 })
    const read = world.graph.top.readv(ROOT_CTX, { fd, size: 1, offset: 0, flags: 0 })
    await world.waiting('readv').answer({
      ...{ ok: true, data: Buffer.alloc(0), eof: true, stat: fileStat('f', 20) },
    })
    await read
    expect(await stat()).toMatchObject({ stat: { ctime: 30 } })
  })

  test('a reply from before an early write does not get in after it', async () => {
    const asked = stat()
    const written = write()
    await world.waiting('writev').answer({
      ...{ ok: true, prestat: EMPTY_IATT, poststat: EMPTY_IATT, written: 1 },
    })
    await written
    await answerStat(fileStat('f', 10, 0))
    await asked
    void stat()
    expect(world.outstanding).toEqual(['stat'])
  })

  test('an early write makes attributes unknown', async () => {
    await learn(fileStat('f', 10))
    void write()
    await world.waiting('writev').answer({
      ...{ ok: true, prestat: EMPTY_IATT, poststat: EMPTY_IATT, written: 1 },
    })
    void stat()
    expect(world.outstanding).toEqual(['stat'])
  })

  test("somebody else's change is news for the kernel, ours is not", async () => {
    await learn(fileStat('f', 10))
    world.clock.advance(2000)
    await learn(fileStat('f', 20))
    expect(world.events).toEqual([{ kind: 'inode-invalidate', inode: file }])
    void world.graph.top.truncate(ROOT_CTX, { loc: inodeLoc(file), offset: 0 })
    await world.waiting('truncate').answer({
      ...{ ok: true, prestat: fileStat('f', 20), poststat: fileStat('f', 30) },
    })
    expect(world.events).toHaveLength(1)
    void world.graph.top.truncate(ROOT_CTX, { loc: inodeLoc(file), offset: 0 })
    await world.waiting('truncate').answer({
      ...{ ok: true, prestat: fileStat('f', 35), poststat: fileStat('f', 40) },
    })
    expect(world.events).toHaveLength(2)
  })

  test('a name is answered for a second, and not after it went', async () => {
    const found = lookup()
    await world.waiting('lookup').answer({
      ...{ ok: true, stat: fileStat('f', 10), postparent: rootStat(10) },
    })
    await found
    expect(await lookup()).toMatchObject({ ok: true, stat: { mtime: 10 } })
    expect(world.calls).toHaveLength(1)
    // Attributes stay fresh, but nobody has looked at the name.
    world.clock.advance(900)
    const fd = world.graph.openFd(file, { flags: 0, pid: 1 })
    void world.graph.top.readv(ROOT_CTX, { fd, size: 1, offset: 0, flags: 0 })
    await world.waiting('readv').answer({
      ...{ ok: true, data: Buffer.alloc(0), eof: true, stat: fileStat('f', 10) },
    })
    world.clock.advance(900)
    void lookup()
    expect(world.outstanding).toEqual(['lookup'])
  })

  test('an unlink takes attributes and name', async () => {
    const found = lookup()
    await world.waiting('lookup').answer({
      ...{ ok: true, stat: fileStat('f', 10), postparent: rootStat(10) },
    })
    await found
    const loc = entryLoc(world.graph.inodes.root, 'f', file)
    void world.graph.top.unlink(ROOT_CTX, { loc, xflags: 0 })
    await world.waiting('unlink').answer({
      ...{ ok: true, preparent: rootStat(10), postparent: rootStat(20) },
    })
    void lookup()
    void stat()
    await settled()
    expect(world.outstanding).toEqual(['lookup', 'stat'])
  })

  test('a lookup that asks for an xattr is answered only when it is known', async () => {
    const key = 'security.ima'
    const asked = world.graph.top.getxattr(ROOT_CTX, { loc: inodeLoc(file), name: key })
    await world.waiting('getxattr').answer(failure(Errno.ENODATA))
    expect(await asked).toMatchObject({ errno: Errno.ENODATA })
    // Known to be absent, by that answer.
    expect(
      await world.graph.top.getxattr(ROOT_CTX, { loc: inodeLoc(file), name: key }),
    ).toMatchObject({ errno: Errno.ENODATA })
    expect(world.calls).toHaveLength(1)
    world.clock.advance(2000)
    // From now on lookups ask for it.
    const found = lookup()
    const call = world.waiting('lookup')
    expect([...(call.args.xdata?.keys() ?? [])]).toEqual([key])
    await call.answer({
      ...{ ok: true, stat: fileStat('f', 10), postparent: rootStat(10) },
      xdata: new Dict().setBytes(key, Buffer.from('v')),
    })
    await found
    const known = await lookup('f', new Dict().setUint(key, 0))
    expect(known.ok && known.xdata?.getString(key)).toBe('v')
    void lookup('f', new Dict().setUint('user.other', 0))
    await settled()
    expect(world.outstanding).toEqual(['lookup'])
  })

  test('setting an xattr drops what is known of all', async () => {
    const name = 'security.capability'
    const asked = world.graph.top.getxattr(ROOT_CTX, { loc: inodeLoc(file), name })
    await world.waiting('getxattr').answer(failure(Errno.ENODATA))
    await asked
    const dict = new Dict().setBytes(name, Buffer.from('c'))
    void world.graph.top.setxattr(ROOT_CTX, { loc: inodeLoc(file), dict, flags: 0 })
    await world.waiting('setxattr').answer({ ok: true })
    void world.graph.top.getxattr(ROOT_CTX, { loc: inodeLoc(file), name })
    expect(world.outstanding).toEqual(['getxattr'])
  })

  test('what was learnt before a brick went down counts no more', async () => {
    await learn(fileStat('f', 10))
    world.clock.advance(1)
    world.notify({ kind: 'some-descendent-down' })
    void stat()
    expect(world.outstanding).toEqual(['stat'])
  })

  test('news from a brick brings attributes, or takes them', async () => {
    start({ 'cache-invalidation': 'on', 'md-cache-timeout': '600' })
    const change = (flags: number, news: Iatt): void =>
      world.notify({
        kind: 'cache-invalidation',
        change: {
          ...{ gfid: gfidOf('f'), flags, expireTime: 60, stat: news },
          ...{ parentStat: EMPTY_IATT, oldParentStat: EMPTY_IATT },
        },
      })
    await learn(fileStat('f', 10))
    world.clock.advance(100_000)
    expect(await stat()).toMatchObject({ stat: { mtime: 10 } })
    change(UpcallFlag.TIMES, fileStat('f', 20))
    expect(await stat()).toMatchObject({ stat: { mtime: 20 } })
    change(UpcallFlag.NLINK, fileStat('f', 30))
    void stat()
    expect(world.outstanding).toEqual(['stat'])
    // The kernel hears of both.
    expect(world.events.map(event => event.kind)).toEqual([
      'cache-invalidation',
      'cache-invalidation',
    ])
  })

  test('with cache-invalidation the bricks learn which xattrs are cached', () => {
    start({ 'cache-invalidation': 'on', 'cache-selinux': 'on' })
    world.notify({ kind: 'child-up' })
    const { args } = world.waiting('ipc')
    expect(args.op).toBe(2)
    expect([...(args.xdata?.keys() ?? [])]).toEqual([
      'security.capability',
      'security.ima',
      'security.selinux',
    ])
  })

  test('pass-through keeps nothing', async () => {
    start({ 'pass-through': 'on' })
    await learn(fileStat('f', 10))
    void stat()
    expect(world.outstanding).toEqual(['stat'])
  })
})
