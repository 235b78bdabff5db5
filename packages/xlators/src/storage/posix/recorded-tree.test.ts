/**
 * The on-disk format against a recording of a real brick: the same objects made through the fops
 * must lie on disk as GlusterFS left them, names, modes, links, handles and xattrs alike.
 */

import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import {
  Dict,
  entryLoc,
  type Gfid,
  gfidFromBytes,
  Iatt,
  type Loc,
  ROOT_GFID,
  SetAttr,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { good, TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { posix } from './index.ts'
import { parseMdata, printMdata } from './mdata.ts'

interface Entry {
  path: string
  type: string
  mode: string
  nlink: number
  uid: number
  gid: number
  size: number | null
  target?: string
  rdev?: [number, number]
  xattrs: Record<string, string>
}
interface Recorded {
  fresh: { path: string; mode: string; target?: string }[]
  bricks: { entries: Entry[]; handles: { path: string; type: string; target?: string }[] }[]
}

const recorded = JSON.parse(
  readFileSync(new URL('../../../fixtures/brick-tree/dist2.json', import.meta.url), 'utf8'),
) as Recorded
const asRoot = sys.geteuid() === 0
const MDATA_KEY = 'trusted.glusterfs.mdata'
const OF_THE_BRICK = new Set(['trusted.gfid', MDATA_KEY, 'trusted.glusterfs.volume-id'])

let root: string
let volume: TestVolume

beforeEach(async () => {
  root = await mkdtemp(`${tmpdir()}/posix-`)
  volume = await TestVolume.start({
    brick: true,
    definitions: [posix],
    volfile: `volume p\n type storage/posix\n option directory ${root}\nend-volume`,
  })
})
afterEach(async () => {
  await volume.stop()
  await rm(root, { recursive: true })
})

const hex = (text: string): Buffer => Buffer.from(text.slice(2), 'hex')
const gfidOf = (entry: Entry): Gfid => gfidFromBytes(hex(entry.xattrs['trusted.gfid'] as string))

/** The xattrs that a client's request brought, besides those that a brick makes itself. */
function given(entry: Entry): Dict {
  const dict = new Dict().setGfid('gfid-req', gfidOf(entry))
  for (const [name, value] of Object.entries(entry.xattrs))
    if (!OF_THE_BRICK.has(name) && !name.startsWith('trusted.gfid2path.'))
      dict.setBytes(name, hex(value))
  return dict
}

class Rebuild {
  readonly #gfids = new Map<string, Gfid>([['.', ROOT_GFID]])
  readonly #made = new Map<Gfid, string>()

  async make(entry: Entry): Promise<void> {
    const gfid = gfidOf(entry)
    this.#gfids.set(entry.path, gfid)
    if (entry.path === '.') return
    const loc = this.#loc(entry.path)
    if (entry.type !== 'dir' && this.#made.has(gfid)) {
      const object = { ...loc, gfid, inode: volume.graph.inodes.obtain(gfid), name: '' }
      good(await volume.top.link(volume.ctx, { oldloc: object, newloc: loc }))
      return
    }
    this.#made.set(gfid, entry.path)
    await this.#create(loc, entry)
    await this.#settle(entry, gfid)
  }

  #loc(path: string): Loc {
    const cut = path.lastIndexOf('/')
    const parent = this.#gfids.get(cut === -1 ? '.' : path.slice(0, cut)) as Gfid
    const { inodes } = volume.graph
    return entryLoc(inodes.obtain(parent), path.slice(cut + 1), inodes.create())
  }

  async #create(loc: Loc, entry: Entry): Promise<void> {
    const { ctx, top } = volume
    const mode = Number.parseInt(entry.mode, 8)
    const xdata = given(entry)
    const args = { loc, mode, umask: 0, xdata }
    if (entry.type === 'dir') good(await top.mkdir(ctx, args))
    else if (entry.type === 'symlink')
      good(await top.symlink(ctx, { ...args, target: entry.target as string }))
    else if (entry.type === 'file') {
      const fd = volume.graph.openFd(loc.inode, { flags: 2, pid: 1 })
      const { stat } = good(await top.create(ctx, { ...args, fd, flags: 0o102 }))
      fd.moveTo(volume.graph.inodes.obtain(stat.gfid)).bind()
      good(await volume.writeFd(fd, 'x'.repeat(entry.size ?? 0)))
      fd.unref()
    } else {
      const [major, minor] = entry.rdev ?? [0, 0]
      good(await top.mknod(ctx, { ...args, rdev: (major << 8) | minor }))
    }
  }

  async #settle(entry: Entry, gfid: Gfid): Promise<void> {
    if (entry.uid === 0 && entry.gid === 0) return
    const inode = volume.graph.inodes.obtain(gfid)
    const loc = { ...entryLoc(inode, '', inode), gfid }
    const stat = Object.assign(new Iatt(), { uid: entry.uid, gid: entry.gid })
    good(await volume.top.setattr(volume.ctx, { loc, stat, valid: SetAttr.UID | SetAttr.GID }))
  }
}

