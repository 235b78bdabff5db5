/**
 * FileLock: the data lock of one file as this process holds it, and what its changelog says
 * meanwhile.
 *
 *          take                       release (a moment unused, somebody waits, a brick came or went)
 *   free ────────▶ held ───────────────────────────▶ leaving ──▶ free
 *          lock, dirty +1,             fsync, dirty −1, unlock: nobody waits for them
 *          blame the absent,
 *          and the first operation,
 *          all in one compound
 *
 * Operations while it is held cost one round trip each. Whoever has failed is blamed on the others
 * before the operation is answered, and takes no further part.
 */

import {
  type Ctx,
  Dict,
  Errno,
  type Failure,
  failure,
  type Fd,
  type Inode,
  type PlainFop,
  type Reply,
  type Step,
  type Subvolume,
} from '@ashlar/core'
import {
  type BrickChangelog,
  ChangeKind,
  countersOf,
  negated,
  ZERO_COUNTERS,
} from '../changelog.ts'
import type { Copies } from '../copies.ts'
import type { InodeState } from '../inode-state.ts'
import { accusedBy, noneGood, tellers } from '../direction.ts'
import { has, indices, type Members, NOBODY, size, without } from '../members.ts'
import { type Losses, NO_QUORUM, type ReplicaSet, succeeded } from '../replica-set.ts'
import { type Claim, Claims, type RangeClaim, rangesConflict } from './claims.ts'
import { type DataOperation, isGone, shortAsFailures } from './data-operation.ts'
import {
  gfidLoc,
  type LockReply,
  type LockRequest,
  lockStep,
  sortReplies,
  unlockAll,
  waitForAll,
} from './lock-calls.ts'
import { type Mark, markStep } from './marks.ts'
import { judge } from './outcome.ts'
import { callStep } from './steps.ts'

/** Longest time a lock is kept though it is in use, should no brick tell of those who wait. */
const HELD_MAX_MS = 5000
const DATA_ONCE = countersOf(ChangeKind.DATA, 1)

type Phase = 'free' | 'taking' | 'held' | 'leaving'

export class FileLock {
  readonly #set: ReplicaSet
  readonly #copies: Copies
  readonly #inode: Inode
  readonly #owner: Ctx
  readonly #ranges = new Claims<RangeClaim>(rangesConflict)
  #phase: Phase = 'free'
  /** Resolves when the phase may have changed. */
  #turn: Promise<unknown> | undefined
  #users = 0
  #drained: (() => void) | undefined
  #generation = -1
  /** `ReplicaSet.arrivals` when it was taken. */
  #arrivals = -1
  /** The last blaming of lost bricks. */
  #parting: Promise<void> = Promise.resolve()
  /** When it began: bricks that were lost since have lost the lock. */
  #losses: Losses = []
  /** Bricks on which the lock is held. */
  #locked: Members = NOBODY
  /** Those that have done everything under it. */
  #members: Members = NOBODY
  /** By child: how often dirty was raised there. */
  #dirty: number[] = []
  /** Too few did an operation: what is dirty stays so, for a healer to look at. */
  #spoiled = false
  #unstable = false
  /** Operations that have begun, ever. */
  #operations = 0
  #leaveSoon = false
  #heldSince = 0

  constructor(set: ReplicaSet, copies: Copies, inode: Inode, owner: Ctx) {
    this.#set = set
    this.#copies = copies
    this.#inode = inode
    this.#owner = owner
  }

