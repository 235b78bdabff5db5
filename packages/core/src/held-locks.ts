/**
 * HeldLocks: the POSIX locks that were granted through one fd, kept so that they can be asked for
 * again: the brick forgets a client's locks with its connection, and a client that goes over to
 * another graph has new connections.
 */

import { type Flock, LockType } from './fops.ts'

/**
 * The xattr by which locks move from one connection to the next (`GF_XATTR_LOCKINFO_KEY`): read from
 * an fd of the old one, written to an fd of the new one. Its value is a dict in the old serialised
 * form, with the number of the fd by the name of the brick.
 */
export const LOCK_INFO = 'trusted.glusterfs.lockinfo'
/**
 * Key of xdata, of our own clients and bricks: requests that wait stay with the old connection. Who
 * asks for them again on the new one, or has given them up, could never give back what comes of them.
 */
export const ONLY_GRANTED = 'ashlar.only-granted'

/** End of a range that goes to the end of the file. */
const END = (1n << 63n) - 1n

interface Range {
  readonly flock: Flock
  readonly start: bigint
  /** Behind the last byte. */
  readonly end: bigint
}

export class HeldLocks {
  #ranges: Range[] = []

  get size(): number {
    return this.#ranges.length
  }

  /** A request of this owner was granted: a lock replaces what it overlaps, UNLCK only removes. */
  granted(flock: Flock): void {
    const start = flock.start
    const end = flock.len === 0n ? END : start + flock.len
    const kept: Range[] = []
    for (const range of this.#ranges) {
      const apart = range.end <= start || range.start >= end
      if (apart || range.flock.lkOwner !== flock.lkOwner) {
        kept.push(range)
        continue
      }
      if (range.start < start) kept.push({ ...range, end: start })
      if (range.end > end) kept.push({ ...range, start: end })
    }
    if (flock.type !== LockType.UNLCK) kept.push({ flock, start, end })
    this.#ranges = kept
  }

  /** The owner has closed the file: all its locks are gone. */
  closed(lkOwner: string): void {
    this.#ranges = this.#ranges.filter(range => range.flock.lkOwner !== lkOwner)
  }

  /** What to ask for again. */
  locks(): Flock[] {
    return this.#ranges.map(({ flock, start, end }) => ({
      ...flock,
      start,
      len: end === END ? 0n : end - start,
    }))
  }
}
