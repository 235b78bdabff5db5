/** Stats, Dirent and StatFs as node:fs has them. */

import {
  direntType,
  gfidInode,
  gfidText,
  type Iatt,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type Statfs,
} from '@ashlar/core'

/** What a kind of file answers to, for Stats and Dirent alike. */
class Kind {
  readonly #type: number

  constructor(type: number) {
    this.#type = type
  }

  isFile(): boolean {
    return this.#type === S_IFREG
  }
  isDirectory(): boolean {
    return this.#type === S_IFDIR
  }
  isSymbolicLink(): boolean {
    return this.#type === S_IFLNK
  }
  isFIFO(): boolean {
    return this.#type === S_IFIFO
  }
  isSocket(): boolean {
    return this.#type === S_IFSOCK
  }
  isBlockDevice(): boolean {
    return this.#type === S_IFBLK
  }
  isCharacterDevice(): boolean {
    return this.#type === S_IFCHR
  }
}

/** Attributes of a file. Beyond node:fs: `gfid`, its identity on every brick. */
export class Stats extends Kind {
  readonly dev: number
  /** The last 8 bytes of the gfid; rounded where a number cannot hold them. */
  readonly ino: number
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly rdev: number
  readonly size: number
  readonly blksize: number
  readonly blocks: number
  readonly atimeMs: number
  readonly mtimeMs: number
  readonly ctimeMs: number
  readonly birthtimeMs: number
  readonly gfid: string

  constructor(stat: Iatt) {
    super(stat.mode & S_IFMT)
    this.dev = stat.dev
    this.ino = Number(gfidInode(stat.gfid))
    this.mode = stat.mode
    this.nlink = stat.nlink
    this.uid = stat.uid
    this.gid = stat.gid
    this.rdev = stat.rdev
    this.size = stat.size
    this.blksize = stat.blksize
    this.blocks = stat.blocks
    this.atimeMs = milliseconds(stat.atime, stat.atimeNsec)
    this.mtimeMs = milliseconds(stat.mtime, stat.mtimeNsec)
    this.ctimeMs = milliseconds(stat.ctime, stat.ctimeNsec)
    this.birthtimeMs = stat.btime === 0 ? this.ctimeMs : milliseconds(stat.btime, stat.btimeNsec)
    this.gfid = gfidText(stat.gfid)
  }

  get atime(): Date {
    return new Date(this.atimeMs)
  }
  get mtime(): Date {
    return new Date(this.mtimeMs)
  }
  get ctime(): Date {
    return new Date(this.ctimeMs)
  }
  get birthtime(): Date {
    return new Date(this.birthtimeMs)
  }
}

function milliseconds(sec: number, nsec: number): number {
  return sec * 1000 + nsec / 1e6
}

/** An entry of a directory. */
export class Dirent extends Kind {
  readonly name: string
  /** The directory it is in. */
  readonly parentPath: string

  constructor(name: string, parentPath: string, type: number) {
    super(type << 12)
    this.name = name
    this.parentPath = parentPath
  }

  get path(): string {
    return this.parentPath
  }
}

/** The d_type of an entry, by its attributes when it does not say. */
export function entryType(entry: { readonly type: number; readonly stat?: Iatt }): number {
  return entry.type !== 0 || entry.stat === undefined ? entry.type : direntType(entry.stat.mode)
}

/** Sizes of the volume. */
export interface StatFs {
  readonly type: number
  readonly bsize: number
  readonly blocks: number
  readonly bfree: number
  readonly bavail: number
  readonly files: number
  readonly ffree: number
}

/** linux/magic.h FUSE_SUPER_MAGIC: what statfs(2) tells of a mounted volume. */
const TYPE = 0x65735546

export function statFs(statfs: Statfs): StatFs {
  const { frsize, bsize, blocks, bfree, bavail, files, ffree } = statfs
  // Counts are in units of frsize; node:fs knows only bsize.
  return { type: TYPE, bsize: frsize || bsize, blocks, bfree, bavail, files, ffree }
}