/** Paths below `directory`, of the brick's own part or of all others. Symbolic links are not followed. */
function tree(directory: string, hidden = false): string[] {
  const below = (path: string): string[] =>
    readdirSync(`${directory}/${path}`, { withFileTypes: true }).flatMap(entry => {
      const child = path === '' ? entry.name : `${path}/${entry.name}`
      return entry.isDirectory() ? [child, ...below(child)] : [child]
    })
  return below('')
    .filter(path => path.startsWith('.glusterfs') === hidden)
    .toSorted((one, other) => (one < other ? -1 : 1))
}

describe('a brick', () => {
  it.runIf(asRoot)('that is new has the directories of one by GlusterFS', () => {
    // glusterd makes `.glusterfs` itself, and features/index its own.
    const ours = recorded.fresh.filter(
      ({ path }) => path !== '.glusterfs' && !path.includes('indices'),
    )
    expect(ours.length).toBeGreaterThan(2)
    for (const { path, mode, target } of ours) {
      expect([path, lstatSync(`${root}/${path}`).mode.toString(8)]).toEqual([
        path,
        mode.replace(/^0/, ''),
      ])
      if (target !== undefined) expect(readlinkSync(`${root}/${path}`)).toBe(target)
    }
    const value = sys.lgetxattr(root, 'trusted.gfid')
    expect(value).toEqual(Buffer.from(ROOT_GFID, 'latin1'))
  })

  it.runIf(asRoot).each([0, 1])(
    'holds what recorded brick %i holds, byte for byte',
    async index => {
      const { entries, handles } = recorded.bricks[index] as Recorded['bricks'][0]
      const rebuild = new Rebuild()
      for (const entry of entries) await rebuild.make(entry)
      expect(['.', ...tree(root)].toSorted()).toEqual(entries.map(({ path }) => path).toSorted())
      for (const entry of entries) {
        if (entry.path === '.') continue
        const path = `${root}/${entry.path}`
        const stat = lstatSync(path)
        const found = { mode: stat.mode.toString(8).padStart(6, '0'), uid: stat.uid, gid: stat.gid }
        const { mode, uid, gid } = entry
        expect({ path: entry.path, ...found }).toEqual({ path: entry.path, mode, uid, gid })
        if (entry.type === 'dir') continue
        expect([entry.path, stat.nlink, stat.size]).toEqual([entry.path, entry.nlink, entry.size])
        if (entry.target !== undefined) expect(readlinkSync(path)).toBe(entry.target)
        expectXattrs(path, entry)
      }
      for (const handle of handles) {
        const path = `${root}/${handle.path}`
        if (handle.target !== undefined) expect(readlinkSync(path)).toBe(handle.target)
        expect(lstatSync(path).isSymbolicLink()).toBe(handle.type === 'symlink')
      }
      const made = tree(root, true).filter(path => /^\.glusterfs\/..\/..\/[^/]+$/.test(path))
      expect(made).toEqual(handles.map(({ path }) => path).toSorted())
    },
  )

  it('reads and writes times as recorded', () => {
    for (const { entries } of recorded.bricks)
      for (const { xattrs } of entries) {
        const value = hex(xattrs[MDATA_KEY] as string)
        const parsed = parseMdata(value)
        expect(parsed).toBeDefined()
        if (parsed !== undefined) expect(printMdata(parsed)).toEqual(value)
      }
  })
})

function expectXattrs(path: string, entry: Entry): void {
  const names = sys.llistxattr(path) as string[]
  expect([entry.path, names.toSorted()]).toEqual([entry.path, Object.keys(entry.xattrs).toSorted()])
  for (const [name, value] of Object.entries(entry.xattrs)) {
    const stored = sys.lgetxattr(path, name) as Buffer
    if (name === MDATA_KEY) expect([stored.length, stored[0]]).toEqual([57, 1])
    else
      expect([entry.path, name, `0x${stored.toString('hex')}`]).toEqual([entry.path, name, value])
  }
}
