/**
 * The small programs around the file operations: DUMP, Handshake, Portmap, brick operations and the
 * envelopes of the CLI (rpc/xdr/src: rpc-common-xdr.x, glusterd1-xdr.x, portmap-xdr.x, cli1-xdr.x).
 */

import { chain, int, nothing, opaque, struct, text, uhyper } from '../codec.ts'
import { defineProgram, type Procedure } from '../program.ts'
import { dictS } from '../old-dict.ts'

/** What a DUMP request holds in the place of an id (rpc/rpc-lib `dump_req`). */
export const DUMP_ID = 0xcaed

/** GF-DUMP: what programs a server has, and PING. */
export const dumpProgram = defineProgram(
  { number: 123_451_501, version: 1, name: 'GF-DUMP' },
  {
    NULL: { num: 0, name: 'NULL', request: nothing, reply: nothing },
    DUMP: {
      num: 1,
      name: 'DUMP',
      request: struct({ id: uhyper }),
      reply: struct({
        id: uhyper,
        ret: int,
        errno: int,
        programs: chain(struct({ name: text, number: uhyper, version: uhyper })),
      }),
    },
    PING: {
      num: 2,
      name: 'PING',
      request: nothing,
      reply: struct({ ret: int, errno: int, xdata: opaque }),
    },
  },
)

/** Handshake: volfiles for everyone (glusterd), admission of clients (bricks). */
export const handshakeProgram = defineProgram(
  { number: 14_398_633, version: 2, name: 'GlusterFS Handshake' },
  {
    NULL: { num: 0, name: 'NULL', request: nothing, reply: nothing },
    SETVOLUME: {
      num: 1,
      name: 'SETVOLUME',
      request: struct({ dict: dictS }),
      reply: struct({ ret: int, errno: int, dict: dictS }),
    },
    GETSPEC: {
      num: 2,
      name: 'GETSPEC',
      request: struct({ flags: int, key: text, xdata: dictS }),
      reply: struct({ ret: int, errno: int, spec: text, xdata: dictS }),
    },
    PING: {
      num: 3,
      name: 'PING',
      request: nothing,
      reply: struct({ ret: int, errno: int, xdata: opaque }),
    },
    SET_LK_VER: {
      num: 4,
      name: 'SET_LK_VER',
      request: struct({ uid: text, version: int }),
      reply: struct({ ret: int, errno: int, version: int }),
    },
    EVENT_NOTIFY: {
      num: 5,
      name: 'EVENT_NOTIFY',
      request: struct({ op: int, dict: dictS }),
      reply: struct({ ret: int, errno: int, dict: dictS }),
    },
    GET_VOLUME_INFO: {
      num: 6,
      name: 'GET_VOLUME_INFO',
      request: struct({ dict: dictS }),
      reply: struct({ ret: int, errno: int, errstr: text, dict: dictS }),
    },
    GET_SNAPSHOT_INFO: {
      num: 7,
      name: 'GET_SNAPSHOT_INFO',
      request: struct({ dict: dictS }),
      reply: struct({ ret: int, errno: int, errstr: text, dict: dictS }),
    },
  },
)

/** Portmap of glusterd: which port serves a brick. */
export const portmapProgram = defineProgram(
  { number: 34_123_456, version: 1, name: 'Gluster Portmap' },
  {
    NULL: { num: 0, name: 'NULL', request: nothing, reply: nothing },
    PORTBYBRICK: {
      num: 1,
      name: 'PORTBYBRICK',
      request: struct({ brick: text }),
      reply: struct({ ret: int, errno: int, status: int, port: int }),
    },
    BRICKBYPORT: {
      num: 2,
      name: 'BRICKBYPORT',
      request: struct({ port: int }),
      reply: struct({ ret: int, errno: int, status: int, brick: text }),
    },
    SIGNIN: {
      num: 4,
      name: 'SIGNIN',
      request: struct({ brick: text, port: int, pid: int }),
      reply: struct({ ret: int, errno: int }),
    },
    SIGNOUT: {
      num: 5,
      name: 'SIGNOUT',
      request: struct({ brick: text, port: int, rdmaPort: int }),
      reply: struct({ ret: int, errno: int }),
    },
  },
)

const brickRequest = struct({ name: text, op: int, input: dictS, dict: dictS })
/** `input` holds a volfile's text here, not a dict. */
const brickRawRequest = struct({ name: text, op: int, input: opaque, dict: dictS })
const brickReply = struct({ ret: int, errno: int, output: dictS, errstr: text })

function brickRow(
  num: number,
  name: string,
): Procedure<typeof brickRequest.zero, typeof brickReply.zero> {
  return { num, name, request: brickRequest, reply: brickReply }
}

/** Brick operations, on a process's unix socket; the procedure number is also the `op`. */
export const brickProgram = defineProgram(
  { number: 4_867_634, version: 2, name: 'Gluster Brick operations' },
  {
    NULL: { num: 0, name: 'NULL', request: nothing, reply: nothing },
    TERMINATE: brickRow(1, 'TERMINATE'),
    XLATOR_INFO: brickRow(2, 'XLATOR_INFO'),
    XLATOR_OP: brickRow(3, 'XLATOR_OP'),
    STATUS: brickRow(4, 'STATUS'),
    OP: brickRow(5, 'OP'),
    XLATOR_DEFRAG: brickRow(6, 'XLATOR_DEFRAG'),
    NODE_PROFILE: brickRow(7, 'NODE_PROFILE'),
    NODE_STATUS: brickRow(8, 'NODE_STATUS'),
    VOLUME_BARRIER_OP: brickRow(9, 'VOLUME_BARRIER_OP'),
    BRICK_BARRIER: brickRow(10, 'BRICK_BARRIER'),
    NODE_BITROT: brickRow(11, 'NODE_BITROT'),
    ATTACH: brickRow(12, 'ATTACH'),
    DUMP_METRICS: brickRow(13, 'DUMP_METRICS'),
    SVC_ATTACH: { num: 14, name: 'SVC_ATTACH', request: brickRawRequest, reply: brickReply },
    SVC_DETACH: brickRow(15, 'SVC_DETACH'),
  },
)
