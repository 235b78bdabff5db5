/**
 * EntryLocks: the entrylks of one domain of one directory. A lock is on a name or, without one, on
 * the whole directory. Every lock excludes every other owner; its type only has to match when it is
 * released.
 */

import { Errno } from '@ashlar/core'
import type { Contention, Holder, Outcome, Waiter } from './waiting.ts'

export interface EntryLock extends Holder {
  /** undefined: the whole directory. */
  readonly name: string | undefined
  readonly type: number
}

interface Waiting extends Waiter {
  readonly lock: EntryLock
}

function conflicts(one: EntryLock, other: EntryLock): boolean {
  return (
    one.owner !== other.owner &&
    (one.name === undefined || other.name === undefined || one.name === other.name)
  )
}

export class EntryLocks {
  readonly granted: EntryLock[] = []
  readonly #waiting: Waiting[] = []

  get empty(): boolean {
    return this.granted.length === 0 && this.#waiting.length === 0
  }

  get count(): number {
    return this.granted.length + this.#waiting.length
  }

  acquire(lock: EntryLock, wait: boolean, contention: Contention): Promise<Outcome> | Outcome {
    const blocker = this.granted.find(held => conflicts(held, lock))
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

  release(lock: Pick<EntryLock, 'owner' | 'name' | 'type'>): Outcome {
    const at = this.granted.findIndex(
      held => held.owner === lock.owner && held.name === lock.name && held.type === lock.type,
    )
    if (at === -1) return Errno.EINVAL
    this.granted.splice(at, 1)
    this.#grantWaiting()
    return 0
  }

  dropClient(client: string): void {
    this.#keepGranted(lock => lock.client !== client)
    this.#refuseWaiting(lock => lock.client === client)
    this.#grantWaiting()
  }

  clear(
    matches: (lock: EntryLock) => boolean,
    kinds: { blocked: boolean; granted: boolean },
  ): { blocked: number; granted: number } {
    const blocked = kinds.blocked ? this.#refuseWaiting(matches) : 0
    const granted = kinds.granted ? this.#keepGranted(lock => !matches(lock)) : 0
    this.#grantWaiting()
    return { blocked, granted }
  }

  /** True when a lock on this very name is held. */
  holdsName(name: string): boolean {
    return this.granted.some(lock => lock.name === name)
  }

  #mustQueue(lock: EntryLock): boolean {
    if (!this.#waiting.some(waiting => conflicts(waiting.lock, lock))) return false
    const known = (other: EntryLock): boolean => other.owner === lock.owner
    return !this.granted.some(known) && !this.#waiting.some(waiting => known(waiting.lock))
  }

  #keepGranted(keep: (lock: EntryLock) => boolean): number {
    const kept = this.granted.filter(keep)
    const dropped = this.granted.length - kept.length
    this.granted.length = 0
    this.granted.push(...kept)
    return dropped
  }

  #refuseWaiting(matches: (lock: EntryLock) => boolean): number {
    const refused = this.#waiting.filter(waiting => matches(waiting.lock))
    const kept = this.#waiting.filter(waiting => !matches(waiting.lock))
    this.#waiting.length = 0
    this.#waiting.push(...kept)
    for (const waiting of refused) waiting.settle(Errno.EAGAIN)
    return refused.length
  }

  #grantWaiting(): void {
    for (let i = 0; i < this.#waiting.length; ) {
      const { lock, settle } = this.#waiting[i] as Waiting
      const earlier = this.#waiting.slice(0, i)
      if (
        this.granted.some(held => conflicts(held, lock)) ||
        earlier.some(other => conflicts(other.lock, lock))
      ) {
        i += 1
        continue
      }
      this.#waiting.splice(i, 1)
      this.granted.push(lock)
      settle(0)
    }
  }
}
