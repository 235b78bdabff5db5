/**
 * Data heal: brings a file's copies to the source's content. Of a file larger than a window only the
 * window at work is locked, so that the file can be read and written meanwhile: what clients write
 * goes to all bricks, the sink among them, and what they could not write there they have noted
 * themselves.
 * Source: xlators/cluster/afr/src/afr-self-heal-data.c.
 */

import { Errno, errnoText, type Iatt, SetAttr, type Step } from '@ashlar/core'
import { ChangeKind } from '../changelog.ts'
import type { Resolution } from '../healer.ts'
import { indices, type Members, NOBODY } from '../members.ts'
import { askCopy, type Copies, isCopy, missingCopy, readCopy, statOf } from './copies.ts'
import { BLOCK_BYTES, DataCopy } from './data-copy.ts'
import { type Plan, planData } from './data-plan.ts'
import { HeldLocks, type Lock, rangeLock } from './held-locks.ts'
import { CLEAN, HEALED, type HealJob, type Outcome, type Unhealed, unhealed } from './job.ts'
import { undoStep } from './undo.ts'

export const TIMES = SetAttr.ATIME | SetAttr.MTIME | SetAttr.CTIME

export async function healData(job: HealJob, resolution?: Resolution): Promise<Outcome> {
  const heal = new DataHeal(job)
  try {
    return await heal.run(resolution)
  } finally {
    await heal.end()
  }
}

/** Why locks could not be had. */
export function lockRefused(errno: Errno): Unhealed {
  return errno === Errno.EAGAIN
    ? unhealed(errno, 'somebody else is healing it')
    : unhealed(errno, `its locks cannot be had: ${errnoText(errno)}`)
}

class DataHeal {
  readonly #job: HealJob
  readonly #locks: HeldLocks
  /** Keeps other heals of the file away, from beginning to end. */
  readonly #guard: Lock
  readonly #whole: Lock
  #copy: DataCopy | undefined

  constructor(job: HealJob) {
    this.#job = job
    this.#locks = new HeldLocks(job)
    this.#guard = rangeLock(job, job.healDomain, 0n, 0n)
    this.#whole = rangeLock(job, job.domain, 0n, 0n)
  }

  async end(): Promise<void> {
    this.#copy?.close()
    await this.#locks.give()
  }

  async run(resolution: Resolution | undefined): Promise<Outcome> {
    const { set } = this.#job
    const wanted = [{ lock: this.#guard, tieBreaker: true }, { lock: this.#whole }]
    const taken = await this.#locks.take(wanted, [askCopy(this.#job)])
    if ('ok' in taken) return lockRefused(taken.errno)
    const copies = taken.map(replies => readCopy(set, replies[0]))
    const missing = missingCopy(set, copies)
    if (missing !== undefined) return missing
    const plan = planData(set, copies, resolution)
    if ('kind' in plan) return plan
    if (plan.sinks === NOBODY) return CLEAN
    const source = statOf(copies, plan.source)
    const times = await this.#transfer(plan, copies, source)
    return 'kind' in times ? times : this.#finish(plan, copies, times)
  }

  /** Copies everything; the source's attributes afterwards, with the whole file locked again. */
  async #transfer(plan: Plan, copies: Copies, source: Iatt): Promise<Iatt | Unhealed> {
    const { set } = this.#job
    const sizes = copies.map(copy => (isCopy(copy) ? copy.stat.size : 0))
    // An arbiter has names and attributes only: its file stays empty.
    const sinks = plan.sinks & set.dataBricks
    if (sinks === NOBODY || plan.source === set.arbiter) return source
    const copy = new DataCopy(this.#job, {
      source: plan.source,
      sinks: plan.sinks,
      sizes,
      sparse: source.blocks * 512 < source.size,
      compare: this.#compares(sinks, sizes),
    })
    this.#copy = copy
    const window = BLOCK_BYTES * set.options['data-self-heal-window-size']
    await copy.onSinks(plan.sinks, (fd, sink) =>
      sizes[sink] === source.size ? [] : [{ fop: 'ftruncate', args: { fd, offset: source.size } }],
    )
    if (source.size <= window) {
      const errno = source.size === 0 ? undefined : await copy.window(0, source.size)
      return errno === undefined ? source : this.#unreadable(plan, errno)
    }
    await this.#locks.give([this.#whole])
    const problem = await this.#windows(plan, source.size, window)
    if (problem !== undefined) return problem
    const again = await this.#locks.take([{ lock: this.#whole }], [askCopy(this.#job)])
    if ('ok' in again) return lockRefused(again.errno)
    const after = readCopy(set, again[plan.source]?.[0])
    return isCopy(after) ? after.stat : this.#unreadable(plan, Errno.EIO)
  }

  #compares(sinks: Members, sizes: readonly number[]): boolean {
    const algorithm = this.#job.set.options['data-self-heal-algorithm']
    if (algorithm !== 'dynamic') return algorithm === 'diff'
    return indices(sinks).some(sink => (sizes[sink] ?? 0) > 0)
  }

  async #windows(plan: Plan, size: number, window: number): Promise<Unhealed | undefined> {
    const copy = this.#copy as DataCopy
    for (let offset = 0; offset < size && copy.taking !== NOBODY; ) {
      const at = await copy.nextData(offset, size)
      offset = at - (at % window)
      if (at >= size) break
      const length = Math.min(window, size - offset)
      const lock = rangeLock(this.#job, this.#job.domain, BigInt(offset), BigInt(length))
      const taken = await this.#locks.take([{ lock }])
      if ('ok' in taken) return lockRefused(taken.errno)
      const errno = await copy.window(offset, length)
      await this.#locks.give([lock])
      if (errno !== undefined) return this.#unreadable(plan, errno)
      offset += length
    }
    return undefined
  }

  #unreadable(plan: Plan, errno: Errno): Unhealed {
    return unhealed(errno, `${this.#job.brick(plan.source)}, the source: ${errnoText(errno)}`)
  }

  /** Makes the sinks durable and like the source in times, and takes the blame back. */
  async #finish(plan: Plan, copies: Copies, times: Iatt): Promise<Outcome> {
    const { set, inode, loc } = this.#job
    const setTimes: Step = { fop: 'setattr', args: { loc, stat: times, valid: TIMES } }
    await this.#copy?.onSinks(plan.sinks, fd => [
      { fop: 'fsync', args: { fd, datasync: false } },
      setTimes,
    ])
    const healed = this.#copy === undefined ? plan.sinks : this.#copy.taking
    if (healed === NOBODY) return this.#notTaken()
    const undone = { kind: ChangeKind.DATA, copies, sinks: plan.sinks, healed }
    const replies = await this.#locks.finish([this.#whole, this.#guard], index => [
      undoStep(set, inode, undone, index),
    ])
    const failed = replies.findIndex(reply => reply[0]?.ok !== true)
    if (healed !== plan.sinks) return this.#notTaken()
    if (failed < 0) return HEALED
    return unhealed(Errno.EIO, `${this.#job.brick(failed)} does not take the changelog back`)
  }

  #notTaken(): Unhealed {
    const [sink, errno] = [...(this.#copy?.failures ?? [])][0] ?? [0, Errno.EIO]
    const text = errno === Errno.ENOSPC ? 'the brick is full' : errnoText(errno)
    return unhealed(errno, `${this.#job.brick(sink)} cannot take the data: ${text}`)
  }
}
