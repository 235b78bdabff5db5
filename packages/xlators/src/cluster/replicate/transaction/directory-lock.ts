/**
 * DirectoryLock: the entry lock of one directory as this process holds it.
 *
 * An operation on a name needs that name locked on all bricks. Taking the lock for each costs a round
 * trip, so a client that works in a directory alone takes the lock of the whole directory, uses it
 * for all its operations there, and gives it back after a moment without any, or as soon as a brick
 * tells it that somebody else waits. Then it locks single names for a while, as GlusterFS's clients
 * do: two clients in one directory do not hand a big lock to and fro.
 */

import type { Ctx, Inode } from '@ashlar/core'
import { type Members, NOBODY } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { Claims, type NameClaim, namesConflict } from './claims.ts'
import { askAll, gfidLoc, type LockRequest, unlockAll } from './lock-calls.ts'

/** Longest time a lock is kept though it is in use, should no brick tell of those who wait. */
const HELD_MAX_MS = 5000
/** How long single names are locked after somebody else has been met; doubled each time. */
const SHARED_FIRST_MS = 3000
const SHARED_MAX_MS = 60_000

export class DirectoryLock {
  readonly names = new Claims<NameClaim>(namesConflict)
  readonly #set: ReplicaSet
  readonly #inode: Inode
  readonly #ctx: Ctx
  #members: Members = NOBODY
  #generation = -1
  #users = 0
  #taking: Promise<boolean> | undefined
  #leaving = false
  /** Somebody asked for it before it was ours: no brick tells twice. */
  #unwanted = false
  #heldSince = 0
  #sharedUntil = 0
  #sharedMs = SHARED_FIRST_MS

  /** `ctx` is the lock's owner. */
  constructor(set: ReplicaSet, inode: Inode, ctx: Ctx) {
    this.#set = set
    this.#inode = inode
    this.#ctx = ctx
  }

  /** Bricks on which it is held. */
  get members(): Members {
    return this.#members
  }

  get held(): boolean {
    return this.#members !== NOBODY
  }

  /**
   * The lock of the whole directory, taken if need be: true when the caller may work under it, on
   * `members`, until `leave`. False: lock the name itself.
   */
  async enter(): Promise<boolean> {
    if (this.#usable()) {
      this.#use()
      return true
    }
    if (this.#set.env.clock.monotonic() < this.#sharedUntil) return false
    if (this.#leaving || this.#users > 0) return false
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined
    })
    if (!(await this.#taking) || !this.#usable()) return false
    this.#use()
    return true
  }

  #use(): void {
    this.#users += 1
    if (this.#users === 1) this.#set.idle.remove(this)
  }

  leave(): void {
    this.#users -= 1
    if (this.#users > 0) return
    const age = this.#set.env.clock.monotonic() - this.#heldSince
    if (this.#leaving || !this.#current() || age > HELD_MAX_MS) this.#release()
    else this.#set.idle.add(this)
  }

  /** Somebody else waits for a name here. */
  contended(): void {
    const now = this.#set.env.clock.monotonic()
    this.#sharedUntil = now + this.#sharedMs
    this.#sharedMs = Math.min(this.#sharedMs * 2, SHARED_MAX_MS)
    this.giveBack()
  }

  /** Gives the lock back as soon as nobody here works under it. */
  giveBack(): void {
    this.#unwanted = true
    if (!this.held) return
    this.#leaving = true
    if (this.#users === 0) this.#release()
  }

  brickLost(): void {
    this.giveBack()
  }

  /** Its unlock waits for nobody. */
  left(): Promise<void> {
    this.giveBack()
    return Promise.resolve()
  }

  #current(): boolean {
    return this.#generation === this.#set.generation
  }

  #usable(): boolean {
    return this.held && !this.#leaving && this.#current()
  }

  async #take(): Promise<boolean> {
    if (this.held) this.#release()
    const set = this.#set
    const generation = set.generation
    this.#unwanted = false
    const asked = await askAll(set, set.up, this.#ctx, this.#request)
    if (asked.taken !== NOBODY) {
      if (asked.granted !== NOBODY) unlockAll(set, asked.granted, this.#ctx, [this.#request])
      this.contended()
      return false
    }
    if (asked.granted === NOBODY) return false
    this.#members = asked.granted
    this.#generation = generation
    this.#heldSince = set.env.clock.monotonic()
    this.#leaving = false
    set.self.inodes.ref(this.#inode)
    if (!this.#unwanted && this.#current()) return true
    // Who asks for a name of it now, ourselves among them, must not wait for what nobody uses.
    this.#release()
    return false
  }

  #release(): void {
    this.#set.idle.remove(this)
    const members = this.#members
    this.#members = NOBODY
    this.#leaving = false
    if (members === NOBODY) return
    unlockAll(this.#set, members, this.#ctx, [this.#request])
    this.#set.self.inodes.unref(this.#inode)
  }

  get #request(): LockRequest {
    return { kind: 'entry', loc: gfidLoc(this.#inode), name: undefined }
  }
}
