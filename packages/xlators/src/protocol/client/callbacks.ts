/**
 * Calls of the brick (program Callback) as news for the graph above.
 */

import type { GraphEvent } from '@ashlar/core'
import { NAMES_LEASE, NULL_GFID, parseGfid } from '@ashlar/core'
import { callbackProgram, type Reader } from '@ashlar/wire'

const C = callbackProgram.procedures

/** Undefined for callbacks that say nothing to a graph. Throws WireError. */
export function eventOf(procedure: number, reader: Reader): GraphEvent | undefined {
  switch (procedure) {
    case C.CACHE_INVALIDATION.num: {
      const news = C.CACHE_INVALIDATION.request.decode(reader)
      const gfid = parseGfid(news.gfid) ?? NULL_GFID
      const lease = news.xdata?.getString(NAMES_LEASE)
      if (lease !== undefined) return { kind: 'names-recall', gfid, lease }
      const { flags, expireTime, stat, parentStat, oldParentStat, xdata } = news
      return {
        kind: 'cache-invalidation',
        change: { gfid, flags, expireTime, stat, parentStat, oldParentStat, xdata },
      }
    }
    case C.CHILD_UP.num:
      return { kind: 'child-up' }
    case C.CHILD_DOWN.num:
      return { kind: 'child-down' }
    case C.INODELK_CONTENTION.num: {
      const { gfid, domain, flock } = C.INODELK_CONTENTION.request.decode(reader)
      return { kind: 'inodelk-contention', gfid, domain, flock }
    }
    case C.ENTRYLK_CONTENTION.num: {
      const { gfid, domain, name, type } = C.ENTRYLK_CONTENTION.request.decode(reader)
      return { kind: 'entrylk-contention', gfid, domain, name, type }
    }
    default:
      return undefined
  }
}
