/**
 * Program "GlusterFS 4.x v1": 1298437 version 400, every file operation
 * (rpc/xdr/src/glusterfs4-xdr.x). Fields stand in the order of the wire.
 */

import type { FopName } from '@ashlar/core'
import {
  big,
  chain,
  type Codec,
  gfid,
  hyper,
  int,
  nothing,
  opaque,
  payload,
  struct,
  text,
  token,
  uhyper,
  uint,
} from '../codec.ts'
import { dict4 } from '../dict.ts'
import { iattx } from '../iatt.ts'
import { defineProgram, type Procedure } from '../program.ts'

const fd = hyper
const xdata = dict4
const status = { ret: int, errno: int, xdata }

/** `gf_proto_flock`. */
export const flock = struct({
  type: uint,
  whence: uint,
  start: big,
  len: big,
  pid: uint,
  lkOwner: token,
})
const lease = struct({ cmd: uint, type: uint, id: gfid, flags: uint })
/** `gf_statfs`. */
const statfs = struct({
  bsize: uhyper,
  frsize: uhyper,
  blocks: uhyper,
  bfree: uhyper,
  bavail: uhyper,
  files: uhyper,
  ffree: uhyper,
  favail: uhyper,
  fsid: big,
  flag: uhyper,
  namemax: uhyper,
})
/** `gfs3_locklist`. */
const activeLock = struct({ flock, client: text, flags: uint })

/** `gfx_dirlist`: an entry of READDIR. */
const dirent = struct({ ino: big, offset: big, length: uint, type: uint, name: text })
/** `gfx_dirplist`: an entry of READDIRP. */
const direntPlus = struct({
  ino: big,
  offset: big,
  length: uint,
  type: uint,
  name: text,
  stat: iattx,
  dict: dict4,
})

const common = struct(status)
const iatt1 = struct({ ...status, stat: iattx })
const iatt2 = struct({ ...status, prestat: iattx, poststat: iattx })
const iatt3 = struct({ ...status, stat: iattx, preparent: iattx, postparent: iattx })
const dictReply = struct({ ...status, dict: dict4, prestat: iattx, poststat: iattx })
const opened = struct({ ...status, fd })

const onGfid = struct({ gfid, xdata })
const onFd = struct({ gfid, fd, xdata })
const range = struct({ gfid, fd, offset: uhyper, size: uhyper, xdata })
const listing = struct({ gfid, fd, offset: big, size: uint, xdata })

function row<Q, R>(
  num: number,
  name: string,
  fop: FopName | undefined,
  request: Codec<Q>,
  reply: Codec<R>,
): Procedure<Q, R> {
  return fop === undefined ? { num, name, request, reply } : { num, name, fop, request, reply }
}

