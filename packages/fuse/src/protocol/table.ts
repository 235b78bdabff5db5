/**
 * The operations of FUSE as one table: number, name, layout of request and reply.
 *
 * A request is `struct fuse_in_header`, then `head`, then `names` NUL-terminated names, then bytes
 * if `payload`; a reply is `struct fuse_out_header`, then `reply`, or raw bytes.
 */

import { Opcode } from './constants.ts'
import {
  attr,
  big64,
  hex32,
  i32,
  i64,
  mode32,
  owner64,
  type Struct,
  struct,
  u16,
  u32,
  u64,
} from './struct.ts'

export const IN_HEADER = struct({
  len: u32,
  opcode: u32,
  unique: u64,
  nodeid: u64,
  uid: u32,
  gid: u32,
  pid: u32,
  extensionWords: u16,
  padding: u16,
})
export const OUT_HEADER = struct({ len: u32, error: i32, unique: u64 })

export const ENTRY_OUT = struct({
  nodeid: u64,
  generation: u64,
  entryValid: u64,
  attrValid: u64,
  entryValidNsec: u32,
  attrValidNsec: u32,
  attr,
})
export const ATTR_OUT = struct({ attrValid: u64, attrValidNsec: u32, pad: u32, attr })
export const OPEN_OUT = struct({ fh: u64, openFlags: hex32, backingId: i32 })