  /**
   * A flush of the file begins; call what it gives when it has succeeded. If nothing was written
   * meanwhile, the release need not flush again.
   */
  syncing(): () => void {
    const written = this.#users > 0 ? -1 : this.#operations
    return () => {
      if (written === this.#operations && this.#users === 0) this.#unstable = false
    }
  }

  /** Somebody waits for it, or it is not worth keeping. */
  giveBack(): void {
    if (this.#phase === 'taking') this.#leaveSoon = true
    else if (this.#phase === 'held') this.#startLeaving()
  }

  /** Resolves when nothing is held. */
  async left(): Promise<void> {
    this.giveBack()
    while (this.#phase === 'leaving') await this.#turn
  }

  /** Runs an operation on all bricks. */
  async run<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: DataOperation<R>,
  ): Promise<R | Failure> {
    const claim: Claim<RangeClaim> =
      this.#ranges.tryClaim(operation.range) ?? (await this.#ranges.claim(operation.range))
    this.#operations += 1
    try {
      for (;;) {
        if (this.#phase === 'held' && this.#usable()) {
          await this.#goOnWithoutLost()
          return await this.#under(ctx, operation)
        }
        if (this.#phase === 'held') this.#startLeaving()
        if (this.#phase === 'free') return await this.#take(ctx, operation)
        await this.#turn
      }
    } finally {
      this.#ranges.release(claim)
    }
  }

  /** A brick that comes must be locked, too; those that are left when one goes are still locked. */
  #usable(): boolean {
    return !this.#leaveSoon && this.#arrivals === this.#set.arrivals
  }

  /** What was written is blamed on the lost brick before that can be back without it. */
  brickLost(): void {
    if (this.#phase !== 'held') return
    this.#goOnWithoutLost().catch((bug: unknown) => {
      this.#set.env.log.critical('blaming a lost brick failed', { error: String(bug) })
    })
  }

  /**
   * Bricks that have gone are blamed on the others, which go on under the lock they have given: nobody
   * waits for their disks.
   */
  async #goOnWithoutLost(): Promise<void> {
    if (this.#generation !== this.#set.generation) {
      this.#generation = this.#set.generation
      this.#parting = this.#part()
    }
    await this.#parting
  }

  async #part(): Promise<void> {
    const set = this.#set
    const gone = set.lostSince(this.#losses)
    const lost = this.#members & gone
    this.#locked = without(this.#locked, gone)
    this.#members = without(this.#members, gone)
    if (lost === NOBODY || this.#spoiled) return
    const noted = await this.#blameLost(lost, this.#members)
    if (noted !== NOBODY) {
      this.#members &= noted
      return
    }
    this.#spoiled = true
    this.#leaveSoon = true
  }

  /** An operation under the lock that is held. */
  async #under<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: DataOperation<R>,
  ): Promise<R | Failure> {
    this.#users += 1
    if (this.#users === 1) this.#set.idle.remove(this)
    try {
      const members = this.#members
      if (!this.#set.hasQuorum(members)) return NO_QUORUM
      const replies = await this.#set.onAll(members, (child, index) =>
        callStep<R>(child, ctx, operation.step(index)),
      )
      return await this.#settle(ctx, operation, members, replies)
    } finally {
      this.#leaveOne()
    }
  }

  /** Takes the lock, and runs the operation with it. */
  async #take<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: DataOperation<R>,
  ): Promise<R | Failure> {
    let turned: () => void = () => {}
    this.#turn = new Promise<void>(resolve => {
      turned = resolve
    })
    this.#phase = 'taking'
    this.#users = 1
    this.#set.self.inodes.ref(this.#inode)
    try {
      const reply = await this.#takeAndRun(ctx, operation)
      return reply
    } finally {
      this.#phase = this.#locked === NOBODY ? 'free' : 'held'
      if (this.#phase === 'free') this.#set.self.inodes.unref(this.#inode)
      this.#leaveOne()
      turned()
    }
  }

  async #takeAndRun<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: DataOperation<R>,
  ): Promise<R | Failure> {
    const set = this.#set
    const refused = await this.#refuse(ctx)
    if (refused !== undefined) return refused
    const members = set.up
    this.#begin()
    if (operation.once) {
      const held = await this.#waitForLock(members)
      if (typeof held !== 'number') return held
      return this.#firstUnder(ctx, operation)
    }
    const absent = without(set.all, members)
    const replies = await this.#copies.blaming(this.#lacking(absent), members, (child, index) =>
      child.compound(ctx, {
        steps: [
          lockStep(set.name, this.#owner, this.#request, 'try'),
          this.#beginning(absent, absent !== NOBODY),
          operation.step(index),
        ],
      }),
    )
    const steps = replies.map(reply =>
      reply === undefined || !reply.ok ? reply : (reply.replies as Reply<PlainFop>[]),
    )
    const locks = sortReplies(
      steps.map(each => (Array.isArray(each) ? (each[0] as LockReply) : each)),
    )
    const logs: (BrickChangelog | undefined)[] = []
    for (const index of indices(locks.granted)) {
      const begun = (steps[index] as Reply<PlainFop>[])[1] as Reply<'xattrop'> | undefined
      this.#raised(index, begun)
      if (begun?.ok === true) logs[index] = set.changelog(begun.dict)
    }
    if (locks.taken !== NOBODY) {
      // What was done without everybody's lock is done again, by all, when all have it.
      unlockAll(set, locks.granted, this.#owner, [this.#request])
      const held = await this.#waitForLock(members)
      if (typeof held !== 'number') return held
      return this.#firstUnder(ctx, operation)
    }
    this.#locked = locks.granted
    this.#members = locks.granted
    if (!set.hasQuorum(locks.granted)) return this.#tooFew(steps)
    if (absent !== NOBODY && noneGood(ChangeKind.DATA, logs, set.dataBricks))
      return this.#withdraw(absent, tellers(logs))
    const own = steps.map(each =>
      Array.isArray(each) ? ((each[2] ?? each.at(-1)) as R | Failure) : each,
    )
    return this.#settle(ctx, operation, members, own)
  }

  /** The first operation, when the lock had to be waited for. */
  async #firstUnder<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: DataOperation<R>,
  ): Promise<R | Failure> {
    const set = this.#set
    const members = this.#members
    // A brick that was lost while the lock was waited for may have had the only good copy.
    const refused = members === set.all ? undefined : await this.#refuse(ctx, members)
    if (refused !== undefined) {
      this.#leaveSoon = true
      return refused
    }
    const absent = without(set.all, members)
    const logs: (BrickChangelog | undefined)[] = []
    const ask = async (child: Subvolume, index: number): Promise<R | Failure> => {
      const steps = [this.#beginning(absent, true), operation.step(index)]
      const reply = await child.compound(ctx, { steps })
      if (!reply.ok) return reply
      const begun = reply.replies[0] as Reply<'xattrop'> | undefined
      this.#raised(index, begun)
      if (begun?.ok === true) logs[index] = set.changelog(begun.dict)
      return (reply.replies[1] ?? reply.replies[0]) as R | Failure
    }
    const replies = await this.#copies.blaming(this.#lacking(absent), members, ask)
    // Who had the lock may have blamed a brick since the copies were looked at.
    this.#copies.blame(this.#inode, accusedBy(ChangeKind.DATA, logs), 'data')
    if (absent !== NOBODY && noneGood(ChangeKind.DATA, logs, set.dataBricks))
      return this.#withdraw(absent, tellers(logs))
    return this.#settle(ctx, operation, members, replies)
  }

  /**
   * Who looked at the copies before it had the lock may have been told less than there was to tell:
   * the only good copy is among those that are away. What outdated ones have done does not count, and
   * is not held against that one, or nobody knew any more which is right: those that `noted` it take it
   * back. Others have not, and a counter must not come below zero.
   */
  async #withdraw(absent: Members, noted: Members): Promise<Failure> {
    this.#spoiled = true
    this.#leaveSoon = true
    const mark: Mark = {
      ...this.#subject,
      blamed: absent,
      blame: negated(DATA_ONCE),
      dirty: ZERO_COUNTERS,
      asks: true,
    }
    const step = markStep(this.#set, this.#owner, mark) as Step
    await this.#set.onAll(noted, child => callStep(child, this.#owner, step))
    this.#copies.forget(this.#inode)
    return failure(Errno.EIO)
  }

  async #waitForLock(members: Members): Promise<Members | Failure> {
    const held = await waitForAll(this.#set, members, this.#owner, [this.#request])
    if (typeof held !== 'number') return held
    this.#locked = held
    this.#members = held
    this.#losses = this.#set.losses
    // Who let us have it may want it back at once: no brick tells twice.
    this.#generation = this.#set.generation
    this.#arrivals = this.#set.arrivals
    return held
  }

  #begin(): void {
    this.#generation = this.#set.generation
    this.#arrivals = this.#set.arrivals
    this.#parting = Promise.resolve()
    this.#losses = this.#set.losses
    this.#locked = NOBODY
    this.#members = NOBODY
    this.#dirty = []
    this.#spoiled = false
    this.#unstable = false
    this.#leaveSoon = false
    this.#heldSince = this.#set.env.clock.monotonic()
  }

