/**
 * The locks of an entry operation: its names are ours, first among the operations of this process,
 * then on the bricks.
 */

import { type ContextKey, type Ctx, type Failure, type Loc, ROOT_CTX } from '@ashlar/core'
import { type Members, NOBODY } from '../members.ts'
import { internalCtx, NO_QUORUM, type ReplicaSet } from '../replica-set.ts'
import type { Claim, NameClaim } from './claims.ts'
import { DirectoryLock } from './directory-lock.ts'
import {
  askAll,
  gfidOfLoc,
  lockOrder,
  type LockRequest,
  unlockAll,
  waitForAll,
} from './lock-calls.ts'
import { worstOf } from './outcome.ts'

/** A name in a directory to be locked; undefined: the whole directory. `loc` is the directory's. */
export interface Lockee {
  readonly loc: Loc
  readonly name: string | undefined
}

/** Locks that are held on `members`, until `release`. */
export interface HeldNames {
  readonly ok: true
  readonly members: Members
  release(): void
}

export class EntryLocking {
  readonly #set: ReplicaSet
  readonly #locks: ContextKey<DirectoryLock>

  constructor(set: ReplicaSet, locks: ContextKey<DirectoryLock>) {
    this.#set = set
    this.#locks = locks
  }

  /** Somebody waits for a lock that we hold in this directory. */
  contended(inode: Loc['inode']): void {
    this.#locks.get(inode)?.contended()
  }

  /** The directory is gone: nothing will be made in it. */
  removed(inode: Loc['inode']): void {
    this.#locks.get(inode)?.giveBack()
  }

  /** Takes the locks of all `lockees`, or none. */
  async acquire(ctx: Ctx, lockees: readonly Lockee[]): Promise<HeldNames | Failure> {
    const sorted = lockees.length === 1 ? lockees : sortedOnce(lockees)
    const claims: { lock: DirectoryLock; claim: Claim<NameClaim> }[] = []
    for (const { loc, name } of sorted) {
      const lock = this.#lockOf(loc)
      claims.push({ lock, claim: await lock.names.claim(name) })
    }
    const freeNames = (): void => {
      for (const { lock, claim } of claims) lock.names.release(claim)
    }
    const held = await this.#onBricks(ctx, sorted)
    if (!held.ok) {
      freeNames()
      return held
    }
    return {
      ok: true,
      members: held.members,
      release: () => {
        held.release()
        freeNames()
      },
    }
  }

  #lockOf(loc: Loc): DirectoryLock {
    const { inode } = loc
    return this.#locks.obtain(
      inode,
      () => new DirectoryLock(this.#set, inode, internalCtx(ROOT_CTX, this.#set.nextOwner())),
    )
  }

  async #onBricks(ctx: Ctx, lockees: readonly Lockee[]): Promise<HeldNames | Failure> {
    const set = this.#set
    const owner = internalCtx(ctx, set.nextOwner())
    const parts = await Promise.all(lockees.map(lockee => this.#tryOne(owner, lockee)))
    let members = set.up
    for (const part of parts) members &= part.members
    const release = (): void => {
      for (const part of parts) part.release()
    }
    if (parts.every(part => !part.taken)) {
      if (members !== NOBODY) return { ok: true, members, release }
      release()
      const failures = parts.flatMap(part => part.failures)
      return failures.length === 0 ? NO_QUORUM : worstOf(failures)
    }
    release()
    for (const [i, lockee] of lockees.entries()) {
      if (parts[i]?.whole === true) this.#lockOf(lockee.loc).giveBack()
    }
    const requests = lockees.map(requestOf)
    const waited = await waitForAll(set, set.up, owner, requests)
    if (typeof waited !== 'number') return waited
    return { ok: true, members: waited, release: () => unlockAll(set, waited, owner, requests) }
  }

  /** One lockee, without waiting: under the lock of its whole directory, or by its name. */
  async #tryOne(owner: Ctx, lockee: Lockee): Promise<Part> {
    const set = this.#set
    const lock = this.#lockOf(lockee.loc)
    // The lock of a whole directory is taken to be kept for its names, not for itself.
    if (set.options['eager-lock'] && (lockee.name !== undefined || lock.held)) {
      if (await lock.enter()) {
        const members = lock.members
        return {
          members,
          taken: false,
          whole: true,
          failures: [],
          release: () => lock.leave(),
        }
      }
    }
    const request = requestOf(lockee)
    const asked = await askAll(set, set.up, owner, request)
    return {
      members: asked.granted,
      taken: asked.taken !== NOBODY,
      whole: false,
      failures: asked.failures.filter(each => each !== undefined),
      release: () => {
        if (asked.granted !== NOBODY) unlockAll(set, asked.granted, owner, [request])
      },
    }
  }
}

/** What asking for one lockee gave. */
interface Part {
  readonly members: Members
  /** Somebody else has it on some brick. */
  readonly taken: boolean
  /** It is the lock of the whole directory. */
  readonly whole: boolean
  /** Why bricks refused it otherwise. */
  readonly failures: readonly Failure[]
  release(): void
}

function requestOf(lockee: Lockee): LockRequest {
  return { kind: 'entry', loc: lockee.loc, name: lockee.name }
}

/** In the order of all clients, each once; a whole directory takes the place of its names. */
function sortedOnce(lockees: readonly Lockee[]): Lockee[] {
  const sorted = [...lockees].sort(lockOrder)
  return sorted.filter((lockee, i) => {
    const before = sorted.slice(0, i)
    return !before.some(
      other =>
        gfidOfLoc(other.loc) === gfidOfLoc(lockee.loc) &&
        (other.name === undefined || other.name === lockee.name),
    )
  })
}
