/**
 * PosixLocks: the fcntl and flock locks of one inode. Locks of one owner that touch are one; an
 * unlock takes out of them exactly its range.
 */

import { Errno } from '@ashlar/core'
import { type Holder, type Outcome, ownerOf, type Waiter } from './waiting.ts'

export interface PosixLock extends Holder {
  readonly start: bigint
  /** Inclusive. */
  readonly end: bigint
  readonly write: boolean
  /** The fd it was taken through: it goes with it. */
  readonly fd: number
  /** The process of the request, which `pid` need not be: the kernel names a thread. */
  readonly caller: number
}

/** Who takes over the locks of an fd. */
export interface Heir {
  readonly client: string
  readonly fd: number
}

interface Waiting extends Waiter {
  readonly lock: PosixLock
}

function overlaps(one: PosixLock, other: { start: bigint; end: bigint }): boolean {
  return one.start <= other.end && other.start <= one.end
}

function conflicts(one: PosixLock, other: PosixLock): boolean {
  return (one.write || other.write) && one.owner !== other.owner && overlaps(one, other)
}

/** `lock` without a range: nothing, one piece or two. */
function subtract(lock: PosixLock, range: { start: bigint; end: bigint }): PosixLock[] {
  if (!overlaps(lock, range)) return [lock]
  const pieces: PosixLock[] = []
  if (lock.start < range.start) pieces.push({ ...lock, end: range.start - 1n })
  if (lock.end > range.end) pieces.push({ ...lock, start: range.end + 1n })
  return pieces
}

export class PosixLocks {
  #granted: PosixLock[] = []
  #waiting: Waiting[] = []

  get empty(): boolean {
    return this.#granted.length === 0 && this.#waiting.length === 0
  }

  get count(): number {
    return this.#granted.length + this.#waiting.length
  }

  get granted(): readonly PosixLock[] {
    return this.#granted
  }

  /** Locks that are waited for, in the order in which they were asked for. */
  get blocked(): readonly PosixLock[] {
    return this.#waiting.map(({ lock }) => lock)
  }

  /** The first lock that would keep `lock` from being granted. */
  conflict(lock: PosixLock): PosixLock | undefined {
    return this.#granted.find(held => conflicts(held, lock))
  }

  acquire(lock: PosixLock, wait: boolean): Promise<Outcome> | Outcome {
    if (this.conflict(lock) === undefined) {
      this.#grant(lock)
      return 0
    }
    if (!wait) return Errno.EAGAIN
    // What it holds of the range itself would keep others waiting for what it waits for.
    if (this.#granted.some(held => held.owner === lock.owner && overlaps(held, lock))) {
      this.#cut(lock)
      this.#grantWaiting()
      if (this.conflict(lock) === undefined) {
        this.#grant(lock)
        return 0
      }
    }
    return new Promise(settle => {
      this.#waiting.push({ lock, settle })
    })
  }

  unlock(range: PosixLock): void {
    this.#cut(range)
    this.#grantWaiting()
  }

  /** Drops what matches; waiting requests that match are answered with `errno`. */
  drop(
    matches: (lock: PosixLock) => boolean,
    errno: Errno = Errno.EAGAIN,
  ): { blocked: number; granted: number } {
    const before = this.#granted.length
    this.#granted = this.#granted.filter(lock => !matches(lock))
    const granted = before - this.#granted.length
    const blocked = this.refuse(matches, errno)
    this.#grantWaiting()
    return { blocked, granted }
  }

  /** True when a lock was taken through the fd, or is waited for. */
  through(fd: number): boolean {
    return (
      this.#granted.some(lock => lock.fd === fd) || this.#waiting.some(({ lock }) => lock.fd === fd)
    )
  }

  /**
   * Hands the locks of an fd to another connection of their owners, and what waits for one if
   * `waiting`: it still answers the request that asked for it; granted, it is the heir's.
   */
  move(fd: number, heir: Heir, waiting: boolean): void {
    const moved = (lock: PosixLock): PosixLock =>
      lock.fd === fd ? { ...lock, ...heir, owner: ownerOf(heir.client, lock.lkOwner) } : lock
    this.#granted = this.#granted.map(moved)
    if (waiting) this.#waiting = this.#waiting.map(each => ({ ...each, lock: moved(each.lock) }))
    // What waited for a lock of the same process may not need to any more.
    this.#grantWaiting()
  }

  /** Answers waiting requests that match with `errno`. */
  refuse(matches: (lock: PosixLock) => boolean, errno: Errno): number {
    const refused = this.#waiting.filter(waiting => matches(waiting.lock))
    this.#waiting = this.#waiting.filter(waiting => !matches(waiting.lock))
    for (const waiting of refused) waiting.settle(errno)
    return refused.length
  }

  #cut(range: PosixLock): void {
    this.#granted = this.#granted.flatMap(held =>
      held.owner === range.owner ? subtract(held, range) : [held],
    )
  }

  #grant(lock: PosixLock): void {
    this.#cut(lock)
    let { start, end } = lock
    this.#granted = this.#granted.filter(held => {
      const touches =
        held.owner === lock.owner &&
        held.write === lock.write &&
        held.fd === lock.fd &&
        held.end + 1n >= start &&
        held.start <= end + 1n
      if (touches) {
        if (held.start < start) start = held.start
        if (held.end > end) end = held.end
      }
      return !touches
    })
    this.#granted.push({ ...lock, start, end })
  }

  #grantWaiting(): void {
    for (let again = true; again; ) {
      again = false
      for (const waiting of this.#waiting) {
        if (this.conflict(waiting.lock) !== undefined) continue
        this.#waiting = this.#waiting.filter(other => other !== waiting)
        this.#grant(waiting.lock)
        waiting.settle(0)
        again = true
        break
      }
    }
  }
}
