/**
 * Lookup and stat: what a name or a gfid is. Also completes what a crash has left half made: an
 * object without gfid gets one, one without handle gets its handle.
 * Facts: xlators/storage/posix/src/posix-entry-ops.c.
 */

import {
  type Ctx,
  decodeName,
  type Dict,
  Errno,
  failure,
  type FopArgs,
  type Gfid,
  Iatt,
  NULL_GFID,
  type Reply,
  ROOT_GFID,
  S_IFDIR,
  S_IFMT,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick, Entry } from './brick.ts'
import { withContent } from './content.ts'
import { answer } from './requested.ts'

/** A file younger than this may be in the middle of being made. */
const FRESH_SECONDS = 1

export function lookup(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['lookup'],
): Reply<'lookup'> | Promise<Reply<'lookup'>> {
  const reply = args.loc.name === '' ? lookupGfid(brick, args) : lookupName(brick, args)
  return withContent(brick, ctx, args, reply)
}

function lookupName(brick: Brick, args: FopArgs['lookup']): Reply<'lookup'> {
  const entry = brick.entry(args.loc)
  if (typeof entry === 'number') return failure(-entry)
  const result = sys.statat(entry.directoryFd, entry.name, brick.stat)
  if (result < 0) {
    const postparent = brick.directoryIatt(entry.parent)
    if (result === -Errno.ENOENT && postparent.nlink === 0) {
      brick.handles.dropDirectory(entry.parent)
      return failure(Errno.ESTALE)
    }
    return failure(-result)
  }
  let gfid = brick.storedGfid(entry.path)
  if (gfid === NULL_GFID) {
    if (args.xdata?.has('gfidless-lookup') === true) gfid = NULL_GFID
    else {
      const given = adopt(brick, entry, args.xdata)
      if (typeof given === 'number') return failure(-given)
      gfid = given
    }
  }
  const directory = (brick.stat.mode & S_IFMT) === S_IFDIR
  if (gfid !== NULL_GFID && !directory && brick.stat.nlink === 1) {
    // One name and no handle: copied here with its xattrs, or its handle is lost.
    const linked = brick.handles.linkFile(gfid, entry.directoryFd, entry.name)
    if (linked === 0) brick.stat.nlink = 2
  }
  const stat =
    gfid === NULL_GFID
      ? brick.iattOf(gfid, entry.path)
      : attributes(brick, gfid, entry.path, directory)
  const inode = gfid === NULL_GFID ? undefined : brick.self.inodes.find(gfid)
  const xdata = answer(brick, args.xdata, { inode, gfid, path: entry.path, stat })
  return { ok: true, stat, postparent: brick.directoryIatt(entry.parent), xdata }
}

function attributes(brick: Brick, gfid: Gfid, path: string, directory: boolean): Iatt {
  const inode = brick.self.inodes.obtain(gfid)
  brick.state(inode).directory = directory
  return brick.iatt(inode, path)
}

/** Completes an object that has no gfid, with the one the caller offers. */
function adopt(brick: Brick, entry: Entry, xdata: Dict | undefined): Gfid | number {
  const gfid = xdata?.getGfid('gfid-req')
  if (gfid === undefined || gfid === NULL_GFID) return -Errno.ENODATA
  const now = brick.self.env.clock.wall().sec
  const directory = (brick.stat.mode & S_IFMT) === S_IFDIR
  if (now - brick.stat.ctime <= FRESH_SECONDS) return -Errno.ENOENT
  const stored = brick.storeGfid(entry.path, gfid)
  if (stored < 0) return stored
  const linked = directory
    ? brick.handles.linkDirectory(gfid, entry.parent, entry.name)
    : brick.handles.linkFile(gfid, entry.directoryFd, entry.name)
  if (linked < 0) return linked
  return sys.statat(entry.directoryFd, entry.name, brick.stat) < 0 ? -Errno.ENOENT : gfid
}

