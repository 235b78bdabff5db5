/**
 * Metadata heal: owner, mode, extended attributes with ACLs, and times. All that the bricks have of
 * these comes with the answer that tells the changelog, so that a heal takes three round trips.
 * Source: xlators/cluster/afr/src/afr-self-heal-metadata.c.
 */

import { Dict, Errno, errnoText, type Iatt, SetAttr, type Step } from '@ashlar/core'
import { ChangeKind, countersOf } from '../changelog.ts'
import type { Resolution } from '../healer.ts'
import { first, has, indices, type Members, NOBODY, only, where, without } from '../members.ts'
import {
  LIST_XATTRS,
  sameStat,
  sameTimes,
  sameXattrs,
  sharedXattrs,
  xattrChange,
} from './attributes.ts'
import {
  askCopy,
  type Copies,
  type Copy,
  directionOf,
  missingCopy,
  present,
  readCopy,
  statOf,
} from './copies.ts'
import { lockRefused, TIMES } from './data.ts'
import type { Plan } from './data-plan.ts'
import { HeldLocks, METADATA_START, rangeLock } from './held-locks.ts'
import { CLEAN, HEALED, type HealJob, type Outcome, type Unhealed, unhealed } from './job.ts'
import { chooseWinner, ctimeOf, greatest, mtimeOf, Refusal } from './split-brain.ts'
import { blameStep, undoStep } from './undo.ts'

export function askAttributes(): Dict {
  return new Dict().setInt(LIST_XATTRS, 1)
}

/** What a heal of attributes is told beforehand. */
export interface MetadataWishes {
  /** Who wins a split-brain. */
  readonly resolution?: Resolution | undefined
  /** The copies as they were before other heals of the inode. */
  readonly before?: Copies | undefined
}

export async function healMetadata(job: HealJob, wishes: MetadataWishes = {}): Promise<Outcome> {
  const locks = new HeldLocks(job)
  try {
    return await heal(job, locks, wishes)
  } finally {
    await locks.give()
  }
}

async function heal(job: HealJob, locks: HeldLocks, wishes: MetadataWishes): Promise<Outcome> {
  const { set, inode } = job
  const lock = rangeLock(job, job.domain, METADATA_START, 0n)
  const taken = await locks.take([{ lock, tieBreaker: true }], [askCopy(job, askAttributes())])
  if ('ok' in taken) return lockRefused(taken.errno)
  const copies = taken.map(replies => readCopy(set, replies[0]))
  const missing = missingCopy(set, copies)
  if (missing !== undefined) return missing
  const plan = planMetadata(job, copies, wishes)
  if ('kind' in plan) return plan
  if (plan.sinks === NOBODY) return CLEAN
  if (plan.blame) await blame(job, plan)
  const failures = await apply(job, plan, copies)
  const healed = where(set.count, index => has(plan.sinks, index) && !failures.has(index))
  if (healed === NOBODY) return notTaken(job, failures)
  const undone = { kind: ChangeKind.METADATA, copies, sinks: plan.sinks, healed }
  const replies = await locks.finish([lock], index => [undoStep(set, inode, undone, index)])
  if (failures.size > 0) return notTaken(job, failures)
  if (replies.every(reply => reply[0]?.ok === true)) return HEALED
  return unhealed(Errno.EIO, 'a brick does not take the changelog back')
}

interface MetadataPlan extends Plan {
  /** Nobody has blamed the sinks yet: that is noted first, so that a heal cut off is found again. */
  readonly blame: boolean
}

/** Which copy's attributes go where. */
export function planMetadata(
  job: HealJob,
  copies: Copies,
  wishes: MetadataWishes = {},
): MetadataPlan | Unhealed {
  const { set } = job
  const members = present(copies)
  const direction = directionOf(set, copies, ChangeKind.METADATA)
  if (direction.splitBrain) {
    const winner = splitWinner(job, copies, wishes)
    if (typeof winner !== 'number') return winner
    return { source: winner, sinks: without(members, only(winner)), blame: false }
  }
  if (wishes.resolution !== undefined) return unhealed(Errno.EINVAL, Refusal.NOT_SPLIT)
  const witness = indices(direction.sources).find(index => (direction.witness[index] ?? 0) > 0)
  let sources = witness === undefined ? direction.sources : only(witness)
  const source = first(sources)
  const own = copies[source] as Copy
  for (const index of indices(without(sources, only(source)))) {
    const other = copies[index] as Copy
    if (!sameStat(own.stat, other.stat) || !sameXattrs(own, other))
      sources = without(sources, only(index))
  }
  const sinks = without(members, sources)
  return { source, sinks, blame: sinks !== NOBODY && !direction.pending && !direction.dirty }
}

