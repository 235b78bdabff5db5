/**
 * The fop table: every file operation of a translator, its arguments and its reply.
 *
 * One shape for all: `fop(ctx, args) → Promise<Reply | Failure>`, so that a fop can be forwarded,
 * timed, traced, sent over the wire or run in a compound by code that knows only its name.
 * Names and meaning as in libglusterfs/src/glusterfs/xlator.h (`struct xlator_fops`).
 */

import type { Dict } from './dict.ts'
import type { Errno } from './errno.ts'
import type { Fd } from './fd.ts'
import type { Gfid } from './gfid.ts'
import type { Iatt } from './iatt.ts'
import type { Loc } from './loc.ts'

/** Who calls, for whom, until when. */
export interface Ctx {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups. */
  readonly groups: readonly number[]
  /** Process id of the caller; negative for internal clients (`SpecialPid`). */
  readonly pid: number
  /** Lock owner: bytes as a latin-1 string, so that owners compare with `===`. */
  readonly lkOwner: string
  /** Identity of the client connection on a brick; '' inside a client. */
  readonly client: string
  /** Time of the operation as its client saw it (features/utime); undefined when not given. */
  readonly time?: OpTime | undefined
  readonly signal?: AbortSignal | undefined
  readonly priority: Priority
  /** Nobody waits for the answer: the request may travel with the next one, a moment later. */
  readonly lazy?: boolean | undefined
}

export type Priority = 'client' | 'heal' | 'rebalance'

/** Times that an operation sets, from the credential of protocol version 3 (MDATA flags). */
export interface OpTime {
  readonly flags: number
  readonly sec: number
  readonly nsec: number
}

/** Bits of OpTime.flags (libglusterfs `MDATA_*`). */
export const MdataFlag = {
  CTIME: 1,
  MTIME: 2,
  ATIME: 4,
  PAR_CTIME: 8,
  PAR_MTIME: 16,
  PAR_ATIME: 32,
} as const

/** Internal callers (libglusterfs `enum _gf_special_pid`). */
export const SpecialPid = {
  GSYNCD: -1,
  DEFRAG: -3,
  NO_ROOT_SQUASH: -4,
  QUOTA_MOUNT: -5,
  SELF_HEALD: -6,
  GLFS_HEAL: -7,
  BITD: -8,
  SCRUB: -9,
  ADD_REPLICA_MOUNT: -12,
  SET_UTIME: -13,
} as const

/** The caller for work of our own: root, no lock owner. */
export const ROOT_CTX: Ctx = {
  uid: 0,
  gid: 0,
  groups: [],
  pid: 0,
  lkOwner: '',
  client: '',
  priority: 'client',
}

/** A failed fop. An expected answer like any other, hence a value and not an exception. */
export interface Failure {
  readonly ok: false
  readonly errno: Errno
  readonly xdata?: Dict | undefined
}

export function failure(errno: Errno, xdata?: Dict): Failure {
  return { ok: false, errno, xdata }
}

interface Ok {
  readonly ok: true
  readonly xdata?: Dict | undefined
}

interface WithXdata {
  readonly xdata?: Dict | undefined
}

export interface OnLoc extends WithXdata {
  readonly loc: Loc
}
export interface OnFd extends WithXdata {
  readonly fd: Fd
}

/** Attributes of the parent before and after a change of its entries. */
export interface ParentIatts {
  readonly preparent: Iatt
  readonly postparent: Iatt
}
/** Attributes of the object before and after a change. */
export interface ChangeReply extends Ok {
  readonly prestat: Iatt
  readonly poststat: Iatt
}
export interface StatReply extends Ok {
  readonly stat: Iatt
}
/** A new or linked object. */
export interface EntryReply extends Ok, ParentIatts {
  readonly stat: Iatt
}
export interface ParentReply extends Ok, ParentIatts {}

export interface LookupReply extends Ok {
  readonly stat: Iatt
  readonly postparent: Iatt
}
export interface ReadlinkReply extends Ok {
  readonly stat: Iatt
  readonly target: string
}
export interface RenameReply extends Ok {
  readonly stat: Iatt
  readonly preoldparent: Iatt
  readonly postoldparent: Iatt
  readonly prenewparent: Iatt
  readonly postnewparent: Iatt
}
/**
 * Memory lent along with a request. Who uses it beyond the reply keeps it, and releases it when that
 * is over; once nobody has it its owner puts other data there.
 */
