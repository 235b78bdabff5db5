/**
 * HeldLocks: the locks of one heal on all bricks of the set. A heal works only when it has them on
 * every brick; what was had is given back on every way out.
 *
 * Locks are asked for on all bricks at once, without waiting. When one is refused all are given back
 * and had again one brick after the other, waiting, in the order that everybody keeps. A tie-breaker
 * waits only when it had most bricks: of two heals that meet, one goes on.
 * Source: xlators/cluster/afr/src/afr-self-heal-common.c.
 */

import {
  EntrylkCommand,
  EntrylkType,
  Errno,
  type Failure,
  failure,
  type Inode,
  inodeLoc,
  LockCommand,
  LockType,
  type PlainFop,
  type Reply,
  type Step,
  type Subvolume,
} from '@ashlar/core'
import type { ReplicaSet } from '../replica-set.ts'
import type { HealJob } from './job.ts'

export interface Lock {
  take(wait: boolean): Step
  give(): Step
}

export interface Wanted {
  readonly lock: Lock
  /** See above. */
  readonly tieBreaker?: boolean
  /**
   * Never waited for: for a lock that is taken while others are held already. Who has it may be
   * waiting for those, as no order can be kept.
   */
  readonly nested?: boolean
}

/** Where locks of metadata begin: LLONG_MAX − 1. */
export const METADATA_START = (1n << 63n) - 2n

/** An inodelk for writing on [start, start + len); len 0: to the end. */
export function rangeLock(job: HealJob, domain: string, start: bigint, len: bigint): Lock {
  const step = (command: number, type: number): Step => ({
    fop: 'inodelk',
    args: {
      loc: job.loc,
      domain,
      command,
      flock: { type, whence: 0, start, len, pid: job.ctx.pid, lkOwner: job.ctx.lkOwner },
    },
  })
  return {
    take: wait => step(wait ? LockCommand.SETLKW : LockCommand.SETLK, LockType.WRLCK),
    give: () => step(LockCommand.SETLK, LockType.UNLCK),
  }
}

/** An entrylk on a name of a directory; undefined: on all of it. */
export function nameLock(directory: Inode, domain: string, name: string | undefined): Lock {
  const step = (command: number): Step => ({
    fop: 'entrylk',
    args: { loc: inodeLoc(directory), domain, name, command, type: EntrylkType.WRLCK },
  })
  return {
    take: wait => step(wait ? EntrylkCommand.LOCK : EntrylkCommand.LOCK_NB),
    give: () => step(EntrylkCommand.UNLOCK),
  }
}

/** Replies of the steps that followed the locks, by brick. */
export type StepReplies = readonly (readonly Reply<PlainFop>[])[]

export class HeldLocks {
  readonly #job: HealJob
  /** By brick. */
  readonly #held: Set<Lock>[]

  constructor(job: HealJob) {
    this.#job = job
    this.#held = job.set.children.map(() => new Set())
  }

