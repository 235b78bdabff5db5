/**
 * The heal of a small file that is new on its sinks: data and attributes under the same locks, and
 * in as few requests as that takes. What is not so simple is left to the heals of each.
 */

import { addCounters, ChangeKind, decodeCounters, encodeCounters } from '../changelog.ts'
import { Errno, type Fd, type Iatt, OpenFlag, SetAttr, type Step } from '@ashlar/core'
import { has, indices, type Members, NOBODY, only, without } from '../members.ts'
import { askCopy, type Copies, type Copy, missingCopy, readCopy, statOf } from './copies.ts'
import { BLOCK_BYTES } from './data-copy.ts'
import { planData } from './data-plan.ts'
import { HeldLocks, METADATA_START, rangeLock, type Wanted } from './held-locks.ts'
import { HEALED, type HealJob, type Outcome, unhealed } from './job.ts'
import { askAttributes, attributeSteps, planMetadata } from './metadata.ts'
import { undoCounters, undoStep } from './undo.ts'

const TIMES = SetAttr.ATIME | SetAttr.MTIME | SetAttr.CTIME

/** undefined: it is not such a file, or something was in the way, of which the heals of each tell. */
export async function healNewFile(job: HealJob): Promise<Outcome | undefined> {
  const locks = new HeldLocks(job)
  const reader = job.fd(OpenFlag.RDONLY)
  const writer = job.fd(OpenFlag.RDWR)
  try {
    return await heal(job, locks, { reader, writer })
  } finally {
    reader.unref()
    writer.unref()
    await locks.give()
  }
}

async function heal(
  job: HealJob,
  locks: HeldLocks,
  fds: { readonly reader: Fd; readonly writer: Fd },
): Promise<Outcome | undefined> {
  const { set } = job
  const wanted: Wanted[] = [
    { lock: rangeLock(job, job.healDomain, 0n, 0n), tieBreaker: true },
    { lock: rangeLock(job, job.domain, 0n, 0n) },
    { lock: rangeLock(job, job.domain, METADATA_START, 0n) },
  ]
  const taken = await locks.take(wanted, [askCopy(job, askAttributes())])
  if ('ok' in taken) return undefined
  const copies = taken.map(replies => readCopy(set, replies[0]))
  const plan = missingCopy(set, copies) === undefined ? planOf(job, copies) : undefined
  if (plan === undefined) return undefined
  const { size } = statOf(copies, plan.source)
  const child = set.child(plan.source)
  const read =
    size === 0
      ? undefined
      : await child.readv(job.ctx, { fd: fds.reader, size, offset: 0, flags: 0 })
  if (read !== undefined && (!read.ok || read.data.length !== size)) return undefined
  const taking = await fill(
    job,
    plan,
    copies,
    fds.writer,
    read?.ok === true ? read.data : undefined,
  )
  if (taking !== plan.sinks) return undefined
  const replies = await locks.finish(
    wanted.map(each => each.lock),
    index => [undoBoth(job, copies, plan.sinks, index)],
  )
  if (replies.every(reply => reply[0]?.ok === true)) return HEALED
  return unhealed(Errno.EIO, 'a brick does not take the changelog back')
}

interface NewFilePlan {
  readonly source: number
  /** They lack both. */
  readonly sinks: Members
}

function planOf(job: HealJob, copies: Copies): NewFilePlan | undefined {
  const { set } = job
  const data = planData(set, copies, undefined)
  const attributes = planMetadata(job, copies)
  if ('kind' in data || 'kind' in attributes) return undefined
  if (data.sinks === NOBODY || data.sinks !== attributes.sinks || attributes.blame) return undefined
  // Attributes are copied from who has the data: both are good.
  if (data.source === set.arbiter || has(attributes.sinks, data.source)) return undefined
  const { options } = set
  const window = BLOCK_BYTES * options['data-self-heal-window-size']
  const stat = statOf(copies, data.source)
  const empty = indices(data.sinks).every(index => statOf(copies, index).size === 0)
  if (!empty || stat.size > window || isSparse(stat)) return undefined
  return { source: data.source, sinks: data.sinks }
}

function isSparse(stat: Iatt): boolean {
  return stat.blocks * 512 < stat.size
}

/** Gives the sinks what the source has. Those that took it. */
async function fill(
  job: HealJob,
  plan: NewFilePlan,
  copies: Copies,
  fd: Fd,
  data: Buffer | undefined,
): Promise<Members> {
  const { set, ctx, loc } = job
  const source = copies[plan.source] as Copy
  let taking = plan.sinks
  await set.onAll(plan.sinks, async (child, index) => {
    const steps: Step[] = attributeSteps(job, source, copies[index] as Copy)
    // Times last, when everything else is there.
    steps.pop()
    const full = data !== undefined && index !== set.arbiter
    if (full) steps.push({ fop: 'writev', args: { fd, data, offset: 0, flags: 0 } })
    const last: Step[] = full ? [{ fop: 'fsync', args: { fd, datasync: false } }] : []
    last.push({ fop: 'setattr', args: { loc, stat: source.stat, valid: TIMES } })
    for (const part of [steps, last]) {
      const reply = await child.compound(ctx, { steps: part })
      const end = reply.ok ? reply.replies.at(-1) : reply
      const short = end?.ok === true && 'written' in end && end.written !== data?.length
      if (end?.ok === true && !short) continue
      taking = without(taking, only(index))
      return
    }
  })
  return taking
}

/** Counters of data and of attributes, taken back at once. */
function undoBoth(job: HealJob, copies: Copies, sinks: Members, index: number): Step {
  const { set, inode } = job
  const of = (kind: ChangeKind) => ({ kind, copies, sinks, healed: sinks })
  const step = undoStep(set, inode, of(ChangeKind.DATA), index)
  const more = undoCounters(set, of(ChangeKind.METADATA), index)
  if (step.fop !== 'xattrop') return step
  for (const key of [...set.pendingKeys, set.dirtyKey]) {
    const one = decodeCounters(step.args.dict.getBytes(key))
    const other = decodeCounters(more.getBytes(key))
    step.args.dict.setBytes(key, encodeCounters(addCounters(one, other)))
  }
  return step
}
