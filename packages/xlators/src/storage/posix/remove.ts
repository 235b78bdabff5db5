/**
 * Removing names: unlink, rmdir. A file's object goes with its last name, unless it is open: then it
 * rests in `.glusterfs/unlink` until the last descriptor closes. Facts: posix-entry-ops.c.
 */

import {
  type Ctx,
  Dict,
  Errno,
  failure,
  type FopArgs,
  type Gfid,
  gfidText,
  type Inode,
  MdataFlag,
  NULL_GFID,
  type Reply,
  S_IFDIR,
  S_IFMT,
  tellingWhatWent,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick, Entry } from './brick.ts'
import { eraseName } from './names-record.ts'

const PERMISSION_BITS = 0o7777
const LINKTO_MODE = 0o1000
const LINKTO_KEY = 'trusted.glusterfs.dht.linkto'
const REMOVE_TOUCH = MdataFlag.CTIME | MdataFlag.PAR_CTIME | MdataFlag.PAR_MTIME
/** rmdir xflags: the whole tree goes. */
const RECURSIVE = 1

export function unlink(brick: Brick, ctx: Ctx, args: FopArgs['unlink']): Reply<'unlink'> {
  const entry = brick.entry(args.loc)
  if (typeof entry === 'number') return failure(-entry)
  const preparent = brick.directoryIatt(entry.parent)
  const result = sys.statat(entry.directoryFd, entry.name, brick.stat)
  if (result < 0) return failure(-result)
  if ((brick.stat.mode & S_IFMT) === S_IFDIR) return failure(Errno.EISDIR)
  const gfid = brick.storedGfid(entry.path)
  const inode = gfid === NULL_GFID ? undefined : brick.self.inodes.obtain(gfid)
  if (
    args.xdata?.has('dont-unlink-for-open-fd') === true &&
    inode !== undefined &&
    (brick.state(inode).openFds ?? 0) > 0
  ) {
    return failure(Errno.EBUSY)
  }
  if (args.xdata?.has('unlink-only-if-dht-linkto-file') === true && !isLinkto(brick, entry))
    return failure(Errno.EBUSY)

  const links = brick.stat.nlink - 1
  const removed =
    inode === undefined
      ? sys.unlinkat(entry.directoryFd, entry.name)
      : dropName(brick, ctx, entry, inode, links)
  if (removed < 0) return failure(-removed)
  brick.touchParent(ctx, entry.parent, REMOVE_TOUCH)
  const xdata =
    args.xdata?.has('get-link-count') === true
      ? new Dict().setUint('get-link-count', links)
      : undefined
  const gone = links <= 1 ? inode?.gfid : undefined
  return {
    ok: true,
    preparent,
    postparent: brick.directoryIatt(entry.parent),
    xdata: tellingWhatWent(args.xdata, gone, xdata),
  }
}

function isLinkto(brick: Brick, entry: Entry): boolean {
  if ((brick.stat.mode & PERMISSION_BITS) !== LINKTO_MODE) return false
  return typeof brick.xattrs.get(entry.path, LINKTO_KEY) !== 'number'
}

/** Removes a name of an inode with `links` of them, attributes in `stat`. 0 or −errno. */
function dropName(brick: Brick, ctx: Ctx, entry: Entry, inode: Inode, links: number): number {
  if (links > 1) {
    const handle = brick.handles.path(inode.gfid)
    brick.touch(ctx, inode, handle, REMOVE_TOUCH)
    const result = sys.unlinkat(entry.directoryFd, entry.name)
    if (result === 0) eraseName(brick, handle, { parent: entry.parent, name: entry.name })
    return result
  }
  brick.touch(ctx, inode, entry.path, REMOVE_TOUCH)
  // The name goes first. A brick that ends in between, or a name that cannot be removed, leaves at
  // worst a handle without a name, which costs space. A name without a handle would be a file that
  // nobody reaches by gfid until it is looked up again.
  const result = sys.unlinkat(entry.directoryFd, entry.name)
  if (result < 0) return result
  retireHandle(brick, inode)
  return 0
}

