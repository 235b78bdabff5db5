/**
 * IdleSweep: one timer for all locks that are kept a while after their use. Those that were idle for
 * a whole period are given back together, so that what bricks have to do for it they do in one go:
 * one flush of their disk for hundreds of files.
 */

import type { Clock, Timer } from '@ashlar/core'

/** What is kept and can be given back. */
export interface Idle {
  giveBack(): void
  /** A brick is gone that may have part in it. */
  brickLost(): void
  /** Resolves when it is given back. */
  left(): Promise<void>
}

/** Locks kept at most; beyond that the oldest go at once. */
const KEPT_MAX = 8192

export class IdleSweep {
  readonly #clock: Clock
  readonly #periodMs: () => number
  /** Idle since the last tick, and since before it; in the order of their last use. */
  #fresh = new Set<Idle>()
  #stale = new Set<Idle>()
  #timer: Timer | undefined

  constructor(clock: Clock, periodMs: () => number) {
    this.#clock = clock
    this.#periodMs = periodMs
  }

  get size(): number {
    return this.#fresh.size + this.#stale.size
  }

  /** From now on it is not used. */
  add(idle: Idle): void {
    const period = this.#periodMs()
    if (period === 0) {
      idle.giveBack()
      return
    }
    this.#stale.delete(idle)
    this.#fresh.delete(idle)
    this.#fresh.add(idle)
    if (this.size > KEPT_MAX) this.#dropOldest()
    this.#timer ??= this.#clock.after(period, this.#tick)
  }

  /** It is used again, or gone. */
  remove(idle: Idle): void {
    if (!this.#fresh.delete(idle)) this.#stale.delete(idle)
  }

  /** Gives everything back; resolves when that is done. */
  async drain(): Promise<void> {
    await Promise.all(this.#takeAll().map(idle => idle.left()))
  }

  /** Tells all that a brick is gone. */
  brickLost(): void {
    for (const idle of [...this.#stale, ...this.#fresh]) idle.brickLost()
  }

  #takeAll(): Idle[] {
    this.#timer?.cancel()
    this.#timer = undefined
    const all = [...this.#stale, ...this.#fresh]
    this.#stale.clear()
    this.#fresh.clear()
    return all
  }

  readonly #tick = (): void => {
    const gone = this.#stale
    this.#stale = this.#fresh
    this.#fresh = new Set()
    this.#timer = this.#stale.size > 0 ? this.#clock.after(this.#periodMs(), this.#tick) : undefined
    for (const idle of gone) idle.giveBack()
  }

  #dropOldest(): void {
    const from = this.#stale.size > 0 ? this.#stale : this.#fresh
    for (const oldest of from) {
      from.delete(oldest)
      oldest.giveBack()
      return
    }
  }
}
