/**
 * DiskPace: whether small reads of a cold file are done at once, on the loop. To hand one to a thread
 * and hear of its end costs two wake-ups, as much as a fast disk's answer; a slow disk must keep nobody
 * waiting but who asked for it. So reads now and then are tried on the loop, and while those are quick,
 * all small ones are done there, until some are not.
 */

import type { Clock } from '@ashlar/core'

/** Longer reads are for threads, however fast the disk. */
const SMALL_BYTES = 16 * 1024
/** A read that took less was quick. */
const QUICK_MS = 0.3
/** Quick ones, less some for each that was not, that make a fast disk; and more that count. */
const TRUST = 4
const TRUST_MAX = 16
/** A busy processor makes one slow now and then. */
const QUICK_ONES_PER_SLOW = 4
/** Of what goes to threads, one in so many is tried. */
const READS_PER_TRY = 8
/** After one that took longer than this nothing is tried for a while. */
const SLOW_MS = 4
const SLOW_FOR_MS = 1000

export class DiskPace {
  readonly #clock: Clock
  #trust = 0
  #reads = 0
  #slowUntil = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Reads of so many bytes are done on the loop, cold or not. */
  isQuick(size: number): boolean {
    return this.#trust >= TRUST && size <= SMALL_BYTES
  }

  /** A read of so many bytes that has to come from the disk is to be tried on the loop. */
  isTried(size: number): boolean {
    if (size > SMALL_BYTES) return false
    if (this.#trust > 0) return true
    this.#reads += 1
    return this.#reads % READS_PER_TRY === 0 && this.#clock.monotonic() >= this.#slowUntil
  }

  /** Does a read of a file that may be cold, and learns from it. */
  measured(read: () => number): number {
    const start = this.#clock.monotonic()
    const result = read()
    this.#took(this.#clock.monotonic() - start)
    return result
  }

  #took(ms: number): void {
    if (ms < QUICK_MS) this.#trust = Math.min(TRUST_MAX, this.#trust + 1)
    else if (ms <= SLOW_MS) this.#trust = Math.max(0, this.#trust - QUICK_ONES_PER_SLOW)
    else {
      this.#trust = 0
      this.#slowUntil = this.#clock.monotonic() + SLOW_FOR_MS
    }
  }
}
