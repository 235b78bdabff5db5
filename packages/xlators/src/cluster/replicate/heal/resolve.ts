/**
 * Resolving split-brains as an administrator says: of one file, or of all that a brick's index has.
 * Source: heal/src/glfs-heal.c, xlators/cluster/afr/src/afr-self-heal-common.c.
 */

import {
  Errno,
  errnoText,
  failure,
  type Failure,
  type Gfid,
  gfidText,
  parseGfid,
} from '@ashlar/core'
import { ChangeKind } from '../changelog.ts'
import type { Resolution, Resolved } from '../healer.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { directionOf, isAbsent, isCopy, lookAtCopies, missingCopy, present } from './copies.ts'
import { healData } from './data.ts'
import { healEntries } from './entry.ts'
import { IndexKind, IndexView } from './index-view.ts'
import { healInode } from './inode.ts'
import { HealJob, type Outcome, unhealed } from './job.ts'
import { healMetadata } from './metadata.ts'
import { healNameOutcome } from './name.ts'
import { placeOf } from './paths.ts'
import { Refusal } from './split-brain.ts'
import { HEAL_CTX } from './sweep.ts'

const GFID_PREFIX = 'gfid:'
const GFID_RESOLVED = 'GFID split-brain resolved'
const NOT_FOR_DIRECTORIES = "'bigger-file' not a valid option for directories."

export async function resolveSplitBrain(
  set: ReplicaSet,
  resolution: Resolution,
  file: string | undefined,
): Promise<Resolved[]> {
  if (file === undefined) return resolveAll(set, resolution)
  if (file.startsWith(GFID_PREFIX)) {
    const gfid = parseGfid(file.slice(GFID_PREFIX.length))
    if (gfid === undefined) return [told(file, failure(Errno.EINVAL))]
    return [await resolveGfid(set, resolution, gfid, file)]
  }
  return [await resolvePath(set, resolution, file)]
}

function told(file: string, outcome: Outcome | Failure): Resolved {
  if ('errno' in outcome) {
    const reason = 'reason' in outcome ? outcome.reason : errnoText(outcome.errno)
    return { file, outcome: 'failed', reason }
  }
  return { file, outcome: 'healed', reason: '' }
}

async function resolvePath(
  set: ReplicaSet,
  resolution: Resolution,
  path: string,
): Promise<Resolved> {
  const place = await placeOf(set, path)
  if ('errno' in place) return told(path, place)
  if (place.name === '') {
    const { gfid } = set.self.inodes.root
    return resolveGfid(set, resolution, gfid, path)
  }
  const found = place.copies.filter(isCopy)
  const gfids = new Set(found.map(copy => copy.stat.gfid))
  const [gfid] = gfids
  if (gfids.size === 1 && gfid !== undefined) return resolveGfid(set, resolution, gfid, path)
  if (missingCopy(set, place.copies) !== undefined && set.up !== set.all)
    return { file: path, outcome: 'failed', reason: Refusal.GFID_NEEDS_ALL }
  if (resolution.policy === 'bigger-file' && found.some(copy => copy.stat.isDirectory))
    return { file: path, outcome: 'failed', reason: NOT_FOR_DIRECTORIES }
  const outcome = await healNameOutcome(set, place.parent, place.name, resolution)
  if (outcome.kind !== 'healed') return told(path, outcome)
  await healWinner(set, path)
  return { file: path, outcome: 'healed', reason: GFID_RESOLVED }
}

/** The file that has won is new, and empty, on the others. */
async function healWinner(set: ReplicaSet, path: string): Promise<void> {
  const place = await placeOf(set, path)
  if ('errno' in place) return
  const gfid = place.copies.find(isCopy)?.stat.gfid
  if (gfid !== undefined) await healInode(set, gfid)
}

async function resolveGfid(
  set: ReplicaSet,
  resolution: Resolution,
  gfid: Gfid,
  file: string,
): Promise<Resolved> {
  if (resolution.policy === 'source-brick') {
    const index = set.children.findIndex(child => child.name === resolution.brick)
    if (index < 0) return { file, outcome: 'failed', reason: Refusal.NO_SUCH_BRICK }
    if (!set.isUp(index)) return { file, outcome: 'failed', reason: Refusal.BRICK_DOWN }
  }
  const job = new HealJob(set, gfid)
  try {
    return told(file, await resolveJob(job, resolution))
  } finally {
    job.end()
  }
}

async function resolveJob(job: HealJob, resolution: Resolution): Promise<Outcome | Failure> {
  const { set } = job
  const copies = await lookAtCopies(job)
  const [one] = copies.filter(isCopy)
  if (one === undefined) return failure(copies.every(isAbsent) ? Errno.ENOENT : Errno.ENOTCONN)
  job.inode.type ||= one.stat.type
  if (missingCopy(set, copies) !== undefined) return failure(Errno.ENOTCONN)
  if (one.stat.isDirectory && resolution.policy === 'bigger-file')
    return unhealed(Errno.EINVAL, NOT_FOR_DIRECTORIES)
  const split = (kind: ChangeKind): boolean => directionOf(set, copies, kind).splitBrain
  const heals: (() => Promise<Outcome>)[] = []
  if (!one.stat.isDirectory && split(ChangeKind.DATA)) heals.push(() => healData(job, resolution))
  if (split(ChangeKind.METADATA)) heals.push(() => healMetadata(job, { resolution }))
  // Of entries none is thrown away, whatever brick is named.
  if (one.stat.isDirectory && present(copies) === set.all) heals.push(() => healEntries(job))
  if (heals.length === 0) return unhealed(Errno.EINVAL, Refusal.NOT_SPLIT)
  for (const heal of heals) {
    const outcome = await heal()
    if (outcome.kind !== 'failed') continue
    // As glfsheal says of a directory whose names are of different kinds.
    return one.stat.isDirectory && outcome.splitBrain ? failure(Errno.EPERM) : outcome
  }
  return { kind: 'healed' }
}

/** All that the index of the named brick has. */
async function resolveAll(set: ReplicaSet, resolution: Resolution): Promise<Resolved[]> {
  if (resolution.policy !== 'source-brick') return []
  const index = set.children.findIndex(child => child.name === resolution.brick)
  if (index < 0) return []
  const view = new IndexView(set, index, HEAL_CTX)
  const gfids: Gfid[] = []
  const failed = await view.each(IndexKind.PENDING, async page => {
    for (const { gfid } of page) gfids.push(gfid)
    return true
  })
  if (failed !== undefined) return [told(resolution.brick, failed)]
  const resolved: Resolved[] = []
  for (const gfid of gfids) {
    const one = await resolveGfid(set, resolution, gfid, `${GFID_PREFIX}${gfidText(gfid)}`)
    resolved.push(one)
    if (one.reason === errnoText(Errno.ENOENT)) await view.remove(IndexKind.PENDING, gfid)
  }
  return resolved
}
