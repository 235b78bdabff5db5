/** A whole distributed volume in one process: three bricks on disk, their locks, and links to cut. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import {
  defineXlator,
  Dict,
  type DirentPlus,
  entryLoc,
  Errno,
  exclusiveXdata,
  gfidText,
  type Inode,
  inodeLoc,
  NAMES_LEASE,
  OpenFlag,
  parseGfid,
  ROOT_GFID,
  runSteps,
  SetAttr,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import {
  type BreakableLink,
  breakableLink,
  Dice,
  errnoOf,
  good,
  linkOf,
  TestVolume,
} from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { locks } from '../../features/locks/index.ts'
import { posix } from '../../storage/posix/index.ts'
import { distribute } from './index.ts'

const LAYOUT_KEY = 'trusted.glusterfs.dht'
const LINKTO_KEY = 'trusted.glusterfs.dht.linkto'
const BRICKS = 3
const key = (name: string): string => (sys.geteuid() === 0 ? name : `user.${name}`)

const plain = defineXlator({ type: 'testing/plain', options: {}, create: () => ({}) })
/** As protocol/client over a brick that knows compounds. */
const takesCompounds = defineXlator({
  type: 'testing/compounds',
  options: {},
  create: self => ({
    compound: (ctx, { steps }) => runSteps(self.child, ctx, steps),
    notify: event => self.notify(event.kind === 'child-up' ? { ...event, compounds: true } : event),
  }),
})

let home: string
let volume: TestVolume
let compounds = false

const brick = (index: number, path = ''): string => `${home}/brick${index}${path}`
const link = (index: number): BreakableLink =>
  linkOf(volume.graph.xlator(`link-${index}`)) as BreakableLink

async function start(options = '', count = BRICKS): Promise<void> {
  const bricks = Array.from({ length: count }, (_, i) => {
    mkdirSync(brick(i), { recursive: true })
    return `
volume posix-${i}
  type storage/posix
  option directory ${brick(i)}
end-volume
volume locks-${i}
  type features/locks
  subvolumes posix-${i}
end-volume
volume link-${i}
  type testing/link
  subvolumes locks-${i}
end-volume
volume dist3-client-${i}
  type testing/${compounds ? 'compounds' : 'plain'}
  subvolumes link-${i}
end-volume`
  })
  volume = await TestVolume.start({
    definitions: [posix, locks, breakableLink, plain, takesCompounds, distribute],
    volfile: `${bricks.join('')}
volume dist3-dht
  type cluster/distribute
  ${options}
  subvolumes ${bricks.map((_, i) => `dist3-client-${i}`).join(' ')}
end-volume`,
  })
  good(await volume.lookup('/'))
}

/** As another client would see it: nothing known. */
async function restart(options = ''): Promise<void> {
  await volume.stop()
  await start(options)
}

/** Whatever the mode: without root, reading xattrs takes the owner's bits. */
function xattr(path: string, name: string): Buffer | undefined {
  const { mode } = statSync(path)
  chmodSync(path, mode | 0o600)
  const value = sys.lgetxattr(path, key(name))
  chmodSync(path, mode & 0o7777)
  return typeof value === 'number' ? undefined : value
}

/** Bricks that hold a name, `L` before those with a linkto file, as the recordings write it. */
function holders(path: string): string[] {
  return Array.from({ length: BRICKS }, (_, i) => i).flatMap(i => {
    if (!existsSync(brick(i, path))) return []
    const linkto = (statSync(brick(i, path)).mode & 0o7777) === 0o1000
    return [linkto ? `L${i}` : `${i}`]
  })
}

