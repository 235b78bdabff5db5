/**
 * RecentRights: who may open files that nobody has looked up yet, as listings have told. A scan looks
 * a name up in a listing (md-cache), and opens it without a word to the brick.
 *
 * What is older than a turn goes with the next listing but one; there is no more than of two turns.
 */

import type { Gfid } from '@ashlar/core'

/** Files kept at most in a turn; more are not remembered. */
const FILES_MAX = 50_000

/** Who may open a file, as a reply has told. */
export interface Rights {
  readonly uid: number
  readonly mode: number
  /** When, in milliseconds. */
  readonly at: number
}

export class RecentRights {
  readonly #turnMs: number
  #young = new Map<Gfid, Rights>()
  #old = new Map<Gfid, Rights>()
  #turnedAt = Number.NEGATIVE_INFINITY

  constructor(turnMs: number) {
    this.#turnMs = turnMs
  }

  /** Files of which something is kept. */
  get count(): number {
    return this.#young.size + this.#old.size
  }

  set(gfid: Gfid, rights: Rights): void {
    if (rights.at - this.#turnedAt >= this.#turnMs) {
      this.#old = this.#young
      this.#young = new Map()
      this.#turnedAt = rights.at
    }
    if (this.#young.size < FILES_MAX) this.#young.set(gfid, rights)
    else this.delete(gfid)
  }

  get(gfid: Gfid): Rights | undefined {
    return this.#young.get(gfid) ?? this.#old.get(gfid)
  }

  delete(gfid: Gfid): void {
    this.#young.delete(gfid)
    this.#old.delete(gfid)
  }
}