/** The table. Names as GFS3_OP_* in rpc/rpc-lib/src/protocol-common.h. */
export const fopProgram = defineProgram(
  { number: 1_298_437, version: 400, name: 'GlusterFS 4.x v1' },
  {
    NULL: row(0, 'NULL', undefined, nothing, common),
    STAT: row(1, 'STAT', 'stat', onGfid, iatt1),
    READLINK: row(
      2,
      'READLINK',
      'readlink',
      struct({ gfid, size: uint, xdata }),
      struct({ ...status, stat: iattx, target: text }),
    ),
    MKNOD: row(
      3,
      'MKNOD',
      'mknod',
      struct({ pargfid: gfid, rdev: uhyper, mode: uint, umask: uint, name: text, xdata }),
      iatt3,
    ),
    MKDIR: row(
      4,
      'MKDIR',
      'mkdir',
      struct({ pargfid: gfid, mode: uint, umask: uint, name: text, xdata }),
      iatt3,
    ),
    UNLINK: row(
      5,
      'UNLINK',
      'unlink',
      struct({ pargfid: gfid, name: text, xflags: uint, xdata }),
      iatt2,
    ),
    RMDIR: row(
      6,
      'RMDIR',
      'rmdir',
      struct({ pargfid: gfid, xflags: int, name: text, xdata }),
      iatt2,
    ),
    SYMLINK: row(
      7,
      'SYMLINK',
      'symlink',
      struct({ pargfid: gfid, name: text, umask: uint, target: text, xdata }),
      iatt3,
    ),
    RENAME: row(
      8,
      'RENAME',
      'rename',
      struct({ oldpargfid: gfid, newpargfid: gfid, oldname: text, newname: text, xdata }),
      struct({
        ...status,
        stat: iattx,
        preoldparent: iattx,
        postoldparent: iattx,
        prenewparent: iattx,
        postnewparent: iattx,
      }),
    ),
    LINK: row(
      9,
      'LINK',
      'link',
      struct({ oldgfid: gfid, newpargfid: gfid, newname: text, xdata }),
      iatt3,
    ),
    TRUNCATE: row(10, 'TRUNCATE', 'truncate', struct({ gfid, offset: uhyper, xdata }), iatt2),
    OPEN: row(11, 'OPEN', 'open', struct({ gfid, flags: uint, xdata }), opened),
    READ: {
      num: 12,
      name: 'READ',
      fop: 'readv',
      request: struct({ gfid, fd, offset: uhyper, size: uint, flags: uint, xdata }),
      reply: struct({ ret: int, errno: int, stat: iattx, size: uint, xdata, data: payload }),
      payload: 'reply',
    },
    WRITE: {
      num: 13,
      name: 'WRITE',
      fop: 'writev',
      request: struct({ gfid, fd, offset: uhyper, size: uint, flags: uint, xdata, data: payload }),
      reply: iatt2,
      payload: 'request',
    },
    STATFS: row(14, 'STATFS', 'statfs', onGfid, struct({ ...status, statfs })),
    FLUSH: row(15, 'FLUSH', 'flush', onFd, common),
    FSYNC: row(16, 'FSYNC', 'fsync', struct({ gfid, fd, datasync: uint, xdata }), iatt2),
    SETXATTR: row(
      17,
      'SETXATTR',
      'setxattr',
      struct({ gfid, flags: uint, dict: dict4, xdata }),
      common,
    ),
    GETXATTR: row(
      18,
      'GETXATTR',
      'getxattr',
      struct({ gfid, named: uint, name: text, xdata }),
      dictReply,
    ),
    REMOVEXATTR: row(19, 'REMOVEXATTR', 'removexattr', struct({ gfid, name: text, xdata }), common),
    OPENDIR: row(20, 'OPENDIR', 'opendir', onGfid, opened),
    FSYNCDIR: row(21, 'FSYNCDIR', 'fsyncdir', struct({ gfid, fd, datasync: int, xdata }), common),
    ACCESS: row(22, 'ACCESS', 'access', struct({ gfid, mask: uint, xdata }), common),
    CREATE: row(
      23,
      'CREATE',
      'create',
      struct({ pargfid: gfid, flags: uint, mode: uint, umask: uint, name: text, xdata }),
      struct({ ...status, stat: iattx, fd, preparent: iattx, postparent: iattx }),
    ),
    FTRUNCATE: row(
      24,
      'FTRUNCATE',
      'ftruncate',
      struct({ gfid, fd, offset: uhyper, xdata }),
      iatt2,
    ),
    FSTAT: row(25, 'FSTAT', 'fstat', onFd, iatt1),
    LK: row(
      26,
      'LK',
      'lk',
      struct({ gfid, fd, command: uint, type: uint, flock, xdata }),
      struct({ ...status, flock }),
    ),
    LOOKUP: row(
      27,
      'LOOKUP',
      'lookup',
      struct({ gfid, pargfid: gfid, flags: uint, name: text, xdata }),
      struct({ ...status, stat: iattx, postparent: iattx }),
    ),
    READDIR: row(28, 'READDIR', 'readdir', listing, struct({ ...status, entries: chain(dirent) })),
    INODELK: row(
      29,
      'INODELK',
      'inodelk',
      struct({ gfid, command: uint, type: uint, flock, domain: text, xdata }),
      common,
    ),
    FINODELK: row(
      30,
      'FINODELK',
      'finodelk',
      struct({ gfid, fd, command: uint, type: uint, flock, domain: text, xdata }),
      common,
    ),
    ENTRYLK: row(
      31,
      'ENTRYLK',
      'entrylk',
      struct({ gfid, command: uint, type: uint, named: uhyper, name: text, domain: text, xdata }),
      common,
    ),
    FENTRYLK: row(
      32,
      'FENTRYLK',
      'fentrylk',
      struct({
        gfid,
        fd,
        command: uint,
        type: uint,
        named: uhyper,
        name: text,
        domain: text,
        xdata,
      }),
      common,
    ),
    XATTROP: row(
      33,
      'XATTROP',
      'xattrop',
      struct({ gfid, op: uint, dict: dict4, xdata }),
      dictReply,
    ),
    FXATTROP: row(
      34,
      'FXATTROP',
      'fxattrop',
      struct({ gfid, fd, op: uint, dict: dict4, xdata }),
      dictReply,
    ),
    FGETXATTR: row(
      35,
      'FGETXATTR',
      'fgetxattr',
      struct({ gfid, fd, named: uint, name: text, xdata }),
      dictReply,
    ),
    FSETXATTR: row(
      36,
      'FSETXATTR',
      'fsetxattr',
      struct({ gfid, fd, flags: uint, dict: dict4, xdata }),
      common,
    ),
    RCHECKSUM: row(
      37,
      'RCHECKSUM',
      'rchecksum',
      struct({ gfid, fd, offset: uhyper, length: uint, flags: uint, xdata }),
      struct({ ...status, flags: uint, weak: uint, strong: opaque }),
    ),
    SETATTR: row(38, 'SETATTR', 'setattr', struct({ gfid, stat: iattx, valid: int, xdata }), iatt2),
    FSETATTR: row(
      39,
      'FSETATTR',
      'fsetattr',
      struct({ gfid, fd, stat: iattx, valid: int, xdata }),
      iatt2,
    ),
    READDIRP: row(
      40,
      'READDIRP',
      'readdirp',
      listing,
      struct({ ...status, entries: chain(direntPlus) }),
    ),
    RELEASE: row(41, 'RELEASE', undefined, onFd, common),
    RELEASEDIR: row(42, 'RELEASEDIR', undefined, onFd, common),
    FREMOVEXATTR: row(
      43,
      'FREMOVEXATTR',
      'fremovexattr',
      struct({ gfid, fd, name: text, xdata }),
      common,
    ),
    FALLOCATE: row(
      44,
      'FALLOCATE',
      'fallocate',
      struct({ gfid, fd, flags: uint, offset: uhyper, size: uhyper, xdata }),
      iatt2,
    ),
    DISCARD: row(45, 'DISCARD', 'discard', range, iatt2),
    ZEROFILL: row(46, 'ZEROFILL', 'zerofill', range, iatt2),
    IPC: row(47, 'IPC', 'ipc', struct({ op: int, xdata }), common),
    SEEK: row(
      48,
      'SEEK',
      'seek',
      struct({ gfid, fd, offset: uhyper, what: int, xdata }),
      struct({ ...status, offset: uhyper }),
    ),
    // 49 was COMPOUND, which nobody calls: real bricks know it only to refuse it.
    LEASE: row(50, 'LEASE', 'lease', struct({ gfid, lease, xdata }), struct({ ...status, lease })),
    GETACTIVELK: row(
      51,
      'GETACTIVELK',
      'getactivelk',
      onGfid,
      struct({ ...status, locks: chain(activeLock) }),
    ),
    SETACTIVELK: row(
      52,
      'SETACTIVELK',
      'setactivelk',
      struct({ gfid, locks: chain(activeLock), xdata }),
      common,
    ),
    ICREATE: row(53, 'ICREATE', undefined, struct({ gfid, mode: uint, xdata }), iatt1),
    NAMELINK: row(54, 'NAMELINK', undefined, struct({ pargfid: gfid, name: text, xdata }), iatt2),
    PUT: {
      num: 55,
      name: 'PUT',
      request: struct({
        pargfid: gfid,
        name: text,
        mode: uint,
        umask: uint,
        flags: uint,
        offset: uhyper,
        size: uint,
        xattr: dict4,
        xdata,
        data: payload,
      }),
      reply: iatt3,
      payload: 'request',
    },
    COPY_FILE_RANGE: row(
      56,
      'COPY_FILE_RANGE',
      'copy_file_range',
      struct({
        sourceGfid: gfid,
        targetGfid: gfid,
        sourceFd: fd,
        targetFd: fd,
        sourceOffset: uhyper,
        targetOffset: uhyper,
        length: uint,
        flags: uint,
        xdata,
      }),
      struct({ ...status, stat: iattx, prestat: iattx, poststat: iattx }),
    ),
  },
)

/** Every reply of this program starts with these. */
export interface FopStatus {
  readonly ret: number
  readonly errno: number
}