export interface Loan {
  keep(): void
  release(): void
}

export interface ReadReply extends Ok {
  /** Data; the reader owns it. */
  readonly data: Buffer
  readonly stat: Iatt
  /** No byte follows what was read. */
  readonly eof: boolean
  /** The one reader of `data` may say that it will not look at it again: the memory is used anew. */
  readonly done?: (() => void) | undefined
}
export interface WriteReply extends ChangeReply {
  readonly written: number
}
export interface Statfs {
  readonly bsize: number
  readonly frsize: number
  readonly blocks: number
  readonly bfree: number
  readonly bavail: number
  readonly files: number
  readonly ffree: number
  readonly favail: number
  readonly fsid: bigint
  readonly flag: number
  readonly namemax: number
}
export interface StatfsReply extends Ok {
  readonly statfs: Statfs
}
export interface DictReply extends Ok {
  readonly dict: Dict
}

/** An entry of a directory. `offset` is the cookie at which the next entry follows. */
export interface Dirent {
  readonly name: string
  readonly ino: bigint
  readonly offset: bigint
  /** DT_*: 4 directory, 8 regular, 10 symlink, 0 unknown. */
  readonly type: number
}
export interface DirentPlus extends Dirent {
  /** Empty attributes when they are not known: the reader looks the name up. */
  readonly stat: Iatt
  readonly dict?: Dict | undefined
}
export interface ReaddirReply extends Ok {
  readonly entries: readonly Dirent[]
  /** Nothing follows the last entry. */
  readonly eof: boolean
}
export interface ReaddirpReply extends Ok {
  readonly entries: readonly DirentPlus[]
  readonly eof: boolean
  /** When the brick was asked (monotonic), if that was before the request. */
  readonly askedAt?: number | undefined
}

export interface Flock {
  /** LockType. */
  readonly type: number
  readonly whence: number
  readonly start: bigint
  /** 0 = to the end of the file. */
  readonly len: bigint
  readonly pid: number
  readonly lkOwner: string
}
/** Lock commands of lk and inodelk (glusterfs-fops.h `GF_LK_*`). */
export const LockCommand = { GETLK: 0, SETLK: 1, SETLKW: 2 } as const
export const LockType = { RDLCK: 0, WRLCK: 1, UNLCK: 2 } as const
/** True for an lk that leaves its caller with a lock, when it is granted. */
export function takesLock({ command, flock }: FopArgs['lk']): boolean {
  return command !== LockCommand.GETLK && flock.type !== LockType.UNLCK
}
/** entrylk commands (`ENTRYLK_*`). */
export const EntrylkCommand = { LOCK: 0, UNLOCK: 1, LOCK_NB: 2 } as const
export const EntrylkType = { RDLCK: 0, WRLCK: 1 } as const

export interface LkReply extends Ok {
  readonly flock: Flock
}
export interface RchecksumReply extends Ok {
  readonly flags: number
  readonly weak: number
  readonly strong: Buffer
}
export interface SeekReply extends Ok {
  readonly offset: number
}
export interface CopyReply extends Ok {
  readonly copied: number
  readonly stat: Iatt
  readonly prestat: Iatt
  readonly poststat: Iatt
}
/** How xattrop combines a value with the stored one (`GF_XATTROP_*`). */
export const Xattrop = {
  ADD_ARRAY: 0,
  ADD_ARRAY64: 1,
  OR_ARRAY: 2,
  AND_ARRAY: 3,
  GET_AND_SET: 4,
  ADD_ARRAY_WITH_DEFAULT: 5,
  ADD_ARRAY64_WITH_DEFAULT: 6,
} as const

export interface Lease {
  readonly cmd: number
  readonly type: number
  readonly id: Gfid
  readonly flags: number
}
export interface ActiveLock {
  readonly flock: Flock
  readonly client: string
  readonly flags: number
}

interface LockArgs {
  /** Lock domain: a name space of its own per inode. */
  readonly domain: string
  readonly command: number
  readonly flock: Flock
}
interface EntrylkArgs {
  readonly domain: string
  /** undefined = the whole directory. */
  readonly name: string | undefined
  readonly command: number
  readonly type: number
}

