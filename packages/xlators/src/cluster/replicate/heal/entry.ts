/**
 * Entry heal: makes a directory have the same names on all bricks. Where bricks disagree and none is
 * known to be right, nothing is removed (conservative merge).
 *
 * Names are healed in batches, each with the whole directory locked and all its names under way at
 * once: what is new is made before what is old is removed, so that a file or directory that was
 * renamed keeps its data.
 * Source: xlators/cluster/afr/src/afr-self-heal-entry.c.
 */

import { Dict, Errno, errnoText, S_IFDIR, type Step } from '@ashlar/core'
import { ChangeKind, pendingOf } from '../changelog.ts'
import { first, has, type Members, NOBODY, only, without } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import {
  askCopy,
  type Copies,
  type Copy,
  directionOf,
  isCopy,
  missingCopy,
  present,
  readCopy,
  statOf,
} from './copies.ts'
import { lockRefused, TIMES } from './data.ts'
import { type EntryNames, entryNames } from './entry-names.ts'
import { HeldLocks, type Lock, nameLock } from './held-locks.ts'
import { completed, lookAtName } from './look-at-name.ts'
import { HEALED, type HealJob, type Outcome, type Unhealed, unhealed } from './job.ts'
import { type EntrySource, entrySource, type NameAction, planName } from './name-plan.ts'
import { NameWorker } from './recreate.ts'
import { ctimeOf, greatest } from './split-brain.ts'
import { undoStep } from './undo.ts'

/** Names that are healed at a time; clients wait for the directory as long. */
export const BATCH_NAMES = 32
const PURGE = 'glusterfs.xattrop-purge-index'

export async function healEntries(job: HealJob): Promise<Outcome> {
  job.inode.type ||= S_IFDIR
  const heal = new EntryHeal(job)
  try {
    return await heal.run()
  } finally {
    await heal.end()
  }
}

class EntryHeal {
  readonly #job: HealJob
  readonly #set: ReplicaSet
  readonly #locks: HeldLocks
  readonly #guard: Lock
  readonly #whole: Lock
  readonly #worker: NameWorker
  /** The first thing that went wrong. */
  #failed: Unhealed | undefined
  /** Bricks that could not take something. */
  #failing: Members = NOBODY
  #names: EntryNames | undefined

  constructor(job: HealJob) {
    this.#job = job
    this.#set = job.set
    this.#locks = new HeldLocks(job)
    this.#guard = nameLock(job.inode, job.healDomain, undefined)
    this.#whole = nameLock(job.inode, job.domain, undefined)
    this.#worker = new NameWorker(job)
  }

  async end(): Promise<void> {
    this.#worker.end()
    await this.#locks.give()
  }

