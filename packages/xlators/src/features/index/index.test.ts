/** The index over a real brick: what counters do to it, and what a healer reads of it. */

import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import {
  Dict,
  entryLoc,
  Errno,
  type Gfid,
  gfidFromBytes,
  gfidText,
  inodeLoc,
  OpenFlag,
  parseGfid,
  Xattrop,
} from '@ashlar/core'
import { errnoOf, good, TestVolume, until } from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { locks } from '../locks/index.ts'
import { posix } from '../../storage/posix/index.ts'
import { index } from './index.ts'

const PENDING = 'trusted.afr.gv0-client-1'
const NOTED_MS = 5000
const DIRTY = 'trusted.afr.dirty'
const REPLICATE = `
  option xattrop-pending-watchlist trusted.afr.gv0-
  option xattrop-dirty-watchlist trusted.afr.dirty`
const DISPERSE = '  option xattrop64-watchlist trusted.ec.dirty'

let root: string
let volume: TestVolume

async function start(options: string): Promise<void> {
  volume = await TestVolume.start({
    brick: true,
    definitions: [posix, locks, index],
    volfile: `
volume p
  type storage/posix
  option directory ${root}
end-volume
volume l
  type features/locks
  subvolumes p
end-volume
volume i
  type features/index
  option index-base ${root}/.glusterfs/indices
${options}
  subvolumes l
end-volume`,
  })
}

beforeEach(async () => {
  root = await mkdtemp(`${tmpdir()}/index-`)
  await start(REPLICATE)
})
afterEach(async () => {
  await volume.stop()
  await rm(root, { recursive: true })
})

const indices = (kind: string): string => `${root}/.glusterfs/indices/${kind}`
const entries = (kind: string): string[] =>
  readdirSync(indices(kind)).filter(name => !name.startsWith(kind))

const counters = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(12)
  values.forEach((value, i) => bytes.writeInt32BE(value, i * 4))
  return bytes
}

async function count(
  path: string,
  values: Record<string, Buffer>,
  xdata?: Dict,
  op: number = Xattrop.ADD_ARRAY,
): Promise<Dict> {
  const loc = await volume.loc(path)
  return good(await volume.top.xattrop(volume.ctx, { loc, op, dict: Dict.from(values), xdata }))
    .dict
}

async function viewOf(name: string): Promise<Gfid> {
  const reply = good(await volume.getxattr('/', name))
  return gfidFromBytes(reply.dict.getBytes(name) as Buffer)
}

const at = (gfid: Gfid) => inodeLoc(volume.graph.inodes.obtain(gfid))
const below = (gfid: Gfid, name: string) =>
  entryLoc(volume.graph.inodes.obtain(gfid), name, volume.graph.inodes.create())

async function namesIn(gfid: Gfid, size = 4096, xdata?: Dict) {
  const loc = at(gfid)
  const fd = volume.graph.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: 1 })
  good(await volume.top.opendir(volume.ctx, { loc, fd }))
  fd.bind()
  const found = []
  for (let offset = 0n; ; ) {
    const reply = good(await volume.top.readdir(volume.ctx, { fd, size, offset, xdata }))
    found.push(...reply.entries)
    if (reply.eof) break
    offset = found.at(-1)?.offset as bigint
  }
  fd.unref()
  return found
}

