/**
 * Placements: on which subvolume a listing has just seen a file. Who lists a directory uses its files
 * next; where they lie need then not be asked. Kept for moments only, as files may move, and whoever
 * goes by it asks again when the file is not there.
 */

import type { Clock, Gfid, Subvolume } from '@ashlar/core'

/** How long a placement is kept, twice this at most. */
const KEPT_MS = 2000
/** Placements of one such span; more drop the span before. */
const SPAN_MAX = 50_000

export class Placements {
  readonly #clock: Clock
  #now = new Map<Gfid, Subvolume>()
  #before = new Map<Gfid, Subvolume>()
  #since = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(gfid: Gfid, child: Subvolume): void {
    this.#turn()
    if (this.#now.size >= SPAN_MAX) this.#next()
    this.#now.set(gfid, child)
  }

  find(gfid: Gfid): Subvolume | undefined {
    this.#turn()
    return this.#now.get(gfid) ?? this.#before.get(gfid)
  }

  #turn(): void {
    const age = this.#clock.monotonic() - this.#since
    if (age < KEPT_MS) return
    this.#next()
    if (age >= 2 * KEPT_MS) this.#before = new Map()
  }

  #next(): void {
    this.#before = this.#now
    this.#now = new Map()
    this.#since = this.#clock.monotonic()
  }
}