  get #set(): ReplicaSet {
    return this.#job.set
  }

  /**
   * Takes the locks on every brick, and runs the steps of `then` there once it has them. A failure
   * when a lock is not to be had on all: then none of these is held.
   */
  async take(
    wanted: readonly Wanted[],
    then: readonly Step[] = [],
  ): Promise<StepReplies | Failure> {
    const set = this.#set
    if (set.up !== set.all) return failure(Errno.ENOTCONN)
    const locks = wanted.map(each => each.lock)
    const steps = [...locks.map(lock => lock.take(false)), ...then]
    const replies = await this.#onEvery(child => this.#run(child, steps, locks))
    const refused = replies.flatMap(reply => reply.find((each, k) => !each.ok && k < locks.length))
    const errnos = refused.filter(reply => reply !== undefined).map(reply => errnoOf(reply))
    if (errnos.length === 0) return replies.map(reply => reply.slice(locks.length))
    await this.give(locks)
    const hopeless = errnos.find(errno => errno !== Errno.EAGAIN)
    if (hopeless !== undefined) return failure(hopeless)
    if (wanted.some(each => each.nested === true)) return failure(Errno.EAGAIN)
    return this.#takePatiently(wanted, then)
  }

  /**
   * Runs steps on each brick and then gives these locks back there, whatever the steps said. Replies
   * of the steps that ran, by brick.
   */
  async finish(
    locks: readonly Lock[],
    steps: (index: number) => readonly Step[],
  ): Promise<StepReplies> {
    return this.#onEvery(async (child, index) => {
      const own = steps(index)
      const held = locks.filter(lock => this.#held[index]?.has(lock))
      const gives = held.map(lock => lock.give())
      const reply = await child.compound(this.#job.ctx, { steps: [...own, ...gives] })
      if (!reply.ok) return [reply]
      const ran = reply.replies.length
      for (const [k, lock] of held.entries()) {
        if (ran > own.length + k) this.#held[index]?.delete(lock)
      }
      if (ran < own.length + gives.length) await this.#giveOn(child, index, held)
      return reply.replies.slice(0, own.length)
    })
  }

  /** Gives locks back; all that are held when none are named. */
  async give(locks?: readonly Lock[]): Promise<void> {
    await this.#onEvery((child, index) => this.#giveOn(child, index, locks))
  }

  async #giveOn(child: Subvolume, index: number, locks?: readonly Lock[]): Promise<void> {
    const held = this.#held[index] as Set<Lock>
    const given = [...held].filter(lock => locks === undefined || locks.includes(lock)).reverse()
    for (const lock of given) held.delete(lock)
    if (given.length === 0) return
    // Each by itself matters: one that fails (the brick has lost it) must not keep the next.
    await Promise.all(given.map(lock => child.compound(this.#job.ctx, { steps: [lock.give()] })))
  }

  /** One kind of lock after the other, and one brick after the other. */
  async #takePatiently(
    wanted: readonly Wanted[],
    then: readonly Step[],
  ): Promise<StepReplies | Failure> {
    const locks = wanted.map(each => each.lock)
    for (const each of wanted) {
      const refused =
        each.tieBreaker === true ? await this.#breakTie(each.lock) : await this.#wait(each.lock)
      if (refused === undefined) continue
      await this.give(locks)
      return refused
    }
    return this.#onEvery(child => this.#run(child, then, []))
  }

  async #breakTie(lock: Lock): Promise<Failure | undefined> {
    const replies = await this.#onEvery(child => this.#run(child, [lock.take(false)], [lock]))
    const count = replies.filter(reply => reply[0]?.ok === true).length
    if (count === replies.length) return undefined
    await this.give([lock])
    const busy = replies.some(reply => reply[0] !== undefined && errnoOf(reply[0]) === Errno.EAGAIN)
    if (!busy) return failure(Errno.ENOTCONN)
    return count * 2 > replies.length ? this.#wait(lock) : failure(Errno.EAGAIN)
  }

  async #wait(lock: Lock): Promise<Failure | undefined> {
    for (const child of this.#set.children) {
      const [reply] = await this.#run(child, [lock.take(true)], [lock])
      if (reply?.ok !== true) return failure(reply === undefined ? Errno.ENOTCONN : errnoOf(reply))
    }
    return undefined
  }

  /** Runs steps of which the first ones take these locks, and notes which were had. */
  async #run(
    child: Subvolume,
    steps: readonly Step[],
    locks: readonly Lock[],
  ): Promise<readonly Reply<PlainFop>[]> {
    if (steps.length === 0) return []
    const reply = await child.compound(this.#job.ctx, { steps })
    // Not known which steps ran: the connection has broken, and with it the locks are gone.
    if (!reply.ok) return [reply]
    for (const [k, lock] of locks.entries()) {
      if (reply.replies[k]?.ok === true) this.#held[child.index]?.add(lock)
    }
    return reply.replies
  }

  #onEvery<R>(call: (child: Subvolume, index: number) => Promise<R>): Promise<R[]> {
    return Promise.all(this.#set.children.map((child, index) => call(child, index)))
  }
}

function errnoOf(reply: { readonly ok: boolean }): Errno {
  return reply.ok ? Errno.EIO : (reply as Failure).errno
}