/** Arguments of each fop. `mode` is st_mode, `umask` the caller's, offsets and sizes in bytes. */
export interface FopArgs {
  lookup: OnLoc
  stat: OnLoc
  fstat: OnFd
  access: OnLoc & { readonly mask: number }
  readlink: OnLoc & { readonly size: number }
  mknod: OnLoc & { readonly mode: number; readonly rdev: number; readonly umask: number }
  mkdir: OnLoc & { readonly mode: number; readonly umask: number }
  symlink: OnLoc & { readonly target: string; readonly umask: number }
  create: OnLoc & {
    readonly fd: Fd
    readonly flags: number
    readonly mode: number
    readonly umask: number
  }
  link: WithXdata & { readonly oldloc: Loc; readonly newloc: Loc }
  unlink: OnLoc & { readonly xflags: number }
  rmdir: OnLoc & { readonly xflags: number }
  rename: WithXdata & { readonly oldloc: Loc; readonly newloc: Loc }
  open: OnLoc & {
    readonly fd: Fd
    readonly flags: number
    /** A cache of this client has the whole content, and answers reads. Never on the wire. */
    readonly contentHeld?: boolean | undefined
  }
  opendir: OnLoc & { readonly fd: Fd }
  readv: OnFd & { readonly size: number; readonly offset: number; readonly flags: number }
  /** `data` may be sent after the reply: it must not change before `loan`, if any, is released. */
  writev: OnFd & {
    readonly data: Buffer
    readonly offset: number
    readonly flags: number
    readonly loan?: Loan | undefined
  }
  flush: OnFd
  fsync: OnFd & { readonly datasync: boolean }
  fsyncdir: OnFd & { readonly datasync: boolean }
  truncate: OnLoc & { readonly offset: number }
  ftruncate: OnFd & { readonly offset: number }
  statfs: OnLoc
  setattr: OnLoc & { readonly stat: Iatt; readonly valid: number }
  fsetattr: OnFd & { readonly stat: Iatt; readonly valid: number }
  setxattr: OnLoc & { readonly dict: Dict; readonly flags: number }
  fsetxattr: OnFd & { readonly dict: Dict; readonly flags: number }
  /** `name` '' lists all, with values. */
  getxattr: OnLoc & { readonly name: string }
  fgetxattr: OnFd & { readonly name: string }
  removexattr: OnLoc & { readonly name: string }
  fremovexattr: OnFd & { readonly name: string }
  xattrop: OnLoc & { readonly op: number; readonly dict: Dict }
  fxattrop: OnFd & { readonly op: number; readonly dict: Dict }
  readdir: OnFd & { readonly size: number; readonly offset: bigint }
  /** The keys of xdata are asked of every entry. */
  readdirp: OnFd & { readonly size: number; readonly offset: bigint }
  lk: OnFd & { readonly command: number; readonly flock: Flock }
  inodelk: OnLoc & LockArgs
  finodelk: OnFd & LockArgs
  entrylk: OnLoc & EntrylkArgs
  fentrylk: OnFd & EntrylkArgs
  rchecksum: OnFd & { readonly offset: number; readonly length: number }
  fallocate: OnFd & { readonly flags: number; readonly offset: number; readonly length: number }
  discard: OnFd & { readonly offset: number; readonly length: number }
  zerofill: OnFd & { readonly offset: number; readonly length: number }
  /** `what`: 0 data, 1 hole. */
  seek: OnFd & { readonly offset: number; readonly what: number }
  copy_file_range: WithXdata & {
    readonly source: Fd
    readonly sourceOffset: number
    readonly target: Fd
    readonly targetOffset: number
    readonly length: number
    readonly flags: number
  }
  ipc: WithXdata & { readonly op: number }
  lease: OnLoc & { readonly lease: Lease }
  getactivelk: OnLoc
  setactivelk: OnLoc & { readonly locks: readonly ActiveLock[] }
  /** See compound.ts. */
  compound: WithXdata & { readonly steps: readonly Step[] }
}

