/** POSIX record locks of one file: conflicts, splitting, merging, and those that wait. */

import { Errno, LockType } from '@ashlar/core'

export interface RangeLock {
  readonly type: number
  readonly start: bigint
  /** Inclusive. */
  readonly end: bigint
  readonly owner: string
  readonly pid: number
}

interface Waiter {
  readonly lock: RangeLock
  readonly grant: () => void
}

function conflicts(one: RangeLock, other: RangeLock): boolean {
  return (
    one.owner !== other.owner &&
    one.start <= other.end &&
    other.start <= one.end &&
    (one.type === LockType.WRLCK || other.type === LockType.WRLCK)
  )
}

export class RangeLocks {
  #held: RangeLock[] = []
  #waiters: Waiter[] = []

  /** A lock in the way of `wanted`. */
  conflict(wanted: RangeLock): RangeLock | undefined {
    return this.#held.find(held => conflicts(held, wanted))
  }

  /** Takes or drops a lock. 0 or an errno. */
  set(wanted: RangeLock): number {
    if (wanted.type !== LockType.UNLCK && this.conflict(wanted) !== undefined) return Errno.EAGAIN
    this.#put(wanted)
    return 0
  }

  /** Waits for the lock. EINTR when `signal` aborts first. */
  async wait(wanted: RangeLock, signal: AbortSignal | undefined): Promise<number> {
    if (this.set(wanted) === 0) return 0
    return await new Promise(resolve => {
      const waiter = { lock: wanted, grant: () => resolve(0) }
      this.#waiters.push(waiter)
      signal?.addEventListener('abort', () => {
        this.#waiters = this.#waiters.filter(each => each !== waiter)
        resolve(Errno.EINTR)
      })
    })
  }

  dropOwner(owner: string): void {
    this.#held = this.#held.filter(held => held.owner !== owner)
    this.#grantWaiting()
  }

  #put(wanted: RangeLock): void {
    const held: RangeLock[] = []
    for (const lock of this.#held) {
      if (lock.owner !== wanted.owner || lock.end < wanted.start || lock.start > wanted.end) {
        held.push(lock)
        continue
      }
      if (lock.start < wanted.start) held.push({ ...lock, end: wanted.start - 1n })
      if (lock.end > wanted.end) held.push({ ...lock, start: wanted.end + 1n })
    }
    if (wanted.type !== LockType.UNLCK) held.push(wanted)
    this.#held = held
    this.#grantWaiting()
  }

  #grantWaiting(): void {
    for (const waiter of this.#waiters) {
      if (!this.#waiters.includes(waiter) || this.conflict(waiter.lock) !== undefined) continue
      this.#waiters = this.#waiters.filter(each => each !== waiter)
      this.#put(waiter.lock)
      waiter.grant()
    }
  }
}
