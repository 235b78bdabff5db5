/**
 * Program CLI (1238463 version 2): one envelope for nearly every command
 * (rpc/xdr/src/cli1-xdr.x). What the dicts hold is the management daemon's business.
 */

import { type Codec, int, nothing, opaque, struct, text } from '../codec.ts'
import { dictS } from '../old-dict.ts'
import { defineProgram, type Procedure } from '../program.ts'

const request = struct({ dict: dictS })
const reply = struct({ ret: int, errno: int, errstr: text, dict: dictS })

function row(num: number, name: string): Procedure<typeof request.zero, typeof reply.zero> {
  return { num, name, request, reply }
}

function special<Q, R>(num: number, name: string, q: Codec<Q>, r: Codec<R>): Procedure<Q, R> {
  return { num, name, request: q, reply: r }
}

/** Names as GLUSTER_CLI_* in rpc/rpc-lib/src/protocol-common.h. */
export const cliProgram = defineProgram(
  { number: 1_238_463, version: 2, name: 'GlusterD svc cli' },
  {
    NULL: { num: 0, name: 'NULL', request: nothing, reply: nothing },
    PROBE: row(1, 'PROBE'),
    DEPROBE: row(2, 'DEPROBE'),
    LIST_FRIENDS: special(
      3,
      'LIST_FRIENDS',
      struct({ flags: int, dict: dictS }),
      struct({ ret: int, errno: int, friends: dictS }),
    ),
    CREATE_VOLUME: row(4, 'CREATE_VOLUME'),
    GET_VOLUME: row(5, 'GET_VOLUME'),
    GET_NEXT_VOLUME: row(6, 'GET_NEXT_VOLUME'),
    DELETE_VOLUME: row(7, 'DELETE_VOLUME'),
    START_VOLUME: row(8, 'START_VOLUME'),
    STOP_VOLUME: row(9, 'STOP_VOLUME'),
    RENAME_VOLUME: row(10, 'RENAME_VOLUME'),
    DEFRAG_VOLUME: row(11, 'DEFRAG_VOLUME'),
    SET_VOLUME: row(12, 'SET_VOLUME'),
    ADD_BRICK: row(13, 'ADD_BRICK'),
    REMOVE_BRICK: row(14, 'REMOVE_BRICK'),
    REPLACE_BRICK: row(15, 'REPLACE_BRICK'),
    LOG_ROTATE: row(16, 'LOG_ROTATE'),
    GETSPEC: row(17, 'GETSPEC'),
    PMAP_PORTBYBRICK: row(18, 'PMAP_PORTBYBRICK'),
    SYNC_VOLUME: row(19, 'SYNC_VOLUME'),
    RESET_VOLUME: row(20, 'RESET_VOLUME'),
    FSM_LOG: special(
      21,
      'FSM_LOG',
      struct({ name: text }),
      struct({ ret: int, errno: int, errstr: text, log: opaque }),
    ),
    GSYNC_SET: row(22, 'GSYNC_SET'),
    PROFILE_VOLUME: row(23, 'PROFILE_VOLUME'),
    QUOTA: row(24, 'QUOTA'),
    TOP_VOLUME: row(25, 'TOP_VOLUME'),
    GETWD: special(
      26,
      'GETWD',
      struct({ unused: int }),
      struct({ ret: int, errno: int, directory: text }),
    ),
    STATUS_VOLUME: row(27, 'STATUS_VOLUME'),
    STATUS_ALL: row(28, 'STATUS_ALL'),
    MOUNT: special(
      29,
      'MOUNT',
      struct({ label: text, dict: dictS }),
      struct({ ret: int, errno: int, path: text }),
    ),
    UMOUNT: special(
      30,
      'UMOUNT',
      struct({ lazy: int, path: text }),
      struct({ ret: int, errno: int }),
    ),
    HEAL_VOLUME: row(31, 'HEAL_VOLUME'),
    STATEDUMP_VOLUME: row(32, 'STATEDUMP_VOLUME'),
    LIST_VOLUME: row(33, 'LIST_VOLUME'),
    CLRLOCKS_VOLUME: row(34, 'CLRLOCKS_VOLUME'),
    UUID_RESET: row(35, 'UUID_RESET'),
    UUID_GET: row(36, 'UUID_GET'),
    COPY_FILE: row(37, 'COPY_FILE'),
    SYS_EXEC: row(38, 'SYS_EXEC'),
    SNAP: row(39, 'SNAP'),
    BARRIER_VOLUME: row(40, 'BARRIER_VOLUME'),
    GET_VOL_OPT: row(41, 'GET_VOL_OPT'),
    GANESHA: row(42, 'GANESHA'),
    BITROT: row(43, 'BITROT'),
    ATTACH_TIER: row(44, 'ATTACH_TIER'),
    TIER: row(45, 'TIER'),
    GET_STATE: row(46, 'GET_STATE'),
    RESET_BRICK: row(47, 'RESET_BRICK'),
    REMOVE_TIER_BRICK: row(48, 'REMOVE_TIER_BRICK'),
    ADD_TIER_BRICK: row(49, 'ADD_TIER_BRICK'),
  },
)