/** The last name of a file has gone: its handle goes too, or to `unlink/` while it is open. */
export function retireHandle(brick: Brick, inode: Inode): void {
  const state = brick.state(inode)
  if ((state.openFds ?? 0) > 0) {
    sys.renameat2(
      sys.AT_FDCWD,
      brick.handles.path(inode.gfid),
      sys.AT_FDCWD,
      brick.handles.unlinkedPath(inode.gfid),
    )
    state.unlinked = true
    return
  }
  const handle = brick.handles.path(inode.gfid)
  brick.xattrs.forget(handle)
  freeingLater(brick, atPath(handle), () => brick.handles.unlink(inode.gfid))
  brick.forgetTimes(inode)
}

/** The last descriptor of an unlinked file is closed. */
export function releaseUnlinked(brick: Brick, inode: Inode): void {
  brick.forgetTimes(inode)
  const path = brick.handles.unlinkedPath(inode.gfid)
  brick.xattrs.forget(path)
  freeingLater(brick, atPath(path), () => sys.unlinkat(sys.AT_FDCWD, path))
}

/** A name in an open directory. */
type Place = Pick<Entry, 'directoryFd' | 'name'>

function atPath(path: string): Place {
  return { directoryFd: sys.AT_FDCWD, name: path }
}

/**
 * Removes the last link of an object: its name goes now, its space is freed on a thread; at once where
 * space is short, as somebody may wait for it.
 */
function freeingLater(brick: Brick, last: Place, remove: () => number): number {
  const held = brick.reserveReached
    ? -1
    : sys.openat(last.directoryFd, last.name, sys.O.PATH | sys.O.NOFOLLOW | sys.O.CLOEXEC)
  const removed = remove()
  if (held >= 0) sys.closeRemoved(held)
  return removed
}

export function rmdir(brick: Brick, ctx: Ctx, args: FopArgs['rmdir']): Reply<'rmdir'> {
  if (args.loc.name === '.glusterfs' && args.loc.pargfid === brick.self.inodes.root.gfid)
    return failure(Errno.EPERM)
  const entry = brick.entry(args.loc)
  if (typeof entry === 'number') return failure(-entry)
  const preparent = brick.directoryIatt(entry.parent)
  const result = sys.statat(entry.directoryFd, entry.name, brick.stat)
  if (result < 0) return failure(-result)
  if ((brick.stat.mode & S_IFMT) !== S_IFDIR) return failure(Errno.ENOTDIR)
  const gfid = brick.storedGfid(entry.path)
  brick.handles.dropDirectory(gfid)
  const removed =
    (args.xflags & RECURSIVE) !== 0
      ? toLandfill(brick, entry)
      : freeingLater(brick, entry, () =>
          sys.unlinkat(entry.directoryFd, entry.name, sys.AT_REMOVEDIR),
        )
  if (removed < 0) return failure(removed === -Errno.EEXIST ? Errno.ENOTEMPTY : -removed)
  if (gfid !== NULL_GFID) forgetDirectory(brick, gfid, entry)
  brick.touchParent(ctx, entry.parent, REMOVE_TOUCH)
  return {
    ok: true,
    preparent,
    postparent: brick.directoryIatt(entry.parent),
    xdata: tellingWhatWent(args.xdata, gfid === NULL_GFID ? undefined : gfid),
  }
}

/** Drops the handle of a directory that is gone, if it led to this name. */
export function forgetDirectory(brick: Brick, gfid: Gfid, entry: Entry): void {
  brick.handles.dropDirectory(gfid)
  const handle = brick.handles.readDirectoryHandle(gfid)
  if (typeof handle !== 'number' && handle.parent === entry.parent && handle.name === entry.name)
    brick.handles.unlink(gfid)
  const inode = brick.self.inodes.find(gfid)
  if (inode !== undefined) brick.forgetTimes(inode)
}

/** A tree that is removed as a whole is moved away at once and deleted later. */
function toLandfill(brick: Brick, entry: Entry): number {
  const target = `${brick.root}/.glusterfs/landfill/${gfidText(brick.self.env.random.uuid())}`
  return sys.renameat2(entry.directoryFd, entry.name, sys.AT_FDCWD, target)
}
