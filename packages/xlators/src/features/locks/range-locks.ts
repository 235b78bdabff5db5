/**
 * RangeLocks: the inodelks of one domain of one inode. Locks of one owner never conflict, are never
 * merged and never split; an unlock names exactly what was locked. A request that conflicts with a
 * waiting one waits too, so that nobody starves, unless its owner holds or awaits a lock here.
 */

import { Errno } from '@ashlar/core'
import type { Contention, Holder, Outcome, Waiter } from './waiting.ts'

export interface RangeLock extends Holder {
  readonly start: bigint
  /** Inclusive. */
  readonly end: bigint
  readonly write: boolean
}

interface Waiting extends Waiter {
  readonly lock: RangeLock
}

/** The end of every file. */
export const RANGE_END = (1n << 63n) - 1n

function conflicts(one: RangeLock, other: RangeLock): boolean {
  return (
    (one.write || other.write) &&
    one.owner !== other.owner &&
    one.start <= other.end &&
    other.start <= one.end
  )
}

export class RangeLocks {
  readonly granted: RangeLock[] = []
  readonly #waiting: Waiting[] = []

  get empty(): boolean {
    return this.granted.length === 0 && this.#waiting.length === 0
  }

  get count(): number {
    return this.granted.length + this.#waiting.length
  }

  get waiting(): readonly { lock: RangeLock }[] {
    return this.#waiting
  }

  /** Grants, refuses with EAGAIN, or waits when `wait` is set. */
  acquire(lock: RangeLock, wait: boolean, contention: Contention): Promise<Outcome> | Outcome {
    const blocker = this.#blocker(lock)
    if (blocker === undefined && !this.#mustQueue(lock)) {
      this.granted.push(lock)
      return 0
    }
    if (!wait) return Errno.EAGAIN
    if (blocker !== undefined) contention(blocker)
    return new Promise(settle => {
      this.#waiting.push({ lock, settle })
    })
  }

  /** EINVAL when the owner holds no lock of exactly this range. */
  release(lock: Pick<RangeLock, 'owner' | 'start' | 'end'>): Outcome {
    const at = this.granted.findIndex(
      held => held.owner === lock.owner && held.start === lock.start && held.end === lock.end,
    )
    if (at === -1) return Errno.EINVAL
    this.granted.splice(at, 1)
    this.#grantWaiting()
    return 0
  }

  /** The client has gone: its locks too; what it waits for is answered EAGAIN. */
  dropClient(client: string): void {
    const kept = this.granted.filter(lock => lock.client !== client)
    this.granted.length = 0
    this.granted.push(...kept)
    this.#refuseWaiting(lock => lock.client === client)
    this.#grantWaiting()
  }

  /** Removes what matches (clear-locks): how many waited, how many were held. */
  clear(
    matches: (lock: RangeLock) => boolean,
    kinds: { blocked: boolean; granted: boolean },
  ): { blocked: number; granted: number } {
    const blocked = kinds.blocked ? this.#refuseWaiting(matches) : 0
    let granted = 0
    if (kinds.granted) {
      const kept = this.granted.filter(lock => !matches(lock))
      granted = this.granted.length - kept.length
      this.granted.length = 0
      this.granted.push(...kept)
    }
    this.#grantWaiting()
    return { blocked, granted }
  }

  #blocker(lock: RangeLock): RangeLock | undefined {
    return this.granted.find(held => conflicts(held, lock))
  }

  #mustQueue(lock: RangeLock): boolean {
    if (!this.#waiting.some(waiting => conflicts(waiting.lock, lock))) return false
    const known = (other: RangeLock): boolean => other.owner === lock.owner
    return !this.granted.some(known) && !this.#waiting.some(waiting => known(waiting.lock))
  }

  #refuseWaiting(matches: (lock: RangeLock) => boolean): number {
    const refused = this.#waiting.filter(waiting => matches(waiting.lock))
    const kept = this.#waiting.filter(waiting => !matches(waiting.lock))
    this.#waiting.length = 0
    this.#waiting.push(...kept)
    for (const waiting of refused) waiting.settle(Errno.EAGAIN)
    return refused.length
  }

  #grantWaiting(): void {
    for (let i = 0; i < this.#waiting.length; ) {
      const waiting = this.#waiting[i] as Waiting
      const earlier = this.#waiting.slice(0, i)
      if (
        this.#blocker(waiting.lock) !== undefined ||
        earlier.some(other => conflicts(other.lock, waiting.lock))
      ) {
        i += 1
        continue
      }
      this.#waiting.splice(i, 1)
      this.granted.push(waiting.lock)
      waiting.settle(0)
    }
  }
}
