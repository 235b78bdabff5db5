/**
 * Metadata operations: attributes and extended attributes, under the inode's metadata lock.
 *
 * Lock and operation go to each brick in one compound. Should one of the locks turn out to be
 * somebody else's, all locks are waited for, and the operation is done again by everybody: setting
 * attributes twice is setting them once. What may not be done twice waits for its locks first.
 */

import {
  type Ctx,
  Errno,
  type Failure,
  failure,
  type Inode,
  type PlainFop,
  type Reply,
  type Step,
} from '@ashlar/core'
import { ChangeKind, countersOf, negated, ZERO_COUNTERS } from '../changelog.ts'
import type { Copies } from '../copies.ts'
import { noneGood, tellers } from '../direction.ts'
import { has, type Members, NOBODY, size, without } from '../members.ts'
import { internalCtx, NO_QUORUM, type ReplicaSet, succeeded } from '../replica-set.ts'
import {
  askAll,
  gfidLoc,
  type LockReply,
  type LockRequest,
  lockStep,
  sortReplies,
  unlockAll,
  waitForAll,
} from './lock-calls.ts'
import { changelogsTold, markStep } from './marks.ts'
import { judge } from './outcome.ts'
import { callStep } from './steps.ts'

/** Refusals that say what is there, of an object or an attribute. */
const OF_OUTDATED: ReadonlySet<Errno> = new Set([
  Errno.ENODATA,
  Errno.EEXIST,
  Errno.ENOENT,
  Errno.ESTALE,
])
const ONCE = countersOf(ChangeKind.METADATA, 1)

/** One change of an inode's attributes. */
export interface MetadataOperation {
  readonly inode: Inode
  readonly step: Step
  /** It must not be done twice on a brick. */
  readonly once: boolean
}

type Replies<R> = readonly (R | Failure | undefined)[]

export class MetadataTransactions {
  readonly #set: ReplicaSet
  readonly #copies: Copies

  constructor(set: ReplicaSet, copies: Copies) {
    this.#set = set
    this.#copies = copies
  }

