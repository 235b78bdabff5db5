/**
 * Brick: the exported directory as all operations of storage/posix see it — from inodes and names to
 * objects on disk, their attributes as clients see them, and their times.
 */

import {
  type ContextKey,
  type Ctx,
  Errno,
  type Fd,
  type Gfid,
  gfidFromBytes,
  gfidToBytes,
  Iatt,
  IATT_FLAGS_STAT,
  type Inode,
  type Loc,
  type Mdata,
  NULL_GFID,
  ROOT_GFID,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type XlatorSelf,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { GFID_KEY, Handles, type OpenedBrick } from './handles.ts'
import {
  applyTouch,
  freshMdata,
  MDATA_KEY,
  mdataOf,
  parseMdata,
  printMdata,
  type Touch,
  touchOf,
} from './mdata.ts'
import type { posixOptions } from './options.ts'
import { DiskPace } from './disk-pace.ts'
import type { XattrSpace } from './xattr-space.ts'

export type Self = XlatorSelf<typeof posixOptions>

/** What the brick remembers of an inode. */
export interface InodeState {
  /** Its times; null: it has none stored, the file system's hold. */
  mdata?: Mdata | null
  /** Times have changed and are not stored yet. */
  mdataDirty?: boolean
  /** The name is gone, the file rests in `.glusterfs/unlink` until its last fd closes. */
  unlinked?: boolean
  /** Descriptors open on it through this brick. */
  openFds?: number
  /** The last of the writes that wait for each other on threads. */
  writing?: Promise<unknown>
  /** True for directories, false for the rest; unknown until it was seen. */
  directory?: boolean
}

/** What an open fd is on the brick. */
export interface FdState {
  readonly fd: number
  /** Directories: the cookie at which the descriptor stands. */
  cookie: bigint
  /** Files: reads in a row that found nothing in memory. */
  misses: number
}

/** An entry of a directory, as system calls take it. */
export interface Entry {
  readonly parent: Gfid
  readonly directoryFd: number
  readonly name: string
  /** For xattr calls. */
  readonly path: string
}

/** An object by itself, as system calls take it. */
export interface ObjectPath {
  /** For every call: never ends in a symbolic link that leads elsewhere. */
  readonly path: string
  readonly directory: boolean
}

const MDATA_DELAY_MS = 1000

export class Brick {
  readonly self: Self
  readonly handles: Handles
  readonly xattrs: XattrSpace
  readonly inodes: ContextKey<InodeState>
  readonly fds: ContextKey<FdState>
  readonly root: string
  readonly isRoot: boolean
  /** Set when the disk is fuller than the reserve allows. */
  reserveReached = false
  /** Scratch of the synchronous sections. */
  readonly stat = new sys.Stat()
  readonly pace: DiskPace
  readonly #dirty = new Map<Gfid, Inode>()
  #flushTimer: { cancel(): void } | undefined

  constructor(self: Self, opened: OpenedBrick) {
    this.self = self
    this.root = opened.root
    this.xattrs = opened.xattrs
    this.isRoot = opened.isRoot
    this.handles = new Handles(opened)
    this.inodes = self.contextKey<InodeState>()
    this.fds = self.contextKey<FdState>()
    this.pace = new DiskPace(self.env.clock)
  }

  close(): void {
    this.#flushTimer?.cancel()
    this.storeAllTimes()
    this.handles.close()
  }

  state(inode: Inode): InodeState {
    return this.inodes.obtain(inode, () => ({}))
  }

  /** Resolves a name in its directory; −ESTALE when the directory is unknown here. */
  entry(loc: Loc): Entry | number {
    if (loc.name.includes('/') || loc.name === '') return -Errno.EINVAL
    if (loc.pargfid === ROOT_GFID && loc.name === '.glusterfs') return -Errno.EPERM
    const directoryFd = this.handles.directory(loc.pargfid)
    if (directoryFd < 0) return directoryFd
    return {
      parent: loc.pargfid,
      directoryFd,
      name: loc.name,
      path: this.handles.entryPath(directoryFd, loc.name),
    }
  }

  /** Where an inode's object is; −ESTALE or −ENOENT when it is gone. Leaves its attributes in `stat`. */
  object(inode: Inode): ObjectPath | number {
    const state = this.state(inode)
    if (inode.gfid === NULL_GFID) return -Errno.EINVAL
    if (inode.gfid === ROOT_GFID || state.directory === true)
      return this.#directoryObject(inode.gfid)
    const path =
      state.unlinked === true
        ? this.handles.unlinkedPath(inode.gfid)
        : this.handles.path(inode.gfid)
    const result = sys.statat(sys.AT_FDCWD, path, this.stat)
    if (result < 0) return result === -Errno.ENOENT ? this.#restingObject(inode) : result
    if (state.directory === undefined && (this.stat.mode & S_IFMT) === S_IFLNK) {
      state.directory = typeof this.handles.readDirectoryHandle(inode.gfid) !== 'number'
      if (state.directory) return this.#directoryObject(inode.gfid)
    }
    state.directory = false
    return { path, directory: false }
  }

  #directoryObject(gfid: Gfid): ObjectPath | number {
    let fd = this.handles.directory(gfid)
    if (fd < 0) return fd
    let result = sys.fstat(fd, this.stat)
    if (result === 0 && this.stat.nlink === 0) {
      // Removed behind the brick's back: a kept descriptor would show it for ever.
      this.handles.dropDirectory(gfid)
      fd = this.handles.directory(gfid)
      if (fd < 0) return fd
      result = sys.fstat(fd, this.stat)
    }
    if (result < 0) return result
    return { path: this.handles.directoryPath(fd, gfid), directory: true }
  }

  /** A file without a handle may still rest in `unlink/`, open. */
  #restingObject(inode: Inode): ObjectPath | number {
    const path = this.handles.unlinkedPath(inode.gfid)
    if (sys.statat(sys.AT_FDCWD, path, this.stat) < 0) return -Errno.ESTALE
    this.state(inode).unlinked = true
    return { path, directory: false }
  }

  /** The gfid stored with an object; NULL_GFID when it has none. */
  storedGfid(path: string): Gfid {
    const value = this.xattrs.get(path, GFID_KEY)
    return typeof value === 'number' || value.length < 16 ? NULL_GFID : gfidFromBytes(value)
  }

  storeGfid(path: string, gfid: Gfid): number {
    return this.xattrs.set(path, GFID_KEY, gfidToBytes(gfid), sys.XATTR_CREATE)
  }

  /** Attributes for clients from `stat`; `path` is where mdata is read when it is not known yet. */
  iatt(inode: Inode, path: string, stat: sys.Stat = this.stat): Iatt {
    return buildIatt(stat, inode.gfid, this.mdata(inode, path))
  }

  /** Attributes of an object that may have no inode in the table. */
  iattOf(gfid: Gfid, path: string, stat: sys.Stat = this.stat): Iatt {
    const inode = this.self.inodes.find(gfid)
    if (inode !== undefined) return this.iatt(inode, path, stat)
    return buildIatt(stat, gfid, this.#readMdata(path))
  }

  /** The stored times of an inode, read at most once. */
  mdata(inode: Inode, path: string): Mdata | null {
    if (!this.self.options.ctime) return null
    const state = this.state(inode)
    if (state.mdata === undefined) state.mdata = this.#readMdata(path)
    return state.mdata
  }

  #readMdata(path: string): Mdata | null {
    if (!this.self.options.ctime) return null
    const value = this.xattrs.get(path, MDATA_KEY)
    return typeof value === 'number' ? null : (parseMdata(value) ?? null)
  }

  /** Attributes of a directory by gfid; empty when it is gone. */
  directoryIatt(gfid: Gfid): Iatt {
    const fd = this.handles.directory(gfid)
    const stat = new sys.Stat()
    if (fd < 0 || sys.fstat(fd, stat) < 0) return new Iatt()
    return this.iatt(this.self.inodes.obtain(gfid), this.handles.directoryPath(fd, gfid), stat)
  }

  /** Gives a new object its times. */
  createTimes(ctx: Ctx, inode: Inode, path: string, fd?: number): void {
    if (!this.self.options.ctime) return
    const given = ctx.time
    const now = given === undefined || given.sec === 0 ? this.self.env.clock.wall() : given
    const mdata = freshMdata(now)
    this.state(inode).mdata = mdata
    const value = printMdata(mdata)
    if (fd === undefined) this.xattrs.set(path, MDATA_KEY, value, 0)
    else this.xattrs.fset(fd, MDATA_KEY, value, 0)
  }

  /** Touches times of an inode whose attributes are in `stat`; stored soon. */
  touch(ctx: Ctx, inode: Inode, path: string, implied: number, parent = false): void {
    if (!this.self.options.ctime) return
    const touch = touchOf(this.self.env.clock, ctx, implied, parent)
    if (touch !== undefined) this.applyTouch(inode, path, touch)
  }

  applyTouch(inode: Inode, path: string, touch: Touch): void {
    const state = this.state(inode)
    let mdata = this.mdata(inode, path)
    if (mdata === null) {
      mdata = mdataOf(this.stat)
      state.mdata = mdata
    }
    if (!applyTouch(mdata, touch)) return
    this.#markDirty(inode, state)
  }

  /** Touches the directory that an entry was made in or removed from. */
  touchParent(ctx: Ctx, gfid: Gfid, implied: number): void {
    if (!this.self.options.ctime) return
    const touch = touchOf(this.self.env.clock, ctx, implied, true)
    if (touch === undefined) return
    const fd = this.handles.directory(gfid)
    if (fd < 0) return
    const inode = this.self.inodes.obtain(gfid)
    const path = this.handles.directoryPath(fd, gfid)
    if (this.mdata(inode, path) === null && sys.fstat(fd, this.stat) < 0) return
    this.applyTouch(inode, path, touch)
  }

  /** Replaces an inode's times (utimes, heal) and stores them at once. */
  setTimes(inode: Inode, path: string, mdata: Mdata): number {
    const state = this.state(inode)
    state.mdata = mdata
    state.mdataDirty = false
    this.#dirty.delete(inode.gfid)
    return this.xattrs.set(path, MDATA_KEY, printMdata(mdata), 0)
  }

  #markDirty(inode: Inode, state: InodeState): void {
    if (state.mdataDirty === true) return
    state.mdataDirty = true
    this.#dirty.set(inode.gfid, inode)
    this.#flushTimer ??= this.self.env.clock.after(MDATA_DELAY_MS, () => {
      this.#flushTimer = undefined
      this.storeAllTimes()
    })
  }

  /** Stores an inode's times now, if they have changed. */
  storeTimes(inode: Inode): void {
    const state = this.inodes.get(inode)
    if (state?.mdataDirty !== true || state.mdata === undefined || state.mdata === null) return
    state.mdataDirty = false
    this.#dirty.delete(inode.gfid)
    const path = this.#timesPath(inode, state)
    if (path !== undefined) this.xattrs.set(path, MDATA_KEY, printMdata(state.mdata), 0)
  }

  storeAllTimes(): void {
    for (const inode of this.#dirty.values()) this.storeTimes(inode)
    this.#dirty.clear()
  }

  #timesPath(inode: Inode, state: InodeState): string | undefined {
    if (inode.gfid === ROOT_GFID || state.directory === true) {
      const fd = this.handles.directory(inode.gfid)
      return fd < 0 ? undefined : this.handles.directoryPath(fd, inode.gfid)
    }
    return state.unlinked === true
      ? this.handles.unlinkedPath(inode.gfid)
      : this.handles.path(inode.gfid)
  }

  /** The inode's object is gone: nothing of it is to be stored any more. */
  forgetTimes(inode: Inode): void {
    this.#dirty.delete(inode.gfid)
    const state = this.inodes.get(inode)
    if (state !== undefined) state.mdataDirty = false
  }

  /** The descriptor of an open fd; opened for this one request when the fd is anonymous. */
  borrow(fd: Fd, flags: number): Borrowed | number {
    const open = this.fds.get(fd)
    if (open !== undefined) return { fd: open.fd, done: () => {} }
    const object = this.object(fd.inode)
    if (typeof object === 'number') {
      // Of an anonymous fd it is the file that is not there, and replicate is to know that.
      return object === -Errno.ESTALE && !fd.anonymous ? -Errno.EBADF : object
    }
    if (!object.directory && !isRegular(this.stat.mode)) return -notOpened(this.stat.mode)
    const opened = sys.openat(
      sys.AT_FDCWD,
      object.path,
      flags | sys.O.CLOEXEC | (object.directory ? 0 : sys.O.NOFOLLOW),
    )
    if (opened < 0) return opened
    return { fd: opened, done: () => sys.close(opened) }
  }
}

