import {
  Dict,
  EMPTY_IATT,
  Errno,
  entryLoc,
  failure,
  type FopName,
  type Iatt,
  type Inode,
  inodeLoc,
  type Loc,
  ROOT_CTX,
  S_IFDIR,
} from '@ashlar/core'
import { fileStat, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { mdCache } from './index.ts'

const RDONLY = { flags: 0, pid: 1 }

describe('inodes that bricks do not know any more', () => {
  let world: Scripted
  let above: Inode
  let directory: Inode
  let file: Inode

  const directoryStat = (name: string): Iatt => {
    const stat = fileStat(name, 10)
    stat.mode = S_IFDIR | 0o755
    return stat
  }

  /** Finds a name; it is known from then on. */
  async function find(parent: Inode, name: string, stat: Iatt): Promise<Inode> {
    const { inodes, top } = world.graph
    const inode = inodes.create()
    const reply = top.lookup(ROOT_CTX, { loc: entryLoc(parent, name, inode) })
    await world.waiting('lookup').answer({ ok: true, stat, postparent: EMPTY_IATT })
    await reply
    return inodes.link(inode, { gfid: stat.gfid, type: stat.type }, parent, name)
  }

  /** True when bricks are asked for a name that has been found. */
  async function asks(inode: Inode): Promise<boolean> {
    const [dentry] = inode.dentries
    if (dentry === undefined) throw new Error('the inode has no name')
    const before = world.calls.length
    void world.graph.top.lookup(ROOT_CTX, { loc: entryLoc(dentry.parent, dentry.name, inode) })
    await settled()
    const asked = world.calls.length > before
    if (asked) await world.waiting('lookup').answer(failure(Errno.EIO))
    return asked
  }

  /** Every fop by which it may be heard of the directory, or of the file in it. */
  const HEARERS: Readonly<Record<string, (fresh: Loc, known: Loc) => unknown>> = {
    lookup: loc => world.graph.top.lookup(ROOT_CTX, { loc }),
    create: loc => {
      const fd = world.graph.openFd(loc.inode, { flags: 0o102, pid: 1 })
      return world.graph.top.create(ROOT_CTX, { loc, fd, flags: 0o102, mode: 0o644, umask: 0 })
    },
    mkdir: loc => world.graph.top.mkdir(ROOT_CTX, { loc, mode: 0o755, umask: 0 }),
    mknod: loc => world.graph.top.mknod(ROOT_CTX, { loc, mode: 0o100644, rdev: 0, umask: 0 }),
    symlink: loc => world.graph.top.symlink(ROOT_CTX, { loc, target: 't', umask: 0 }),
    link: newloc => {
      const oldloc = inodeLoc(world.file('other'))
      return world.graph.top.link(ROOT_CTX, { oldloc, newloc })
    },
    rename: (newloc, oldloc) => world.graph.top.rename(ROOT_CTX, { oldloc, newloc }),
    unlink: (_, loc) => world.graph.top.unlink(ROOT_CTX, { loc, xflags: 0 }),
    rmdir: (_, loc) => world.graph.top.rmdir(ROOT_CTX, { loc, xflags: 0 }),
  }
  const NAMELESS: Readonly<Record<string, () => unknown>> = {
    stat: () => world.graph.top.stat(ROOT_CTX, { loc: inodeLoc(directory), xdata: new Dict() }),
    setattr: () =>
      world.graph.top.setattr(ROOT_CTX, { loc: inodeLoc(directory), stat: EMPTY_IATT, valid: 1 }),
    opendir: () => {
      const fd = world.graph.openFd(directory, RDONLY)
      return world.graph.top.opendir(ROOT_CTX, { loc: inodeLoc(directory), fd })
    },
    readdirp: () => {
      const fd = world.graph.openFd(directory, RDONLY)
      return world.graph.top.readdirp(ROOT_CTX, { fd, size: 100, offset: 0n })
    },
    getxattr: () =>
      world.graph.top.getxattr(ROOT_CTX, { loc: inodeLoc(directory), name: 'user.x' }),
    setxattr: () => {
      const args = { loc: inodeLoc(directory), dict: new Dict(), flags: 0 }
      return world.graph.top.setxattr(ROOT_CTX, args)
    },
    open: () => {
      const fd = world.graph.openFd(file, RDONLY)
      return world.graph.top.open(ROOT_CTX, { loc: inodeLoc(file), fd, flags: 0 })
    },
  }

  beforeEach(async () => {
    world = scripted(mdCache, {})
    const { root } = world.graph.inodes
    above = await find(root, 'above', directoryStat('above'))
    directory = await find(above, 'directory', directoryStat('directory'))
    file = await find(directory, 'file', fileStat('file', 10))
    for (const inode of [above, directory, file]) expect(await asks(inode)).toBe(false)
  })

  test.each(Object.keys(HEARERS))(
    '%s: their names, and all above, are asked for again',
    async fop => {
      const fresh = entryLoc(directory, 'new', world.graph.inodes.create())
      void HEARERS[fop]?.(fresh, entryLoc(directory, 'file', file))
      await world.waiting(fop as FopName).answer(failure(Errno.ESTALE))
      for (const inode of [above, directory]) expect(await asks(inode)).toBe(true)
    },
  )

  test.each(
    Object.keys(NAMELESS).flatMap(fop => [[fop, 'ESTALE'] as const, [fop, 'ENOENT'] as const]),
  )('%s by gfid: %s says the same', async (fop, errno) => {
    void NAMELESS[fop]?.()
    await world.waiting(fop as FopName).answer(failure(Errno[errno]))
    for (const inode of [above, directory]) expect(await asks(inode)).toBe(true)
  })

  test('that nothing has a name is no news of its directory', async () => {
    const { top, inodes } = world.graph
    void top.lookup(ROOT_CTX, { loc: entryLoc(directory, 'none', inodes.create()) })
    await world.waiting('lookup').answer(failure(Errno.ENOENT))
    for (const inode of [above, directory, file]) expect(await asks(inode)).toBe(false)
  })

  test('another failure says nothing of names', async () => {
    const loc = entryLoc(directory, 'new', world.graph.inodes.create())
    void HEARERS['mkdir']?.(loc, loc)
    await world.waiting('mkdir').answer(failure(Errno.EACCES))
    // Its attributes are asked for, its name is not.
    expect(await asks(above)).toBe(false)
    expect(await asks(file)).toBe(false)
  })

  describe('a name that a fop of ours is taking away', () => {
    const GONE = { preparent: EMPTY_IATT, postparent: EMPTY_IATT }
    const MOVED = {
      ...{ stat: EMPTY_IATT, preoldparent: EMPTY_IATT, postoldparent: EMPTY_IATT },
      ...{ prenewparent: EMPTY_IATT, postnewparent: EMPTY_IATT },
    }

    /** A lookup that has been sent before, and is answered late, does not make it known either. */
    async function foundOnceMore(): Promise<void> {
      const reply = world.graph.top.lookup(ROOT_CTX, { loc: entryLoc(directory, 'file', file) })
      const stat = fileStat('file', 10)
      await world.waiting('lookup').answer({ ok: true, stat, postparent: EMPTY_IATT })
      await reply
    }

    test('is asked for meanwhile', async () => {
      const loc = entryLoc(directory, 'file', file)
      void world.graph.top.unlink(ROOT_CTX, { loc, xflags: 0 })
      await foundOnceMore()
      expect(await asks(file)).toBe(true)
      await foundOnceMore()
      await world.waiting('unlink').answer({ ok: true, ...GONE })
      expect(await asks(file)).toBe(true)
    })

    test('and so is one that is given to another file', async () => {
      const oldloc = entryLoc(directory, 'next', world.file('next'))
      const newloc = entryLoc(directory, 'file', file)
      void world.graph.top.rename(ROOT_CTX, { oldloc, newloc })
      await foundOnceMore()
      expect(await asks(file)).toBe(true)
      await foundOnceMore()
      await world.waiting('rename').answer({ ok: true, ...MOVED })
      expect(await asks(file)).toBe(true)
    })

    test('is known again when it has stayed, and a brick has said so', async () => {
      const loc = entryLoc(directory, 'file', file)
      void world.graph.top.unlink(ROOT_CTX, { loc, xflags: 0 })
      await world.waiting('unlink').answer(failure(Errno.EACCES))
      await foundOnceMore()
      expect(await asks(file)).toBe(false)
    })
  })
})
