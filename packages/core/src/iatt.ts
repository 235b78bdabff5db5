/**
 * Iatt: the attributes of an inode as translators exchange them.
 * Source: libglusterfs/src/glusterfs/iatt.h (`struct iatt`), rpc/xdr glusterfs4-xdr.x (`gfx_iattx`).
 */

import { NULL_GFID, type Gfid } from './gfid.ts'

/** Which members of an Iatt are valid (`IATT_*` in iatt.h). */
export const IattFlag = {
  TYPE: 0x1,
  MODE: 0x2,
  NLINK: 0x4,
  UID: 0x8,
  GID: 0x10,
  ATIME: 0x20,
  MTIME: 0x40,
  CTIME: 0x80,
  INO: 0x100,
  SIZE: 0x200,
  BLOCKS: 0x400,
  BTIME: 0x800,
  GFID: 0x1000,
} as const

/** What a brick's stat fills in: everything that struct stat has, the inode number and the gfid. */
export const IATT_FLAGS_STAT = 0x17ff

/** File type bits of `mode` (st_mode). */
export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
export const S_IFLNK = 0o120000
export const S_IFREG = 0o100000
export const S_IFBLK = 0o060000
export const S_IFDIR = 0o040000
export const S_IFCHR = 0o020000
export const S_IFIFO = 0o010000

/**
 * Sizes in bytes, `blocks` in units of 512 bytes, times in seconds since 1970 with a nanosecond
 * part. `mode` holds type and permission bits; 0 means "nothing is known".
 */
export class Iatt {
  gfid: Gfid = NULL_GFID
  flags = 0
  /** Inode number when it is not the one derived from the gfid (see `gfidInode`). */
  ino: bigint | undefined = undefined
  dev = 0
  rdev = 0
  size = 0
  blocks = 0
  attributes = 0
  attributesMask = 0
  atime = 0
  mtime = 0
  ctime = 0
  btime = 0
  atimeNsec = 0
  mtimeNsec = 0
  ctimeNsec = 0
  btimeNsec = 0
  nlink = 0
  uid = 0
  gid = 0
  blksize = 0
  mode = 0

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR
  }

  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG
  }

  get isSymlink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK
  }

  /** File type bits, S_IFREG and so on; 0 when the attributes are empty. */
  get type(): number {
    return this.mode & S_IFMT
  }

  /** True for the all-zero attributes that write-behind answers and failed calls carry. */
  get isEmpty(): boolean {
    return this.mode === 0 && this.ctime === 0
  }

  clone(): Iatt {
    return Object.assign(new Iatt(), this)
  }
}

/** Shared empty attributes: never change them. */
export const EMPTY_IATT: Iatt = Object.freeze(new Iatt())

/** Bits of SETATTR's `valid` (`GF_SET_ATTR_*` in glusterfs-fops.h). */
export const SetAttr = {
  MODE: 0x1,
  UID: 0x2,
  GID: 0x4,
  SIZE: 0x8,
  ATIME: 0x10,
  MTIME: 0x20,
  CTIME: 0x40,
  ATIME_NOW: 0x80,
  MTIME_NOW: 0x100,
} as const

/** directory-entry types (DT_*) of readdir. */
export function direntType(mode: number): number {
  return (mode & S_IFMT) >> 12
}