describe('features/index', () => {
  it('makes its directories as GlusterFS does', () => {
    for (const kind of ['.', 'xattrop', 'dirty', 'entry-changes']) {
      const stat = statSync(indices(kind))
      if (process.getuid?.() === 0) expect(stat.mode).toBe(0o040600)
    }
  })

  it('notes a file while its counters are not zero, as a link to an empty base file', async () => {
    const { gfid } = await volume.write('/f', 'data')
    const name = gfidText(gfid)
    await count('/f', { [PENDING]: counters(1) })
    expect(entries('xattrop')).toEqual([name])
    const noted = statSync(`${indices('xattrop')}/${name}`)
    expect([noted.mode, noted.size, noted.nlink]).toEqual([0o100000, 0, 2])
    expect(entries('dirty')).toEqual([])

    await count('/f', { [PENDING]: counters(-1), [DIRTY]: counters(1) })
    expect(entries('xattrop')).toEqual([])
    expect(entries('dirty')).toEqual([name])
    await count('/f', { [DIRTY]: counters(-1) })
    expect(entries('dirty')).toEqual([])
  })

  it('names its base files alike in all directories, as recorded bricks do', async () => {
    await volume.write('/f', 'data')
    const xdata = new Dict().setString('glusterfs.xattrop-entry-create', 'x')
    await count('/', { [PENDING]: counters(1), [DIRTY]: counters(1) }, xdata)
    const bases = ['xattrop', 'dirty', 'entry-changes'].map(kind =>
      readdirSync(indices(kind))
        .find(name => name.startsWith(`${kind}-`))
        ?.slice(kind.length),
    )
    expect(bases[0]).toMatch(/^-[0-9a-f-]{36}$/)
    expect(new Set(bases).size).toBe(1)
    const root = '00000000-0000-0000-0000-000000000001'
    expect(readdirSync(`${indices('entry-changes')}/${root}`)).toEqual(['x'])
    expect(statSync(`${indices('entry-changes')}/entry-changes${bases[0]}`).nlink).toBe(2)
  })

  it('keeps the entry while one of several counters is left, and forgets by a read of zeros', async () => {
    const { gfid } = await volume.write('/f', 'data')
    const other = 'trusted.afr.gv0-client-2'
    await count('/f', { [PENDING]: counters(1), [other]: counters(1) })
    await count('/f', { [PENDING]: counters(-1), [other]: counters(0) })
    expect(entries('xattrop')).toEqual([gfidText(gfid)])
    await count('/f', { [PENDING]: counters(0), [other]: counters(-1) })
    expect(entries('xattrop')).toEqual([])
  })

  it('follows only the counters that it is told of', async () => {
    await volume.write('/f', 'data')
    await count('/f', { 'trusted.afr.other-client-0': counters(1) })
    expect(entries('xattrop')).toEqual([])
    expect(entries('dirty')).toEqual([])
  })

  it("follows EC's dirty mark in sums of 64 bits only", async () => {
    await volume.stop()
    await start(DISPERSE)
    const { gfid } = await volume.write('/f', 'data')
    const one = Buffer.alloc(16)
    one.writeBigInt64BE(1n, 0)
    await count('/f', { 'trusted.ec.dirty': one }, undefined, Xattrop.GET_AND_SET)
    expect(entries('xattrop')).toEqual([])
    await count('/f', { 'trusted.ec.dirty': one }, undefined, Xattrop.ADD_ARRAY64)
    expect(entries('xattrop')).toEqual([gfidText(gfid)])
  })

  it('keeps order when counters of one file change at the same time', async () => {
    const { gfid } = await volume.write('/f', 'data')
    const steps = [1, -1, 1, -1, 1, -1, 1]
    await Promise.all(steps.map(step => count('/f', { [PENDING]: counters(step) })))
    expect(entries('xattrop')).toEqual([gfidText(gfid)])
    await count('/f', { [PENDING]: counters(-1) })
    expect(entries('xattrop')).toEqual([])
  })

  it('says in a lookup and an fstat whether any heal is pending', async () => {
    const asked = new Dict().setString('link-count', 'glusterfs.xattrop_index_count')
    const answer = async () => good(await volume.lookup('/', asked)).xdata?.getNumber('link-count')
    await volume.write('/f', 'data')
    expect(await answer()).toBe(0)
    await count('/f', { [PENDING]: counters(1) })
    expect(await answer()).toBe(1)
    const fd = await volume.open('/f')
    const stat = good(await volume.top.fstat(volume.ctx, { fd, xdata: asked }))
    fd.unref()
    expect(stat.xdata?.getNumber('link-count')).toBe(1)
    await count('/f', { [PENDING]: counters(-1) })
    expect(await answer()).toBe(0)
  })

  it('counts, and counts right after a restart', async () => {
    const counted = async (name: string) =>
      good(await volume.getxattr('/', name)).dict.getNumber(name)
    for (const name of ['a', 'b', 'c']) {
      await volume.write(`/${name}`, name)
      await count(`/${name}`, { [PENDING]: counters(2), [DIRTY]: counters(1) })
    }
    await count('/c', { [DIRTY]: counters(-1) })
    expect(await counted('glusterfs.xattrop_index_count')).toBe(3)
    expect(await counted('glusterfs.xattrop_dirty_count')).toBe(2)
    await volume.stop()
    await start(REPLICATE)
    expect(await counted('glusterfs.xattrop_index_count')).toBe(3)
    await count('/a', { [PENDING]: counters(1) })
    expect(await counted('glusterfs.xattrop_index_count')).toBe(3)
    await count('/a', { [PENDING]: counters(-3) })
    expect(await counted('glusterfs.xattrop_index_count')).toBe(2)
  })

  it('deletes base files of earlier starts once nothing links to them', async () => {
    await volume.write('/f', 'data')
    await count('/f', { [PENDING]: counters(1) })
    const bases = () => readdirSync(indices('xattrop')).filter(name => name.startsWith('xattrop-'))
    const [first] = bases()
    await volume.stop()
    await start(REPLICATE)
    expect(bases()).toEqual([first])
    await count('/f', { [PENDING]: counters(-1) })
    await namesIn(await viewOf('glusterfs.xattrop_index_gfid'))
    expect(bases()).toEqual([])
  })

  describe('as a healer reads it', () => {
    it('lists what is noted, with types when they are asked for, in pieces', async () => {
      const gfids = new Map<string, number>()
      good(await volume.mkdir('/d'))
      gfids.set(gfidText((await volume.stat('/d')).gfid), 4)
      for (const name of ['a', 'b', 'c'])
        gfids.set(gfidText((await volume.write(`/${name}`, name)).gfid), 8)
      for (const path of ['/d', '/a', '/b', '/c']) await count(path, { [PENDING]: counters(1) })

      const view = await viewOf('glusterfs.xattrop_index_gfid')
      const looked = good(await volume.top.lookup(volume.ctx, { loc: at(view) }))
      expect([looked.stat.isDirectory, looked.stat.gfid]).toEqual([true, view])
      expect(looked.stat.ino).toBe(0xffff_ffff_ffff_ffffn)
      const typed = await namesIn(view, 1, new Dict().setInt('get-gfid-type', 1))
      expect(new Map(typed.map(entry => [entry.name, entry.type]))).toEqual(gfids)
    })

    it('removes an entry by name, and notes the file again when it must', async () => {
      const { gfid } = await volume.write('/f', 'data')
      await count('/f', { [PENDING]: counters(1) })
      const view = await viewOf('glusterfs.xattrop_index_gfid')
      const loc = below(view, gfidText(gfid))
      good(await volume.top.lookup(volume.ctx, { loc }))
      good(await volume.top.unlink(volume.ctx, { loc, xflags: 0 }))
      expect(entries('xattrop')).toEqual([])
      const again = await volume.top.unlink(volume.ctx, { loc, xflags: 0 })
      expect(errnoOf(again)).toBe(Errno.ENOENT)
      await count('/f', { [PENDING]: counters(1) })
      expect(entries('xattrop')).toEqual([gfidText(gfid)])
    })

    it('hands out gfids that no other start of the brick has', async () => {
      const before = await viewOf('glusterfs.xattrop_index_gfid')
      await volume.stop()
      await start(REPLICATE)
      expect(await viewOf('glusterfs.xattrop_index_gfid')).not.toBe(before)
      const stale = await volume.top.lookup(volume.ctx, { loc: at(before) })
      expect(errnoOf(stale)).toBe(Errno.ESTALE)
    })

    it('is read and changed by no ordinary user', async () => {
      const { gfid } = await volume.write('/f', 'data')
      await count('/f', { [PENDING]: counters(1) })
      const view = await viewOf('glusterfs.xattrop_index_gfid')
      const user = { ...volume.ctx, uid: 1000, gid: 1000 }
      const loc = below(view, gfidText(gfid))
      const { top } = volume
      expect(errnoOf(await top.unlink(user, { loc, xflags: 0 }))).toBe(Errno.EACCES)
      const fd = volume.graph.openFd(at(view).inode, { flags: OpenFlag.DIRECTORY, pid: 1 })
      expect(errnoOf(await top.opendir(user, { loc: at(view), fd }))).toBe(Errno.EACCES)
      const asked = { loc: at(volume.graph.inodes.root.gfid), name: 'glusterfs.xattrop_index_gfid' }
      expect(errnoOf(await top.getxattr(user, asked))).not.toBe(0)
      expect(entries('xattrop')).toEqual([gfidText(gfid)])
    })

    it('lets nobody out of its directories', async () => {
      const view = await viewOf('glusterfs.xattrop_index_gfid')
      for (const name of ['..', '../dirty', '.', '', 'a/b', '../../../f']) {
        const loc = { ...below(view, 'x'), name }
        expect(errnoOf(await volume.top.unlink(volume.ctx, { loc, xflags: 0 }))).not.toBe(0)
      }
    })
  })

  const create = (name: string) => new Dict().setString('glusterfs.xattrop-entry-create', name)
  const remove = (name: string) => new Dict().setString('glusterfs.xattrop-entry-delete', name)

  describe('of what is gone', () => {
    const both = { [PENDING]: counters(1), [DIRTY]: counters(1) }
    const noted = () => [...entries('xattrop'), ...entries('dirty')]

    it('nothing is noted once the last name of a file is unlinked', async () => {
      const name = gfidText((await volume.write('/f', 'data')).gfid)
      good(await volume.link('/f', '/g'))
      await count('/f', both)
      good(await volume.unlink('/f'))
      expect(noted()).toEqual([name, name])
      good(await volume.unlink('/g'))
      expect(noted()).toEqual([])
      const counted = await volume.getxattr('/', 'glusterfs.xattrop_dirty_count')
      expect(good(counted).dict.getNumber('glusterfs.xattrop_dirty_count')).toBe(0)
    })

    it('nothing is noted once another file has its name', async () => {
      await volume.write('/f', 'data')
      const other = gfidText((await volume.write('/other', 'data')).gfid)
      await count('/f', both)
      await count('/other', { [PENDING]: counters(1) })
      good(await volume.rename('/other', '/f'))
      expect(noted()).toEqual([other])
    })

    it('nothing is told of that to who did not ask', async () => {
      await volume.write('/f', 'data')
      const asked = new Dict().setInt('get-link-count', 1)
      const reply = good(await volume.unlink('/f', asked))
      expect([...(reply.xdata ?? [])].map(([key]) => key)).toEqual(['get-link-count'])
      expect(asked.size).toBe(1)
    })

    it('an open file is noted until it is closed', async () => {
      const { fd } = await volume.create('/f')
      const dict = Dict.from(both)
      good(await volume.unlink('/f'))
      good(await volume.top.fxattrop(volume.ctx, { fd, op: Xattrop.ADD_ARRAY, dict }))
      const name = gfidText(fd.inode.gfid)
      expect(noted()).toEqual([name, name])
      fd.unref()
      await until('nothing is noted', NOTED_MS, () => noted().length === 0)
    })

    it('a file that a heal has made again meanwhile stays noted', async () => {
      const { fd } = await volume.create('/f')
      const { gfid } = fd.inode
      good(await volume.unlink('/f'))
      const again = await volume.create('/again', { xdata: new Dict().setGfid('gfid-req', gfid) })
      good(again.reply)
      again.fd.unref()
      await count('/again', { [PENDING]: counters(1) })
      fd.unref()
      // What a closing sets off has its turn before the counters of the next request.
      await count('/again', { [PENDING]: counters(0) })
      expect(entries('xattrop')).toEqual([gfidText(gfid)])
    })

    it('names of a directory go with it, those of others stay', async () => {
      for (const path of ['/d', '/e']) {
        good(await volume.mkdir(path))
        await count(path, { [PENDING]: counters(0, 0, 1) }, create('a'))
      }
      const { gfid } = await volume.stat('/e')
      good(await volume.rmdir('/d'))
      await until('one is noted', NOTED_MS, () => entries('entry-changes').length === 1)
      expect(entries('entry-changes')).toEqual([gfidText(gfid)])
      expect(entries('xattrop')).toEqual([gfidText(gfid)])
      good(await volume.mkdir('/empty'))
      good(await volume.rename('/empty', '/e'))
      await until('nothing is noted', NOTED_MS, () => entries('entry-changes').length === 0)
      expect(entries('xattrop')).toEqual([])
    })

    it('names stay while the directory does', async () => {
      good(await volume.mkdir('/d'))
      await volume.write('/d/f', 'data')
      await count('/d', { [PENDING]: counters(0, 0, 1) }, create('a'))
      const { gfid } = await volume.stat('/d')
      expect(errnoOf(await volume.rmdir('/d'))).toBe(Errno.ENOTEMPTY)
      good(await volume.rename('/d', '/e'))
      expect(readdirSync(`${indices('entry-changes')}/${gfidText(gfid)}`)).toEqual(['a'])
    })

    it('a counter that comes too late leaves nothing', async () => {
      good(await volume.mkdir('/d'))
      const loc = await volume.loc('/d')
      good(await volume.rmdir('/d'))
      const dict = Dict.from({ [PENDING]: counters(0, 0, 1) })
      const args = { loc, op: Xattrop.ADD_ARRAY, dict, xdata: create('late') }
      expect(errnoOf(await volume.top.xattrop(volume.ctx, args))).not.toBe(0)
      for (const kind of ['xattrop', 'dirty', 'entry-changes']) expect(entries(kind)).toEqual([])
    })
  })

  describe('names that differ in a directory', () => {
    it('come before the counter and go after it', async () => {
      good(await volume.mkdir('/d'))
      const directory = `${indices('entry-changes')}/${gfidText((await volume.stat('/d')).gfid)}`
      await count('/d', { [PENDING]: counters(0, 0, 1) }, create('new file'))
      expect(readdirSync(directory)).toEqual(['new file'])
      await count('/d', { [PENDING]: counters(0, 0, 1) }, create('ünï'))
      expect(readdirSync(directory).sort()).toEqual(['new file', 'ünï'])

      const view = await viewOf('glusterfs.xattrop_entry_changes_gfid')
      const [entry] = await namesIn(view)
      const loc = below(view, entry?.name as string)
      const inside = good(await volume.top.lookup(volume.ctx, { loc })).stat
      expect([inside.isDirectory, inside.ino]).toEqual([true, 0xffff_ffff_ffff_ffffn])
      const listed = await namesIn(inside.gfid)
      expect(listed.map(each => each.name).sort()).toEqual(['new file', 'ünï'])
      good(await volume.top.unlink(volume.ctx, { loc: below(inside.gfid, 'ünï'), xflags: 0 }))
      await count('/d', { [PENDING]: counters(0, 0, -1) }, remove('new file'))
      expect(readdirSync(directory)).toEqual([])
      good(await volume.top.rmdir(volume.ctx, { loc, xflags: 0 }))
      expect(existsSync(directory)).toBe(false)
    })

    it('go all at once when the directory is healed', async () => {
      good(await volume.mkdir('/d'))
      const directory = `${indices('entry-changes')}/${gfidText((await volume.stat('/d')).gfid)}`
      await count('/d', { [PENDING]: counters(0, 0, 1) }, create('a'))
      await count('/d', { [PENDING]: counters(0, 0, 1) })
      expect(existsSync(directory)).toBe(true)
      await count('/d', { [PENDING]: counters(0, 0, -2), [DIRTY]: counters(0, 0, 1) })
      expect(existsSync(directory)).toBe(true)
      await count('/d', { [PENDING]: counters(0, 0, 0) })
      expect(existsSync(directory)).toBe(true)
      await count('/d', { [PENDING]: counters(0, 0, 0), [DIRTY]: counters(0, 0, -1) })
      expect(existsSync(directory)).toBe(false)
    })

    it.each(['..', '.', '', '../../../../escaped', 'a/b'])(
      'are names and nothing else: %j',
      async name => {
        good(await volume.mkdir('/d'))
        await count('/d', { [PENDING]: counters(0, 0, 1) }, create(name))
        const gfid = gfidText((await volume.stat('/d')).gfid)
        expect(existsSync(`${indices('entry-changes')}/${gfid}`)).toBe(false)
        expect(existsSync(`${root}/escaped`)).toBe(false)
      },
    )
  })

  it('does nothing on a volume that keeps one copy', async () => {
    await volume.stop()
    await start('')
    await volume.write('/f', 'data')
    await count('/f', { [PENDING]: counters(1), [DIRTY]: counters(1) })
    expect(entries('xattrop')).toEqual([])
    expect(entries('dirty')).toEqual([])
  })

  it('starts to follow when the volume is told to keep copies', async () => {
    await volume.stop()
    await start('')
    const { gfid } = await volume.write('/f', 'data')
    const { volfile } = volume.graph
    const nodes = volfile.nodes.map(node =>
      node.name === 'i'
        ? {
            ...node,
            options: new Map([...node.options, ['xattrop-pending-watchlist', 'trusted.afr.gv0-']]),
          }
        : node,
    )
    expect(volume.graph.reconfigure({ nodes })).toBe(true)
    await count('/f', { [PENDING]: counters(1) })
    expect(entries('xattrop').map(name => parseGfid(name))).toEqual([gfid])
  })
})
