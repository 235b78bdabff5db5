/** Changing attributes: setattr, truncate. Facts: `posix_setattr`, posix-inode-fd-ops.c. */

import {
  type Ctx,
  Errno,
  failure,
  type Fd,
  type FopArgs,
  type Iatt,
  type Inode,
  type Mdata,
  MdataFlag,
  type Reply,
  ROOT_GFID,
  SetAttr,
  S_IFLNK,
  S_IFMT,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { type Brick, isRegular, type ObjectPath } from './brick.ts'

const PERMISSION_BITS = 0o7777
const OWNER_BITS = 0o700
const DATA_TOUCH = MdataFlag.MTIME | MdataFlag.CTIME

export function setattr(brick: Brick, ctx: Ctx, args: FopArgs['setattr']): Reply<'setattr'> {
  return change(brick, ctx, args.loc.inode, args.stat, args.valid)
}

export function fsetattr(brick: Brick, ctx: Ctx, args: FopArgs['fsetattr']): Reply<'fsetattr'> {
  return change(brick, ctx, args.fd.inode, args.stat, args.valid)
}

function change(brick: Brick, ctx: Ctx, inode: Inode, to: Iatt, valid: number): Reply<'setattr'> {
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(-object)
  const prestat = brick.iatt(inode, object.path)
  const symlink = (brick.stat.mode & S_IFMT) === S_IFLNK
  // Owner before mode: a change of owner takes the set-id bits away.
  if ((valid & (SetAttr.UID | SetAttr.GID)) !== 0) {
    const uid = (valid & SetAttr.UID) !== 0 ? to.uid : sys.KEEP_ID
    const gid = (valid & SetAttr.GID) !== 0 ? to.gid : sys.KEEP_ID
    const result = sys.fchownat(sys.AT_FDCWD, object.path, uid, gid)
    if (result < 0) return failure(-result)
  }
  if ((valid & SetAttr.MODE) !== 0) {
    if (symlink) return failure(Errno.EOPNOTSUPP)
    if (locksOut(brick, inode, to.mode)) return failure(Errno.EPERM)
    const result = sys.fchmodat(sys.AT_FDCWD, object.path, to.mode & PERMISSION_BITS)
    if (result < 0) return failure(-result)
  }
  // Clients that heal a directory set all bits: a size means nothing there.
  if ((valid & SetAttr.SIZE) !== 0 && isRegular(brick.stat.mode)) {
    const result = sys.truncate(object.path, to.size)
    if (result < 0) return failure(-result)
  }
  const timed = setTimes(brick, inode, object, to, valid)
  if (timed < 0) return failure(-timed)
  const result = sys.statat(sys.AT_FDCWD, object.path, brick.stat)
  if (result < 0) return failure(-result)
  const resized = (valid & SetAttr.SIZE) !== 0 && isRegular(brick.stat.mode)
  brick.touch(timesTouched(ctx, valid), inode, object.path, resized ? DATA_TOUCH : MdataFlag.CTIME)
  brick.storeTimes(inode)
  return { ok: true, prestat, poststat: brick.iatt(inode, object.path) }
}

/**
 * GlusterFS's clients say which times a change touches, but for times that are set by hand they name
 * none: that touches ctime all the same, at the moment they give.
 */
function timesTouched(ctx: Ctx, valid: number): Ctx {
  const { time } = ctx
  if (time === undefined || (valid & (SetAttr.ATIME | SetAttr.MTIME)) === 0) return ctx
  if ((valid & SetAttr.CTIME) !== 0) return ctx
  return { ...ctx, time: { ...time, flags: time.flags | MdataFlag.CTIME } }
}

/** Explicit times, on the file system and in the stored ones. 0 or −errno. */
function setTimes(brick: Brick, inode: Inode, object: ObjectPath, to: Iatt, valid: number): number {
  if ((valid & (SetAttr.ATIME | SetAttr.MTIME | SetAttr.CTIME)) === 0) return 0
  const atime = (valid & SetAttr.ATIME) !== 0
  const mtime = (valid & SetAttr.MTIME) !== 0
  if (atime || mtime) {
    const result = sys.utimensat(sys.AT_FDCWD, object.path, {
      atime: to.atime,
      atimeNsec: atime ? to.atimeNsec : sys.UTIME_OMIT,
      mtime: to.mtime,
      mtimeNsec: mtime ? to.mtimeNsec : sys.UTIME_OMIT,
    })
    if (result < 0) return result
  }
  const stored = brick.mdata(inode, object.path)
  if (stored === null) return 0
  const next: Mdata = { ...stored }
  if (atime) {
    next.atime = to.atime
    next.atimeNsec = to.atimeNsec
  }
  if (mtime) {
    next.mtime = to.mtime
    next.mtimeNsec = to.mtimeNsec
  }
  if ((valid & SetAttr.CTIME) !== 0) {
    next.ctime = to.ctime
    next.ctimeNsec = to.ctimeNsec
  }
  return brick.setTimes(inode, object.path, next)
}

/** Without root, a mode of the volume's root that keeps the brick itself out of its directory. */
function locksOut(brick: Brick, inode: Inode, mode: number): boolean {
  return !brick.isRoot && inode.gfid === ROOT_GFID && (mode & OWNER_BITS) !== OWNER_BITS
}

export function truncate(brick: Brick, ctx: Ctx, args: FopArgs['truncate']): Reply<'truncate'> {
  const { inode } = args.loc
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(-object)
  const prestat = brick.iatt(inode, object.path)
  if (object.directory) return failure(Errno.EISDIR)
  // truncate(2) follows a symbolic link, out of the brick.
  if (!isRegular(brick.stat.mode)) return failure(Errno.EINVAL)
  const result = sys.truncate(object.path, args.offset)
  if (result < 0) return failure(-result)
  sys.statat(sys.AT_FDCWD, object.path, brick.stat)
  brick.touch(ctx, inode, object.path, DATA_TOUCH)
  return { ok: true, prestat, poststat: brick.iatt(inode, object.path) }
}

export function ftruncate(brick: Brick, ctx: Ctx, args: FopArgs['ftruncate']): Reply<'ftruncate'> {
  return withDescriptor(brick, args.fd, fd => {
    const { inode } = args.fd
    const path = brick.handles.path(inode.gfid)
    sys.fstat(fd, brick.stat)
    const prestat = brick.iatt(inode, path)
    const result = sys.ftruncate(fd, args.offset)
    if (result < 0) return failure(-result)
    sys.fstat(fd, brick.stat)
    brick.touch(ctx, inode, path, DATA_TOUCH)
    return { ok: true, prestat, poststat: brick.iatt(inode, path) }
  })
}

/** Runs a synchronous section with a descriptor for writing. */
export function withDescriptor<R>(
  brick: Brick,
  fd: Fd,
  section: (descriptor: number) => R,
): R | { ok: false; errno: number } {
  const borrowed = brick.borrow(fd, sys.O.RDWR)
  if (typeof borrowed === 'number') return failure(-borrowed)
  try {
    return section(borrowed.fd)
  } finally {
    borrowed.done()
  }
}
