/**
 * Making objects: mknod, mkdir, symlink, create. The object, its owner, every xattr the request
 * brings, its gfid and its handle come together or not at all. Facts: posix-entry-ops.c.
 */

import {
  type Ctx,
  Dict,
  type DictValue,
  Errno,
  type EntryReply,
  failure,
  type Failure,
  type FopArgs,
  type Gfid,
  Iatt,
  type Inode,
  MdataFlag,
  NULL_GFID,
  OpenFlag,
  type Reply,
  S_IFDIR,
  S_IFMT,
  valueBytes,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { type Brick, type Entry, isRegular, notOpened } from './brick.ts'
import { GFID_KEY } from './handles.ts'
import { recordName } from './names-record.ts'
import { answer } from './requested.ts'

const S_ISGID = 0o2000
const S_ISVTX = 0o1000
const PERMISSION_BITS = 0o7777
const PREOP_KEY = 'glusterfs.preop.parent.key'
export const ENTRY_TOUCH =
  MdataFlag.ATIME | MdataFlag.MTIME | MdataFlag.CTIME | MdataFlag.PAR_CTIME | MdataFlag.PAR_MTIME

/** Keys of a creating request that are not xattrs of the new object. */
const NOT_XATTRS = new Set([
  'gfid-req',
  'glusterfs-internal-fop',
  'glusterfs.internal-ctx',
  'glusterfs.entrylk-count',
  'glusterfs.inodelk-count',
  'glusterfs.posixlk-count',
  'glusterfs.parent-entrylk',
  'gfidless-lookup',
  'glusterfs.inodelk-dom-count',
  PREOP_KEY,
  'force-replace',
  'umask',
  'mode',
  GFID_KEY,
  'glusterfs.open-fd-count',
  'get-link-count',
  'list-xattr',
  'link-count',
])

interface Maker {
  readonly loc: FopArgs['mknod']['loc']
  readonly xdata: Dict | undefined
  /** With S_IF* type. */
  readonly mode: number
  /** The system call: ≥ 0 (a descriptor for create) or −errno. */
  readonly make: (entry: Entry, mode: number) => number
  /** The call gave a descriptor; it is kept by the caller when all went well. */
  readonly opens?: boolean
}

/** Who made it, where: what all steps of making need. */
interface Made {
  readonly entry: Entry
  readonly gfid: Gfid
  readonly inode: Inode
  readonly preparent: Iatt
  readonly fd: number | undefined
}

export function isInternal(ctx: Ctx, xdata: Dict | undefined): boolean {
  return ctx.pid < 0 || xdata?.has('glusterfs-internal-fop') === true
}

/** ENOSPC for users once the reserve is reached. */
export function noRoom(brick: Brick, ctx: Ctx, xdata: Dict | undefined): boolean {
  return brick.reserveReached && !isInternal(ctx, xdata)
}

function makeObject(brick: Brick, ctx: Ctx, maker: Maker): (Made & { stat: Iatt }) | Failure {
  const gfid = maker.xdata?.getGfid('gfid-req')
  const directory = (maker.mode & S_IFMT) === S_IFDIR
  if (gfid === undefined || gfid === NULL_GFID)
    return failure(directory ? Errno.EPERM : Errno.EINVAL)
  if (noRoom(brick, ctx, maker.xdata)) return failure(Errno.ENOSPC)
  const entry = brick.entry(maker.loc)
  if (typeof entry === 'number') return failure(-entry)
  const preparent = brick.directoryIatt(entry.parent)
  const refused = checkParent(brick, entry, maker.xdata, directory)
  if (refused !== undefined) return refused

  const inherited = (preparent.mode & S_ISGID) !== 0
  const gid = inherited ? preparent.gid : ctx.gid
  const mode = limitMode(brick, maker.mode, directory) | (directory && inherited ? S_ISGID : 0)
  const result = maker.make(entry, mode)
  if (result < 0) {
    if (result === -Errno.ENOENT && preparent.nlink === 0) return failure(Errno.ESTALE)
    return failure(-result)
  }
  const fd = maker.opens === true ? result : undefined
  const inode = brick.self.inodes.obtain(gfid)
  // The gfid may be another object's: what is known of that is not lost by a request that fails.
  const known = brick.inodes.get(inode)
  brick.inodes.set(inode, { directory })
  const made: Made = { entry, gfid, inode, preparent, fd }
  const failed = dress(brick, ctx, maker, made, { mode, gid, directory })
  if (failed < 0) {
    undo(brick, made, directory)
    brick.inodes.set(inode, known)
    return failure(-failed)
  }
  brick.touchParent(ctx, entry.parent, ENTRY_TOUCH)
  const statted =
    fd === undefined
      ? sys.statat(entry.directoryFd, entry.name, brick.stat)
      : sys.fstat(fd, brick.stat)
  if (statted < 0) return failure(-statted)
  return { ...made, stat: brick.iatt(inode, entry.path) }
}

/** Owner, xattrs, gfid, handle, times. 0 or −errno. */
function dress(
  brick: Brick,
  ctx: Ctx,
  maker: Maker,
  made: Made,
  as: { mode: number; gid: number; directory: boolean },
): number {
  const { entry, fd } = made
  if (brick.isRoot && (ctx.uid !== 0 || as.gid !== 0)) {
    const owned =
      fd === undefined
        ? sys.fchownat(entry.directoryFd, entry.name, ctx.uid, as.gid)
        : sys.fchown(fd, ctx.uid, as.gid)
    if (owned < 0) return owned
    // chown takes set-id bits away
    if ((as.mode & 0o6000) !== 0 && !as.directory) {
      const restored =
        fd === undefined
          ? sys.fchmodat(entry.directoryFd, entry.name, as.mode & PERMISSION_BITS)
          : sys.fchmod(fd, as.mode & PERMISSION_BITS)
      if (restored < 0) return restored
    }
  }
  const stored = storeGiven(brick, entry, maker.xdata, fd)
  if (stored < 0) return stored
  if (!as.directory)
    recordName(brick, entry.path, { parent: entry.parent, name: entry.name, links: 1 }, fd)
  brick.createTimes(ctx, made.inode, entry.path, fd)
  const identified =
    fd === undefined
      ? brick.storeGfid(entry.path, made.gfid)
      : brick.xattrs.fset(fd, GFID_KEY, Buffer.from(made.gfid, 'latin1'), sys.XATTR_CREATE)
  if (identified < 0) return identified
  return as.directory
    ? brick.handles.linkDirectory(made.gfid, entry.parent, entry.name)
    : brick.handles.linkFile(made.gfid, entry.directoryFd, entry.name)
}

function undo(brick: Brick, made: Made, directory: boolean): void {
  const { entry } = made
  if (made.fd !== undefined) sys.close(made.fd)
  brick.xattrs.forget(entry.path)
  sys.unlinkat(entry.directoryFd, entry.name, directory ? sys.AT_REMOVEDIR : 0)
  const handle = new sys.Stat()
  // The handle may be another object's that has this gfid already: it stays.
  if (
    !directory &&
    sys.statat(sys.AT_FDCWD, brick.handles.path(made.gfid), handle) === 0 &&
    handle.nlink === 1
  ) {
    brick.handles.unlink(made.gfid)
  }
}

/** Every key of the request that is no instruction becomes an xattr of the object. */
function storeGiven(
  brick: Brick,
  entry: Entry,
  xdata: Dict | undefined,
  fd: number | undefined,
): number {
  if (xdata === undefined) return 0
  const checked = xdata.getString(PREOP_KEY)
  for (const [key, value] of xdata) {
    if (NOT_XATTRS.has(key) || key === checked) continue
    const bytes = xattrBytes(value)
    if (bytes === undefined) continue
    const result =
      fd === undefined
        ? brick.xattrs.set(entry.path, key, bytes, sys.XATTR_CREATE)
        : brick.xattrs.fset(fd, key, bytes, sys.XATTR_CREATE)
    if (result < 0 && result !== -Errno.EEXIST) {
      // A file system without ACLs still holds files.
      if (key.startsWith('system.posix_acl_') && result === -Errno.EOPNOTSUPP) continue
      return result
    }
  }
  return 0
}

/** A value as it is stored: a text that GlusterFS made keeps its NUL. */
export function xattrBytes(value: DictValue): Buffer | undefined {
  if (value.kind === 'str') return Buffer.concat([Buffer.from(value.value), Buffer.from([0])])
  return valueBytes(value)
}

function limitMode(brick: Brick, mode: number, directory: boolean): number {
  const options = brick.self.options
  const mask = directory ? options['create-directory-mask'] : options['create-mask']
  const forced = directory ? options['force-directory-mode'] : options['force-create-mode']
  return (mode & S_IFMT) | (mode & (mask | 0o7000)) | forced
}

/**
 * Distribute makes an entry only where it believes its name to hash: the directory's stored range
 * must be the one that the client knows.
 */
function checkParent(
  brick: Brick,
  entry: Entry,
  xdata: Dict | undefined,
  directory: boolean,
  existing = false,
): Failure | undefined {
  const key = xdata?.getString(PREOP_KEY)
  const expected = key === undefined ? undefined : xdata?.getBytes(key)
  if (key === undefined || expected === undefined || existing) return undefined
  const stored = brick.xattrs.get(brick.handles.directoryPath(entry.directoryFd, entry.parent), key)
  if (typeof stored !== 'number' && stored.equals(expected)) return undefined
  // What exists is answered as such, whatever the layout says.
  if (!directory && sys.statat(entry.directoryFd, entry.name, brick.stat) === 0) return undefined
  return failure(Errno.EIO, new Dict().setInt('glusterfs.preop.check.failed', 1))
}

function entryReply(
  brick: Brick,
  made: Made & { stat: Iatt },
  xdata: Dict | undefined,
): EntryReply {
  return {
    ok: true,
    stat: made.stat,
    preparent: made.preparent,
    postparent: brick.directoryIatt(made.entry.parent),
    xdata: answerAfter(brick, made, xdata),
  }
}

/** Creating requests bring xattrs in xdata: only the words that ask are answered. */
function answerAfter(
  brick: Brick,
  made: Made & { stat: Iatt },
  xdata: Dict | undefined,
): Dict | undefined {
  if (xdata === undefined || !xdata.has('list-xattr')) return undefined
  return answer(brick, new Dict().setInt('list-xattr', 1), {
    inode: made.inode,
    gfid: made.gfid,
    path: made.entry.path,
    stat: made.stat,
  })
}

export function mknod(brick: Brick, ctx: Ctx, args: FopArgs['mknod']): Reply<'mknod'> {
  if (args.xdata?.has('glusterfs-internal-fop') === true) {
    const linked = linkToHandle(brick, ctx, args)
    if (linked !== undefined) return linked
  }
  const made = makeObject(brick, ctx, {
    loc: args.loc,
    xdata: args.xdata,
    mode: args.mode,
    make: (entry, mode) => {
      const result = sys.mknodat(entry.directoryFd, entry.name, mode, args.rdev)
      if (result !== -Errno.EEXIST || args.xdata?.has('force-replace') !== true) return result
      return replaceLinkto(brick, entry)
        ? sys.mknodat(entry.directoryFd, entry.name, mode, args.rdev)
        : result
    },
  })
  return 'errno' in made ? made : entryReply(brick, made, args.xdata)
}

/** Removes an entry that is a linkto file (mode 01000), so that another can take its name. */
export function replaceLinkto(brick: Brick, entry: Entry): boolean {
  const stat = new sys.Stat()
  if (sys.statat(entry.directoryFd, entry.name, stat) < 0) return false
  if ((stat.mode & PERMISSION_BITS) !== S_ISVTX || (stat.mode & S_IFMT) !== 0o100000) return false
  const gfid = brick.storedGfid(entry.path)
  if (gfid !== NULL_GFID && stat.nlink <= 2) brick.handles.unlink(gfid)
  return sys.unlinkat(entry.directoryFd, entry.name) === 0
}

/** Internal mknod of a gfid that exists already: one more name for it (linkto files, heals). */
function linkToHandle(brick: Brick, ctx: Ctx, args: FopArgs['mknod']): Reply<'mknod'> | undefined {
  const gfid = args.xdata?.getGfid('gfid-req')
  if (gfid === undefined || gfid === NULL_GFID) return undefined
  const entry = brick.entry(args.loc)
  if (typeof entry === 'number') return undefined
  const handle = brick.handles.path(gfid)
  const inode = brick.self.inodes.find(gfid)
  if (inode !== undefined && brick.inodes.get(inode)?.unlinked === true) {
    sys.renameat2(sys.AT_FDCWD, brick.handles.unlinkedPath(gfid), sys.AT_FDCWD, handle)
    brick.state(inode).unlinked = false
  }
  if (sys.statat(sys.AT_FDCWD, handle, brick.stat) < 0) return undefined
  if ((brick.stat.mode & S_IFMT) !== (args.mode & S_IFMT)) return undefined
  const links = brick.stat.nlink
  const preparent = brick.directoryIatt(entry.parent)
  let result = sys.linkat(sys.AT_FDCWD, handle, entry.directoryFd, entry.name)
  if (
    result === -Errno.EEXIST &&
    args.xdata?.has('force-replace') === true &&
    replaceLinkto(brick, entry)
  ) {
    result = sys.linkat(sys.AT_FDCWD, handle, entry.directoryFd, entry.name)
  }
  if (result < 0) return failure(-result)
  recordName(brick, handle, { parent: entry.parent, name: entry.name, links })
  brick.touchParent(ctx, entry.parent, ENTRY_TOUCH)
  if (sys.statat(sys.AT_FDCWD, handle, brick.stat) < 0) return failure(Errno.ESTALE)
  return {
    ok: true,
    stat: brick.iattOf(gfid, handle),
    preparent,
    postparent: brick.directoryIatt(entry.parent),
  }
}

export function mkdir(brick: Brick, ctx: Ctx, args: FopArgs['mkdir']): Reply<'mkdir'> {
  if (args.loc.pargfid === brick.self.inodes.root.gfid && args.loc.name === '.glusterfs')
    return failure(Errno.EPERM)
  const made = makeObject(brick, ctx, {
    loc: args.loc,
    xdata: args.xdata,
    mode: S_IFDIR | (args.mode & PERMISSION_BITS),
    make: (entry, mode) => {
      const result = sys.mkdirat(entry.directoryFd, entry.name, mode & PERMISSION_BITS)
      // mkdir(2) takes no set-id bits
      if (result === 0 && (mode & 0o6000) !== 0)
        sys.fchmodat(entry.directoryFd, entry.name, mode & PERMISSION_BITS)
      return result
    },
  })
  return 'errno' in made ? made : entryReply(brick, made, args.xdata)
}

export function symlink(brick: Brick, ctx: Ctx, args: FopArgs['symlink']): Reply<'symlink'> {
  const made = makeObject(brick, ctx, {
    loc: args.loc,
    xdata: args.xdata,
    mode: 0o120777,
    make: entry => sys.symlinkat(args.target, entry.directoryFd, entry.name),
  })
  return 'errno' in made ? made : entryReply(brick, made, args.xdata)
}

/** Flags of a create that do not concern the backing descriptor. */
const NOT_FOR_BACKEND = OpenFlag.DIRECT | OpenFlag.NOCTTY | OpenFlag.DIRECTORY

export function create(brick: Brick, ctx: Ctx, args: FopArgs['create']): Reply<'create'> {
  const wanted = args.flags === 0 ? sys.O.RDWR | sys.O.EXCL : args.flags & ~NOT_FOR_BACKEND
  const flags = (wanted & ~sys.O.EXCL) | sys.O.CREAT | sys.O.CLOEXEC | sys.O.NOFOLLOW
  const made = makeObject(brick, ctx, {
    loc: args.loc,
    xdata: args.xdata,
    mode: 0o100000 | (args.mode & PERMISSION_BITS),
    opens: true,
    make: (entry, mode) =>
      sys.openat(entry.directoryFd, entry.name, flags | sys.O.EXCL, mode & PERMISSION_BITS),
  })
  if ('errno' in made) {
    if (made.errno !== Errno.EEXIST || (wanted & sys.O.EXCL) !== 0) return made
    return openExisting(brick, ctx, args, flags)
  }
  remember(brick, args, made.inode, made.fd as number)
  return entryReply(brick, made, args.xdata)
}

function remember(brick: Brick, args: FopArgs['create'], inode: Inode, fd: number): void {
  brick.fds.set(args.fd, { fd, cookie: 0n, misses: 0 })
  const state = brick.state(inode)
  state.openFds = (state.openFds ?? 0) + 1
}

/** Without O_EXCL an existing file is opened. */
function openExisting(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['create'],
  flags: number,
): Reply<'create'> {
  const entry = brick.entry(args.loc)
  if (typeof entry === 'number') return failure(-entry)
  const found = sys.statat(entry.directoryFd, entry.name, brick.stat)
  if (found < 0) return failure(-found)
  if (!isRegular(brick.stat.mode)) {
    const directory = (brick.stat.mode & S_IFMT) === S_IFDIR
    return failure(directory ? Errno.EISDIR : notOpened(brick.stat.mode))
  }
  const fd = sys.openat(entry.directoryFd, entry.name, flags & ~sys.O.CREAT)
  if (fd < 0) return failure(-fd)
  const gfid = brick.storedGfid(entry.path)
  if (gfid === NULL_GFID) {
    sys.close(fd)
    return failure(Errno.EIO)
  }
  const inode = brick.self.inodes.obtain(gfid)
  remember(brick, args, inode, fd)
  sys.fstat(fd, brick.stat)
  if ((flags & OpenFlag.TRUNC) !== 0)
    brick.touch(ctx, inode, entry.path, MdataFlag.MTIME | MdataFlag.CTIME)
  const parent = brick.directoryIatt(entry.parent)
  return {
    ok: true,
    stat: brick.iatt(inode, entry.path),
    preparent: parent,
    postparent: parent.clone(),
  }
}