export const FORGET_IN = struct({ nlookup: u64 })
export const FORGET_ONE = struct({ nodeid: u64, nlookup: u64 })
export const BATCH_FORGET_IN = struct({ count: u32, pad: u32 })
export const GETATTR_IN = struct({ flags: hex32, pad: u32, fh: u64 })
export const SETATTR_IN = struct({
  valid: hex32,
  pad: u32,
  fh: u64,
  size: u64,
  lockOwner: owner64,
  atime: i64,
  mtime: i64,
  ctime: i64,
  atimeNsec: u32,
  mtimeNsec: u32,
  ctimeNsec: u32,
  mode: mode32,
  pad2: u32,
  uid: u32,
  gid: u32,
  pad3: u32,
})
export const MKNOD_IN = struct({ mode: mode32, rdev: u32, umask: mode32, pad: u32 })
export const MKDIR_IN = struct({ mode: mode32, umask: mode32 })
export const RENAME_IN = struct({ newdir: u64 })
export const RENAME2_IN = struct({ newdir: u64, flags: hex32, pad: u32 })
export const LINK_IN = struct({ oldnodeid: u64 })
export const OPEN_IN = struct({ flags: hex32, openFlags: hex32 })
export const CREATE_IN = struct({ flags: hex32, mode: mode32, umask: mode32, openFlags: hex32 })
export const READ_IN = struct({
  fh: u64,
  offset: u64,
  size: u32,
  readFlags: hex32,
  lockOwner: owner64,
  flags: hex32,
  pad: u32,
})
/** READDIR and READDIRPLUS: as READ, but the offset is a cookie of all 64 bits. */
export const READDIR_IN = struct({
  fh: u64,
  offset: big64,
  size: u32,
  readFlags: hex32,
  lockOwner: owner64,
  flags: hex32,
  pad: u32,
})
export const WRITE_IN = struct({
  fh: u64,
  offset: u64,
  size: u32,
  writeFlags: hex32,
  lockOwner: owner64,
  flags: hex32,
  pad: u32,
})
export const WRITE_OUT = struct({ size: u32, pad: u32 })
export const STATFS_OUT = struct({
  blocks: u64,
  bfree: u64,
  bavail: u64,
  files: u64,
  ffree: u64,
  bsize: u32,
  namelen: u32,
  frsize: u32,
  pad: u32,
  pad2: u64,
  pad3: u64,
  pad4: u64,
})
export const RELEASE_IN = struct({
  fh: u64,
  flags: hex32,
  releaseFlags: hex32,
  lockOwner: owner64,
})
export const FLUSH_IN = struct({ fh: u64, unused: u32, pad: u32, lockOwner: owner64 })
export const FSYNC_IN = struct({ fh: u64, fsyncFlags: hex32, pad: u32 })
export const SETXATTR_IN = struct({ size: u32, flags: hex32 })
/** With INIT's SETXATTR_EXT. */
export const SETXATTR_EXT_IN = struct({
  size: u32,
  flags: hex32,
  setxattrFlags: hex32,
  pad: u32,
})
export const GETXATTR_IN = struct({ size: u32, pad: u32 })
export const GETXATTR_OUT = struct({ size: u32, pad: u32 })
export const LK_IN = struct({
  fh: u64,
  owner: owner64,
  start: big64,
  end: big64,
  type: u32,
  pid: u32,
  lkFlags: hex32,
  pad: u32,
})
export const LK_OUT = struct({ start: big64, end: big64, type: u32, pid: u32 })
export const ACCESS_IN = struct({ mask: u32, pad: u32 })
export const INTERRUPT_IN = struct({ unique: u64 })
export const INIT_IN = struct({ major: u32, minor: u32, maxReadahead: u32, flags: hex32 })
/** What kernels from 7.36 on add to INIT. */
export const INIT_EXT_IN = struct({ flags2: hex32 })
export const INIT_OUT = struct({
  major: u32,
  minor: u32,
  maxReadahead: u32,
  flags: hex32,
  maxBackground: u16,
  congestionThreshold: u16,
  maxWrite: u32,
  timeGran: u32,
  maxPages: u16,
  mapAlignment: u16,
  flags2: hex32,
  maxStackDepth: u32,
  requestTimeout: u16,
  pad: u16,
  pad2: u64,
  pad3: u64,
  pad4: u32,
})
export const BMAP_IN = struct({ block: u64, blocksize: u32, pad: u32 })
export const IOCTL_IN = struct({
  fh: u64,
  flags: hex32,
  cmd: hex32,
  arg: big64,
  inSize: u32,
  outSize: u32,
})
export const POLL_IN = struct({ fh: u64, kh: big64, flags: hex32, events: hex32 })
export const FALLOCATE_IN = struct({ fh: u64, offset: u64, length: u64, mode: hex32, pad: u32 })
export const LSEEK_IN = struct({ fh: u64, offset: u64, whence: u32, pad: u32 })
export const LSEEK_OUT = struct({ offset: u64 })
export const COPY_FILE_RANGE_IN = struct({
  fhIn: u64,
  offsetIn: u64,
  nodeidOut: u64,
  fhOut: u64,
  offsetOut: u64,
  length: u64,
  flags: hex32,
  flagsHigh: hex32,
})
export const COPY_FILE_RANGE_OUT = struct({ bytesCopied: u64 })
export const SYNCFS_IN = struct({ pad: u64 })
export const STATX_IN = struct({
  getattrFlags: hex32,
  pad: u32,
  fh: u64,
  sxFlags: hex32,
  sxMask: hex32,
})
export const INVAL_INODE_OUT = struct({ nodeid: u64, offset: i64, length: i64 })
export const INVAL_ENTRY_OUT = struct({ parent: u64, namelen: u32, flags: hex32 })

export interface Operation {
  readonly opcode: number
  readonly name: string
  readonly head?: Struct<unknown>
  /** How many names follow. */
  readonly names?: number
  /** Bytes follow the rest. */
  readonly payload?: boolean
  /** Structure of a successful reply; absent: bytes, or nothing. */
  readonly reply?: Struct<unknown>
  /** The kernel waits for no answer. */
  readonly silent?: boolean
}

