/** The index as a healer reads it: through protocol/client and protocol/server, over a real socket. */

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import {
  Dict,
  entryLoc,
  Errno,
  type Gfid,
  gfidFromBytes,
  gfidText,
  type Inode,
  inodeLoc,
  OpenFlag,
  S_IFDIR,
  Xattrop,
} from '@ashlar/core'
import { errnoOf, good, SocketBrick, type TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { posix } from '../../storage/posix/index.ts'
import { locks } from '../locks/index.ts'
import { index } from './index.ts'

const PENDING = 'trusted.afr.gv0-client-1'
let root: string
let brick: SocketBrick
let volume: TestVolume

beforeEach(async () => {
  root = await mkdtemp(`${tmpdir()}/healer-`)
  const indexing = {
    'index-base': `${root}/.glusterfs/indices`,
    'xattrop-pending-watchlist': 'trusted.afr.gv0-',
  }
  brick = await SocketBrick.start({
    layers: [[posix, { directory: root }], locks, [index, indexing]],
  })
  volume = await brick.mount()
  volume.ctx = { ...volume.ctx, pid: -6 }
})
afterEach(async () => {
  await brick.stop()
  await rm(root, { recursive: true })
})

const noted = (gfid: Gfid): boolean =>
  existsSync(`${root}/.glusterfs/indices/xattrop/${gfidText(gfid)}`)

async function count(path: string, value: number, xdata?: Dict): Promise<void> {
  const counters = Buffer.alloc(12)
  counters.writeInt32BE(value, 0)
  const dict = new Dict().setBytes(PENDING, counters)
  const loc = await volume.loc(path)
  good(await volume.top.xattrop(volume.ctx, { loc, op: Xattrop.ADD_ARRAY, dict, xdata }))
}

async function view(name: string): Promise<Inode> {
  const reply = good(await volume.getxattr('/', name))
  const gfid = gfidFromBytes(reply.dict.getBytes(name) as Buffer)
  const inode = volume.graph.inodes.link(volume.graph.inodes.create(), { gfid, type: S_IFDIR })
  volume.graph.inodes.lookup(inode)
  const loc = inodeLoc(inode)
  expect(good(await volume.top.lookup(volume.ctx, { loc })).stat.gfid).toBe(gfid)
  return inode
}

async function namesIn(directory: Inode): Promise<string[]> {
  const { ctx, graph, top } = volume
  const fd = graph.openFd(directory, { flags: OpenFlag.DIRECTORY, pid: 1 })
  good(await top.opendir(ctx, { loc: inodeLoc(directory), fd }))
  fd.bind()
  const names: string[] = []
  for (let offset = 0n; ; ) {
    const reply = good(await top.readdir(ctx, { fd, size: 131_072, offset }))
    names.push(...reply.entries.map(entry => entry.name))
    const last = reply.entries.at(-1)
    if (reply.eof || last === undefined) break
    offset = last.offset
  }
  fd.unref()
  return names.toSorted()
}

it('finds what waits to be healed, and crosses it off', async () => {
  const files = [await volume.write('/a', '1'), await volume.write('/b', '2')]
  for (const path of ['/a', '/b']) await count(path, 1)
  const pending = await view('glusterfs.xattrop_index_gfid')
  expect(await namesIn(pending)).toEqual(files.map(file => gfidText(file.gfid)).toSorted())
  const asked = new Dict().setString('link-count', 'glusterfs.xattrop_index_count')
  const { xdata } = good(await volume.lookup('/', asked))
  expect(xdata?.getNumber('link-count')).toBe(1)

  await count('/a', -1)
  expect(files.map(file => noted(file.gfid))).toEqual([false, true])
  const [, b] = files
  const gone = entryLoc(pending, gfidText((b as { gfid: Gfid }).gfid), volume.graph.inodes.create())
  good(await volume.top.unlink(volume.ctx, { loc: gone, xflags: 0 }))
  expect(await namesIn(pending)).toEqual([])
  const again = await volume.top.unlink(volume.ctx, { loc: gone, xflags: 0 })
  expect(errnoOf(again)).toBe(Errno.ENOENT)
})

it('finds the names of a directory that differ', async () => {
  good(await volume.mkdir('/d'))
  const { gfid } = await volume.stat('/d')
  for (const name of ['x', 'ünï'])
    await count('/d', 1, new Dict().setString('glusterfs.xattrop-entry-create', name))
  const changes = await view('glusterfs.xattrop_entry_changes_gfid')
  expect(await namesIn(changes)).toEqual([gfidText(gfid)])
  const { inodes } = volume.graph
  const loc = entryLoc(changes, gfidText(gfid), inodes.create())
  const { stat } = good(await volume.top.lookup(volume.ctx, { loc }))
  const directory = inodes.link(inodes.create(), { gfid: stat.gfid, type: S_IFDIR })
  inodes.lookup(directory)
  expect(await namesIn(directory)).toEqual(['x', 'ünï'])
  for (const name of ['x', 'ünï']) {
    const entry = entryLoc(directory, name, inodes.create())
    good(await volume.top.unlink(volume.ctx, { loc: entry, xflags: 0 }))
  }
  expect(await namesIn(directory)).toEqual([])
  good(await volume.top.rmdir(volume.ctx, { loc, xflags: 0 }))
  expect(await namesIn(changes)).toEqual([])
})
