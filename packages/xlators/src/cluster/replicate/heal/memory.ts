/**
 * HealMemory: what became of the last heals of this process, so that `heal info` and a statedump can
 * say why something is not healed. Bounded: the oldest are forgotten.
 */

import { Errno, type Gfid } from '@ashlar/core'
import type { Unhealed } from './job.ts'

const REMEMBERED_MAX = 4096

export class HealMemory {
  readonly #failures = new Map<Gfid, Unhealed>()

  note(gfid: Gfid, outcome: { readonly kind: string } | Unhealed): void {
    this.#failures.delete(gfid)
    if (!('reason' in outcome)) return
    this.#failures.set(gfid, outcome)
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= REMEMBERED_MAX) break
      this.#failures.delete(oldest)
    }
  }

  reason(gfid: Gfid): string | undefined {
    return this.#failures.get(gfid)?.reason
  }

  /** Something could not be healed for want of space. */
  get lacksRoom(): boolean {
    for (const { errno } of this.#failures.values()) if (errno === Errno.ENOSPC) return true
    return false
  }

  get size(): number {
    return this.#failures.size
  }
}