export function isRegular(mode: number): boolean {
  return (mode & S_IFMT) === S_IFREG
}

/**
 * Why an object that is no regular file is not opened here: a fifo would keep the whole brick waiting
 * for its other end, a device is the server's and not the volume's. Clients open both themselves.
 */
export function notOpened(mode: number): Errno {
  return (mode & S_IFMT) === S_IFLNK ? Errno.ELOOP : Errno.EINVAL
}

/** A descriptor in use; `done` when it is not needed any more. */
export interface Borrowed {
  readonly fd: number
  readonly done: () => void
}

/** Attributes as clients see them: the handle's link is not counted, times are the clients'. */
export function buildIatt(stat: sys.Stat, gfid: Gfid, mdata: Mdata | null): Iatt {
  const iatt = new Iatt()
  iatt.gfid = gfid
  iatt.flags = IATT_FLAGS_STAT
  iatt.dev = stat.dev
  iatt.rdev = stat.rdev
  iatt.size = stat.size
  iatt.blocks = stat.blocks
  iatt.blksize = stat.blksize
  iatt.mode = stat.mode
  iatt.uid = stat.uid
  iatt.gid = stat.gid
  iatt.nlink = (stat.mode & S_IFMT) === S_IFDIR ? stat.nlink : Math.max(0, stat.nlink - 1)
  const times = mdata ?? stat
  iatt.atime = times.atime
  iatt.atimeNsec = times.atimeNsec
  iatt.mtime = times.mtime
  iatt.mtimeNsec = times.mtimeNsec
  iatt.ctime = times.ctime
  iatt.ctimeNsec = times.ctimeNsec
  return iatt
}
