/**
 * Copies: one inode as all bricks of the set have it, with what each says of the others. What every
 * decision of a heal begins with.
 */

import {
  Dict,
  Errno,
  errnoText,
  type Failure,
  type Iatt,
  type LookupReply,
  type PlainFop,
  type Reply,
  runEach,
  type Step,
} from '@ashlar/core'
import type { BrickChangelog, ChangeKind } from '../changelog.ts'
import { type Direction, findDirection } from '../direction.ts'
import { indices, type Members, where } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { type HealJob, type Unhealed, unhealed } from './job.ts'

/** What one brick has of the inode. */
export interface Copy {
  readonly stat: Iatt
  readonly log: BrickChangelog
  /** What else was asked. */
  readonly xdata: Dict | undefined
}

/** By brick: its copy, or why there is none; undefined: not asked. */
export type Copies = readonly (Copy | Failure | undefined)[]

export function isCopy(copy: Copy | Failure | undefined): copy is Copy {
  return copy !== undefined && 'stat' in copy
}

/** The file is not on the brick (yet, or any more). */
export function isAbsent(copy: Copy | Failure | undefined): boolean {
  if (copy === undefined || isCopy(copy)) return false
  return copy.errno === Errno.ENOENT || copy.errno === Errno.ESTALE
}

/** The step that asks a brick for its copy; `more` is asked besides the changelog. */
export function askCopy(job: HealJob, more?: Dict): Step {
  return { fop: 'lookup', args: { loc: job.loc, xdata: job.set.askChangelog(more) } }
}

export function readCopy(
  set: ReplicaSet,
  reply: Reply<PlainFop> | undefined,
): Copy | Failure | undefined {
  if (reply === undefined) return undefined
  if (!reply.ok) return reply
  const { stat, xdata } = reply as LookupReply
  return { stat, log: set.changelog(xdata), xdata }
}

/** Looks at the inode on all bricks that are up, without locks. */
export async function lookAtCopies(job: HealJob, more?: Dict): Promise<Copies> {
  const { set } = job
  const xdata = set.askChangelog(more)
  const replies = await set.onAll(set.up, child => child.lookup(job.ctx, { loc: job.loc, xdata }))
  return replies.map(reply => readCopy(set, reply))
}

/**
 * The same for several inodes at once: one message to each brick that runs compounds, where all have
 * the inodes. `more` is asked besides the changelogs.
 */
export async function lookAtAllCopies(
  set: ReplicaSet,
  jobs: readonly HealJob[],
  more: (job: HealJob) => Dict,
): Promise<Copies[]> {
  const [one] = jobs
  if (one === undefined) return []
  const steps = jobs.map(job => askCopy(job, more(job)))
  const byBrick = await set.onAll(set.up, (child, index) =>
    runEach(child, set.compounds[index] === true, one.ctx, steps),
  )
  return jobs.map((_, k) => byBrick.map(replies => readCopy(set, replies?.[k])))
}

export function logsOf(copies: Copies): (BrickChangelog | undefined)[] {
  return copies.map(copy => (isCopy(copy) ? copy.log : undefined))
}

export function present(copies: Copies): Members {
  return where(copies.length, index => isCopy(copies[index]))
}

export function statOf(copies: Copies, index: number): Iatt {
  return (copies[index] as Copy).stat
}

/** Why a heal cannot go on with these copies: it needs one on every brick. undefined: it can. */
export function missingCopy(set: ReplicaSet, copies: Copies): Unhealed | undefined {
  for (const [index, copy] of copies.entries()) {
    if (isCopy(copy)) continue
    const brick = set.child(index).name
    if (isAbsent(copy)) {
      return unhealed(Errno.ENOTCONN, `not on ${brick} yet: its directory is to be healed first`)
    }
    const errno = copy?.errno ?? Errno.ENOTCONN
    return unhealed(errno, `${brick}: ${errnoText(errno)}`)
  }
  return undefined
}

/** All bricks agree on what kind of thing it is, and which. */
export function sameIdentity(copies: Copies): boolean {
  const stats = copies.filter(isCopy).map(copy => copy.stat)
  const [one] = stats
  return stats.every(stat => stat.type === one?.type && stat.gfid === one.gfid)
}

export function directionOf(set: ReplicaSet, copies: Copies, kind: ChangeKind): Direction {
  // Without quorum nobody is a source whom somebody accuses: 0.
  return findDirection(kind, logsOf(copies), present(copies), set.quorum)
}

/** Names of bricks, for people. */
export function brickNames(set: ReplicaSet, members: Members): string {
  return indices(members)
    .map(index => set.child(index).name)
    .join(', ')
}
