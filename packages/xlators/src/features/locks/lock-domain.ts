/**
 * LockDomain: the locks of one domain of one inode, granted and waited for, whatever they are on. A
 * request that conflicts with a waiting one waits too, so that nobody starves, unless its owner holds
 * or awaits a lock here: it would wait for itself. That holds when it asks, and when what it waits for
 * is released. Locks are never merged and never split: a release names exactly what was locked.
 */

import { Errno } from '@ashlar/core'
import type { Contention, Holder, Outcome, Waiter } from './waiting.ts'

/** What makes a kind of lock. */
export interface LockRules<L extends Holder> {
  /** True when both cannot be held at once. */
  readonly conflicts: (one: L, other: L) => boolean
  /** True when a release that names `asked` means `held`. Owners have been compared. */
  readonly means: (asked: L, held: L) => boolean
}

/** How many locks went, by what they were. */
export interface Cleared {
  readonly blocked: number
  readonly granted: number
}

interface Waiting<L> extends Waiter {
  readonly lock: L
  readonly contention: Contention
}

export class LockDomain<L extends Holder> {
  readonly #rules: LockRules<L>
  #granted: L[] = []
  #waiting: Waiting<L>[] = []

  constructor(rules: LockRules<L>) {
    this.#rules = rules
  }

  get granted(): readonly L[] {
    return this.#granted
  }

  /** Locks that are waited for, in the order in which they were asked for. */
  get blocked(): readonly L[] {
    return this.#waiting.map(({ lock }) => lock)
  }

  get empty(): boolean {
    return this.count === 0
  }

  get count(): number {
    return this.#granted.length + this.#waiting.length
  }

  /** Grants, refuses with EAGAIN, or waits when `wait` is set. */
  acquire(lock: L, wait: boolean, contention: Contention): Promise<Outcome> | Outcome {
    const blocker = this.#blocker(lock)
    if (blocker === undefined && !this.#mustQueue(lock, this.#waiting)) {
      this.#granted.push(lock)
      // What its owner waits for has now become what it must not wait for behind others.
      if (this.#waiting.some(waiting => waiting.lock.owner === lock.owner)) this.#grantWaiting()
      return 0
    }
    if (!wait) return Errno.EAGAIN
    if (blocker !== undefined) contention(blocker)
    return new Promise(settle => {
      this.#waiting.push({ lock, settle, contention })
    })
  }

  /** EINVAL when the owner holds no such lock. */
  release(lock: L): Outcome {
    const at = this.#granted.findIndex(
      held => held.owner === lock.owner && this.#rules.means(lock, held),
    )
    if (at === -1) return Errno.EINVAL
    this.#granted.splice(at, 1)
    this.#grantWaiting()
    return 0
  }

  /** The client has gone: its locks too; what it waits for is answered EAGAIN. */
  dropClient(client: string): void {
    this.clear(lock => lock.client === client, { blocked: true, granted: true })
  }

  /** Removes what matches; who waits for it is answered EAGAIN. */
  clear(matches: (lock: L) => boolean, kinds: { blocked: boolean; granted: boolean }): Cleared {
    const granted = kinds.granted ? this.#granted.filter(matches) : []
    const blocked = kinds.blocked ? this.#waiting.filter(({ lock }) => matches(lock)) : []
    this.#granted = this.#granted.filter(lock => !granted.includes(lock))
    this.#waiting = this.#waiting.filter(waiting => !blocked.includes(waiting))
    for (const { settle } of blocked) settle(Errno.EAGAIN)
    this.#grantWaiting()
    return { blocked: blocked.length, granted: granted.length }
  }

  #blocker(lock: L): L | undefined {
    return this.#granted.find(held => this.#rules.conflicts(held, lock))
  }

  /** Whether one of those who have asked `before` it is in its way. */
  #mustQueue(lock: L, before: readonly Waiting<L>[]): boolean {
    if (!before.some(waiting => this.#rules.conflicts(waiting.lock, lock))) return false
    const known = (other: L): boolean => other.owner === lock.owner
    return !this.#granted.some(known) && !before.some(waiting => known(waiting.lock))
  }

  #grantWaiting(): void {
    const granted = new Set<L>()
    for (let i = 0; i < this.#waiting.length; ) {
      const { lock, settle } = this.#waiting[i] as Waiting<L>
      const before = this.#waiting.slice(0, i)
      if (this.#blocker(lock) !== undefined || this.#mustQueue(lock, before)) {
        i += 1
        continue
      }
      this.#waiting.splice(i, 1)
      this.#granted.push(lock)
      granted.add(lock)
      settle(0)
      // Its owner holds something now: what it has asked for before need not queue any more.
      const own = before.findIndex(waiting => waiting.lock.owner === lock.owner)
      if (own !== -1) i = own
    }
    if (granted.size > 0) this.#tellNew(granted)
  }

  /** Who has a lock now hears of those who have waited for it longer than that. */
  #tellNew(granted: ReadonlySet<L>): void {
    for (const { lock, contention } of this.#waiting) {
      const blocker = this.#blocker(lock)
      if (blocker !== undefined && granted.has(blocker)) contention(blocker)
    }
  }
}
