/**
 * The entry transaction: names made, removed and moved, on all bricks or with a note on those that
 * did it of those that did not.
 *
 *   lock the names ─▶ mark and do, in one compound per brick ─▶ blame who failed ─▶ answer
 *                     │ no marks when every brick takes part     │
 *                     └ (optimistic changelog)                   └ unlock and unmark: nobody waits
 */

import {
  type Ctx,
  type EntryReply,
  Errno,
  type Failure,
  failure,
  type Gfid,
  type Inode,
  type Loc,
  type ParentReply,
  type PlainFop,
  type RenameReply,
  type Reply,
  type Step,
  type Subvolume,
} from '@ashlar/core'
import { ChangeKind, countersOf, negated, ZERO_COUNTERS } from '../changelog.ts'
import type { Copies } from '../copies.ts'
import { noneGood, tellers } from '../direction.ts'
import {
  first,
  has,
  indices,
  type Members,
  NOBODY,
  only,
  size,
  where,
  without,
} from '../members.ts'
import { internalCtx, NO_QUORUM, type ReplicaSet, succeeded } from '../replica-set.ts'
import type { EntryLocking, Lockee } from './entry-locking.ts'
import { gfidLoc } from './lock-calls.ts'
import { changelogsTold, type Mark, markSteps, newObjectBlame } from './marks.ts'
import { judge, undecided, whose, worstOf } from './outcome.ts'
import { callStep } from './steps.ts'

type EntryFopReply = EntryReply | ParentReply | RenameReply

/** One entry operation, as the transaction needs it. */
export interface EntryOperation<R extends EntryFopReply> {
  readonly lockees: readonly Lockee[]
  /** The names it changes, for the changelogs of their directories. */
  readonly changes: readonly { readonly parent: Inode; readonly name: string }[]
  /** The new object, when it makes one. */
  readonly makes?:
    | { readonly gfid: Gfid; readonly inode: Inode; readonly kind: MadeKind | undefined }
    | undefined
  /** The operation on one brick. */
  readonly step: Step
  /** What takes a name away again that it has made. */
  readonly undo?: Step | undefined
  /** The name that is moved, or taken away. */
  readonly moves?: Loc | undefined
  readonly removes?: Loc | undefined
  /** The directory that goes, if nothing is in it. */
  readonly empties?: Inode | undefined
  /** The object whose attributes the reply shows. */
  readonly shown: (reply: R) => Gfid | undefined
}

/** What kind of object it is, for the blame of those who lack it; undefined: none is written. */
type MadeKind = 'file' | 'directory' | 'other'

/** Refusals that say which names there are. */
const OF_NAMES: ReadonlySet<Errno> = new Set([
  Errno.ENOENT,
  Errno.EEXIST,
  Errno.ESTALE,
  Errno.ENOTEMPTY,
])

const ENTRY_ONCE = countersOf(ChangeKind.ENTRY, 1)

/** How an entry operation went on the bricks. */
interface Run<R> {
  /** Bricks that were asked for it. */
  readonly members: Members
  /** Bricks that could not be, and were blamed if marks were made. */
  readonly absent: Members
  readonly generation: number
  /** Marks were made before. */
  readonly marked: boolean
  /** The bricks that have those of each change: one may not have been able to note it. */
  readonly noted: readonly Members[]
  /** Those who know a directory best were asked first whether it may go. */
  readonly judged: boolean
  readonly replies: readonly (R | Failure | undefined)[]
}

/** Asks one brick for an operation. */
type Ask<R> = (child: Subvolume, index: number) => Promise<R | Failure>

export class EntryTransactions {
  readonly #set: ReplicaSet
  readonly #copies: Copies
  readonly #locking: EntryLocking

  constructor(set: ReplicaSet, copies: Copies, locking: EntryLocking) {
    this.#set = set
    this.#copies = copies
    this.#locking = locking
  }