function lookupGfid(brick: Brick, args: FopArgs['lookup']): Reply<'lookup'> {
  const { inode } = args.loc
  if (!inode.linked) return failure(Errno.EINVAL)
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(object === -Errno.ENOENT ? Errno.ESTALE : -object)
  const state = brick.state(inode)
  if (state.unlinked === true && args.xdata?.getNumber('unlinked-lookup') === undefined)
    return failure(Errno.ESTALE)
  const stat = brick.iatt(inode, object.path)
  if (state.unlinked === true) stat.nlink = 0
  const xdata = answer(brick, args.xdata, { inode, gfid: inode.gfid, path: object.path, stat })
  const postparent = inode.gfid === ROOT_GFID ? stat.clone() : new Iatt()
  return { ok: true, stat, postparent, xdata }
}

export function stat(brick: Brick, _ctx: Ctx, args: FopArgs['stat']): Reply<'stat'> {
  const { inode } = args.loc
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(-object)
  const iatt = brick.iatt(inode, object.path)
  if (brick.state(inode).unlinked === true) iatt.nlink = 0
  return {
    ok: true,
    stat: iatt,
    xdata: answer(brick, args.xdata, { inode, gfid: inode.gfid, path: object.path, stat: iatt }),
  }
}

export function fstat(brick: Brick, ctx: Ctx, args: FopArgs['fstat']): Reply<'fstat'> {
  const open = brick.fds.get(args.fd)
  if (open === undefined) {
    const { inode } = args.fd
    return stat(brick, ctx, {
      loc: { gfid: inode.gfid, pargfid: NULL_GFID, name: '', path: '', inode, parent: undefined },
      xdata: args.xdata,
    })
  }
  const result = sys.fstat(open.fd, brick.stat)
  if (result < 0) return failure(-result)
  const { inode } = args.fd
  const iatt = brick.iatt(
    inode,
    brick.state(inode).directory === true
      ? brick.handles.directoryPath(open.fd, inode.gfid)
      : brick.handles.path(inode.gfid),
  )
  if (brick.state(inode).unlinked === true) iatt.nlink = 0
  const object = args.xdata === undefined ? undefined : brick.object(inode)
  const xdata =
    object === undefined || typeof object === 'number'
      ? undefined
      : answer(brick, args.xdata, { inode, gfid: inode.gfid, path: object.path, stat: iatt })
  return { ok: true, stat: iatt, xdata }
}

/** access(2) by mode bits, for the caller's identity; access-control above knows ACLs too. */
export function access(brick: Brick, ctx: Ctx, args: FopArgs['access']): Reply<'access'> {
  const object = brick.object(args.loc.inode)
  if (typeof object === 'number') return failure(-object)
  const { mode, uid, gid } = brick.stat
  if (ctx.uid === 0) {
    const executable = (mode & 0o111) !== 0 || object.directory
    return (args.mask & 1) !== 0 && !executable ? failure(Errno.EACCES) : { ok: true }
  }
  const shift = ctx.uid === uid ? 6 : ctx.gid === gid || ctx.groups.includes(gid) ? 3 : 0
  return ((mode >> shift) & args.mask) === args.mask ? { ok: true } : failure(Errno.EACCES)
}

const TARGET_BYTES_MAX = 4096

export function readlink(brick: Brick, _ctx: Ctx, args: FopArgs['readlink']): Reply<'readlink'> {
  const object = brick.object(args.loc.inode)
  if (typeof object === 'number') return failure(-object)
  const target = Buffer.alloc(Math.min(Math.max(args.size, 1), TARGET_BYTES_MAX))
  const iatt = brick.iatt(args.loc.inode, object.path)
  const length = object.directory
    ? -Errno.EINVAL
    : sys.readlinkat(sys.AT_FDCWD, object.path, target)
  if (length < 0) return failure(-length)
  return { ok: true, stat: iatt, target: decodeName(target, 0, length) }
}