  /**
   * Dirty was raised on a brick. What we raised while we had the lock before may have been taken back
   * since by a healer: then the counter is lower than we think.
   */
  #raised(index: number, reply: Reply<'xattrop'> | undefined): void {
    if (reply?.ok !== true) return
    const raised = (this.#dirty[index] ?? 0) + 1
    const now = this.#set.changelog(reply.dict).dirty[ChangeKind.DATA]
    this.#dirty[index] = Math.max(0, Math.min(raised, now))
  }

  /** A write must reach a good copy, and not an arbiter alone; `held` are locked for it. */
  async #refuse(ctx: Ctx, held: Members = this.#set.all): Promise<Failure | undefined> {
    const set = this.#set
    const reached = (): Members => held & set.up
    if (!set.hasQuorum(reached())) return NO_QUORUM
    let state = await this.#copies.state(ctx, this.#inode)
    const isBad = (found: InodeState): boolean =>
      found.disputed || (found.data & reached()) === NOBODY
    if (!('ok' in state) && isBad(state)) state = await this.#copies.refresh(ctx, this.#inode)
    if ('ok' in state) return state
    if (isBad(state)) return failure(Errno.EIO)
    const good = without(reached(), state.accused)
    if (set.arbiter >= 0 && size(good) < 2 && has(good, set.arbiter)) return NO_QUORUM
    return undefined
  }

  /** dirty, and blame of those who are not there; `asks`: who is blamed by now is answered. */
  #beginning(absent: Members, asks = false): Step {
    return markStep(this.#set, this.#owner, {
      ...this.#subject,
      blamed: absent,
      blame: DATA_ONCE,
      dirty: DATA_ONCE,
      asks,
    }) as Step
  }

  #tooFew(steps: readonly (Reply<PlainFop>[] | Failure | undefined)[]): Failure {
    this.#spoiled = true
    this.#leaveSoon = true
    for (const each of steps) {
      const reply = Array.isArray(each) ? each.at(-1) : each
      if (reply?.ok === false && reply.errno !== Errno.ENOTCONN) return reply
    }
    return NO_QUORUM
  }

  /** What the replies mean; the blame is written before the operation is answered. */
  async #settle<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: DataOperation<R>,
    members: Members,
    replies: readonly (R | Failure | undefined)[],
  ): Promise<R | Failure> {
    const set = this.#set
    if (operation.unstable) this.#unstable = true
    const judged = judge(shortAsFailures(operation, replies), members)
    if (judged.kind === 'refused') return judged.failure
    const { done, failed } = judged
    const kept = failed === NOBODY || (await this.#copies.keeps(ctx, this.#inode, 'data', done))
    if (failed !== NOBODY) {
      this.#members = without(this.#members, failed)
      this.#copies.blame(this.#inode, failed, 'data')
    }
    if (!kept || !set.hasQuorum(done)) {
      this.#spoiled = true
      this.#leaveSoon = true
      return judged.failure ?? NO_QUORUM
    }
    if (failed !== NOBODY) {
      const noted = await this.#blame(failed, done)
      if (!set.hasQuorum(noted)) {
        this.#leaveSoon = true
        return NO_QUORUM
      }
    }
    return replies[await this.#copies.teller(ctx, this.#inode, done)] as R
  }

  /** Blames `failed` on `done`; gives those that have it. */
  async #blame(failed: Members, done: Members): Promise<Members> {
    const mark: Mark = {
      ...this.#subject,
      blamed: failed,
      blame: DATA_ONCE,
      dirty: ZERO_COUNTERS,
    }
    const step = markStep(this.#set, this.#owner, mark) as Step
    const replies = await this.#copies.blaming(this.#lacking(failed), done, child =>
      callStep(child, this.#owner, step),
    )
    return succeeded(replies)
  }

  #leaveOne(): void {
    this.#users -= 1
    if (this.#users > 0) return
    this.#drained?.()
    this.#drained = undefined
    if (this.#phase !== 'held') return
    const age = this.#set.env.clock.monotonic() - this.#heldSince
    if (!this.#usable() || age > HELD_MAX_MS || !this.#set.options['eager-lock']) {
      this.#startLeaving()
    } else this.#set.idle.add(this)
  }

  #startLeaving(): void {
    if (this.#phase !== 'held') return
    this.#phase = 'leaving'
    this.#turn = this.#leave().finally(() => {
      this.#phase = 'free'
      this.#set.self.inodes.unref(this.#inode)
    })
  }

  async #leave(): Promise<void> {
    this.#set.idle.remove(this)
    if (this.#users > 0) {
      await new Promise<void>(resolve => {
        this.#drained = resolve
      })
    }
    const lost = this.#set.lostSince(this.#losses)
    const locked = without(this.#locked, lost)
    this.#locked = NOBODY
    const flushes = this.#unstable && this.#set.options['ensure-durability']
    const doubtful = flushes && !this.#spoiled ? this.#members & lost : NOBODY
    let members = this.#spoiled ? NOBODY : without(this.#members & this.#set.up, lost)
    if (doubtful !== NOBODY) members = await this.#blameLost(doubtful, members)
    await new Promise<void>(done => {
      this.#set.leaving.add({
        locked,
        members,
        unsynced: flushes ? members & this.#set.dataBricks : NOBODY,
        durable: () => this.#durable(members),
        steps: (index, clean) => this.#lastSteps(index, clean),
        done,
      })
    })
  }

  /**
   * A brick that was lost meanwhile may have lost what it had not synced: the others say so before
   * anything is called clean. Gives those that have. Its own dirty stays: without the lock we might
   * take back what a healer has taken back already.
   */
  async #blameLost(doubtful: Members, members: Members): Promise<Members> {
    const set = this.#set
    // Those that are too few to call anything clean tell, too, or nobody knew who has it all. But
    // with nobody to make up for them they must have it on their own disks before.
    const sure = set.hasQuorum(members) ? members : (await this.#flush(members)).synced
    // If no other has a good copy the lost one is the best there is: it stays dirty, like all.
    if (!(await this.#copies.keeps(this.#owner, this.#inode, 'data', sure))) return NOBODY
    this.#copies.blame(this.#inode, doubtful, 'data')
    const noted = await this.#blame(doubtful, sure)
    return set.hasQuorum(noted) ? noted : NOBODY
  }

  #lastSteps(index: number, clean: boolean): { mark: Step | undefined; unlock: Step } {
    const mark: Mark = {
      ...this.#subject,
      blamed: NOBODY,
      blame: ZERO_COUNTERS,
      dirty: countersOf(ChangeKind.DATA, -(this.#dirty[index] ?? 0)),
    }
    return {
      mark: clean ? markStep(this.#set, this.#owner, mark) : undefined,
      unlock: lockStep(this.#set.name, this.#owner, this.#request, 'unlock'),
    }
  }

  /** Brings what was written to the disks; gives the bricks whose dirty may be taken back. */
  async #durable(members: Members): Promise<Members> {
    const { synced, gone } = await this.#flush(members)
    // A file that was removed meanwhile needs no care; its bricks forget it when they are told.
    if (gone) return members
    const failed = without(members, synced)
    if (!(await this.#copies.keeps(this.#owner, this.#inode, 'data', synced))) return NOBODY
    const noted = await this.#blame(failed, synced)
    this.#copies.blame(this.#inode, failed, 'data')
    return noted
  }

  /** Who has everything on disk now; `gone`: all others, if any, do not have the file any more. */
  async #flush(members: Members): Promise<{ synced: Members; gone: boolean }> {
    const set = this.#set
    const open = this.#openFd
    const fd = open?.ref() ?? set.self.anonymousFd(this.#inode, 0)
    const xdata = new Dict().setInt('batch-fsync', 1).setString('glusterfs-internal-fop', 'yes')
    const replies = await set.onAll(members & set.dataBricks, child =>
      child.fsync(this.#owner, { fd, datasync: true, xdata }),
    )
    fd.unref()
    const synced = succeeded(replies) | (members & ~set.dataBricks)
    const failed = indices(without(members, synced))
    return { synced, gone: failed.every(index => isGone(replies[index])) }
  }

  /** A file without a name is reached by an open fd alone. */
  get #openFd(): Fd | undefined {
    for (const fd of this.#inode.fds) if (!fd.anonymous) return fd
    return undefined
  }

  get #subject(): Pick<Mark, 'loc' | 'fd'> {
    return { loc: gfidLoc(this.#inode), fd: this.#openFd }
  }

  #lacking(away: Members): { away: Members; of: readonly Inode[]; what: 'data' } {
    return { away, of: [this.#inode], what: 'data' }
  }

  get #request(): LockRequest {
    return { kind: 'data', loc: gfidLoc(this.#inode) }
  }
}