function splitWinner(
  job: HealJob,
  copies: Copies,
  { resolution, before }: MetadataWishes,
): number | Unhealed {
  const { set } = job
  const members = present(copies)
  if (resolution === undefined) {
    const [one, ...rest] = indices(members).map(index => copies[index] as Copy)
    const alike = rest.every(
      other => one !== undefined && sameStat(one.stat, other.stat) && sameXattrs(one, other),
    )
    if (alike && one?.stat.isDirectory === true) return first(greatest(copies, members, mtimeOf))
    if (alike && rest.every(other => sameTimes((one as Copy).stat, other.stat)))
      return first(members)
    if (alike) return first(greatest(copies, members, ctimeOf))
    if (set.options['metadata-splitbrain-forced-heal']) return first(members)
  }
  const kind = ChangeKind.METADATA
  return chooseWinner(set, { kind, copies, candidates: members, before, resolution })
}

async function blame(job: HealJob, plan: Plan): Promise<void> {
  const counters = countersOf(ChangeKind.METADATA, 1)
  const { set, inode, ctx } = job
  await set.onAll(without(set.all, plan.sinks), child =>
    child.compound(ctx, { steps: [blameStep(set, inode, plan.sinks, counters)] }),
  )
}

/** Makes the sinks like the source. Who could not, and why. */
async function apply(job: HealJob, plan: Plan, copies: Copies): Promise<Map<number, Errno>> {
  const failures = new Map<number, Errno>()
  const source = copies[plan.source] as Copy
  await job.set.onAll(plan.sinks, async (child, index) => {
    const steps = attributeSteps(job, source, copies[index] as Copy)
    const reply = await child.compound(job.ctx, { steps })
    const last = reply.ok ? reply.replies.at(-1) : reply
    if (last !== undefined && !last.ok) failures.set(index, last.errno)
  })
  return failures
}

/** Owner first, as a change of owner drops other attributes; times last, as all others touch them. */
export function attributeSteps(job: HealJob, source: Copy, sink: Copy): Step[] {
  const { loc } = job
  const steps: Step[] = [
    { fop: 'setattr', args: { loc, stat: source.stat, valid: ownership(source.stat) } },
  ]
  const change = xattrChange(sharedXattrs(sink), sharedXattrs(source))
  if (change.remove.length > 0) {
    const names = new Dict()
    for (const name of change.remove) names.setBytes(name, Buffer.alloc(0))
    // An empty name: those that xdata names.
    steps.push({ fop: 'removexattr', args: { loc, name: '', xdata: names } })
  }
  if (change.set.size > 0) {
    const dict = new Dict()
    for (const [name, value] of change.set) dict.setBytes(name, value)
    steps.push({ fop: 'setxattr', args: { loc, dict, flags: 0 } })
  }
  steps.push({ fop: 'setattr', args: { loc, stat: source.stat, valid: TIMES } })
  return steps
}

/** A symbolic link has no mode of its own. */
function ownership(stat: Iatt): number {
  const owner = SetAttr.UID | SetAttr.GID
  return stat.isSymlink ? owner : owner | SetAttr.MODE
}

function notTaken(job: HealJob, failures: ReadonlyMap<number, Errno>): Unhealed {
  const [sink, errno] = [...failures][0] ?? [0, Errno.EIO]
  const text = errno === Errno.ENOSPC ? 'the brick is full' : errnoText(errno)
  return unhealed(errno, `${job.brick(sink)} cannot take the attributes: ${text}`)
}

/** Attributes of the members differ although nobody blames anybody. */
export function attributesDiffer(copies: Copies, members: Members): boolean {
  const [one, ...rest] = indices(members).map(index => statOf(copies, index))
  return rest.some(other => one !== undefined && !sameStat(one, other))
}