const rows: readonly Omit<Operation, 'name'>[] = [
  row(Opcode.LOOKUP, { names: 1, reply: ENTRY_OUT }),
  row(Opcode.FORGET, { head: FORGET_IN, silent: true }),
  row(Opcode.GETATTR, { head: GETATTR_IN, reply: ATTR_OUT }),
  row(Opcode.SETATTR, { head: SETATTR_IN, reply: ATTR_OUT }),
  row(Opcode.READLINK, {}),
  row(Opcode.SYMLINK, { names: 2, reply: ENTRY_OUT }),
  row(Opcode.MKNOD, { head: MKNOD_IN, names: 1, reply: ENTRY_OUT }),
  row(Opcode.MKDIR, { head: MKDIR_IN, names: 1, reply: ENTRY_OUT }),
  row(Opcode.UNLINK, { names: 1 }),
  row(Opcode.RMDIR, { names: 1 }),
  row(Opcode.RENAME, { head: RENAME_IN, names: 2 }),
  row(Opcode.LINK, { head: LINK_IN, names: 1, reply: ENTRY_OUT }),
  row(Opcode.OPEN, { head: OPEN_IN, reply: OPEN_OUT }),
  row(Opcode.READ, { head: READ_IN }),
  row(Opcode.WRITE, { head: WRITE_IN, payload: true, reply: WRITE_OUT }),
  row(Opcode.STATFS, { reply: STATFS_OUT }),
  row(Opcode.RELEASE, { head: RELEASE_IN }),
  row(Opcode.FSYNC, { head: FSYNC_IN }),
  row(Opcode.SETXATTR, { head: SETXATTR_IN, names: 1, payload: true }),
  row(Opcode.GETXATTR, { head: GETXATTR_IN, names: 1 }),
  row(Opcode.LISTXATTR, { head: GETXATTR_IN }),
  row(Opcode.REMOVEXATTR, { names: 1 }),
  row(Opcode.FLUSH, { head: FLUSH_IN }),
  row(Opcode.INIT, { head: INIT_IN, reply: INIT_OUT }),
  row(Opcode.OPENDIR, { head: OPEN_IN, reply: OPEN_OUT }),
  row(Opcode.READDIR, { head: READDIR_IN }),
  row(Opcode.RELEASEDIR, { head: RELEASE_IN }),
  row(Opcode.FSYNCDIR, { head: FSYNC_IN }),
  row(Opcode.GETLK, { head: LK_IN, reply: LK_OUT }),
  row(Opcode.SETLK, { head: LK_IN }),
  row(Opcode.SETLKW, { head: LK_IN }),
  row(Opcode.ACCESS, { head: ACCESS_IN }),
  row(Opcode.CREATE, { head: CREATE_IN, names: 1 }),
  row(Opcode.INTERRUPT, { head: INTERRUPT_IN, silent: true }),
  row(Opcode.BMAP, { head: BMAP_IN }),
  row(Opcode.DESTROY, {}),
  row(Opcode.IOCTL, { head: IOCTL_IN, payload: true }),
  row(Opcode.POLL, { head: POLL_IN }),
  row(Opcode.NOTIFY_REPLY, { payload: true, silent: true }),
  row(Opcode.BATCH_FORGET, { head: BATCH_FORGET_IN, payload: true, silent: true }),
  row(Opcode.FALLOCATE, { head: FALLOCATE_IN }),
  row(Opcode.READDIRPLUS, { head: READDIR_IN }),
  row(Opcode.RENAME2, { head: RENAME2_IN, names: 2 }),
  row(Opcode.LSEEK, { head: LSEEK_IN, reply: LSEEK_OUT }),
  row(Opcode.COPY_FILE_RANGE, { head: COPY_FILE_RANGE_IN, reply: WRITE_OUT }),
  row(Opcode.SETUPMAPPING, { payload: true }),
  row(Opcode.REMOVEMAPPING, { payload: true }),
  row(Opcode.SYNCFS, { head: SYNCFS_IN }),
  row(Opcode.TMPFILE, { head: CREATE_IN, names: 1 }),
  row(Opcode.STATX, { head: STATX_IN }),
  row(Opcode.COPY_FILE_RANGE_64, { head: COPY_FILE_RANGE_IN, reply: COPY_FILE_RANGE_OUT }),
]

/** Operations by opcode; holes where the protocol has none. */
export const OPERATIONS: readonly (Operation | undefined)[] = index()

interface RowParts {
  readonly head?: { readonly size: number }
  readonly reply?: { readonly size: number }
  readonly names?: number
  readonly payload?: boolean
  readonly silent?: boolean
}

function row(opcode: number, parts: RowParts): Omit<Operation, 'name'> {
  return { opcode, ...parts } as Omit<Operation, 'name'>
}

function index(): (Operation | undefined)[] {
  const table: (Operation | undefined)[] = []
  const names = new Map(Object.entries(Opcode).map(([name, opcode]) => [opcode as number, name]))
  for (const each of rows) table[each.opcode] = { ...each, name: names.get(each.opcode) as string }
  return table
}
