import {
  Dict,
  entryLoc,
  Errno,
  failure,
  type Fd,
  type Iatt,
  type Inode,
  inodeLoc,
  OpenFlag,
  type Reply,
  ROOT_CTX,
  UpcallFlag,
} from '@ashlar/core'
import { fileStat, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { quickRead } from './index.ts'

const CONTENT = 'glusterfs.content'

describe('quick-read', () => {
  let world: Scripted
  let inode: Inode
  let fd: Fd
  const start = (options: Record<string, string> = {}): void => {
    world = scripted(quickRead, options)
    inode = world.file('f')
    fd = world.graph.openFd(inode, { flags: OpenFlag.RDONLY, pid: 1 }).bind()
  }
  beforeEach(() => start())

  const postparent = fileStat('d', 1)
  /** Looks `f` up; the brick has this content, and sends it along when it is asked. */
  const lookup = async (content: string, time = 10): Promise<boolean> => {
    const loc = entryLoc(world.graph.inodes.root, 'f', inode)
    const answer = world.graph.top.lookup(ROOT_CTX, { loc })
    await settled()
    const call = world.waiting('lookup')
    const asked = call.args.xdata?.has(CONTENT) === true
    const xdata = asked ? new Dict().setBytes(CONTENT, Buffer.from(content)) : undefined
    const stat = fileStat('f', time, content.length)
    await call.answer({ ok: true, stat, postparent, xdata })
    await answer
    return asked
  }
  const read = async (offset = 0, size = 100, on = fd): Promise<string> => {
    const reply = world.graph.top.readv(ROOT_CTX, { fd: on, offset, size, flags: 0 })
    await settled()
    if (world.outstanding.includes('readv')) {
      const data = Buffer.from('brick')
      const stat = fileStat('f', 10, data.length)
      await world.waiting('readv').answer({ ok: true, data, stat, eof: true })
    }
    const got = await reply
    return got.ok ? got.data.toString() : `errno ${got.errno}`
  }

  test('reads what came with the lookup, for a second', async () => {
    expect(await lookup('text')).toBe(true)
    expect(await read()).toBe('text')
    expect(await read(1, 2)).toBe('ex')
    world.clock.advance(999)
    expect(await read()).toBe('text')
    world.clock.advance(1)
    expect(await read()).toBe('brick')
  })

  test('an open tells those below whether they will be asked for the content', async () => {
    const held = async (): Promise<unknown> => {
      const args = { loc: inodeLoc(inode), fd, flags: OpenFlag.RDONLY }
      const reply = world.graph.top.open(ROOT_CTX, args)
      await settled()
      const call = world.waiting('open')
      await call.answer({ ok: true })
      await reply
      return call.args.contentHeld
    }
    expect(await held()).toBeUndefined()
    await lookup('text')
    world.clock.advance(799)
    expect(await held()).toBe(true)
    // A read that follows might come too late for it.
    world.clock.advance(1)
    expect(await held()).toBeUndefined()
    expect(await read()).toBe('text')
  })

  test('what is past the end is asked of the brick', async () => {
    await lookup('text')
    expect(await read(4)).toBe('brick')
  })

  test('is good again when the attributes have not changed, and goes when they have', async () => {
    await lookup('text')
    world.clock.advance(5000)
    // It is there, so it is not sent again.
    expect(await lookup('text')).toBe(false)
    expect(await read()).toBe('text')
    world.clock.advance(5000)
    expect(await lookup('next', 11)).toBe(false)
    expect(await read()).toBe('brick')
    expect(await lookup('next', 11)).toBe(true)
    expect(await read()).toBe('next')
  })

  test('attributes of a listing count, too', async () => {
    await lookup('text')
    const entries = (stat: Iatt) => [{ name: 'f', ino: 1n, offset: 1n, type: 8, stat }]
    const list = async (stat: Iatt): Promise<void> => {
      const directory = world.graph.openFd(world.graph.inodes.root, { flags: 0, pid: 1 })
      const reply = world.graph.top.readdirp(ROOT_CTX, { fd: directory, size: 99, offset: 0n })
      await settled()
      await world.waiting('readdirp').answer({ ok: true, entries: entries(stat), eof: true })
      await reply
    }
    world.clock.advance(900)
    await list(fileStat('f', 10, 4))
    world.clock.advance(900)
    expect(await read()).toBe('text')
    await list(fileStat('f', 10, 5))
    expect(await read()).toBe('brick')
  })

  test.each([
    ['writev', () => ({ fd, data: Buffer.from('x'), offset: 0, flags: 0 })],
    ['ftruncate', () => ({ fd, offset: 1 })],
    ['truncate', () => ({ loc: inodeLoc(inode), offset: 1 })],
    ['fallocate', () => ({ fd, flags: 0, offset: 0, length: 9 })],
    ['discard', () => ({ fd, offset: 0, length: 9 })],
    ['zerofill', () => ({ fd, offset: 0, length: 9 })],
    ['setattr', () => ({ loc: inodeLoc(inode), stat: fileStat('f', 1), valid: 0 })],
    ['fsetattr', () => ({ fd, stat: fileStat('f', 1), valid: 0 })],
    ['open', () => ({ loc: inodeLoc(inode), fd, flags: OpenFlag.RDWR | OpenFlag.TRUNC })],
  ] as const)(
    '%s drops it, and what was asked before does not bring it back',
    async (fop, args) => {
      await lookup('text')
      const loc = entryLoc(world.graph.inodes.root, 'f', inode)
      const call = world.graph.top[fop] as (ctx: unknown, args: unknown) => Promise<unknown>
      const change = call(ROOT_CTX, args())
      await settled()
      expect(await read()).toBe('brick')
      const early = world.graph.top.lookup(ROOT_CTX, { loc })
      await settled()
      const stat = fileStat('f', 12)
      await world.waiting(fop).answer({ ok: true, prestat: stat, poststat: stat } as never)
      await change
      const xdata = new Dict().setBytes(CONTENT, Buffer.from('text'))
      const old = fileStat('f', 10, 4)
      await world.waiting('lookup').answer({ ok: true, stat: old, postparent, xdata })
      await early
      expect(await read()).toBe('brick')
    },
  )

  test('news of a change, a lost brick and copies that differ drop it', async () => {
    await lookup('text')
    const change = { gfid: inode.gfid, flags: UpcallFlag.SIZE, expireTime: 60 }
    const stat = fileStat('f', 1)
    world.notify({
      kind: 'cache-invalidation',
      change: { ...change, stat, parentStat: stat, oldParentStat: stat },
    })
    expect(await read()).toBe('brick')
    await lookup('text')
    expect(await read()).toBe('text')
    world.notify({ kind: 'child-down' })
    expect(await read()).toBe('brick')
    await lookup('text')
    const missing: Reply<'lookup'> = failure(Errno.ENOENT)
    const loc = entryLoc(world.graph.inodes.root, 'f', inode)
    const gone = world.graph.top.lookup(ROOT_CTX, { loc })
    await settled()
    await world.waiting('lookup').answer(missing)
    await gone
    expect(await read()).toBe('brick')
  })

  test('content that nobody reads is soon not asked for, until files are read again', async () => {
    const names = (i: number): string => `file${i}`
    const visit = async (i: number): Promise<boolean> => {
      const loc = entryLoc(world.graph.inodes.root, names(i), world.file(names(i)))
      const answer = world.graph.top.lookup(ROOT_CTX, { loc })
      await settled()
      const call = world.waiting('lookup')
      await call.answer({ ok: true, stat: fileStat(names(i), 1, 4), postparent })
      await answer
      return call.args.xdata?.has(CONTENT) === true
    }
    let asked = 0
    for (let i = 0; i < 200; i++) if (await visit(i)) asked += 1
    expect(asked).toBeLessThan(100)
    expect(await visit(200)).toBe(false)
    await read()
    expect(await visit(201)).toBe(true)
  })

  test('the least used go when there are too many bytes', async () => {
    start({ 'cache-size': '500' })
    await lookup('x'.repeat(100))
    expect(await read(0, 3)).toBe('xxx')
    start({ 'cache-size': '100' })
    await lookup('x'.repeat(100))
    expect(await read(0, 3)).toBe('brick')
  })

  test('O_DIRECT and pass-through go to the brick', async () => {
    await lookup('text')
    const direct = world.graph.openFd(inode, { flags: OpenFlag.DIRECT, pid: 1 }).bind()
    expect(await read(0, 100, direct)).toBe('brick')
    start({ 'pass-through': 'on' })
    expect(await lookup('text')).toBe(false)
  })

  describe('contents that come with a listing', () => {
    const LISTED = 'ashlar.content'
    /** Small files are read one after the other: so are, it seems, those that will be listed. */
    const readMany = async (): Promise<void> => {
      await lookup('text')
      for (let i = 0; i < 20; i++) await read()
    }
    const other = (): Inode => world.file('g')
    const list = async (
      content: string,
      during = async (): Promise<void> => {},
    ): Promise<boolean> => {
      const dir = world.graph.openFd(world.graph.inodes.root, { flags: 0, pid: 1 })
      const reply = world.graph.top.readdirp(ROOT_CTX, { fd: dir, size: 1000, offset: 0n })
      await settled()
      const call = world.waiting('readdirp')
      const asked = call.args.xdata?.has(LISTED) === true
      await during()
      const dict = asked ? new Dict().setBytes(LISTED, Buffer.from(content)) : undefined
      const stat = fileStat('g', 10, content.length)
      const entry = { name: 'g', ino: 1n, offset: 1n, type: 8, stat, dict }
      await call.answer({ ok: true, entries: [entry], eof: true })
      await reply
      dir.unref()
      return asked
    }
    const readOther = (): Promise<string> =>
      read(0, 100, world.graph.openFd(other(), { flags: OpenFlag.RDONLY, pid: 1 }).bind())

    test('are asked for while small files are read, and read from', async () => {
      expect(await list('listed')).toBe(false)
      await readMany()
      expect(await list('listed')).toBe(true)
      expect(await readOther()).toBe('listed')
      expect(await readOther()).toBe('listed')
    })

    test('are asked for again as soon as files are read, whatever went unread before', async () => {
      await readMany()
      for (let i = 0; i < 20; i++) {
        await list('listed')
        world.clock.advance(1000)
        await lookup('text')
      }
      expect(await list('listed')).toBe(false)
      for (let i = 0; i < 7; i++) {
        await lookup('text')
        await read()
      }
      expect(await list('listed')).toBe(true)
    })

    test('are not asked for while attributes alone are looked at, whatever was read before', async () => {
      await readMany()
      for (let i = 0; i < 7; i++) await lookup('text')
      expect(await list('listed')).toBe(false)
    })

    test('are not asked for when those that came were hardly read', async () => {
      await readMany()
      expect(await list('listed')).toBe(true)
      world.clock.advance(1000)
      expect(await list('listed')).toBe(false)
      await readMany()
      await list('listed')
      await readOther()
      world.clock.advance(1000)
      expect(await list('listed')).toBe(true)
    })

    test('are good for a second', async () => {
      await readMany()
      await list('listed')
      world.clock.advance(1000)
      expect(await readOther()).toBe('brick')
    })

    test('are not those of a file that this client changes meanwhile or later', async () => {
      const truncate = async (): Promise<void> => {
        const cut = world.graph.top.truncate(ROOT_CTX, { loc: inodeLoc(other()), offset: 0 })
        const stat = fileStat('g', 20)
        await world.waiting('truncate').answer({ ok: true, prestat: stat, poststat: stat })
        await cut
      }
      await readMany()
      await list('listed', truncate)
      expect(await readOther()).toBe('brick')
      await readMany()
      await list('listed')
      await truncate()
      expect(await readOther()).toBe('brick')
    })

    test('go when attributes tell of another time', async () => {
      await readMany()
      await list('listed')
      const loc = entryLoc(world.graph.inodes.root, 'g', other())
      const answer = world.graph.top.lookup(ROOT_CTX, { loc })
      await settled()
      await world.waiting('lookup').answer({ ok: true, stat: fileStat('g', 11, 6), postparent })
      await answer
      expect(await readOther()).toBe('brick')
    })
  })
})
