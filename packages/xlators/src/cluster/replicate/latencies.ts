/**
 * Latencies: how long each brick takes to answer, for read policies that ask for the quickest. What
 * is measured are small questions that go to all bricks anyway, so that a brick which nobody reads
 * from is known, too, and is read from again once it has become quick.
 */

import { first, indices, type Members } from './members.ts'

/** Part of the difference by which a new answer moves what is known. */
const WEIGHT = 0.25

export class Latencies {
  /** By child, in milliseconds; undefined while it has not answered yet. */
  readonly #known: (number | undefined)[]

  constructor(count: number) {
    this.#known = Array.from({ length: count }, () => undefined)
  }

  /** Brick `index` has answered after so long. */
  note(index: number, ms: number): void {
    const known = this.#known[index]
    this.#known[index] = known === undefined ? ms : known + (ms - known) * WEIGHT
  }

  /** What is known of brick `index`, in milliseconds. */
  of(index: number): number | undefined {
    return this.#known[index]
  }

  /**
   * The quickest of `members`, each one's latency counted `times` so often. Those that have not
   * answered yet come last; the first of `members` when nobody has.
   */
  quickest(members: Members, times: (index: number) => number = () => 1): number {
    let best = first(members)
    let least = Number.POSITIVE_INFINITY
    for (const index of indices(members)) {
      const known = this.#known[index]
      if (known === undefined || known * times(index) >= least) continue
      best = index
      least = known * times(index)
    }
    return best
  }
}
