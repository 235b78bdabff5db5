/** A file, directory or link in memory, and its attributes as an Iatt. */

import {
  type Gfid,
  gfidText,
  Iatt,
  IATT_FLAGS_STAT,
  IattFlag,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from '@ashlar/core'
import { Pages } from './pages.ts'
import { RangeLocks } from './range-locks.ts'

export interface Moment {
  readonly sec: number
  readonly nsec: number
}

export interface MemoryEntry {
  readonly name: string
  readonly file: MemoryFile
  /** Its place in listings; never used twice in a directory. */
  readonly cookie: bigint
}

export class MemoryFile {
  readonly gfid: Gfid
  mode: number
  uid: number
  gid: number
  nlink: number
  readonly rdev: number
  atime: Moment
  mtime: Moment
  ctime: Moment
  readonly btime: Moment
  readonly xattrs = new Map<string, Buffer>()
  readonly pages = new Pages()
  readonly locks = new RangeLocks()
  /** Of a directory, in the order of their making. */
  readonly entries = new Map<string, MemoryEntry>()
  parent: MemoryFile | undefined
  /** Of a symbolic link. */
  readonly target: string
  #nextCookie = 3n

  constructor(options: {
    gfid: Gfid
    mode: number
    uid: number
    gid: number
    now: Moment
    rdev?: number
    target?: string
  }) {
    this.gfid = options.gfid
    this.mode = options.mode
    this.uid = options.uid
    this.gid = options.gid
    this.rdev = options.rdev ?? 0
    this.target = options.target ?? ''
    this.nlink = this.isDirectory ? 2 : 1
    this.atime = this.mtime = this.ctime = this.btime = options.now
  }

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR
  }

  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG
  }

  get gfidText(): string {
    return gfidText(this.gfid)
  }

  add(name: string, file: MemoryFile, now: Moment): void {
    this.entries.set(name, { name, file, cookie: this.#nextCookie++ })
    if (file.isDirectory) {
      file.parent = this
      this.nlink += 1
    }
    this.mtime = this.ctime = now
  }

  remove(name: string, now: Moment): void {
    const entry = this.entries.get(name)
    if (entry === undefined) return
    this.entries.delete(name)
    if (entry.file.isDirectory) this.nlink -= 1
    this.mtime = this.ctime = now
  }

  iatt(): Iatt {
    const iatt = new Iatt()
    iatt.gfid = this.gfid
    iatt.flags = IATT_FLAGS_STAT | IattFlag.GFID | IattFlag.BTIME
    iatt.mode = this.mode
    iatt.uid = this.uid
    iatt.gid = this.gid
    iatt.nlink = this.nlink
    iatt.rdev = this.rdev
    iatt.size = this.isDirectory
      ? 4096
      : this.target === ''
        ? this.pages.size
        : Buffer.byteLength(this.target)
    iatt.blocks = this.isDirectory ? 8 : Math.ceil(this.pages.allocated / 512)
    iatt.blksize = 4096
    iatt.atime = this.atime.sec
    iatt.atimeNsec = this.atime.nsec
    iatt.mtime = this.mtime.sec
    iatt.mtimeNsec = this.mtime.nsec
    iatt.ctime = this.ctime.sec
    iatt.ctimeNsec = this.ctime.nsec
    iatt.btime = this.btime.sec
    iatt.btimeNsec = this.btime.nsec
    return iatt
  }
}
