/**
 * Program Callback: calls that travel from server to client and are never answered
 * (rpc/xdr/src/glusterfs3-xdr.x).
 */

import { gfid, int, nothing, struct, text, uint } from '../codec.ts'
import { iattOld } from '../iatt.ts'
import { dictS } from '../old-dict.ts'
import { defineProgram } from '../program.ts'
import { flock } from './fops.ts'

export const callbackProgram = defineProgram(
  { number: 52_743_234, version: 1, name: 'Gluster Callback' },
  {
    NULL: { num: 0, name: 'NULL', request: nothing, reply: nothing },
    FETCHSPEC: { num: 1, name: 'FETCHSPEC', request: nothing, reply: nothing },
    INO_FLUSH: { num: 2, name: 'INO_FLUSH', request: nothing, reply: nothing },
    EVENT_NOTIFY: {
      num: 3,
      name: 'EVENT_NOTIFY',
      request: struct({ op: int, dict: dictS }),
      reply: nothing,
    },
    GET_SNAPS: { num: 4, name: 'GET_SNAPS', request: nothing, reply: nothing },
    CACHE_INVALIDATION: {
      num: 5,
      name: 'CACHE_INVALIDATION',
      request: struct({
        /** Canonical text, not 16 bytes. */
        gfid: text,
        eventType: uint,
        flags: uint,
        expireTime: uint,
        stat: iattOld,
        parentStat: iattOld,
        oldParentStat: iattOld,
        xdata: dictS,
      }),
      reply: nothing,
    },
    CHILD_UP: { num: 6, name: 'CHILD_UP', request: nothing, reply: nothing },
    CHILD_DOWN: { num: 7, name: 'CHILD_DOWN', request: nothing, reply: nothing },
    RECALL_LEASE: {
      num: 8,
      name: 'RECALL_LEASE',
      request: struct({ gfid, leaseType: uint, transaction: gfid, xdata: dictS }),
      reply: nothing,
    },
    STATEDUMP: { num: 9, name: 'STATEDUMP', request: struct({ pid: uint }), reply: nothing },
    INODELK_CONTENTION: {
      num: 10,
      name: 'INODELK_CONTENTION',
      request: struct({ gfid, flock, pid: uint, domain: text, xdata: dictS }),
      reply: nothing,
    },
    ENTRYLK_CONTENTION: {
      num: 11,
      name: 'ENTRYLK_CONTENTION',
      request: struct({ gfid, type: uint, pid: uint, name: text, domain: text, xdata: dictS }),
      reply: nothing,
    },
  },
)

/** `event_type` of CACHE_INVALIDATION. */
export const UPCALL_CACHE_INVALIDATION = 1