async function makeWithLayout(directory: {
  dir: string
  gfid: string
  layout: string[]
}): Promise<void> {
  const text = directory.gfid.slice(2)
  const gfid = parseGfid(text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'))
  if (gfid === undefined) throw new Error(`no gfid: ${directory.gfid}`)
  good(await volume.mkdir(directory.dir, 0o755, new Dict().setGfid('gfid-req', gfid)))
  directory.layout.forEach((range, i) => {
    const value = Buffer.from(range.slice(2), 'hex')
    expect(sys.lsetxattr(brick(i, directory.dir), key(LAYOUT_KEY), value, 0)).toBe(0)
  })
  await restart()
}

interface Entry {
  mode: string
  nlink: number
  size: number
  xattrs: Record<string, string>
}
interface Recorded {
  layout: { dir: string; gfid: string; layout: string[] }[]
  renames: {
    from: string
    to: string
    before: string[]
    after: string[]
    bricks?: Record<string, Entry>
  }[]
  hardlinks: {
    layout: { dir: string; gfid: string; layout: string[] }[]
    orig: string[]
    links: { link: string; bricks: string[]; detail: Record<string, Entry> }[]
  }
}
const recorded = JSON.parse(
  readFileSync(new URL('../../../fixtures/dht/linkto.json', import.meta.url), 'utf8'),
) as Recorded

/** What lies on the brick is what GlusterFS left there: identities and times aside. */
function expectEntry(index: number, path: string, entry: Entry): void {
  const stat = statSync(brick(index, path))
  expect([stat.mode.toString(8), stat.nlink, stat.size]).toEqual([
    entry.mode.replace(/^0/, ''),
    entry.nlink,
    entry.size,
  ])
  const names = sys.llistxattr(brick(index, path)) as string[]
  expect(names.toSorted()).toEqual(Object.keys(entry.xattrs).map(key).toSorted())
  for (const [name, value] of Object.entries(entry.xattrs)) {
    if (name === 'trusted.gfid' || name === 'trusted.glusterfs.mdata') continue
    expect(`0x${xattr(brick(index, path), name)?.toString('hex')}`).toBe(value)
  }
}

const brickIndex = (path: string): number => Number(path.slice(-1)) - 1

describe.each([
  ['over subvolumes that take plain fops', false],
  ['over subvolumes that take compounds', true],
])('%s', (_, withCompounds) => {
  beforeEach(async () => {
    compounds = withCompounds
    home = await mkdtemp(`${tmpdir()}/distribute-`)
    await start()
  })
  afterEach(async () => {
    await volume.stop()
    await rm(home, { recursive: true })
  })

  describe('files', () => {
    it('lie after renames where GlusterFS puts them, with the same linkto files', async () => {
      await makeWithLayout(recorded.layout[0] as Recorded['layout'][0])
      for (const [i, { from, before }] of recorded.renames.entries()) {
        await volume.write(from, `data ${i}\n`, 0o640)
        expect(holders(from)).toEqual(before)
      }
      for (const [i, { from, to, after, bricks }] of recorded.renames.entries()) {
        const reply = good(await volume.rename(from, to))
        expect(reply.stat.nlink).toBe(1)
        expect(holders(from)).toEqual([])
        expect(holders(to)).toEqual(after)
        for (const [path, entry] of Object.entries(bricks ?? {}))
          expectEntry(brickIndex(path), to, entry)
        expect(await volume.read(to)).toBe(`data ${i}\n`)
      }
      await restart()
      const names = recorded.renames.map(({ to }) => to.slice('/ren/'.length)).toSorted()
      expect(await volume.names('/ren')).toEqual(names)
      for (const [i, { to }] of recorded.renames.entries())
        expect(await volume.read(to)).toBe(`data ${i}\n`)
    })

    it('get further names as GlusterFS gives them', async () => {
      const { layout, orig, links } = recorded.hardlinks
      await makeWithLayout(layout[0] as Recorded['layout'][0])
      await volume.write('/hl/orig', 'data\n')
      expect(holders('/hl/orig')).toEqual(orig)
      for (const { link: path, bricks, detail } of links) {
        good(await volume.link('/hl/orig', path))
        expect(holders(path)).toEqual(bricks)
        for (const [at, entry] of Object.entries(detail)) expectEntry(brickIndex(at), path, entry)
      }
      for (const { link: path } of links) good(await volume.unlink(path))
      for (const { link: path } of links) expect(holders(path)).toEqual([])
      expect((await volume.stat('/hl/orig')).nlink).toBe(1)
      expect(await volume.read('/hl/orig')).toBe('data\n')
    })

    it('replace each other by rename, wherever both lie, and leave nothing behind', async () => {
      good(await volume.mkdir('/d'))
      for (let i = 0; i < 30; i++) {
        await volume.write(`/d/from${i}`, `new ${i}`)
        await volume.write(`/d/to${i}`, `old ${i}`)
        // Half of the targets lie away from where their name hashes.
        if (i % 2 === 1) {
          good(await volume.rename(`/d/to${i}`, `/d/x${i}`))
          good(await volume.rename(`/d/x${i}`, `/d/to${i}`))
        }
      }
      for (let i = 0; i < 30; i++) {
        good(await volume.rename(`/d/from${i}`, `/d/to${i}`))
        const data = holders(`/d/to${i}`).filter(holder => !holder.startsWith('L'))
        expect(data).toHaveLength(1)
        expect(holders(`/d/from${i}`)).toEqual([])
        expect(await volume.read(`/d/to${i}`)).toBe(`new ${i}`)
      }
      await restart()
      for (let i = 0; i < 30; i++) expect(await volume.read(`/d/to${i}`)).toBe(`new ${i}`)
      for (let i = 0; i < 30; i++) good(await volume.unlink(`/d/to${i}`))
      for (let b = 0; b < BRICKS; b++) expect(readdirSync(brick(b, '/d'))).toEqual([])
      good(await volume.rmdir('/d'))
    })

    it('are found away from where they hash, and get a linkto file there', async () => {
      good(await volume.mkdir('/d'))
      await volume.write('/d/f', 'data')
      const at = Number(holders('/d/f')[0])
      // Turn the layout round: the name hashes elsewhere now, as after a rebalance of layouts alone.
      const ranges = Array.from({ length: BRICKS }, (_, i) => xattr(brick(i, '/d'), LAYOUT_KEY))
      ranges.forEach((_, i) => {
        const range = ranges[(i + 1) % BRICKS] as Buffer
        range.writeUInt32BE(1, 0)
        sys.lsetxattr(brick(i, '/d'), key(LAYOUT_KEY), range, 0)
      })
      await restart()
      expect(await volume.read('/d/f')).toBe('data')
      const hashed = (at + BRICKS - 1) % BRICKS
      expect(holders('/d/f').toSorted()).toEqual([`${at}`, `L${hashed}`].toSorted())
      expect(xattr(brick(hashed, '/d/f'), LINKTO_KEY)?.toString()).toBe(`dist3-client-${at}\0`)
      expect(xattr(brick(hashed, '/d/f'), 'trusted.gfid')).toEqual(
        xattr(brick(at, '/d/f'), 'trusted.gfid'),
      )
      expect(await volume.names('/d')).toEqual(['f'])
      good(await volume.unlink('/d/f'))
      expect(holders('/d/f')).toEqual([])
    })

    it('that are gone leave no linkto file in the way', async () => {
      await makeWithLayout(recorded.layout[0] as Recorded['layout'][0])
      const moved = recorded.renames.find(({ after }) => after.length === 2)
      if (moved === undefined) throw new Error('no rename with a linkto file is recorded')
      await volume.write(moved.from, 'data')
      good(await volume.rename(moved.from, moved.to))
      const at = Number(moved.after.find(holder => !holder.startsWith('L')))
      sys.unlinkat(sys.AT_FDCWD, handleOf(at, moved.to))
      sys.unlinkat(sys.AT_FDCWD, brick(at, moved.to))
      await restart()
      expect(errnoOf(await volume.lookup(moved.to))).toBe(Errno.ENOENT)
      expect(holders(moved.to)).toEqual([])
      await volume.write(moved.to, 'again')
      expect(await volume.read(moved.to)).toBe('again')
    })

    it('keep their names when another client, unaware of them, links or creates', async () => {
      await makeWithLayout(recorded.layout[0] as Recorded['layout'][0])
      const moved = recorded.renames.find(({ after }) => after.length === 2)
      if (moved === undefined) throw new Error('no rename with a linkto file is recorded')
      await volume.write(moved.from, 'mine')
      good(await volume.rename(moved.from, moved.to))
      await volume.write('/ren/other', 'other')
      const at = holders('/ren/other')[0]
      for (let i = 0; i < 12; i++) await volume.write(`/ren/taken${i}`, `${i}`)

      // Each of them is taken, whether the data of the new link would lie there or elsewhere.
      const old = await volume.loc('/ren/other')
      const parent = await volume.inode('/ren')
      let elsewhere = 0
      for (let i = 0; i < 12; i++) {
        const newloc = entryLoc(parent, `taken${i}`, old.inode)
        const linked = await volume.top.link(volume.ctx, { oldloc: old, newloc })
        expect(errnoOf(linked)).toBe(Errno.EEXIST)
        expect(holders(`/ren/taken${i}`)).toHaveLength(1)
        if (holders(`/ren/taken${i}`)[0] !== at) elsewhere += 1
      }
      expect(elsewhere).toBeGreaterThan(0)

      // A create that finds a linkto file opens what it stands for.
      await restart()
      const { reply, fd } = await volume.create(moved.to)
      expect(good(reply).stat.size).toBe(4)
      good(await volume.writeFd(fd, 'MINE'))
      fd.unref()
      expect(holders(moved.to).toSorted()).toEqual(moved.after.toSorted())
      await restart()
      expect(await volume.read(moved.to)).toBe('MINE')
    })

    it('are unlinked where they have gone since they were last seen', async () => {
      await makeWithLayout(recorded.layout[0] as Recorded['layout'][0])
      const moved = recorded.renames.find(({ after }) => after.length === 2)
      if (moved === undefined) throw new Error('no rename with a linkto file is recorded')
      await volume.write(moved.from, 'data')
      good(await volume.rename(moved.from, moved.to))
      const loc = await volume.entry(moved.to)
      good(await volume.lookup(moved.to))
      // What a rebalance does in the end: the data take the linkto file's place.
      const from = Number(moved.after.find(holder => !holder.startsWith('L')))
      const to = Number(moved.after.find(holder => holder.startsWith('L'))?.slice(1))
      chmodSync(brick(to, moved.to), 0o644)
      writeFileSync(brick(to, moved.to), 'data')
      expect(sys.lremovexattr(brick(to, moved.to), key(LINKTO_KEY))).toBe(0)
      sys.unlinkat(sys.AT_FDCWD, handleOf(from, moved.to))
      sys.unlinkat(sys.AT_FDCWD, brick(from, moved.to))
      good(await volume.top.unlink(volume.ctx, { loc, xflags: 0 }))
      expect(holders(moved.to)).toEqual([])
      expect(errnoOf(await volume.top.unlink(volume.ctx, { loc, xflags: 0 }))).toBe(Errno.ENOENT)
    })

    it('are renamed though their linkto file is lost', async () => {
      await makeWithLayout(recorded.layout[0] as Recorded['layout'][0])
      const moved = recorded.renames.find(({ after }) => after.length === 2)
      if (moved === undefined) throw new Error('no rename with a linkto file is recorded')
      await volume.write(moved.from, 'data')
      good(await volume.rename(moved.from, moved.to))
      const linkto = holders(moved.to).find(holder => holder.startsWith('L')) as string
      const at = Number(linkto.slice(1))
      // A further name that hashes where the linkto file is.
      let name = ''
      for (let i = 0; name === ''; i++) {
        await volume.write(`/ren/probe${i}`, '')
        if (holders(`/ren/probe${i}`)[0] === `${at}`) name = `/ren/probe${i}`
        good(await volume.unlink(`/ren/probe${i}`))
      }
      sys.unlinkat(sys.AT_FDCWD, handleOf(at, moved.to))
      sys.unlinkat(sys.AT_FDCWD, brick(at, moved.to))
      const { stat } = good(await volume.rename(moved.to, name))
      expect([stat.nlink, holders(moved.to)]).toEqual([1, []])
      expect(holders(name).toSorted()).toEqual(moved.after.toSorted())
      await restart()
      expect(await volume.read(name)).toBe('data')
    })

    it('keep what an open fd reads while they are renamed and unlinked', async () => {
      await makeWithLayout(recorded.layout[0] as Recorded['layout'][0])
      const moved = recorded.renames.find(({ after }) => after.length === 2)
      if (moved === undefined) throw new Error('no rename with a linkto file is recorded')
      await volume.write(moved.from, 'data')
      const fd = await volume.open(moved.from)
      good(await volume.rename(moved.from, moved.to))
      good(await volume.writeFd(fd, 'DATA'))
      good(await volume.unlink(moved.to))
      const read = good(await volume.top.readv(volume.ctx, { fd, size: 10, offset: 0, flags: 0 }))
      expect(read.data.toString()).toBe('DATA')
      fd.unref()
      expect(holders(moved.to)).toEqual([])
    })
  })

  function handleOf(index: number, path: string): string {
    const text = gfidText(
      (xattr(brick(index, path), 'trusted.gfid') as Buffer).latin1Slice() as typeof ROOT_GFID,
    )
    return brick(index, `/.glusterfs/${text.slice(0, 2)}/${text.slice(2, 4)}/${text}`)
  }

  describe('directories', () => {
    it('are on every brick, with ranges that cover the ring once', async () => {
      good(await volume.mkdir('/d', 0o750))
      good(await volume.mkdir('/d/e', 0o700))
      for (const path of ['/d', '/d/e']) {
        const ranges = Array.from({ length: BRICKS }, (_, i) => {
          const value = xattr(brick(i, path), LAYOUT_KEY) as Buffer
          return [value.readUInt32BE(8), value.readUInt32BE(12)] as const
        }).toSorted((one, other) => one[0] - other[0])
        expect(ranges[0]?.[0]).toBe(0)
        expect(ranges.at(-1)?.[1]).toBe(0xffffffff)
        for (let i = 1; i < ranges.length; i++)
          expect(ranges[i]?.[0]).toBe((ranges[i - 1]?.[1] as number) + 1)
        const gfids = Array.from({ length: BRICKS }, (_, i) =>
          xattr(brick(i, path), 'trusted.gfid'),
        )
        expect(new Set(gfids.map(gfid => gfid?.toString('hex'))).size).toBe(1)
      }
      const marked = Array.from({ length: BRICKS }, (_, i) =>
        xattr(brick(i, '/d'), `${LAYOUT_KEY}.mds`),
      )
      expect(marked.filter(mark => mark !== undefined)).toEqual([Buffer.alloc(4)])
    })

    // GlusterFS writes no such mark on a single subvolume either; it does when a second one has come.
    it('are marked once there is more than one brick, and no sooner', async () => {
      await volume.stop()
      await start('', 1)
      good(await volume.mkdir('/d'))
      good(await volume.mkdir('/d/e'))
      good(await volume.lookup('/d/e'))
      const mark = (index: number, path: string): Buffer | undefined =>
        xattr(brick(index, path), `${LAYOUT_KEY}.mds`)
      for (const path of ['/d', '/d/e']) {
        expect(xattr(brick(0, path), LAYOUT_KEY)).toBeDefined()
        expect(mark(0, path)).toBeUndefined()
      }
      await restart()
      good(await volume.lookup('/d/e'))
      for (const path of ['/d', '/d/e']) {
        const marks = Array.from({ length: BRICKS }, (_, i) => mark(i, path))
        expect(marks.filter(each => each !== undefined)).toEqual([Buffer.alloc(4)])
      }
    })

    it('are made again where they are missing, with owner, mode and a range', async () => {
      good(await volume.mkdir('/d', 0o2751))
      await volume.setattr('/d', SetAttr.UID | SetAttr.GID, { uid: 12, gid: 34 })
      const gfid = xattr(brick(1, '/d'), 'trusted.gfid')
      sys.unlinkat(sys.AT_FDCWD, handleOf(2, '/d'))
      rmdirSync(brick(2, '/d'))
      await restart()
      good(await volume.lookup('/d'))
      expect(xattr(brick(2, '/d'), 'trusted.gfid')).toEqual(gfid)
      const made = statSync(brick(2, '/d'))
      if (sys.geteuid() === 0) expect([made.uid, made.gid]).toEqual([12, 34])
      expect((made.mode & 0o7777).toString(8)).toBe(
        (statSync(brick(1, '/d')).mode & 0o7777).toString(8),
      )
      for (let i = 0; i < 20; i++) await volume.write(`/d/f${i}`, `${i}`)
      await restart()
      for (let i = 0; i < 20; i++) expect(await volume.read(`/d/f${i}`)).toBe(`${i}`)
    })

    it('get one mode again when their copies differ: the one that counts', async () => {
      good(await volume.mkdir('/d', 0o755))
      const marked = [0, 1, 2].find(i => xattr(brick(i, '/d'), `${LAYOUT_KEY}.mds`) !== undefined)
      sys.fchmodat(sys.AT_FDCWD, brick(marked as number, '/d'), 0o711)
      await restart()
      expect(((await volume.stat('/d')).mode & 0o7777).toString(8)).toBe('711')
      for (let i = 0; i < BRICKS; i++)
        expect((statSync(brick(i, '/d')).mode & 0o7777).toString(8)).toBe('711')
    })

    it('show the same size everywhere', async () => {
      good(await volume.mkdir('/d'))
      const { size, blocks } = await volume.stat('/d')
      expect([size, blocks]).toEqual([4096, 8])
    })

    it('are renamed on every brick, or on none', async () => {
      good(await volume.mkdir('/d'))
      good(await volume.mkdir('/e'))
      for (let i = 0; i < 10; i++) await volume.write(`/d/f${i}`, `${i}`)
      good(await volume.rename('/d', '/moved'))
      for (let i = 0; i < BRICKS; i++) expect(existsSync(brick(i, '/d'))).toBe(false)
      for (let i = 0; i < 10; i++) expect(await volume.read(`/moved/f${i}`)).toBe(`${i}`)
      // Onto an empty one; never onto one with entries on any brick.
      good(await volume.rename('/moved', '/e'))
      good(await volume.mkdir('/g'))
      expect(errnoOf(await volume.rename('/g', '/e'))).toBe(Errno.ENOTEMPTY)
      expect(await volume.names('/')).toEqual(['e', 'g'])
    })

    it('keep no descriptor open on a brick when one takes the place of another', async () => {
      good(await volume.mkdir('/d'))
      good(await volume.mkdir('/e'))
      const descriptors = () => readdirSync('/proc/self/fd').length
      good(await volume.rename('/d', '/e'))
      good(await volume.mkdir('/d'))
      const before = descriptors()
      for (let i = 0; i < 10; i++) {
        good(await volume.rename('/d', '/e'))
        good(await volume.mkdir('/d'))
      }
      // Bricks keep a descriptor of each directory that is in use: 10 new ones on 3 bricks.
      expect(descriptors() - before).toBeLessThanOrEqual(10 * BRICKS)
    })

    it('are removed only when they are empty on every brick', async () => {
      good(await volume.mkdir('/d'))
      await volume.write('/d/f', 'data')
      expect(errnoOf(await volume.rmdir('/d'))).toBe(Errno.ENOTEMPTY)
      for (let i = 0; i < BRICKS; i++) expect(existsSync(brick(i, '/d'))).toBe(true)
      expect(await volume.read('/d/f')).toBe('data')
      good(await volume.unlink('/d/f'))
      good(await volume.rmdir('/d'))
      expect(errnoOf(await volume.lookup('/d'))).toBe(Errno.ENOENT)
      for (let i = 0; i < BRICKS; i++) expect(existsSync(brick(i, '/d'))).toBe(false)
    })
  })

  describe('listings', () => {
    beforeEach(async () => {
      good(await volume.mkdir('/d'))
      for (let i = 0; i < 60; i++) await volume.write(`/d/f${i}`, `${i}`)
      for (let i = 0; i < 12; i++) good(await volume.mkdir(`/d/sub${i}`))
    })

    const expected = [
      ...Array.from({ length: 60 }, (_, i) => `f${i}`),
      ...Array.from({ length: 12 }, (_, i) => `sub${i}`),
    ].toSorted()

    it.each([1, 300, 1000, 65_536])('name everything once, in pieces of %i bytes', async size => {
      expect(await volume.names('/d', size)).toEqual(expected)
      const dots = (await volume.list('/d', size)).filter(entry => entry.name.startsWith('.'))
      expect(dots.map(entry => entry.name).toSorted()).toEqual(['.', '..'])
    })

    it('go on at any offset that they gave', async () => {
      const entries = await volume.list('/d')
      const loc = await volume.loc('/d')
      const fd = volume.graph.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: 1 })
      good(await volume.top.opendir(volume.ctx, { loc, fd }))
      fd.bind()
      for (const at of [0, 20, 35, 50, entries.length - 2]) {
        const { offset } = entries[at] as (typeof entries)[0]
        const reply = good(await volume.top.readdirp(volume.ctx, { fd, size: 1, offset }))
        expect(reply.entries[0]?.name).toBe(entries[at + 1]?.name)
      }
      fd.unref()
    })

    it('tell where their files lie: nobody is asked for that again', async () => {
      await restart()
      const calls = (): number[] =>
        Array.from({ length: BRICKS }, (_, i) => link(i).calls.get('lookup') ?? 0)
      const entries = (await volume.list('/d')).filter(({ name }) => name.startsWith('f'))
      expect(entries.length).toBeGreaterThan(BRICKS)
      const before = calls()
      for (const { stat } of entries) {
        const inode = volume.graph.inodes.obtain(stat.gfid)
        const loc = inodeLoc(inode)
        expect(good(await volume.top.stat(volume.ctx, { loc })).stat.gfid).toBe(stat.gfid)
      }
      expect(calls()).toEqual(before)
    })

    /** What a listing under a lease on the names gives. */
    async function underLease(): Promise<DirentPlus[]> {
      const loc = await volume.loc('/d')
      const fd = volume.graph.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: 1 })
      good(await volume.top.opendir(volume.ctx, { loc, fd }))
      fd.bind()
      const entries: DirentPlus[] = []
      for (let offset = 0n; ; ) {
        const xdata = new Dict().setString(NAMES_LEASE, 'lease')
        const reply = good(await volume.top.readdirp(volume.ctx, { fd, size: 1000, offset, xdata }))
        entries.push(...reply.entries)
        offset = reply.entries.at(-1)?.offset ?? offset
        if (reply.eof || reply.entries.length === 0) break
      }
      fd.unref()
      return entries.filter(({ name }) => !name.startsWith('.'))
    }

    it('name to who has a lease on the names also what they do not show', async () => {
      for (let i = 0; i < 60; i++) good(await volume.rename(`/d/f${i}`, `/d/g${i}`))
      const names = Array.from({ length: 60 }, (_, i) => `g${i}`)
      const linktos = names.filter(name => holders(`/d/${name}`).length > 1)
      expect(linktos.length).toBeGreaterThan(0)
      const times = (entries: readonly DirentPlus[], name: string): number =>
        entries.filter(entry => entry.name === name).length
      let entries = await underLease()
      for (const name of names) {
        expect(times(entries, name), name).toBe(linktos.includes(name) ? 2 : 1)
        const known = entries.filter(entry => entry.name === name && !entry.stat.isEmpty)
        expect(known.map(({ stat }) => stat.mode & 0o7777)).toEqual([0o644])
      }
      // Directories of which copies are still to be made, the one that is shown among them.
      for (let i = 0; i < 12; i++)
        for (let at = 0; at < BRICKS; at++)
          if (at !== i % BRICKS) rmdirSync(brick(at, `/d/sub${i}`))
      const shown = await volume.list('/d')
      entries = await underLease()
      const subs = Array.from({ length: 12 }, (_, i) => `sub${i}`)
      expect(subs.filter(name => times(shown, name) === 0).length).toBeGreaterThan(0)
      for (const name of subs) expect(times(entries, name), name).toBe(1)
    })

    it('show directories once when files were renamed, too', async () => {
      for (let i = 0; i < 60; i++) good(await volume.rename(`/d/f${i}`, `/d/g${i}`))
      expect(await volume.names('/d')).toEqual(
        expected.map(name => name.replace(/^f/, 'g')).toSorted(),
      )
    })
  })

  describe('with a brick down', () => {
    const names = Array.from({ length: 30 }, (_, i) => `/d/f${i}`)
    let onBrick: string[][]

    beforeEach(async () => {
      good(await volume.mkdir('/d'))
      for (let i = 0; i < 6; i++) good(await volume.mkdir(`/d/sub${i}`))
      for (const name of names) await volume.write(name, name)
      onBrick = names.map(holders)
      link(1).cut()
    })

    it('the files of the others are served, its own fail as not connected', async () => {
      for (const [i, name] of names.entries()) {
        if (onBrick[i]?.[0] === '1') expect(errnoOf(await volume.lookup(name))).toBe(Errno.ENOTCONN)
        else expect(await volume.read(name)).toBe(name)
      }
    })

    it('listings hold the rest, and every directory', async () => {
      const listed = await volume.names('/d')
      const there = names.filter((_, i) => onBrick[i]?.[0] !== '1').map(name => name.slice(3))
      const directories = Array.from({ length: 6 }, (_, i) => `sub${i}`)
      expect(listed).toEqual([...there, ...directories].toSorted())
    })

    it('no directory is removed or renamed: copies would be left', async () => {
      expect(errnoOf(await volume.rmdir('/d/sub0'))).toBe(Errno.ENOTCONN)
      expect(errnoOf(await volume.rename('/d/sub0', '/d/other'))).toBe(Errno.ENOTCONN)
      link(1).mend()
      good(await volume.rmdir('/d/sub0'))
      expect(existsSync(brick(1, '/d/sub0'))).toBe(false)
    })

    it('a directory made meanwhile is there on all once it is back', async () => {
      const results = []
      for (let i = 0; i < 6; i++) results.push(errnoOf(await volume.mkdir(`/d/new${i}`)))
      // Those whose name hashes to the brick that is down cannot be made.
      expect(new Set(results)).toEqual(new Set([0, Errno.ENOTCONN]))
      link(1).mend()
      for (const [i, errno] of results.entries()) {
        const path = `/d/new${i}`
        expect(errnoOf(await volume.lookup(path))).toBe(errno === 0 ? 0 : Errno.ENOENT)
        expect(existsSync(brick(1, path))).toBe(errno === 0)
        if (errno === 0) for (let k = 0; k < 6; k++) await volume.write(`${path}/${k}`, 'x')
      }
    })

    it('no layout is changed to do without it', async () => {
      const before = [0, 2].map(i => xattr(brick(i, '/d'), LAYOUT_KEY))
      await volume.lookup('/d')
      await volume.list('/d')
      expect([0, 2].map(i => xattr(brick(i, '/d'), LAYOUT_KEY))).toEqual(before)
      link(1).mend()
      for (const name of names) expect(await volume.read(name)).toBe(name)
    })

    /** New names directly below the root, by what came of making them. */
    async function makeInRoot(): Promise<Set<number>> {
      const results = new Set<number>()
      for (let i = 0; i < 12; i++) {
        const looked = errnoOf(await volume.lookup(`/new${i}`))
        if (looked !== Errno.ENOENT) results.add(looked)
        else results.add(errnoOf((await volume.create(`/new${i}`)).reply))
      }
      return results
    }

    it('new names of the root are made where their place is up, as in any directory', async () => {
      expect(await makeInRoot()).toEqual(new Set([0, Errno.ENOTCONN]))
      link(1).mend()
      for (let i = 0; i < 12; i++) expect(holders(`/new${i}`).length).toBeLessThan(2)
    })

    it('none is made that may lie on that brick, out of its place', async () => {
      link(1).mend()
      for (const i of [0, 1, 2]) {
        const range = xattr(brick(i), LAYOUT_KEY) as Buffer
        range.writeUInt32BE(1, 0)
        sys.lsetxattr(brick(i), key(LAYOUT_KEY), range, 0)
        // A file on a brick where its name does not hash, and no linkto file for it.
        writeFileSync(brick(i, `/stray${i}`), '')
      }
      await restart()
      for (const i of [0, 1, 2]) expect(xattr(brick(i), LAYOUT_KEY)?.readUInt32BE(0)).toBe(1)
      link(1).cut()
      expect(await makeInRoot()).toEqual(new Set([Errno.ENOTCONN]))
    })

    it('the root of a GlusterFS volume is confirmed once all its names are in place', async () => {
      link(1).mend()
      for (const i of [0, 1, 2]) {
        const range = xattr(brick(i), LAYOUT_KEY) as Buffer
        range.writeUInt32BE(1, 0)
        sys.lsetxattr(brick(i), key(LAYOUT_KEY), range, 0)
      }
      await restart()
      for (const i of [0, 1, 2]) expect(xattr(brick(i), LAYOUT_KEY)?.readUInt32BE(0)).toBe(0)
    })

    it('tells its users when the last brick goes and when the first comes', () => {
      volume.events.length = 0
      link(0).cut()
      link(2).cut()
      expect(volume.events.at(-1)?.kind).toBe('child-down')
      link(2).mend()
      expect(volume.events.at(-1)?.kind).toBe('child-up')
    })
  })

  describe('a name that exists nowhere', () => {
    /** Lookups of the name on each brick, the walk to its directory left out. */
    async function asked(path: string): Promise<number[]> {
      await volume.lookup(path.slice(0, path.lastIndexOf('/')))
      const count = () => [0, 1, 2].map(i => link(i).calls.get('lookup') ?? 0)
      const start = count()
      await volume.lookup(path.slice(0, path.lastIndexOf('/')))
      const walk = count().map((calls, i) => calls - (start[i] as number))
      const before = count()
      expect(errnoOf(await volume.lookup(path))).toBe(Errno.ENOENT)
      return count().map((calls, i) => calls - (before[i] as number) - (walk[i] as number))
    }

    it('is asked of one brick when the layout is current', async () => {
      await restart('option lookup-optimize on')
      good(await volume.mkdir('/e'))
      const counts = await asked('/e/nothing')
      expect(counts.filter(count => count > 0)).toEqual([1])
    })

    it('is asked of all when files may lie elsewhere', async () => {
      await restart('option lookup-optimize off\n  option lookup-unhashed on')
      good(await volume.mkdir('/d'))
      expect(await asked('/d/nothing')).toEqual([1, 1, 1])
    })
  })

  describe('a rename', () => {
    it('between two names of one file does nothing, wherever the names hash', async () => {
      good(await volume.mkdir('/d'))
      for (let i = 0; i < 12; i++) {
        await volume.write(`/d/a${i}`, `data ${i}`)
        good(await volume.link(`/d/a${i}`, `/d/b${i}`))
        good(await volume.rename(`/d/b${i}`, `/d/a${i}`))
      }
      await restart()
      for (let i = 0; i < 12; i++) {
        expect(await volume.read(`/d/a${i}`)).toBe(`data ${i}`)
        expect(await volume.read(`/d/b${i}`)).toBe(`data ${i}`)
        expect((await volume.stat(`/d/a${i}`)).nlink).toBe(2)
      }
    })

    /** RENAME_NOREPLACE, after a look that has found nothing. */
    async function move(from: string, to: string): Promise<number> {
      const oldloc = await volume.loc(from)
      const { parent, name } = await volume.entry(from)
      const newloc = await volume.entry(to)
      const source = entryLoc(parent as Inode, name, oldloc.inode)
      return errnoOf(
        await volume.top.rename(volume.ctx, { oldloc: source, newloc, xdata: exclusiveXdata() }),
      )
    }

    it('that must not replace anything lets one of several win, wherever the names hash', async () => {
      good(await volume.mkdir('/d'))
      for (let i = 0; i < 24; i++) {
        for (const name of ['a', 'b', 'c']) await volume.write(`/d/${name}${i}`, name)
        const to = `/d/to${i}`
        // Who looks on must not take a linkto file that is just being made for one that is stale.
        const looking = volume.lookup(to).then(() => volume.lookup(to))
        const outcomes = await Promise.all([
          move(`/d/a${i}`, to),
          move(`/d/b${i}`, to),
          volume
            .create(to, { flags: OpenFlag.RDWR | OpenFlag.CREAT | OpenFlag.EXCL })
            .then(({ reply }) => errnoOf(reply)),
          move(`/d/c${i}`, to),
        ])
        await looking
        expect(outcomes.toSorted(), to).toEqual([0, Errno.EEXIST, Errno.EEXIST, Errno.EEXIST])
      }
      await restart()
      const left = await volume.names('/d')
      for (let i = 0; i < 24; i++) {
        const names = ['a', 'b', 'c'].filter(name => left.includes(`${name}${i}`))
        const content = await volume.read(`/d/to${i}`)
        // Who has moved is gone from the old name; who was made has taken nobody's place.
        expect(names).toEqual(['a', 'b', 'c'].filter(name => name !== content))
        for (const name of names) expect(await volume.read(`/d/${name}${i}`)).toBe(name)
      }
    })

    it('that must not replace anything goes for directories and further names, too', async () => {
      for (const name of ['/x', '/y', '/z']) good(await volume.mkdir(name))
      await volume.write('/f', 'f')
      good(await volume.link('/f', '/g'))
      expect(await move('/f', '/g')).toBe(Errno.EEXIST)
      expect(await move('/x', '/f')).toBe(Errno.EEXIST)
      expect(await move('/f', '/x')).toBe(Errno.EEXIST)
      expect(await move('/x', '/y')).toBe(Errno.EEXIST)
      expect((await Promise.all([move('/x', '/new'), move('/y', '/new')])).toSorted()).toEqual([
        0,
        Errno.EEXIST,
      ])
      expect(await volume.names('/')).toEqual([
        'f',
        'g',
        'new',
        expect.stringMatching(/^[xy]$/),
        'z',
      ])
    })

    it('over a name never takes the name away, wherever the files lie', async () => {
      good(await volume.mkdir('/d'))
      await volume.write('/d/n', 'first')
      // Each message takes its time, so that lookups of two steps see what lies between them.
      const dice = new Dice(1, 'way')
      for (let i = 0; i < BRICKS; i++)
        link(i).before = async () => {
          for (let turns = dice.integer(8); turns > 0; turns--) await new Promise(setImmediate)
        }
      let done = false
      const replacing = (async () => {
        for (let i = 0; i < 60; i++) {
          await volume.write(`/d/t${i}`, `${i}`)
          good(await volume.rename(`/d/t${i}`, '/d/n'))
        }
        done = true
      })()
      const { parent } = await volume.entry('/d/n')
      const looking = async (): Promise<void> => {
        while (!done) {
          const inode = volume.graph.inodes.create()
          const loc = entryLoc(parent as Inode, 'n', inode)
          good(await volume.top.lookup(volume.ctx, { loc }))
        }
      }
      await Promise.all([replacing, looking(), looking()])
      expect(await volume.read('/d/n')).toBe('59')
    })

    it('that goes both ways at once ends', async () => {
      good(await volume.mkdir('/d'))
      for (let i = 0; i < 12; i++) {
        await volume.write(`/d/a${i}`, 'a')
        await volume.write(`/d/b${i}`, 'b')
      }
      await Promise.all(
        Array.from({ length: 12 }, (_, i) => [
          volume.rename(`/d/a${i}`, `/d/b${i}`),
          volume.rename(`/d/b${i}`, `/d/a${i}`),
        ]).flat(),
      )
      for (let i = 0; i < 12; i++) {
        const left = [await volume.lookup(`/d/a${i}`), await volume.lookup(`/d/b${i}`)]
        expect(left.filter(reply => reply.ok).length).toBeGreaterThan(0)
      }
    })
  })
})
