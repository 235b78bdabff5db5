/**
 * News for clients: what translators below tell of a file becomes a call of the client's Callback
 * program (`server_process_event_upcall`, xlators/protocol/server/src/server.c).
 */

import {
  Dict,
  EMPTY_IATT,
  type Flock,
  type GraphEvent,
  gfidText,
  LockType,
  NAMES_LEASE,
} from '@ashlar/core'
import { callbackProgram, UPCALL_CACHE_INVALIDATION } from '@ashlar/wire'
import type { Session } from './session.ts'

const C = callbackProgram.procedures

const WHOLE_FILE: Flock = {
  type: LockType.WRLCK,
  whence: 0,
  start: 0n,
  len: 0n,
  pid: 0,
  lkOwner: '',
}

/** Tells the client of `event`; events that are no business of clients are passed over. */
export function tell(session: Session, event: GraphEvent): void {
  const { connection } = session
  switch (event.kind) {
    case 'cache-invalidation': {
      const { change } = event
      connection.callback(C.CACHE_INVALIDATION, {
        gfid: gfidText(session.outwardGfid(change.gfid)),
        eventType: UPCALL_CACHE_INVALIDATION,
        flags: change.flags,
        expireTime: change.expireTime,
        stat: session.outward(change.stat),
        parentStat: session.outward(change.parentStat),
        oldParentStat: session.outward(change.oldParentStat ?? EMPTY_IATT),
        xdata: change.xdata,
      })
      break
    }
    case 'names-recall':
      connection.callback(C.CACHE_INVALIDATION, {
        gfid: gfidText(session.outwardGfid(event.gfid)),
        eventType: UPCALL_CACHE_INVALIDATION,
        flags: 0,
        expireTime: 0,
        stat: EMPTY_IATT,
        parentStat: EMPTY_IATT,
        oldParentStat: EMPTY_IATT,
        xdata: new Dict().setString(NAMES_LEASE, event.lease),
      })
      break
    case 'inodelk-contention':
      connection.callback(C.INODELK_CONTENTION, {
        gfid: session.outwardGfid(event.gfid),
        flock: event.flock ?? WHOLE_FILE,
        pid: event.flock?.pid ?? 0,
        domain: event.domain,
        xdata: new Dict(),
      })
      break
    case 'entrylk-contention':
      connection.callback(C.ENTRYLK_CONTENTION, {
        gfid: session.outwardGfid(event.gfid),
        type: event.type ?? 1,
        pid: 0,
        name: event.name,
        domain: event.domain,
        xdata: new Dict(),
      })
      break
    case 'child-up':
      connection.callback(C.CHILD_UP, undefined)
      break
    case 'child-down':
      connection.callback(C.CHILD_DOWN, undefined)
      break
    default:
  }
}