  async run<R extends EntryFopReply>(ctx: Ctx, operation: EntryOperation<R>): Promise<R | Failure> {
    const set = this.#set
    if (!set.hasQuorum(set.up)) return NO_QUORUM
    const held = await this.#locking.acquire(ctx, operation.lockees)
    if (!held.ok) return held
    try {
      const members = held.members & set.up
      if (!set.hasQuorum(members)) return NO_QUORUM
      const refused =
        (await this.#refuseLoneArbiter(ctx, operation, members)) ??
        (await this.#refuseMissing(ctx, operation, members))
      if (refused !== undefined) return refused
      const run = await this.#perform(ctx, operation, members)
      return 'ok' in run ? run : await this.#settle(ctx, operation, run)
    } finally {
      held.release()
    }
  }

  /** An arbiter must not be the only good copy of a directory. */
  async #refuseLoneArbiter<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    members: Members,
  ): Promise<Failure | undefined> {
    const { arbiter, all } = this.#set
    if (arbiter < 0 || members === all) return undefined
    for (const { parent } of operation.changes) {
      const state = await this.#copies.state(ctx, parent)
      if ('ok' in state) return state
      const good = without(members, state.accused)
      if (size(good) < 2 && has(good, arbiter)) return NO_QUORUM
    }
    return undefined
  }

  /**
   * A brick that has missed what is to be moved cannot move it. With another one down the one that
   * can might be alone: too few, and what it puts something else in the place of is gone there. So it
   * is with what is to be removed, where a brick may have missed it.
   */
  async #refuseMissing<R extends EntryFopReply>(
    ctx: Ctx,
    { changes, moves, removes }: EntryOperation<R>,
    members: Members,
  ): Promise<Failure | undefined> {
    const set = this.#set
    const loc = moves ?? removes
    if (loc === undefined || members === set.all) return undefined
    if (moves === undefined) {
      const good = await this.#goodFor(ctx, changes, members)
      if (typeof good !== 'number') return good
      if (good === members) return undefined
    }
    const internal = internalCtx(ctx, ctx.lkOwner)
    const replies = await set.onAll(members, child => child.lookup(internal, { loc }))
    // That nobody has it is for the bricks to say.
    const there = succeeded(replies)
    return there === NOBODY || set.hasQuorum(there) ? undefined : NO_QUORUM
  }

