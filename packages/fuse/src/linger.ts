/**
 * Lingering: after the last answer the next request is often microseconds away (a program that
 * makes one call after the other), while going to sleep and being woken takes tens of them. So for
 * a moment the device is read again and again before the loop polls it.
 *
 * It costs processor time when nothing comes; so it is done only while it pays, only when nothing
 * else is in progress, and never for long without giving the event loop its turn.
 */

import type { Clock } from '@ashlar/core'

/** How long one wait lasts at most: about the time a program takes from answer to next call. */
const LINGER_MS = 0.03
/** Waits between two turns of the event loop. */
const PER_TURN = 32
/** Balance of hits and misses: above 0 it pays. */
const CREDIT_MAX = 8
const CREDIT_MISS = 2
/** While it does not pay, one wait in so many tries whether it does again. */
const RETRY_EVERY = 16

export class Linger {
  readonly #clock: Clock
  readonly #poll: () => boolean
  #credit = CREDIT_MAX
  #left = PER_TURN
  #skipped = 0
  #turnAsked = false

  /** `poll` takes a request if there is one and says so. */
  constructor(clock: Clock, poll: () => boolean) {
    this.#clock = clock
    this.#poll = poll
  }

  /** Waits for the next request, unless that is not worth it. */
  wait(): void {
    if (this.#left === 0) return
    if (this.#credit <= 0) {
      this.#skipped += 1
      if (this.#skipped < RETRY_EVERY) return
      this.#skipped = 0
    }
    this.#left -= 1
    if (!this.#turnAsked) {
      this.#turnAsked = true
      setImmediate(() => {
        this.#turnAsked = false
        this.#left = PER_TURN
      })
    }
    const until = this.#clock.monotonic() + LINGER_MS
    do {
      if (this.#poll()) {
        this.#credit = Math.min(CREDIT_MAX, this.#credit + 1)
        return
      }
    } while (this.#clock.monotonic() < until)
    this.#credit = Math.max(-CREDIT_MAX, this.#credit - CREDIT_MISS)
  }
}
