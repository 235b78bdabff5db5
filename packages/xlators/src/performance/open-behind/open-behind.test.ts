import {
  type Ctx,
  entryLoc,
  Errno,
  failure,
  type Fd,
  type Inode,
  inodeLoc,
  OpenFlag,
  ROOT_CTX,
} from '@ashlar/core'
import { fileStat, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { openBehind } from './index.ts'

const OWNER = 1000

describe('open-behind', () => {
  let world: Scripted
  let inode: Inode
  const start = (options: Record<string, string> = {}): void => {
    world = scripted(openBehind, options)
    inode = world.file('f')
  }
  beforeEach(() => start())

  const lookup = async (mode = 0o644): Promise<void> => {
    const loc = entryLoc(world.graph.inodes.root, 'f', inode)
    const reply = world.graph.top.lookup(ROOT_CTX, { loc })
    await settled()
    const stat = fileStat('f', 10, 5)
    stat.uid = OWNER
    stat.mode = (stat.mode & ~0o777) | mode
    await world.waiting('lookup').answer({ ok: true, stat, postparent: fileStat('d', 1) })
    await reply
  }
  /** Opens; true when it was answered without the brick. */
  const open = async (
    flags: number = OpenFlag.RDONLY,
    ctx: Ctx = ROOT_CTX,
    contentHeld = true,
  ): Promise<{ fd: Fd; early: boolean }> => {
    const fd = world.graph.openFd(inode, { flags, pid: 1 })
    let answered = false
    const args = { loc: inodeLoc(inode), fd, flags, ...(contentHeld ? { contentHeld } : {}) }
    const reply = world.graph.top.open(ctx, args).then(() => {
      answered = true
    })
    await settled()
    const early = answered
    if (!early) await world.waiting('open').answer({ ok: true })
    await reply
    return { fd: fd.bind(), early }
  }
  const read = (fd: Fd) => world.graph.top.readv(ROOT_CTX, { fd, size: 9, offset: 0, flags: 0 })
  const data = {
    ok: true as const,
    data: Buffer.from('text'),
    stat: fileStat('f', 10, 4),
    eof: true,
  }

  test('a file that is closed again is never opened on its brick', async () => {
    await lookup()
    const { fd, early } = await open()
    expect(early).toBe(true)
    expect(await world.graph.top.flush(ROOT_CTX, { fd })).toEqual({ ok: true })
    fd.unref()
    await settled()
    expect(world.calls.map(({ fop }) => fop)).toEqual(['lookup'])
  })

  test('closing it ends locks that were taken through another descriptor of the file', async () => {
    await lookup()
    const { fd: locking } = await open(OpenFlag.RDWR)
    const { fd, early } = await open()
    expect(early).toBe(true)
    const owner: Ctx = { ...ROOT_CTX, lkOwner: 'owner' }
    const flushing = world.graph.top.flush(owner, { fd })
    await settled()
    const call = world.waiting('flush')
    expect(call.args).toMatchObject({ fd: locking })
    await call.answer({ ok: true })
    expect(await flushing).toEqual({ ok: true })
    expect(world.calls.filter(({ fop }) => fop === 'open')).toHaveLength(1)
  })

  test('a read goes with the open, and gives nothing out before that is granted', async () => {
    await lookup()
    const { fd } = await open()
    const reading = read(fd)
    await settled()
    expect(world.outstanding).toEqual(['open', 'readv'])
    await world.waiting('readv').answer(data)
    await world.waiting('open').answer(failure(Errno.EACCES))
    expect(await reading).toMatchObject({ ok: false, errno: Errno.EACCES })
    // And so do all that follow.
    expect(await read(fd)).toMatchObject({ ok: false, errno: Errno.EACCES })
    fd.unref()
  })

  test.each(['unlink', 'rename'] as const)(
    'is opened on its brick during %s of its name, and after',
    async fop => {
      await lookup()
      const { inodes, top } = world.graph
      const loc = entryLoc(inodes.root, 'f', inode)
      const oldloc = entryLoc(inodes.root, 'next', world.file('next'))
      if (fop === 'unlink') void top.unlink(ROOT_CTX, { loc, xflags: 0 })
      else void top.rename(ROOT_CTX, { oldloc, newloc: loc })
      await settled()
      expect((await open()).early).toBe(false)
      // What a lookup tells meanwhile may be so no more.
      await lookup()
      expect((await open()).early).toBe(false)
      await world.waiting(fop).answer(failure(Errno.EIO))
      expect((await open()).early).toBe(false)
      await lookup()
      expect((await open()).early).toBe(true)
    },
  )

  test('is opened once, whoever needs it', async () => {
    await lookup()
    const { fd } = await open()
    const [one, two] = [read(fd), read(fd)]
    await settled()
    expect(world.outstanding).toEqual(['open', 'readv'])
    await world.waiting('open').answer({ ok: true })
    await world.waiting('readv').answer(data)
    await world.waiting('readv').answer(data)
    expect([await one, await two]).toMatchObject([{ ok: true }, { ok: true }])
    const again = read(fd)
    await settled()
    expect(world.outstanding).toEqual(['readv'])
    await world.waiting('readv').answer(data)
    await again
    fd.unref()
  })

  test.each([
    ['fgetxattr', (fd: Fd) => ({ fd, name: 'user.a' })],
    ['lk', (fd: Fd) => ({ fd, command: 1, flock: {} })],
    ['fsync', (fd: Fd) => ({ fd, datasync: false })],
    ['unlink', () => ({ loc: entryLoc(world.graph.inodes.root, 'f', inode), xflags: 0 })],
    ['setattr', () => ({ loc: inodeLoc(inode), stat: fileStat('f', 1), valid: 0 })],
    ['setxattr', () => ({ loc: inodeLoc(inode), dict: undefined, flags: 0 })],
    [
      'rename',
      () => ({
        oldloc: entryLoc(world.graph.inodes.root, 'g', world.file('g')),
        newloc: entryLoc(world.graph.inodes.root, 'f', inode),
      }),
    ],
  ] as const)('%s has the file opened first', async (fop, args) => {
    await lookup()
    const { fd } = await open()
    const call = world.graph.top[fop] as (ctx: unknown, args: unknown) => Promise<unknown>
    const reply = call(ROOT_CTX, args(fd))
    await settled()
    expect(world.outstanding).toEqual(['open'])
    await world.waiting('open').answer({ ok: true })
    expect(world.outstanding).toEqual([fop])
    await world.waiting(fop).answer(failure(Errno.EIO) as never)
    await reply
    fd.unref()
  })

  test('who might not be allowed to read asks the brick', async () => {
    const as = (uid: number): Ctx => ({ ...ROOT_CTX, uid, gid: uid })
    expect((await open()).early).toBe(false)
    await lookup(0o644)
    expect((await open(OpenFlag.RDONLY, as(OWNER))).early).toBe(true)
    expect((await open(OpenFlag.RDONLY, as(OWNER + 1))).early).toBe(false)
    await lookup(0o044)
    expect((await open(OpenFlag.RDONLY, as(OWNER))).early).toBe(false)
    await lookup()
    world.clock.advance(999)
    expect((await open(OpenFlag.RDONLY, as(OWNER))).early).toBe(true)
    world.clock.advance(1)
    expect((await open(OpenFlag.RDONLY, as(OWNER))).early).toBe(false)
    await lookup()
    world.notify({ kind: 'child-down' })
    expect((await open()).early).toBe(false)
  })

  test('a file that will be read from its brick is opened there first', async () => {
    await lookup()
    expect((await open(OpenFlag.RDONLY, ROOT_CTX, false)).early).toBe(false)
  })

  describe('a file that was only listed', () => {
    const list = async (during: () => Promise<void> = async () => {}, age = 0): Promise<void> => {
      const fd = world.graph.openFd(world.graph.inodes.root, { flags: 0, pid: 1 })
      const askedAt = world.clock.monotonic() - age
      const reply = world.graph.top.readdirp(ROOT_CTX, { fd, size: 1000, offset: 0n })
      await settled()
      await during()
      const stat = fileStat('new', 10, 5)
      stat.uid = OWNER
      const entry = { name: 'new', ino: 1n, offset: 1n, type: 8, stat }
      await world
        .waiting('readdirp')
        .answer({ ok: true, entries: [entry], eof: true, ...(age > 0 ? { askedAt } : {}) })
      await reply
      fd.unref()
      // Looked up above us: we hear nothing of it.
      inode = world.file('new')
    }
    const as = (uid: number): Ctx => ({ ...ROOT_CTX, uid, gid: uid })

    test('is open at once for a second, for who may read it and does so here', async () => {
      await list()
      world.clock.advance(999)
      expect((await open()).early).toBe(true)
      expect((await open(OpenFlag.RDONLY, as(OWNER))).early).toBe(true)
      expect((await open(OpenFlag.RDONLY, as(OWNER + 1))).early).toBe(false)
      expect((await open(OpenFlag.RDONLY, ROOT_CTX, false)).early).toBe(false)
      world.clock.advance(1)
      expect((await open()).early).toBe(false)
    })

    test('as it was when the brick was asked', async () => {
      await list(async () => {}, 600)
      world.clock.advance(400)
      expect((await open()).early).toBe(false)
    })

    const chmod = async (of: Inode): Promise<void> => {
      const args = { loc: inodeLoc(of), stat: fileStat('x', 1), valid: 1 }
      const reply = world.graph.top.setattr(ROOT_CTX, args)
      await settled()
      await world.waiting('setattr').answer(failure(Errno.EIO))
      await reply
    }

    test('is not when this client changes rights meanwhile, or its own later', async () => {
      world.clock.advance(1)
      await list(() => chmod(inode))
      expect((await open()).early).toBe(false)
      world.clock.advance(1)
      await list()
      await chmod(inode)
      expect((await open()).early).toBe(false)
    })

    test('is not when somebody else has changed it', async () => {
      await list()
      world.notify({
        kind: 'cache-invalidation',
        change: { gfid: inode.gfid, flags: 1, stat: fileStat('new', 11) },
      } as never)
      expect((await open()).early).toBe(false)
    })

    test('is not when a brick has gone since', async () => {
      await list()
      world.notify({ kind: 'child-down' })
      expect((await open()).early).toBe(false)
    })
  })

  test('opens for writing, to truncate and O_DIRECT go to the brick', async () => {
    await lookup()
    for (const flags of [OpenFlag.RDWR, OpenFlag.WRONLY, OpenFlag.TRUNC, OpenFlag.DIRECT])
      expect((await open(flags)).early).toBe(false)
  })

  test('closed while it is being opened, it is released when that is done', async () => {
    start({ 'lazy-open': 'off' })
    await lookup()
    const { fd, early } = await open()
    expect(early).toBe(true)
    expect(world.outstanding).toEqual(['open'])
    fd.unref()
    expect(fd.references).toBe(1)
    await world.waiting('open').answer({ ok: true })
    expect(fd.references).toBe(0)
  })

  test('reads without opening where that is asked for', async () => {
    start({ 'use-anonymous-fd': 'on', 'read-after-open': 'off' })
    await lookup()
    const { fd } = await open()
    const reading = read(fd)
    await settled()
    expect(world.outstanding).toEqual(['readv'])
    await world.waiting('readv').answer(data)
    await reading
    fd.unref()
  })

  test('pass-through', async () => {
    start({ 'pass-through': 'on' })
    await lookup()
    expect((await open()).early).toBe(false)
  })
})