  /** Of `members` those that have missed no names of the directories. */
  async #goodFor(
    ctx: Ctx,
    changes: EntryOperation<EntryFopReply>['changes'],
    members: Members,
  ): Promise<Members | Failure> {
    if (this.#copies.agreement.holds()) return members
    let good = members
    for (const { parent } of changes) {
      const state = await this.#copies.state(ctx, parent)
      if ('ok' in state) return state
      good = without(good, state.accused)
    }
    return good
  }

  /** Does it on every member, with the marks that are needed. */
  async #perform<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    members: Members,
  ): Promise<Run<R> | Failure> {
    const set = this.#set
    const { generation } = set
    const absent = without(set.all, members)
    const { empties } = operation
    const judges = empties === undefined ? members : await this.#judges(ctx, empties, members)
    if (typeof judges !== 'number') return judges
    const optimistic = members === set.all && set.options['optimistic-change-log']
    const answers: (Reply<'compound'> | undefined)[] = []
    let ask: Ask<R> = child => callStep<R>(child, ctx, operation.step)
    let unable: readonly (Failure | undefined)[] = []
    if (!optimistic && operation.undo === undefined) {
      const failures = await this.#markFirst(ctx, operation, members, absent)
      if ('ok' in failures) return failures
      unable = failures
    } else if (!optimistic) ask = this.#asking<R>(ctx, operation, absent, answers)
    const askAble = (who: Members): Promise<readonly (R | Failure | undefined)[]> =>
      this.#copies.blaming(
        lacking(operation, absent),
        who,
        async (child, index) => unable[index] ?? ask(child, index),
      )
    const replies = await askAble(judges)
    const told = operation.changes.map((_, k) => changelogsTold(set, answers, k))
    const able = where(unable.length, index => has(members, index) && unable[index] === undefined)
    const noted = told.map(logs => tellers(logs) | able)
    if (absent !== NOBODY && told.some(logs => noneGood(ChangeKind.ENTRY, logs, set.all)))
      return this.#withdraw(ctx, operation, absent, noted, replies)
    const run = { absent, generation, marked: !optimistic, noted, judged: judges !== members }
    if (!run.judged || succeeded(replies) === NOBODY) return { ...run, members: judges, replies }
    const others = await askAble(without(members, judges))
    return { ...run, members, replies: replies.map((reply, index) => reply ?? others[index]) }
  }

  /**
   * The marks by themselves, of what cannot be taken back: a brick that cannot note it, as it is full,
   * does not do it either, and with one too few it must not be done anywhere. Gives why bricks cannot.
   */
  async #markFirst<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    members: Members,
    absent: Members,
  ): Promise<readonly (Failure | undefined)[] | Failure> {
    const internal = internalCtx(ctx, ctx.lkOwner)
    const marks = this.#parentMarks(operation, { blamed: absent, dirty: 1, pending: true }, true)
    const steps = markSteps(this.#set, internal, marks)
    const replies = await this.#copies.blaming(lacking(operation, absent), members, child =>
      child.compound(internal, { steps }),
    )
    const failures = replies.map(reply => {
      if (reply === undefined || !reply.ok) return reply
      const last = reply.replies.at(-1)
      return last?.ok === false ? last : undefined
    })
    const able = where(
      failures.length,
      index => has(members, index) && failures[index] === undefined,
    )
    const noted = operation.changes.map(() => able)
    if (this.#set.hasQuorum(able)) {
      const isKept = (_: Step, k: number): boolean =>
        !noneGood(ChangeKind.ENTRY, changelogsTold(this.#set, replies, k), this.#set.all)
      if (absent === NOBODY || steps.every(isKept)) return failures
      // The only good copy of a directory is away: what outdated ones do would come back with it.
      this.#takeBack(ctx, operation, absent, noted)
      return failure(Errno.EIO)
    }
    this.#takeBack(ctx, operation, absent, noted)
    return worstOf(failures.filter(each => each !== undefined))
  }

  /**
   * Of `members` those to ask first. A directory of which a brick has missed names is empty there
   * and not elsewhere: only bricks that have them all can tell whether it may go, and if none of
   * them lets it go the others must not either, as they may be the ones that a heal goes by.
   */
  async #judges(ctx: Ctx, directory: Inode, members: Members): Promise<Members | Failure> {
    const copies = this.#copies
    if (copies.agreement.holds()) return members
    // With all bricks there what its lookup has just told will do: no round trip for it.
    const complete = members === this.#set.all
    const state = await (complete ? copies.state(ctx, directory) : copies.refresh(ctx, directory))
    // Too few have the directory: those that lack it do not know that it is gone, but missed it.
    if ('ok' in state) return state
    const good = without(members, state.accused)
    return good === NOBODY ? members : good
  }

  /** Asks one brick for it, with marks before and after; its whole answer comes to be in `answers`. */
  #asking<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    absent: Members,
    answers: (Reply<'compound'> | undefined)[],
  ): Ask<R> {
    const set = this.#set
    const internal = internalCtx(ctx, ctx.lkOwner)
    const before = markSteps(
      set,
      internal,
      this.#parentMarks(operation, { blamed: absent, dirty: 1, pending: true }, true),
    )
    const after = markSteps(set, internal, this.#objectMarks(operation, absent))
    const steps = [...before, operation.step, ...after]
    return async (child, index) => {
      const reply = await child.compound(ctx, { steps })
      answers[index] = reply
      if (!reply.ok) return reply
      const own = reply.replies[before.length] as R | Failure | undefined
      if (own !== undefined) return own
      return (reply.replies.at(-1) as Failure | undefined) ?? failure(Errno.EIO)
    }
  }

  /**
   * The only good copy of a directory is among those that are away: what outdated ones have made would
   * come back with it, and blame it. Under the lock it is unmade, and the blame taken back.
   */
  async #withdraw<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    absent: Members,
    noted: readonly Members[],
    replies: readonly (R | Failure | undefined)[],
  ): Promise<Failure> {
    const left = await this.#undo(ctx, operation, replies, succeeded(replies))
    if (left !== NOBODY) await this.#markDirty(ctx, operation, left)
    this.#takeBack(ctx, operation, absent, noted)
    for (const { parent } of operation.changes) this.#copies.forget(parent)
    return failure(Errno.EIO)
  }

  /** What the replies mean: for the changelog, for what we know of the copies, for the caller. */
  async #settle<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    run: Run<R>,
  ): Promise<R | Failure> {
    const set = this.#set
    const { members, absent, marked, noted, judged } = run
    const replies =
      operation.moves === undefined
        ? sameMade(operation, run.replies)
        : this.#sameMoved(operation, run)
    // Who has names in a directory that others, who know better, let go is behind.
    const outcome = judge(replies, members, errno => errno !== Errno.ENOTEMPTY || judged)
    if (outcome.kind === 'refused') {
      this.#takeBack(ctx, operation, absent, noted)
      return this.#word(ctx, operation, { ...run, replies })
    }
    const { done, failed } = outcome
    if (!set.hasQuorum(done) || (failed !== NOBODY && !(await this.#kept(ctx, operation, done)))) {
      const left = await this.#undo(ctx, operation, replies, done)
      // A brick that hangs may do it yet, when it goes on: those that answer remember to look.
      const unknown = undecided(replies, members)
      const noting = unknown === NOBODY ? left : without(members, unknown)
      if (!marked && noting !== NOBODY) await this.#markDirty(ctx, operation, noting)
      return this.#word(ctx, operation, { ...run, replies })
    }
    if (failed !== NOBODY) {
      const noted = await this.#blame(ctx, operation, { done, failed, marked })
      if (!set.hasQuorum(noted)) return NO_QUORUM
      for (const { parent } of operation.changes) this.#copies.blame(parent, failed, 'data')
    } else if (marked) {
      this.#clearDirty(ctx, operation, done, absent === NOBODY)
    }
    const { makes } = operation
    if (makes !== undefined) this.#copies.learnNew(makes.inode, run.generation, done)
    return this.#reply(ctx, operation, replies, done)
  }

  /**
   * Why it was not done. What a copy says that has missed names of the directory is not to be told: a
   * name that it has may be gone, and one that it lacks may be there.
   */
  async #word<R extends EntryFopReply>(
    ctx: Ctx,
    { changes }: EntryOperation<R>,
    { replies, members }: Pick<Run<R>, 'replies' | 'members'>,
  ): Promise<Failure> {
    const failuresOf = (who: Members): Failure[] =>
      indices(who)
        .map(index => replies[index] ?? failure(Errno.ENOTCONN))
        .filter((reply): reply is Failure => !reply.ok)
    const good = await this.#goodFor(ctx, changes, members)
    const own = typeof good === 'number' ? failuresOf(good) : []
    if (own.length > 0) return worstOf(own)
    // Of a full disk any brick may speak.
    const others = failuresOf(members)
    const reasons = others.filter(({ errno }) => !OF_NAMES.has(errno))
    if (reasons.length > 0) return worstOf(reasons)
    if (good !== NOBODY) return NO_QUORUM
    return members === this.#set.all ? worstOf(others) : failure(Errno.EIO)
  }

  /** A brick that was behind may have moved another file, which had the name before: it has failed. */
  #sameMoved<R extends EntryFopReply>(
    operation: EntryOperation<R>,
    { replies }: Run<R>,
  ): readonly (R | Failure | undefined)[] {
    const moved = replies.map(reply => (reply?.ok === true ? operation.shown(reply) : undefined))
    if (new Set(moved.filter(gfid => gfid !== undefined)).size <= 1) return replies
    const done = succeeded(replies)
    const accused = operation.changes.reduce(
      (all, { parent }) => all | (this.#copies.known(parent)?.accused ?? NOBODY),
      NOBODY,
    )
    const judges = without(done, accused) === NOBODY ? done : without(done, accused)
    const holders = (gfid: Gfid | undefined): number =>
      size(where(moved.length, index => has(judges, index) && moved[index] === gfid))
    const right = indices(judges)
      .map(index => moved[index])
      .reduce((best, gfid) => (holders(gfid) > holders(best) ? gfid : best))
    return replies.map((reply, index) =>
      reply?.ok === true && moved[index] !== right ? failure(Errno.ESTALE) : reply,
    )
  }

  #parentMarks<R extends EntryFopReply>(
    operation: EntryOperation<R>,
    what: { blamed: Members; dirty: number; pending: boolean; blame?: number },
    asks = false,
  ): Mark[] {
    return operation.changes.map(({ parent, name }) => ({
      loc: gfidLoc(parent),
      blamed: what.blamed,
      blame: countersOf(ChangeKind.ENTRY, what.blame ?? 1),
      dirty: what.dirty === 0 ? ZERO_COUNTERS : countersOf(ChangeKind.ENTRY, what.dirty),
      name: { value: name, pending: what.pending },
      asks,
    }))
  }

  #objectMarks<R extends EntryFopReply>(operation: EntryOperation<R>, blamed: Members): Mark[] {
    const { makes } = operation
    if (makes?.kind === undefined || blamed === NOBODY) return []
    const loc = gfidLoc(makes.inode, makes.gfid)
    return [{ loc, blamed, blame: newObjectBlame(this.#set, makes.kind), dirty: ZERO_COUNTERS }]
  }

  /** Nothing was changed anywhere: the marks that said something might be go again from who has them. */
  #takeBack<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    absent: Members,
    noted: readonly Members[],
  ): void {
    const lazy: Ctx = { ...internalCtx(ctx, ctx.lkOwner), lazy: true }
    for (const [k, { parent }] of operation.changes.entries()) {
      const mark: Mark = {
        loc: gfidLoc(parent),
        blamed: absent,
        blame: negated(ENTRY_ONCE),
        dirty: negated(ENTRY_ONCE),
        asks: true,
      }
      this.#write(lazy, noted[k] ?? NOBODY, [mark]).catch(() => undefined)
    }
  }

  /** Of each directory some brick that did it has a good copy. */
  async #kept<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    done: Members,
  ): Promise<boolean> {
    for (const { parent } of operation.changes) {
      if (!(await this.#copies.keeps(ctx, parent, 'entry', done))) return false
    }
    return true
  }

  /**
   * Too few have made a name: it is taken away again while it is locked, or the next one to make it
   * would make another object on the bricks that lack it, and nobody could tell which of the two is
   * right. Marks stay: whether a brick that did not answer has made it is for a healer to see. Gives
   * the bricks that still have done it.
   */
  async #undo<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    replies: readonly (R | Failure | undefined)[],
    done: Members,
  ): Promise<Members> {
    const { undo, makes } = operation
    if (undo === undefined) return done
    const mine = whose(replies, done, reply => {
      if (!reply.ok || makes === undefined) return reply.ok
      return operation.shown(reply) === makes.gfid
    })
    const internal = internalCtx(ctx, ctx.lkOwner)
    const undone = await this.#set.onAll(mine, child => callStep(child, internal, undo))
    return without(done, succeeded(undone))
  }

  #clearDirty<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    done: Members,
    complete: boolean,
  ): void {
    const lazy: Ctx = { ...internalCtx(ctx, ctx.lkOwner), lazy: true }
    const marks = this.#parentMarks(operation, { blamed: NOBODY, dirty: -1, pending: !complete })
    this.#write(lazy, done, marks).catch(() => undefined)
  }

  /** Too few did it, and it will not be done again: those that did are looked at by a healer. */
  async #markDirty<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    done: Members,
  ): Promise<void> {
    const marks = this.#parentMarks(operation, { blamed: NOBODY, dirty: 1, pending: true })
    await this.#write(internalCtx(ctx, ctx.lkOwner), done, marks)
  }

  /** Notes on those that did it who did not; gives those that have the note. */
  async #blame<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    { done, failed, marked }: { done: Members; failed: Members; marked: boolean },
  ): Promise<Members> {
    const marks = [
      ...this.#objectMarks(operation, failed),
      ...this.#parentMarks(operation, { blamed: failed, dirty: marked ? -1 : 0, pending: true }),
    ]
    const noted = await this.#write(internalCtx(ctx, ctx.lkOwner), done, marks)
    this.#copies.agreement.broken()
    return noted
  }

  async #write(ctx: Ctx, members: Members, marks: readonly Mark[]): Promise<Members> {
    const steps = markSteps(this.#set, ctx, marks)
    if (steps.length === 0) return members
    const replies = await this.#set.onAll(members, child => child.compound(ctx, { steps }))
    let written = NOBODY
    for (const index of indices(members)) {
      const reply = replies[index]
      if (reply?.ok === true && reply.replies.length === steps.length && last(reply.replies)) {
        written |= only(index)
      }
    }
    return written
  }

  /** The reply of a brick whose copies are good. */
  async #reply<R extends EntryFopReply>(
    ctx: Ctx,
    operation: EntryOperation<R>,
    replies: readonly (R | Failure | undefined)[],
    done: Members,
  ): Promise<R> {
    const { parent } = operation.changes[0] as { parent: Inode }
    let good = done & this.#set.dataBricks
    if (good === NOBODY) good = done
    const parentState = this.#copies.known(parent)
    const narrowed = parentState === undefined ? good : good & parentState.data
    if (narrowed !== NOBODY) good = narrowed
    const any = replies[first(good)] as R
    const gfid = operation.shown(any)
    const object = gfid === undefined ? undefined : this.#set.self.inodes.find(gfid)
    const index =
      object === undefined
        ? this.#copies.choose(good, parent, ctx)
        : await this.#copies.teller(ctx, object, good)
    return replies[index] as R
  }
}