export interface FopReplies {
  lookup: LookupReply
  stat: StatReply
  fstat: StatReply
  access: Ok
  readlink: ReadlinkReply
  mknod: EntryReply
  mkdir: EntryReply
  symlink: EntryReply
  create: EntryReply
  link: EntryReply
  unlink: ParentReply
  rmdir: ParentReply
  rename: RenameReply
  open: Ok
  opendir: Ok
  readv: ReadReply
  writev: WriteReply
  flush: Ok
  fsync: ChangeReply
  fsyncdir: Ok
  truncate: ChangeReply
  ftruncate: ChangeReply
  statfs: StatfsReply
  setattr: ChangeReply
  fsetattr: ChangeReply
  setxattr: Ok
  fsetxattr: Ok
  getxattr: DictReply
  fgetxattr: DictReply
  removexattr: Ok
  fremovexattr: Ok
  xattrop: DictReply
  fxattrop: DictReply
  readdir: ReaddirReply
  readdirp: ReaddirpReply
  lk: LkReply
  inodelk: Ok
  finodelk: Ok
  entrylk: Ok
  fentrylk: Ok
  rchecksum: RchecksumReply
  fallocate: ChangeReply
  discard: ChangeReply
  zerofill: ChangeReply
  seek: SeekReply
  copy_file_range: CopyReply
  ipc: Ok
  lease: Ok & { readonly lease: Lease }
  getactivelk: Ok & { readonly locks: readonly ActiveLock[] }
  setactivelk: Ok
  /** The replies of the steps that ran, in order: all succeeded but perhaps the last. */
  compound: Ok & { readonly replies: readonly Reply<PlainFop>[] }
}

export type FopName = keyof FopArgs
/** The fops that do one thing: all but `compound`, which is a list of them. */
export type PlainFop = Exclude<FopName, 'compound'>

type StepOf<F extends PlainFop> = {
  readonly fop: F
  readonly args: FopArgs[F]
  /** Who calls, when that is not the caller of the whole (a lock's owner). */
  readonly ctx?: Ctx | undefined
}
/** One fop of a compound. */
export type Step = { [F in PlainFop]: StepOf<F> }[PlainFop]

export type Reply<F extends FopName> = FopReplies[F] | Failure
export type Fop<F extends FopName> = (ctx: Ctx, args: FopArgs[F]) => Promise<Reply<F>>
export type Fops = { [F in FopName]: Fop<F> }

/** Every plain fop, once. What counts, times or watches fops sees a compound's steps. */
export const FOP_NAMES = [
  'lookup',
  'stat',
  'fstat',
  'access',
  'readlink',
  'mknod',
  'mkdir',
  'symlink',
  'create',
  'link',
  'unlink',
  'rmdir',
  'rename',
  'open',
  'opendir',
  'readv',
  'writev',
  'flush',
  'fsync',
  'fsyncdir',
  'truncate',
  'ftruncate',
  'statfs',
  'setattr',
  'fsetattr',
  'setxattr',
  'fsetxattr',
  'getxattr',
  'fgetxattr',
  'removexattr',
  'fremovexattr',
  'xattrop',
  'fxattrop',
  'readdir',
  'readdirp',
  'lk',
  'inodelk',
  'finodelk',
  'entrylk',
  'fentrylk',
  'rchecksum',
  'fallocate',
  'discard',
  'zerofill',
  'seek',
  'copy_file_range',
  'ipc',
  'lease',
  'getactivelk',
  'setactivelk',
] as const satisfies readonly PlainFop[]

/** Fops that change data, attributes or entries: what a read-only volume refuses. */
export const MODIFYING_FOPS: ReadonlySet<FopName> = new Set<FopName>([
  'mknod',
  'mkdir',
  'symlink',
  'create',
  'link',
  'unlink',
  'rmdir',
  'rename',
  'writev',
  'truncate',
  'ftruncate',
  'setattr',
  'fsetattr',
  'setxattr',
  'fsetxattr',
  'removexattr',
  'fremovexattr',
  'xattrop',
  'fxattrop',
  'fallocate',
  'discard',
  'zerofill',
  'copy_file_range',
])

/** Open flags on the wire: Linux x86 values (glusterfs-fops.h `GF_O_*`). */
export const OpenFlag = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  ACCMODE: 3,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DSYNC: 0o10000,
  DIRECT: 0o40000,
  LARGEFILE: 0o100000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  NOATIME: 0o1000000,
  SYNC: 0o4010000,
} as const

/** setxattr flags. */
export const XattrFlag = { CREATE: 1, REPLACE: 2 } as const
