/**
 * Rename and link: further and other names of objects, with their handles and recorded names kept
 * right. Facts: `posix_rename`, posix-entry-ops.c.
 */

import {
  type Ctx,
  Dict,
  Errno,
  failure,
  type FopArgs,
  type Gfid,
  type Inode,
  isExclusive,
  MdataFlag,
  NULL_GFID,
  type Reply,
  S_IFDIR,
  S_IFMT,
  tellingWhatWent,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick, Entry } from './brick.ts'
import { noRoom, replaceLinkto } from './create.ts'
import { eraseName, recordName } from './names-record.ts'
import { forgetDirectory, retireHandle } from './remove.ts'

const RENAME_TOUCH = MdataFlag.CTIME | MdataFlag.PAR_CTIME | MdataFlag.PAR_MTIME

interface Target {
  readonly gfid: Gfid
  readonly inode: Inode | undefined
  readonly directory: boolean
  /** As users count them. */
  readonly links: number
}

export function rename(brick: Brick, ctx: Ctx, args: FopArgs['rename']): Reply<'rename'> {
  const from = brick.entry(args.oldloc)
  if (typeof from === 'number') return failure(-from)
  const to = brick.entry(args.newloc)
  if (typeof to === 'number') return failure(-to)
  const preoldparent = brick.directoryIatt(from.parent)
  const prenewparent = brick.directoryIatt(to.parent)
  const result = sys.statat(from.directoryFd, from.name, brick.stat)
  if (result < 0) return failure(-result)
  const directory = (brick.stat.mode & S_IFMT) === S_IFDIR
  const links = brick.stat.nlink - 1
  const gfid = brick.storedGfid(from.path)
  if (gfid === NULL_GFID) return failure(Errno.ENODATA)
  const target = lookAt(brick, to)
  const exclusive = isExclusive(args)
  if (exclusive && target !== undefined) return failure(Errno.EEXIST)
  if (
    target !== undefined &&
    target.directory &&
    directory &&
    args.newloc.gfid !== NULL_GFID &&
    target.gfid !== args.newloc.gfid
  ) {
    return failure(Errno.EEXIST)
  }
  // Two names of one file: rename(2) does nothing and says it did.
  const same = target !== undefined && target.gfid === gfid
  const last = !same && target?.inode !== undefined && !target.directory && target.links === 1
  const renamed = exclusive
    ? renameExclusively(from, to)
    : sys.renameat2(from.directoryFd, from.name, to.directoryFd, to.name)
  if (renamed < 0) return failure(-renamed)
  const inode = brick.self.inodes.obtain(gfid)
  if (!same) {
    if (target !== undefined) settleTarget(brick, ctx, to, target, last)
    if (directory) {
      brick.handles.linkDirectory(gfid, to.parent, to.name)
    } else {
      const handle = brick.handles.path(gfid)
      eraseName(brick, handle, { parent: from.parent, name: from.name })
      recordName(brick, handle, { parent: to.parent, name: to.name, links })
    }
  }
  const path = directory ? to.path : brick.handles.path(gfid)
  sys.statat(to.directoryFd, to.name, brick.stat)
  brick.state(inode).directory = directory
  brick.touch(ctx, inode, path, RENAME_TOUCH)
  const stat = brick.iatt(inode, path)
  brick.touchParent(ctx, from.parent, RENAME_TOUCH)
  if (to.parent !== from.parent) brick.touchParent(ctx, to.parent, RENAME_TOUCH)
  const xdata =
    args.xdata?.has('get-link-count') === true
      ? new Dict().setUint('get-link-count', target?.links ?? 0)
      : undefined
  const gone = last || (!same && target?.directory === true) ? target?.inode?.gfid : undefined
  return {
    ok: true,
    stat,
    preoldparent,
    postoldparent: brick.directoryIatt(from.parent),
    prenewparent,
    postnewparent: brick.directoryIatt(to.parent),
    xdata: tellingWhatWent(args.xdata, gone, xdata),
  }
}

/**
 * Where the file system has no such rename, the look before it must do: of what goes through this
 * process nothing comes in between.
 */
function renameExclusively(from: Entry, to: Entry): number {
  const places = [from.directoryFd, from.name, to.directoryFd, to.name] as const
  const renamed = sys.renameat2(...places, sys.RENAME_NOREPLACE)
  return renamed === -Errno.EINVAL ? sys.renameat2(...places) : renamed
}

/** What the new name leads to before the rename. */
function lookAt(brick: Brick, entry: Entry): Target | undefined {
  const stat = new sys.Stat()
  if (sys.statat(entry.directoryFd, entry.name, stat) < 0) return undefined
  const directory = (stat.mode & S_IFMT) === S_IFDIR
  const gfid = brick.storedGfid(entry.path)
  const inode = gfid === NULL_GFID ? undefined : brick.self.inodes.obtain(gfid)
  return { gfid, inode, directory, links: directory ? stat.nlink : stat.nlink - 1 }
}

/** The object that lost its name to the rename. */
function settleTarget(brick: Brick, ctx: Ctx, to: Entry, target: Target, last: boolean): void {
  if (target.inode === undefined) return
  if (target.directory) {
    forgetDirectory(brick, target.gfid, to)
    return
  }
  const handle = brick.handles.path(target.gfid)
  if (last) {
    retireHandle(brick, target.inode)
    return
  }
  eraseName(brick, handle, { parent: to.parent, name: to.name })
  if (sys.statat(sys.AT_FDCWD, handle, brick.stat) === 0)
    brick.touch(ctx, target.inode, handle, MdataFlag.CTIME)
}

export function link(brick: Brick, ctx: Ctx, args: FopArgs['link']): Reply<'link'> {
  if (noRoom(brick, ctx, args.xdata)) return failure(Errno.ENOSPC)
  const entry = brick.entry(args.newloc)
  if (typeof entry === 'number') return failure(-entry)
  const { inode } = args.oldloc
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(-object)
  if (object.directory) return failure(Errno.EPERM)
  const links = brick.stat.nlink - 1
  const limit = brick.self.options['max-hardlinks']
  if (limit > 0 && links >= limit) return failure(Errno.EMLINK)
  const preparent = brick.directoryIatt(entry.parent)
  let result = sys.linkat(sys.AT_FDCWD, object.path, entry.directoryFd, entry.name)
  if (
    result === -Errno.EEXIST &&
    args.xdata?.has('force-replace') === true &&
    replaceLinkto(brick, entry)
  ) {
    result = sys.linkat(sys.AT_FDCWD, object.path, entry.directoryFd, entry.name)
  }
  if (result < 0) return failure(-result)
  recordName(brick, object.path, { parent: entry.parent, name: entry.name, links: links + 1 })
  brick.touch(ctx, inode, object.path, RENAME_TOUCH)
  brick.touchParent(ctx, entry.parent, RENAME_TOUCH)
  const statted = sys.statat(sys.AT_FDCWD, object.path, brick.stat)
  if (statted < 0) return failure(-statted)
  return {
    ok: true,
    stat: brick.iatt(inode, object.path),
    preparent,
    postparent: brick.directoryIatt(entry.parent),
  }
}