  async run<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: MetadataOperation,
  ): Promise<R | Failure> {
    const set = this.#set
    const refused = await this.#refuse(ctx, operation.inode)
    if (refused !== undefined) return refused
    const owner = internalCtx(ctx, set.nextOwner())
    const request: LockRequest = { kind: 'metadata', loc: gfidLoc(operation.inode) }
    const up = set.up
    const marked = up !== set.all || !set.options['optimistic-change-log']
    if (!marked && !operation.once) {
      const tried = await this.#lockAndRun<R>(ctx, owner, request, operation.step, up)
      if (tried.taken === NOBODY) {
        const reply = await this.#settle(ctx, operation, owner, up, tried.replies)
        if (tried.granted !== NOBODY) unlockAll(set, tried.granted, owner, [request])
        return reply
      }
      if (tried.granted !== NOBODY) unlockAll(set, tried.granted, owner, [request])
      return this.#underLock(ctx, operation, owner, request, await this.#wait(up, owner, request))
    }
    const asked = await askAll(set, up, owner, request)
    if (asked.taken === NOBODY && asked.granted !== NOBODY) {
      return this.#underLock(ctx, operation, owner, request, asked.granted)
    }
    if (asked.granted !== NOBODY) unlockAll(set, asked.granted, owner, [request])
    return this.#underLock(ctx, operation, owner, request, await this.#wait(up, owner, request))
  }

  #wait(members: Members, owner: Ctx, request: LockRequest): Promise<Members | Failure> {
    return waitForAll(this.#set, members, owner, [request])
  }

  /** A change must reach good attributes, and not an arbiter alone; `held` are locked for it. */
  async #refuse(
    ctx: Ctx,
    inode: Inode,
    held: Members = this.#set.all,
  ): Promise<Failure | undefined> {
    const set = this.#set
    const reached = (): Members => held & set.up
    if (!set.hasQuorum(reached())) return NO_QUORUM
    let state = await this.#copies.state(ctx, inode)
    if (!('ok' in state) && (state.metadata & reached()) === NOBODY) {
      state = await this.#copies.refresh(ctx, inode)
    }
    if ('ok' in state) return state
    if ((state.metadata & reached()) === NOBODY) return failure(Errno.EIO)
    const { arbiter } = set
    if (arbiter >= 0 && size(reached()) < 2 && has(reached(), arbiter)) return NO_QUORUM
    return undefined
  }

  async #lockAndRun<R extends { readonly ok: true }>(
    ctx: Ctx,
    owner: Ctx,
    request: LockRequest,
    step: Step,
    members: Members,
  ): Promise<{ granted: Members; taken: Members; replies: Replies<R> }> {
    const steps = [lockStep(this.#set.name, owner, request, 'try'), step]
    const answers = await this.#set.onAll(members, child => child.compound(ctx, { steps }))
    const locks = sortReplies(
      answers.map(answer => (answer?.ok === true ? (answer.replies[0] as LockReply) : answer)),
    )
    const replies = answers.map(answer =>
      answer?.ok === true ? (answer.replies.at(-1) as R | Failure) : answer,
    )
    return { ...locks, replies }
  }

  /** The operation while `members` are locked, which it unlocks. */
  async #underLock<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: MetadataOperation,
    owner: Ctx,
    request: LockRequest,
    members: Members | Failure,
  ): Promise<R | Failure> {
    if (typeof members !== 'number') return members
    const set = this.#set
    try {
      const absent = without(set.all, members)
      // A brick that was lost while the lock was waited for may have had the only good copy.
      const refused =
        absent === NOBODY ? undefined : await this.#refuse(ctx, operation.inode, members)
      if (refused !== undefined) return refused
      const marked = absent !== NOBODY || !set.options['optimistic-change-log']
      if (!marked) {
        const replies = await set.onAll(members, child => callStep<R>(child, ctx, operation.step))
        return await this.#settle(ctx, operation, owner, members, replies)
      }
      const mark = this.#mark(operation.inode, owner, absent, ONCE, ONCE)
      const steps = [mark, operation.step]
      const answers = await this.#copies.blaming(
        { away: absent, of: [operation.inode], what: 'metadata' },
        members,
        child => child.compound(ctx, { steps }),
      )
      const logs = changelogsTold(set, answers)
      if (absent !== NOBODY && noneGood(ChangeKind.METADATA, logs, set.all)) {
        // Those that did it are outdated, and dirty; who is away is not to be blamed for it.
        const back = this.#mark(operation.inode, owner, absent, negated(ONCE), ZERO_COUNTERS)
        await set.onAll(tellers(logs), child => callStep(child, owner, back))
        this.#copies.forget(operation.inode)
        return failure(Errno.EIO)
      }
      const replies = answers.map(answer =>
        answer?.ok === true
          ? ((answer.replies as readonly Reply<PlainFop>[]).at(-1) as R | Failure)
          : answer,
      )
      return await this.#settle(ctx, operation, owner, members, replies, tellers(logs))
    } finally {
      unlockAll(set, members, owner, [request])
    }
  }

  /** What the replies mean; `noted`: the bricks that have marks of it, if any were made. */
  async #settle<R extends { readonly ok: true }>(
    ctx: Ctx,
    operation: MetadataOperation,
    owner: Ctx,
    members: Members,
    replies: Replies<R>,
    noted?: Members,
  ): Promise<R | Failure> {
    const set = this.#set
    const { inode } = operation
    const marked = noted !== undefined
    const lazy: Ctx = { ...owner, lazy: true }
    const absent = without(set.all, members)
    const judged = judge(replies, members)
    if (judged.kind === 'refused') {
      if (noted !== undefined) {
        const back = this.#mark(inode, lazy, absent, negated(ONCE), negated(ONCE))
        set.onAll(noted, child => callStep(child, lazy, back)).catch(() => undefined)
      }
      return judged.failure
    }
    const { done, failed } = judged
    const kept = failed === NOBODY || (await this.#copies.keeps(ctx, inode, 'metadata', done))
    if (!kept || !set.hasQuorum(done)) {
      // Those that did it differ from the others, and a healer is to see that.
      const dirty = this.#mark(inode, owner, NOBODY, ZERO_COUNTERS, ONCE)
      if (!marked) await set.onAll(done, child => callStep(child, owner, dirty))
      // Where some have done it those that say there is nothing to do have missed something before.
      const { failure: said = NO_QUORUM } = judged
      return done !== NOBODY && OF_OUTDATED.has(said.errno) ? NO_QUORUM : said
    }
    if (failed !== NOBODY) {
      const dirty = marked ? negated(ONCE) : ZERO_COUNTERS
      const blame = this.#mark(inode, owner, failed, ONCE, dirty)
      const blamed = await this.#copies.blaming(
        { away: failed, of: [inode], what: 'metadata' },
        done,
        child => callStep(child, owner, blame),
      )
      if (!set.hasQuorum(succeeded(blamed))) return NO_QUORUM
    } else if (marked) {
      const clear = this.#mark(inode, lazy, NOBODY, ZERO_COUNTERS, negated(ONCE))
      set.onAll(done, child => callStep(child, lazy, clear)).catch(() => undefined)
    }
    return replies[await this.#copies.teller(ctx, inode, done)] as R
  }

  #mark(inode: Inode, ctx: Ctx, blamed: Members, blame: typeof ONCE, dirty: typeof ONCE): Step {
    const mark = { loc: gfidLoc(inode), blamed, blame, dirty, asks: blamed !== NOBODY }
    return markStep(this.#set, ctx, mark) as Step
  }
}