/** A brick that was behind may have had the name, and opened what it had: it has failed. */
function sameMade<R extends EntryFopReply>(
  { makes, shown }: EntryOperation<R>,
  replies: readonly (R | Failure | undefined)[],
): readonly (R | Failure | undefined)[] {
  if (makes === undefined) return replies
  const isMade = (reply: R | Failure | undefined): boolean =>
    reply?.ok === true && shown(reply) === makes.gfid
  // Where nobody has made it, it was there.
  if (!replies.some(isMade)) return replies
  return replies.map(reply =>
    reply?.ok === true && !isMade(reply) ? failure(Errno.EEXIST) : reply,
  )
}

/** The directories of whose names `away` miss the change. */
function lacking<R extends EntryFopReply>(
  { changes }: EntryOperation<R>,
  away: Members,
): { away: Members; of: readonly Inode[]; what: 'data' } {
  return { away, of: changes.map(({ parent }) => parent), what: 'data' }
}

function last(replies: readonly Reply<PlainFop>[]): boolean {
  return replies.at(-1)?.ok === true
}

/** The loc of a loc's parent directory. */
export function parentLoc(set: ReplicaSet, loc: Loc): Loc {
  const inode = loc.parent ?? set.self.inodes.obtain(loc.pargfid)
  return gfidLoc(inode)
}
