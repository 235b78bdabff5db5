/**
 * Name heal: makes bricks agree on one name of a directory, for a lookup that has found that they do
 * not, and for the crawl of a whole volume. The directory itself is left to its own heal.
 * Source: xlators/cluster/afr/src/afr-self-heal-name.c.
 */

import { errnoText, failure, type Failure, type Gfid, S_IFDIR } from '@ashlar/core'
import { ChangeKind } from '../changelog.ts'
import type { Resolution } from '../healer.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { askCopy, directionOf, missingCopy, present, readCopy } from './copies.ts'
import { lockRefused } from './data.ts'
import { completed, lookAtName } from './look-at-name.ts'
import { HeldLocks, nameLock } from './held-locks.ts'
import { CLEAN, HEALED, HealJob, type Outcome, unhealed } from './job.ts'
import { entrySource, planName } from './name-plan.ts'
import { NameWorker } from './recreate.ts'

/** As `healNameOutcome`, for who only wants to know whether it went wrong. */
export async function healName(
  set: ReplicaSet,
  parent: Gfid,
  name: string,
): Promise<Failure | undefined> {
  const outcome = await healNameOutcome(set, parent, name)
  return outcome.kind === 'failed' ? failure(outcome.errno) : undefined
}

export async function healNameOutcome(
  set: ReplicaSet,
  parent: Gfid,
  name: string,
  resolution?: Resolution,
): Promise<Outcome> {
  const job = new HealJob(set, parent, S_IFDIR)
  const locks = new HeldLocks(job)
  const worker = new NameWorker(job)
  try {
    const lock = nameLock(job.inode, job.domain, name)
    const taken = await locks.take([{ lock }], [askCopy(job)])
    if ('ok' in taken) return lockRefused(taken.errno)
    const directory = taken.map(replies => readCopy(set, replies[0]))
    const missing = missingCopy(set, directory)
    if (missing !== undefined) return missing
    const direction = directionOf(set, directory, ChangeKind.ENTRY)
    const copies = await completed(job, name, await lookAtName(job, name))
    const planned = planName(set, entrySource(direction, present(directory)), copies, resolution)
    if ('kind' in planned) return planned
    for (const action of planned) {
      const problem = await worker.perform(name, copies, action)
      if (problem !== undefined) {
        const reason = `${job.brick(action.on)}: ${errnoText(problem.errno)}`
        return unhealed(problem.errno, reason)
      }
    }
    return planned.length === 0 ? CLEAN : HEALED
  } finally {
    worker.end()
    await locks.give()
  }
}
