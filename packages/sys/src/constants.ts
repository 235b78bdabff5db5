/**
 * Linux constants of the calls in this package (asm-generic values, x86-64 and arm64 alike unless
 * said otherwise), under their names in the C headers.
 */

/** `*at` calls (fcntl.h, linux/stat.h). */
export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_REMOVEDIR = 0x200
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_EMPTY_PATH = 0x1000

const arm = process.arch === 'arm64' || process.arch === 'arm'

/** open flags. The four of `arm` are permuted on that architecture. */
export const O = {
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
  DIRECT: arm ? 0o200000 : 0o40000,
  LARGEFILE: arm ? 0o400000 : 0o100000,
  DIRECTORY: arm ? 0o40000 : 0o200000,
  NOFOLLOW: arm ? 0o100000 : 0o400000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  SYNC: 0o4010000,
  PATH: 0o10000000,
} as const

/** renameat2 flags (linux/fs.h). */
export const RENAME_NOREPLACE = 1
export const RENAME_EXCHANGE = 2
export const RENAME_WHITEOUT = 4

/** setxattr flags (linux/xattr.h). */
export const XATTR_CREATE = 1
export const XATTR_REPLACE = 2

/** fallocate modes (linux/falloc.h). */
export const FALLOC_FL_KEEP_SIZE = 0x01
export const FALLOC_FL_PUNCH_HOLE = 0x02
export const FALLOC_FL_COLLAPSE_RANGE = 0x08
export const FALLOC_FL_ZERO_RANGE = 0x10
export const FALLOC_FL_INSERT_RANGE = 0x20
export const FALLOC_FL_UNSHARE_RANGE = 0x40

/** lseek whences. */
export const SEEK_SET = 0
export const SEEK_CUR = 1
export const SEEK_END = 2
export const SEEK_DATA = 3
export const SEEK_HOLE = 4

/** preadv2 and pwritev2 flags (linux/fs.h). */
export const RWF_HIPRI = 1
export const RWF_DSYNC = 2
export const RWF_SYNC = 4
export const RWF_NOWAIT = 8
export const RWF_APPEND = 16

/** fcntl lock commands and types; OFD forms belong to the open file, not to the process. */
export const F_GETLK = 5
export const F_SETLK = 6
export const F_SETLKW = 7
export const F_OFD_GETLK = 36
export const F_OFD_SETLK = 37
export const F_OFD_SETLKW = 38
export const F_RDLCK = 0
export const F_WRLCK = 1
export const F_UNLCK = 2
export const F_GETFL = 3
export const F_SETFL = 4

/** flock operations. */
export const LOCK_SH = 1
export const LOCK_EX = 2
export const LOCK_NB = 4
export const LOCK_UN = 8

/** mount and umount2 flags (sys/mount.h). */
export const MS_RDONLY = 1
export const MS_NOSUID = 2
export const MS_NODEV = 4
export const MS_NOEXEC = 8
export const MS_SYNCHRONOUS = 16
export const MS_REMOUNT = 32
export const MS_DIRSYNC = 128
export const MS_NOATIME = 1024
export const MS_NODIRATIME = 2048
export const MS_BIND = 4096
export const MS_REC = 16384
export const MS_PRIVATE = 1 << 18
export const MS_RELATIME = 1 << 21
export const MS_STRICTATIME = 1 << 24
export const MNT_FORCE = 1
export const MNT_DETACH = 2
export const UMOUNT_NOFOLLOW = 8

/** unshare and setns flags (linux/sched.h). */
export const CLONE_NEWNS = 0x00020000
export const CLONE_NEWUSER = 0x10000000
export const CLONE_NEWNET = 0x40000000

/** poll events. */
export const POLLIN = 1
export const POLLOUT = 4
export const POLLERR = 8
export const POLLHUP = 16

/** prctl operations. */
export const PR_SET_PDEATHSIG = 1
export const PR_SET_NAME = 15
