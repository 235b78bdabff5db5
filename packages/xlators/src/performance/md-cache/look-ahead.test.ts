import {
  Dict,
  type DirentPlus,
  EMPTY_IATT,
  Errno,
  entryLoc,
  failure,
  type FopName,
  type Iatt,
  type Inode,
  inodeLoc,
  NAMES_LEASE,
  NULL_GFID,
  type Reply,
  ROOT_CTX,
  S_IFDIR,
} from '@ashlar/core'
import { fileStat, gfidOf, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { mdCache } from './index.ts'

/** Lookups in a row after which the directory is listed. */
const RUN = 8
const DT_DIR = 4
const DT_REG = 8
const MADE = { stat: fileStat('made', 20), preparent: EMPTY_IATT, postparent: EMPTY_IATT }

describe('look-ahead', () => {
  let world: Scripted
  let directory: Inode
  let looked = 0

  const start = (options: Record<string, string> = {}): void => {
    world = scripted(mdCache, options)
    directory = makeDirectory('dir')
  }
  beforeEach(() => start())

  function makeDirectory(name: string): Inode {
    const { inodes } = world.graph
    return inodes.link(inodes.create(), { gfid: gfidOf(name), type: S_IFDIR }, inodes.root, name)
  }

  const fresh = (name: string, parent = directory) =>
    entryLoc(parent, name, world.graph.inodes.create())

  const lookup = (name: string, parent = directory): Promise<Reply<'lookup'>> =>
    world.graph.top.lookup(ROOT_CTX, {
      loc: entryLoc(
        parent,
        name,
        world.graph.inodes.child(parent, name) ?? world.graph.inodes.create(),
      ),
    })

  /** A lookup that a brick has to answer. */
  async function asked(name: string, answer: Iatt | Errno, parent = directory): Promise<void> {
    const reply = lookup(name, parent)
    await world
      .waiting('lookup')
      .answer(
        typeof answer === 'number'
          ? failure(answer)
          : { ok: true, stat: answer, postparent: EMPTY_IATT },
      )
    await reply
  }

  /** So many lookups of names that are not there, each of another name. */
  async function scan(count = RUN, parent = directory): Promise<void> {
    for (let i = 0; i < count; i++) await asked(`looked-${looked++}`, Errno.ENOENT, parent)
  }

  const listed = (name: string, stat: Iatt = fileStat(name, 10)): DirentPlus => ({
    ...{ name, stat, ino: 1n, offset: 1n },
    type: stat.isDirectory ? DT_DIR : DT_REG,
  })

  const lease = (number: string) => new Dict().setString(NAMES_LEASE, number)

  async function opened(number: string | undefined): Promise<void> {
    await world
      .waiting('opendir')
      .answer({ ok: true, xdata: number === undefined ? undefined : lease(number) })
  }

  const read = (entries: readonly DirentPlus[], eof = true): Promise<void> =>
    world.waiting('readdirp').answer({ ok: true, entries, eof })

  /** The directory is listed, after enough lookups. */
  async function list(
    entries: readonly DirentPlus[],
    number: string | undefined = 'first',
    parent = directory,
  ): Promise<void> {
    await scan(RUN, parent)
    await opened(number)
    await read(entries)
    expect(world.outstanding).toEqual([])
  }

  /** True when a brick is asked for the name. */
  async function asks(name: string, parent = directory): Promise<boolean> {
    const before = world.calls.length
    void lookup(name, parent)
    await settled()
    const call = world.calls.slice(before).find(each => each.fop === 'lookup')
    await call?.answer(failure(Errno.EIO))
    return call !== undefined
  }

  async function isFree(name: string, parent = directory): Promise<boolean> {
    const before = world.calls.filter(call => call.fop === 'lookup').length
    const reply = lookup(name, parent)
    await settled()
    const now = world.calls.filter(call => call.fop === 'lookup')
    if (now.length > before) {
      await now.at(-1)?.answer(failure(Errno.EIO))
      return false
    }
    const answer = await reply
    if (!answer.ok) expect(answer.errno).toBe(Errno.ENOENT)
    return !answer.ok
  }

  /** Makes a change of ours and has the brick answer it. */
  async function change<F extends FopName>(fop: F, sent: () => unknown, reply: object) {
    const done = sent()
    await world.waiting(fop).answer({ ok: true, ...reply } as Reply<F>)
    await done
  }

  const chmod = (inode: Inode): unknown =>
    world.graph.top.setattr(ROOT_CTX, { loc: inodeLoc(inode), stat: EMPTY_IATT, valid: 1 })
  const CHANGED = { prestat: EMPTY_IATT, poststat: EMPTY_IATT }

  describe('listing', () => {
    test('begins at the eighth lookup in a row, of names that are there or not', async () => {
      for (let i = 0; i < RUN - 1; i++)
        await asked(`n${i}`, i % 2 === 0 ? Errno.ENOENT : fileStat(`n${i}`, 10))
      expect(world.outstanding).toEqual([])
      await asked('last', Errno.ENOENT)
      expect(world.outstanding).toEqual(['opendir'])
      expect(world.waiting('opendir').args.xdata?.has(NAMES_LEASE)).toBe(true)
    })

    test('does not begin when lookups are far between', async () => {
      for (let i = 0; i < 2 * RUN; i++) {
        await scan(1)
        world.clock.advance(300)
      }
      expect(world.outstanding).toEqual([])
    })

    test('begins anew when what was listed has been told, and is asked for once more', async () => {
      const found = async (): Promise<void> => {
        for (let i = 0; i < RUN; i++) await asked(`found-${looked++}`, fileStat('found', 10))
      }
      const names = Array.from({ length: 2 * RUN }, (_, i) => `n${i}`)
      await found()
      await opened(undefined)
      await read(names.map(name => listed(name)))
      for (const name of names.slice(0, RUN)) expect(await asks(name)).toBe(false)
      // Others than those that were told say nothing, nor do those that this client has made anew.
      await found()
      expect(world.outstanding).toEqual([])
      for (const name of names.slice(0, RUN)) {
        const loc = entryLoc(directory, name, world.file(name))
        const args = { loc, xflags: 0 }
        const gone = { preparent: EMPTY_IATT, postparent: EMPTY_IATT }
        await change('unlink', () => world.graph.top.unlink(ROOT_CTX, args), gone)
        world.graph.inodes.unlink(directory, name)
        await asked(name, Errno.ENOENT)
      }
      expect(world.outstanding).toEqual([])
      for (const name of names.slice(RUN)) expect(await asks(name)).toBe(false)
      for (const name of names.slice(RUN)) {
        world.graph.inodes.unlink(directory, name)
        await asked(name, fileStat(name, 11))
      }
      expect(world.outstanding).toEqual(['opendir'])
      await opened(undefined)
      await read([listed('b', fileStat('b', 12))])
      expect(await lookup('b')).toMatchObject({ ok: true, stat: { mtime: 12 } })
    })

    test('does not begin when nothing is to be kept', async () => {
      start({ 'md-cache-timeout': '0' })
      await scan(2 * RUN)
      expect(world.outstanding).toEqual([])
    })

    test('leaves no descriptor open, whatever becomes of it', async () => {
      await list([listed('a')])
      expect(directory.fds.size).toBe(0)
      world.clock.advance(1500)
      expect(await isFree('free')).toBe(true)
      await opened('first')
      expect(directory.fds.size).toBe(0)

      start()
      await scan()
      const { fd } = world.waiting('opendir').args
      await world.waiting('opendir').answer(failure(Errno.EACCES))
      expect(fd.references).toBe(0)

      start()
      await scan()
      await opened('first')
      const listing = world.waiting('readdirp').args.fd
      await world.waiting('readdirp').answer(failure(Errno.EIO))
      expect(listing.references).toBe(0)
      expect(await asks('free')).toBe(true)
    })

    test('without a lease is of no use to who makes files only', async () => {
      await scan()
      await opened(undefined)
      expect(world.outstanding).toEqual([])
    })
  })

  describe('a name that was listed', () => {
    test('is told once', async () => {
      await list([listed('a'), listed('b')])
      expect(await lookup('a')).toMatchObject({ ok: true, stat: { gfid: gfidOf('a'), mtime: 10 } })
      expect(await asks('a')).toBe(true)
      expect(await asks('b')).toBe(false)
    })

    test.each(['1', '600'])('is a second old at most, with a timeout of %s s', async timeout => {
      start({ 'md-cache-timeout': timeout })
      await list([listed('a'), listed('b')])
      world.clock.advance(900)
      const inode = world.file('a')
      expect(await lookup('a')).toMatchObject({ ok: true })
      expect((await world.graph.top.stat(ROOT_CTX, { loc: inodeLoc(inode) })).ok).toBe(true)
      world.clock.advance(200)
      expect(await asks('b')).toBe(true)
      // What was taken over grows old as well.
      void world.graph.top.stat(ROOT_CTX, { loc: inodeLoc(inode) })
      expect(world.outstanding).toContain('stat')
    })

    test('is as old as the request that brought it, which a layer below may have made before', async () => {
      await scan()
      await opened('first')
      const began = world.clock.monotonic()
      world.clock.advance(600)
      await read([listed('a')], false)
      const ahead = { ok: true, entries: [listed('b')], eof: false, askedAt: began } as const
      await world.waiting('readdirp').answer(ahead)
      world.clock.advance(300)
      await read([listed('c')])
      world.clock.advance(100)
      expect(await asks('a')).toBe(true)
      expect(await asks('b')).toBe(true)
      expect(await asks('c')).toBe(false)
    })

    test('is asked for after a file beside it has been locked', async () => {
      const locked = world.file('locked')
      world.graph.inodes.link(locked, locked, directory, 'locked')
      const fd = world.graph.openFd(locked, { flags: 2, pid: 1 }).bind()
      const elsewhere = makeDirectory('elsewhere')
      await list([listed('a')])
      await list([listed('f', fileStat('locked', 10))], 'second', elsewhere)
      world.clock.advance(10)
      const flock = { type: 1, whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: 'o' }
      const args = { fd, command: 6, flock }
      await change('lk', () => world.graph.top.lk(ROOT_CTX, args), { flock })
      expect(await asks('a')).toBe(true)
      expect(await asks('f', elsewhere)).toBe(true)
    })

    test('is asked for when it is a directory, or is another file than the one known', async () => {
      const stat = fileStat('d', 10)
      stat.mode = S_IFDIR | 0o755
      await list([listed('d', stat), listed('f')])
      const { inodes } = world.graph
      const type = fileStat('x', 1).type
      inodes.link(inodes.create(), { gfid: gfidOf('other'), type }, directory, 'f')
      expect(await asks('d')).toBe(true)
      expect(await asks('f')).toBe(true)
    })

    test('is asked for after a brick has said something else of it', async () => {
      await list([listed('a')])
      const inode = world.file('a')
      world.graph.inodes.link(inode, inode, directory, 'a')
      void world.graph.top.lookup(ROOT_CTX, {
        loc: entryLoc(directory, 'a', inode),
        xdata: new Dict().setUint('user.x', 0),
      })
      await world.waiting('lookup').answer(failure(Errno.ENOENT))
      world.graph.inodes.unlink(directory, 'a')
      expect(await asks('a')).toBe(true)
    })

    test('is asked for when a brick answers while the listing is under way', async () => {
      await scan()
      await opened('first')
      await asked('a', Errno.ENOENT)
      await read([listed('a')])
      expect(await asks('a')).toBe(true)
    })

    test('is asked for when a brick has gone since', async () => {
      await list([listed('a')])
      world.notify({ kind: 'some-descendent-down' })
      expect(await asks('a')).toBe(true)
      expect(await isFree('free')).toBe(false)
    })
  })

  test('a file that cannot be opened is not what the listing tells: its name is asked for', async () => {
    const file = world.file('f')
    await list([listed('f'), listed('g')])
    const fd = world.graph.openFd(file, { flags: 0, pid: 1 })
    const opening = world.graph.top.open(ROOT_CTX, { loc: inodeLoc(file), fd, flags: 0 })
    await world.waiting('open').answer(failure(Errno.ESTALE))
    expect(await opening).toMatchObject({ ok: false })
    expect(await asks('f')).toBe(true)
    expect(await asks('g')).toBe(false)
  })

  describe('what this client has changed', () => {
    test('of a file, by whatever name', async () => {
      const elsewhere = makeDirectory('elsewhere')
      const file = world.file('f')
      await list([listed('a', fileStat('f', 10)), listed('b', fileStat('f', 10)), listed('c')])
      await list([listed('d', fileStat('f', 10))], 'second', elsewhere)
      await change('setattr', () => chmod(file), CHANGED)
      expect(await asks('a')).toBe(true)
      expect(await asks('b')).toBe(true)
      expect(await asks('d', elsewhere)).toBe(true)
      expect(await asks('c')).toBe(false)
    })

    test('through a descriptor, or by truncating it at its opening', async () => {
      const file = world.file('f')
      const other = world.file('g')
      await list([listed('f'), listed('g')])
      const fd = world.graph.openFd(file, { flags: 2, pid: 1 })
      const data = Buffer.from('x')
      const { top } = world.graph
      await change('writev', () => top.writev(ROOT_CTX, { fd, data, offset: 0, flags: 0 }), CHANGED)
      const opening = world.graph.openFd(other, { flags: 0o1001, pid: 1 })
      const args = { loc: inodeLoc(other), fd: opening, flags: 0o1001 }
      await change('open', () => top.open(ROOT_CTX, args), {})
      expect(await asks('f')).toBe(true)
      expect(await asks('g')).toBe(true)
    })

    test('while the listing was under way, or beginning before it and ending after it', async () => {
      const [f, g] = [world.file('f'), world.file('g')]
      void chmod(g)
      await scan()
      await opened('first')
      const dict = new Dict()
      const args = { loc: inodeLoc(f), dict, flags: 0 }
      await change('setxattr', () => world.graph.top.setxattr(ROOT_CTX, args), {})
      await read([listed('f'), listed('g'), listed('h')])
      expect(world.outstanding).toEqual(['setattr'])
      await world.waiting('setattr').answer({ ok: true, ...CHANGED })
      expect(await asks('f')).toBe(true)
      expect(await asks('g')).toBe(true)
      expect(await asks('h')).toBe(false)
    })

    test('and what it is just changing', async () => {
      await list([listed('a'), listed('b')])
      const loc = entryLoc(directory, 'a', world.file('a'))
      void world.graph.top.unlink(ROOT_CTX, { loc, xflags: 0 })
      expect(await asks('a')).toBe(true)
      expect(await asks('b')).toBe(false)
      expect(world.outstanding).toEqual(['unlink'])
    })

    test('of a file that a making found there, unknown to the caller', async () => {
      await list([listed('a', fileStat('f', 10))])
      const loc = fresh('new')
      const fd = world.graph.openFd(loc.inode, { flags: 0o1102, pid: 1 })
      const args = { loc, fd, flags: 0o1102, mode: 0o644, umask: 0 }
      await change('create', () => world.graph.top.create(ROOT_CTX, args), {
        ...MADE,
        stat: fileStat('f', 20),
      })
      expect(await asks('a')).toBe(true)
    })

    test('of names: one that is taken away, one that is given, and the file that had it', async () => {
      await list([
        ...[listed('a'), listed('b', fileStat('linked', 10)), listed('c', fileStat('linked', 10))],
        listed('d'),
      ])
      const [a, d] = [world.file('a'), world.file('d')]
      const { top } = world.graph
      const loc = entryLoc(directory, 'd', d)
      await change('unlink', () => top.unlink(ROOT_CTX, { loc, xflags: 0 }), {
        ...{ preparent: EMPTY_IATT, postparent: EMPTY_IATT },
      })
      const args = { oldloc: entryLoc(directory, 'a', a), newloc: fresh('b') }
      await change('rename', () => top.rename(ROOT_CTX, args), {
        ...{ stat: EMPTY_IATT, preoldparent: EMPTY_IATT, postoldparent: EMPTY_IATT },
        ...{ prenewparent: EMPTY_IATT, postnewparent: EMPTY_IATT },
      })
      for (const name of ['a', 'b', 'c', 'd']) expect(await asks(name), name).toBe(true)
    })

    test('of a name that is listed only afterwards', async () => {
      await scan()
      await opened('first')
      const args = { oldloc: entryLoc(directory, 'a', world.file('a')), newloc: fresh('b') }
      await change('rename', () => world.graph.top.rename(ROOT_CTX, args), {
        ...{ stat: EMPTY_IATT, preoldparent: EMPTY_IATT, postoldparent: EMPTY_IATT },
        ...{ prenewparent: EMPTY_IATT, postnewparent: EMPTY_IATT },
      })
      await read([listed('b', fileStat('replaced', 10)), listed('c')])
      expect(await asks('b')).toBe(true)
      expect(await asks('c')).toBe(false)
    })

    test('is forgotten with the attributes, and all else when nothing counts any more', async () => {
      const held = (): unknown => world.graph.xlator('top')?.dump?.()['ahead']
      await list([listed('a'), listed('b')])
      const file = world.file('a')
      await change('setattr', () => chmod(file), CHANGED)
      expect(held()).toEqual({ listings: 1, names: 2, entries: 2, changed: 1 })
      world.clock.advance(1000)
      expect(held()).toEqual({ listings: 1, names: 2, entries: 0, changed: 0 })
      world.notify({ kind: 'names-recall', gfid: directory.gfid, lease: 'first' })
      expect(held()).toEqual({ listings: 0, names: 0, entries: 0, changed: 0 })

      // Where others make names nobody asks for a lease for a while.
      world.clock.advance(5000)
      await world.graph.start()
      await list([listed('c')], 'second')
      await world.graph.stop()
      expect(held()).toEqual({ listings: 0, names: 0, entries: 0, changed: 0 })
    })
  })

  describe('a name that was not listed', () => {
    test('is not there, while the lease lasts', async () => {
      await list([listed('a')])
      expect(await isFree('b')).toBe(true)
      expect(await isFree('b')).toBe(true)
      expect(await isFree('a')).toBe(false)
      world.clock.advance(1949)
      expect(await isFree('c')).toBe(true)
      world.clock.advance(1)
      expect(await isFree('c')).toBe(false)
    })

    test('counts from when the lease was asked for', async () => {
      await scan()
      world.clock.advance(1000)
      await opened('first')
      await read([])
      world.clock.advance(949)
      expect(await isFree('b')).toBe(true)
      world.clock.advance(1)
      expect(await isFree('b')).toBe(false)
    })

    test('is asked for once the lease is wanted back; what is there is still answered for', async () => {
      await list([listed('a')])
      expect(await isFree('b')).toBe(true)
      world.notify({ kind: 'names-recall', gfid: directory.gfid, lease: 'first' })
      expect(await isFree('c')).toBe(false)
      expect(await asks('a')).toBe(false)
    })

    test('is told by a listing that goes on while lookups do', async () => {
      await scan()
      await opened('first')
      await read(
        Array.from({ length: 600 }, (_, i) => listed(`many-${i}`)),
        false,
      )
      expect(world.outstanding).toEqual([])
      await scan(2)
      await read([listed('last')])
      expect(await isFree('other')).toBe(true)
    })

    test('is asked for when there is no lease, or not all was listed', async () => {
      for (let i = 0; i < RUN; i++) await asked(`n${i}`, fileStat(`n${i}`, 10))
      await opened(undefined)
      await read([listed('a')])
      expect(await isFree('b')).toBe(false)

      start()
      await scan()
      await opened('first')
      const many = Array.from({ length: 600 }, (_, i) => listed(`many-${i}`))
      await read(many, false)
      expect(world.outstanding).toEqual([])
      expect(await isFree('b')).toBe(false)
      expect(await asks('many-1')).toBe(false)
      world.clock.advance(250)
      await settled()
      world.clock.advance(1000)
      expect(world.graph.xlator('top')?.dump?.()['ahead']).toMatchObject({ listings: 0, names: 0 })
    })

    test('is asked for while the listing is under way', async () => {
      await scan()
      await opened('first')
      await read([listed('a')], false)
      expect(await isFree('b')).toBe(false)
      await read([listed('c')])
      expect(await isFree('a')).toBe(false)
      expect(await isFree('c')).toBe(false)
      expect(await isFree('b')).toBe(true)
    })

    test('is asked for when it is hidden at the root, or too long', async () => {
      const { root } = world.graph.inodes
      await list([], 'first', root)
      expect(await isFree('.hidden', root)).toBe(false)
      expect(await isFree('plain', root)).toBe(true)
      expect(await isFree('n'.repeat(255), root)).toBe(true)
      expect(await isFree('n'.repeat(256), root)).toBe(false)
      expect(await isFree('é'.repeat(128), root)).toBe(false)
    })

    test('may be there once a brick has said that it is', async () => {
      await list([])
      const inode = world.file('a')
      void world.graph.top.lookup(ROOT_CTX, { loc: entryLoc(directory, 'a', inode) })
      const answer = { ok: true, stat: fileStat('a', 10), postparent: EMPTY_IATT } as const
      await world.waiting('lookup').answer(answer)
      world.clock.advance(1100)
      expect(await isFree('a')).toBe(false)
      expect(await isFree('b')).toBe(true)
    })

    test('may be there when its attributes were not listed', async () => {
      await list([listed('linkto', EMPTY_IATT)])
      expect(await isFree('linkto')).toBe(false)
    })

    test('is asked for after the lease was recalled, however far the listing is', async () => {
      const recall = (): void =>
        world.notify({ kind: 'names-recall', gfid: directory.gfid, lease: 'first' })
      await list([listed('a')])
      world.notify({ kind: 'names-recall', gfid: gfidOf('another'), lease: 'other' })
      expect(await isFree('b')).toBe(true)
      recall()
      expect(await isFree('b')).toBe(false)

      start()
      await scan()
      recall()
      await opened('first')
      expect(world.outstanding).toEqual([])

      start()
      await scan()
      await opened('first')
      recall()
      await read([], true)
      expect(await isFree('b')).toBe(false)

      start()
      await list([])
      world.clock.advance(1500)
      expect(await isFree('b')).toBe(true)
      recall()
      await opened('first')
      expect(await isFree('b')).toBe(false)
    })

    test('the lease is renewed while it is used, and counts on when it is unbroken', async () => {
      await list([])
      expect(world.outstanding).toEqual([])
      for (let i = 0; i < 5; i++) {
        world.clock.advance(1200)
        expect(await isFree('b')).toBe(true)
        expect(await isFree('c')).toBe(true)
        expect(world.outstanding).toEqual(['opendir'])
        await opened('first')
      }
      // It has run out, and nobody has made a name.
      world.clock.advance(10_000)
      expect(await isFree('b')).toBe(false)
      await opened('first')
      expect(await isFree('d')).toBe(true)
    })

    test.each([
      ['another lease', { ok: true, xdata: new Dict().setString(NAMES_LEASE, 'second') } as const],
      ['no lease', { ok: true } as const],
      ['a failure', failure(Errno.ESTALE)],
    ])('is asked for when a renewal brings %s', async (_what, reply) => {
      await list([])
      world.clock.advance(1500)
      expect(await isFree('b')).toBe(true)
      await world.waiting('opendir').answer(reply)
      expect(await isFree('b')).toBe(false)
    })

    describe('is there once this client has given it', () => {
      const MAKERS: Record<string, (name: string) => unknown> = {
        create: name => {
          const loc = fresh(name)
          const fd = world.graph.openFd(loc.inode, { flags: 0o102, pid: 1 })
          const args = { loc, fd, flags: 0o102, mode: 0o644, umask: 0 }
          return world.graph.top.create(ROOT_CTX, args)
        },
        mknod: name =>
          world.graph.top.mknod(ROOT_CTX, { loc: fresh(name), mode: 0o100644, rdev: 0, umask: 0 }),
        mkdir: name => world.graph.top.mkdir(ROOT_CTX, { loc: fresh(name), mode: 0o755, umask: 0 }),
        symlink: name =>
          world.graph.top.symlink(ROOT_CTX, { loc: fresh(name), target: 't', umask: 0 }),
        link: name => {
          const inode = world.file('old')
          const newloc = entryLoc(directory, name, inode)
          return world.graph.top.link(ROOT_CTX, { oldloc: inodeLoc(inode), newloc })
        },
        rename: name => {
          const oldloc = entryLoc(world.graph.inodes.root, 'old', world.file('old'))
          return world.graph.top.rename(ROOT_CTX, { oldloc, newloc: fresh(name) })
        },
        'mkdir by the gfid of its parent': name =>
          world.graph.top.mkdir(ROOT_CTX, {
            loc: { ...fresh(name), parent: undefined, pargfid: directory.gfid, gfid: NULL_GFID },
            ...{ mode: 0o755, umask: 0 },
          }),
      }
      const REPLY = {
        ...MADE,
        ...{ preoldparent: EMPTY_IATT, postoldparent: EMPTY_IATT },
        ...{ prenewparent: EMPTY_IATT, postnewparent: EMPTY_IATT },
      }

      test.each(Object.keys(MAKERS))('%s', async how => {
        const fop = how.split(' ')[0] as FopName
        const make = MAKERS[how] as (name: string) => unknown
        await list([])
        expect(await isFree('new')).toBe(true)
        await change(fop, () => make('new'), REPLY)
        expect(await isFree('new')).toBe(false)
        expect(await isFree('newer')).toBe(true)
      })

      test.each(Object.keys(MAKERS))('%s, under way since before the listing', async how => {
        const fop = how.split(' ')[0] as FopName
        const made = (MAKERS[how] as (name: string) => unknown)('new')
        await scan()
        await opened('first')
        await read([])
        await world.waiting(fop).answer({ ok: true, ...REPLY } as never)
        await made
        expect(await isFree('new')).toBe(false)
      })
    })
  })
})
