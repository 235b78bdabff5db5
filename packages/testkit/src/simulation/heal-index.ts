/**
 * testing/heal-index: features/index over a simulated disk. What has counters that are not zero is
 * listed, with the names of directories that were noted; healers read the lists through directories
 * that the volume's tree does not have.
 */

import {
  type AnyXlatorDefinition,
  defineXlator,
  Dict,
  type Dirent,
  Errno,
  failure,
  type FopArgs,
  type Gfid,
  gfidText,
  gfidToBytes,
  Iatt,
  type Inode,
  parseGfid,
  type Reply,
  S_IFDIR,
  S_IFREG,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { isZero } from './counters.ts'
import type { Disk } from './disk.ts'

const COUNT = 'glusterfs.xattrop_index_count'
const LINK_COUNT = 'link-count'
const ENTRY_CREATE = 'glusterfs.xattrop-entry-create'
const ENTRY_DELETE = 'glusterfs.xattrop-entry-delete'
const DIRTY_PREFIX = 'trusted.afr.dirty'
const PENDING_PREFIX = 'trusted.afr.'
const ENTRY_BYTES = 48

type View =
  | { readonly kind: 'pending' | 'dirty' | 'directories' }
  | { readonly kind: 'names'; readonly of: Gfid }

/** The translator over one disk. */
export function healIndex(disk: Disk): AnyXlatorDefinition {
  return defineXlator({
    type: 'testing/heal-index',
    options: {},
    create: self => makeIndex(self, disk),
  })
}

function makeIndex(self: XlatorSelf, disk: Disk): Xlator {
  const { random } = self.env
  // New at each start of the brick.
  const pending = random.uuid()
  const dirty = random.uuid()
  const directories = random.uuid()
  const views = new Map<Gfid, View>([
    [pending, { kind: 'pending' }],
    [dirty, { kind: 'dirty' }],
    [directories, { kind: 'directories' }],
  ])
  const asked: Readonly<Record<string, Gfid>> = {
    'glusterfs.xattrop_index_gfid': pending,
    'glusterfs.xattrop_dirty_gfid': dirty,
    'glusterfs.xattrop_entry_changes_gfid': directories,
  }
  const follow = async (
    inode: Inode,
    { dict, xdata }: { dict: Dict; xdata?: Dict | undefined },
    call: () => Promise<Reply<'xattrop'>>,
  ): Promise<Reply<'xattrop'>> => {
    const { gfid } = inode
    const noted = xdata?.getString(ENTRY_CREATE)
    if (noted !== undefined) {
      const names = disk.names.get(gfid) ?? new Set()
      disk.names.set(gfid, names.add(noted))
    }
    list(disk, gfid, dict, false)
    const reply = await call()
    if (!reply.ok) {
      if (reply.errno === Errno.ENOENT || reply.errno === Errno.ESTALE) {
        disk.pending.delete(gfid)
        disk.dirty.delete(gfid)
      }
      return reply
    }
    const seen = list(disk, gfid, reply.dict, true)
    const gone = xdata?.getString(ENTRY_DELETE)
    if (gone !== undefined) disk.names.get(gfid)?.delete(gone)
    if (seen && !disk.pending.has(gfid) && !disk.dirty.has(gfid)) disk.names.delete(gfid)
    return reply
  }
  return {
    xattrop: (ctx, args) => follow(args.loc.inode, args, () => self.child.xattrop(ctx, args)),
    fxattrop: (ctx, args) => follow(args.fd.inode, args, () => self.child.fxattrop(ctx, args)),
    async lookup(ctx, args) {
      const { loc, xdata } = args
      const view = views.get(loc.name === '' ? loc.gfid : loc.pargfid)
      if (view !== undefined) return lookupView(self, disk, views, view, loc)
      const reply = await self.child.lookup(ctx, args)
      if (!reply.ok || xdata?.getString(LINK_COUNT) !== COUNT) return reply
      const answered = (reply.xdata ?? new Dict()).setInt(LINK_COUNT, disk.pending.size > 0 ? 1 : 0)
      return { ...reply, xdata: answered }
    },
    async getxattr(ctx, args) {
      const dict = new Dict()
      const gfid = asked[args.name]
      if (gfid !== undefined) dict.setBytes(args.name, gfidToBytes(gfid))
      else if (args.name === COUNT) dict.setUint(COUNT, disk.pending.size)
      else return self.child.getxattr(ctx, args)
      return { ok: true, dict }
    },
    async opendir(ctx, args) {
      return views.has(args.loc.inode.gfid) ? { ok: true } : self.child.opendir(ctx, args)
    },
    async readdir(ctx, args) {
      const view = views.get(args.fd.inode.gfid)
      return view === undefined ? self.child.readdir(ctx, args) : readView(disk, view, args)
    },
    async unlink(ctx, args) {
      const view = views.get(args.loc.pargfid)
      if (view === undefined) return self.child.unlink(ctx, args)
      return removed(removeFrom(disk, view, args.loc.name))
    },
    async rmdir(ctx, args) {
      const view = views.get(args.loc.pargfid)
      if (view === undefined) return self.child.rmdir(ctx, args)
      const gfid = parseGfid(args.loc.name)
      return removed(gfid !== undefined && disk.names.delete(gfid))
    },
    dump: () => ({ pending: disk.pending.size, dirty: disk.dirty.size }),
  }
}

/** Lists or crosses off what counters say; true when there was one of pending among them. */
function list(disk: Disk, gfid: Gfid, counters: Dict, all: boolean): boolean {
  let pending = false
  let blames = false
  for (const key of counters.keys()) {
    const bytes = counters.getBytes(key)
    if (bytes === undefined || !key.startsWith(PENDING_PREFIX)) continue
    if (key.startsWith(DIRTY_PREFIX)) {
      if (!isZero(bytes)) disk.dirty.add(gfid)
      else if (all) disk.dirty.delete(gfid)
    } else {
      pending = true
      blames ||= !isZero(bytes)
    }
  }
  if (blames) disk.pending.add(gfid)
  else if (pending && all) disk.pending.delete(gfid)
  return pending
}

function lookupView(
  self: XlatorSelf,
  disk: Disk,
  views: Map<Gfid, View>,
  view: View,
  loc: FopArgs['lookup']['loc'],
): Reply<'lookup'> {
  const postparent = iattOf(loc.pargfid, S_IFDIR)
  if (loc.name === '') return { ok: true, stat: iattOf(loc.gfid, S_IFDIR), postparent }
  const gfid = self.env.random.uuid()
  if (view.kind === 'directories') {
    const of = parseGfid(loc.name)
    if (of === undefined || !disk.names.has(of)) return failure(Errno.ENOENT)
    views.set(gfid, { kind: 'names', of })
    return { ok: true, stat: iattOf(gfid, S_IFDIR), postparent }
  }
  if (!namesIn(disk, view).includes(loc.name)) return failure(Errno.ENOENT)
  return { ok: true, stat: iattOf(gfid, S_IFREG), postparent }
}

function namesIn(disk: Disk, view: View): string[] {
  switch (view.kind) {
    case 'pending':
      return [...disk.pending].map(gfidText)
    case 'dirty':
      return [...disk.dirty].map(gfidText)
    case 'directories':
      return [...disk.names.keys()].map(gfidText)
    default:
      return [...(disk.names.get(view.of) ?? [])]
  }
}

/** In the order of the texts; a cookie is a hash of the text, so that it stays while others go. */
function readView(disk: Disk, view: View, args: FopArgs['readdir']): Reply<'readdir'> {
  const all = namesIn(disk, view)
    .map(name => ({ name, cookie: cookieOf(name) }))
    .sort((one, other) => (one.cookie < other.cookie ? -1 : 1))
    .filter(({ cookie }) => cookie > args.offset)
  const entries: Dirent[] = []
  const asksType = args.xdata?.has('get-gfid-type') === true
  let room = args.size
  for (const { name, cookie } of all) {
    room -= ENTRY_BYTES + name.length
    if (room < 0 && entries.length > 0) return { ok: true, entries, eof: false }
    const type = asksType ? typeOf(disk, name) : 0
    entries.push({ name, ino: cookie, offset: cookie, type })
  }
  return { ok: true, entries, eof: true }
}

function cookieOf(name: string): bigint {
  let hash = 0xcbf29ce4n
  for (let i = 0; i < name.length; i++)
    hash = ((hash ^ BigInt(name.charCodeAt(i))) * 0x100000001b3n) & 0xffff_ffff_ffffn
  return hash + 1n
}

function typeOf(disk: Disk, name: string): number {
  const gfid = parseGfid(name)
  const file =
    gfid === undefined ? undefined : disk.store.find({ gfid } as FopArgs['lookup']['loc'])
  return file === undefined || 'ok' in file ? 0 : file.mode >> 12
}

function removeFrom(disk: Disk, view: View, name: string): boolean {
  if (view.kind === 'names') return disk.names.get(view.of)?.delete(name) === true
  const gfid = parseGfid(name)
  if (gfid === undefined || view.kind === 'directories') return false
  return disk[view.kind].delete(gfid)
}

function removed(was: boolean): Reply<'unlink'> {
  if (!was) return failure(Errno.ENOENT)
  return { ok: true, preparent: new Iatt(), postparent: new Iatt() }
}

function iattOf(gfid: Gfid, type: number): Iatt {
  const iatt = new Iatt()
  iatt.gfid = gfid
  iatt.flags = 0x17ff
  iatt.mode = type | 0o600
  iatt.nlink = 1
  return iatt
}