  async run(): Promise<Outcome> {
    const wanted = [{ lock: this.#guard, tieBreaker: true }, { lock: this.#whole }]
    const taken = await this.#locks.take(wanted, [askCopy(this.#job)])
    if ('ok' in taken) return lockRefused(taken.errno)
    const copies = taken.map(replies => readCopy(this.#set, replies[0]))
    await this.#locks.give([this.#whole])
    const missing = missingCopy(this.#set, copies)
    if (missing !== undefined) return missing
    const at = this.#sourceOf(copies)
    const names = entryNames(this.#job, copies, at)
    this.#names = names
    const unread = await names.each(BATCH_NAMES, batch => this.#batch(batch))
    if (unread !== undefined) return unread
    return this.#finish(copies, at, names.full)
  }

  #sourceOf(copies: Copies): EntrySource {
    return entrySource(directionOf(this.#set, copies, ChangeKind.ENTRY), present(copies))
  }

  /** Heals some names under the directory's lock. False: there is no sense in going on. */
  async #batch(names: readonly string[]): Promise<boolean> {
    const taken = await this.#locks.take([{ lock: this.#whole }], [askCopy(this.#job)])
    if ('ok' in taken) {
      this.#failed ??= lockRefused(taken.errno)
      return false
    }
    try {
      const copies = taken.map(replies => readCopy(this.#set, replies[0]))
      const missing = missingCopy(this.#set, copies)
      if (missing !== undefined) this.#failed ??= missing
      else await this.#healNames(names, this.#sourceOf(copies))
      return missing === undefined
    } finally {
      await this.#locks.give([this.#whole])
    }
  }

  async #healNames(names: readonly string[], at: EntrySource): Promise<void> {
    const plans = await Promise.all(names.map(name => this.#plan(name, at)))
    const kinds: NameAction['kind'][] = ['create', 'replace', 'remove']
    for (const kind of kinds) {
      await Promise.all(
        plans.flatMap(plan =>
          plan.actions
            .filter(action => action.kind === kind)
            .map(action => this.#perform(plan, action)),
        ),
      )
    }
    this.#names?.done(plans.filter(plan => !plan.failed).map(plan => plan.name))
  }

  async #plan(name: string, at: EntrySource): Promise<NamePlan> {
    const copies = await completed(this.#job, name, await lookAtName(this.#job, name))
    const planned = planName(this.#set, at, copies)
    if ('kind' in planned) {
      this.#fail(name, planned)
      return { name, copies, actions: [], failed: true }
    }
    return { name, copies, actions: planned, failed: false }
  }

  async #perform(plan: NamePlan, action: NameAction): Promise<void> {
    const problem = await this.#worker.perform(plan.name, plan.copies, action)
    if (problem === undefined) return
    plan.failed = true
    this.#failing |= only(action.on)
    const text = problem.errno === Errno.ENOSPC ? 'the brick is full' : errnoText(problem.errno)
    this.#fail(plan.name, unhealed(problem.errno, `${this.#job.brick(action.on)}: ${text}`))
  }

  #fail(name: string, why: Unhealed): void {
    if (this.#failed !== undefined && !(why.splitBrain && !this.#failed.splitBrain)) return
    this.#failed = { ...why, reason: `${name}: ${why.reason}` }
  }

  async #finish(copies: Copies, at: EntrySource, full: boolean): Promise<Outcome> {
    const healed = this.#healedSinks(at)
    if (healed === NOBODY) {
      await this.#crossOff(copies)
      return this.#failed ?? unhealed(Errno.EIO, 'nothing could be healed')
    }
    const taken = await this.#locks.take([{ lock: this.#whole }], [askCopy(this.#job)])
    if ('ok' in taken) return lockRefused(taken.errno)
    const now = taken.map(replies => readCopy(this.#set, replies[0]))
    const undone = { kind: ChangeKind.ENTRY, copies, sinks: at.sinks, healed, full }
    const granular = this.#set.options['granular-entry-heal']
    const purge = granular ? new Dict().setInt(PURGE, 1) : undefined
    const replies = await this.#locks.finish([this.#whole, this.#guard], index => [
      ...this.#times(now, at, index),
      undoStep(this.#set, this.#job.inode, undone, index, purge),
    ])
    if (this.#failed !== undefined) return this.#failed
    if (replies.every(reply => reply.every(each => each.ok))) return HEALED
    return unhealed(Errno.EIO, 'a brick does not take the changelog back')
  }

  /**
   * What is done of a heal that is not complete need not be done again, unless somebody has noted
   * something since it began: it may be a name that was healed before.
   */
  async #crossOff(before: Copies): Promise<void> {
    const taken = await this.#locks.take([{ lock: this.#whole }], [askCopy(this.#job)])
    if ('ok' in taken) return
    try {
      const now = taken.map(replies => readCopy(this.#set, replies[0]))
      if (now.every((copy, index) => sameNotes(copy, before[index]))) await this.#names?.forget()
    } finally {
      await this.#locks.give([this.#whole])
    }
  }

  /** A name that failed by itself keeps all from being healed; a brick that failed only itself. */
  #healedSinks(at: EntrySource): Members {
    if (this.#failed === undefined) return at.sinks
    if (this.#failing === NOBODY || at.source < 0) return NOBODY
    return without(at.sinks, this.#failing)
  }

  /** The directory's times change with each name: they are made those of the source again. */
  #times(copies: Copies, at: EntrySource, index: number): Step[] {
    if (!copies.every(isCopy)) return []
    const from = at.source >= 0 ? at.source : first(greatest(copies, present(copies), ctimeOf))
    const targets = at.source >= 0 ? at.sinks : without(present(copies), only(from))
    if (!has(targets, index)) return []
    const { loc } = this.#job
    return [{ fop: 'setattr', args: { loc, stat: statOf(copies, from), valid: TIMES } }]
  }
}

/** The brick holds the same against others as before, of the directory's names. */
function sameNotes(now: Copies[number], before: Copies[number]): boolean {
  if (!isCopy(now) || !isCopy(before)) return false
  const notes = ({ log }: Copy): number[] => [
    log.dirty[ChangeKind.ENTRY],
    ...pendingOf(log, ChangeKind.ENTRY),
  ]
  const then = notes(before)
  return notes(now).every((value, index) => value === then[index])
}

interface NamePlan {
  readonly name: string
  readonly copies: Copies
  readonly actions: readonly NameAction[]
  failed: boolean
}
