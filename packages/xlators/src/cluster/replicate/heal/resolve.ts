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
import type { Resolution, Resolved, ResolveStage } from '../healer.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { type Copies, directionOf, isAbsent, isCopy, lookAtCopies, missingCopy } from './copies.ts'
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
const NOT_FOR_DIRECTORIES = "'bigger-file' not a valid option for directories."

export async function resolveSplitBrain(
  set: ReplicaSet,
  resolution: Resolution,
  file: string | undefined,
): Promise<Resolved[]> {
  if (file === undefined) return resolveAll(set, resolution)
  if (file.startsWith(GFID_PREFIX)) {
    const gfid = parseGfid(file.slice(GFID_PREFIX.length))
    if (gfid === undefined) return [told(file, failure(Errno.EINVAL), 'lookup')]
    return [await resolveGfid(set, resolution, gfid, file)]
  }
  return [await resolvePath(set, resolution, file)]
}

function told(file: string, outcome: Outcome | Failure, stage?: ResolveStage): Resolved {
  const reached = stage === undefined ? {} : { stage }
  if (!('errno' in outcome)) return { file, outcome: 'healed', reason: '', ...reached }
  if ('reason' in outcome) return { file, outcome: 'failed', reason: outcome.reason, ...reached }
  const { errno } = outcome
  return { file, outcome: 'failed', reason: errnoText(errno), errno, ...reached }
}

async function resolvePath(
  set: ReplicaSet,
  resolution: Resolution,
  path: string,
): Promise<Resolved> {
  // A name in a directory is meant; the root can be named by its gfid.
  if (!path.startsWith('/') || path.endsWith('/'))
    return told(path, failure(Errno.EINVAL), 'lookup')
  const place = await placeOf(set, path)
  if ('errno' in place) return told(path, place, 'lookup')
  const found = place.copies.filter(isCopy)
  const gfids = new Set(found.map(copy => copy.stat.gfid))
  const [gfid] = gfids
  if (gfids.size === 1 && gfid !== undefined) return resolveGfid(set, resolution, gfid, path)
  const types = new Set(found.map(copy => copy.stat.type))
  if (types.size > 1) return told(path, failure(Errno.EIO), 'lookup')
  if (missingCopy(set, place.copies) !== undefined && set.up !== set.all)
    return told(path, unhealed(Errno.ENOTCONN, Refusal.GFID_NEEDS_ALL), 'gfid')
  if (resolution.policy === 'bigger-file' && found.some(copy => copy.stat.isDirectory))
    return told(path, unhealed(Errno.EINVAL, NOT_FOR_DIRECTORIES), 'refused')
  const outcome = await healNameOutcome(set, place.parent, place.name, resolution)
  if (outcome.kind === 'healed') await healWinner(set, path)
  return told(path, outcome, 'gfid')
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
    if (!set.isUp(index)) return told(file, failure(Errno.ENOTCONN))
  }
  const job = new HealJob(set, gfid)
  try {
    const copies = await lookAtCopies(job)
    const [one] = copies.filter(isCopy)
    if (one === undefined) {
      const errno = copies.every(isAbsent) ? Errno.ENOENT : Errno.ENOTCONN
      return told(file, failure(errno), 'lookup')
    }
    job.inode.type ||= one.stat.type
    if (!one.stat.isDirectory) return told(file, await resolveFile(job, copies, resolution))
    if (resolution.policy === 'bigger-file')
      return told(file, unhealed(Errno.EINVAL, NOT_FOR_DIRECTORIES), 'refused')
    const resolved = told(file, await resolveDirectory(job, copies, resolution))
    return resolution.policy === 'source-brick' ? { ...resolved, merged: true } : resolved
  } finally {
    job.end()
  }
}

type Heal = () => Promise<Outcome>

async function resolveFile(
  job: HealJob,
  copies: Copies,
  resolution: Resolution,
): Promise<Outcome | Failure> {
  if (missingCopy(job.set, copies) !== undefined) return failure(Errno.ENOTCONN)
  const split = (kind: ChangeKind): boolean => directionOf(job.set, copies, kind).splitBrain
  const heals: Heal[] = []
  if (split(ChangeKind.DATA)) heals.push(() => healData(job, resolution))
  if (split(ChangeKind.METADATA)) heals.push(() => healMetadata(job, { resolution }))
  return inTurn(heals)
}

/** Of entries none is thrown away, whatever brick is named. */
async function resolveDirectory(
  job: HealJob,
  copies: Copies,
  resolution: Resolution,
): Promise<Outcome | Failure> {
  const { set } = job
  if (missingCopy(set, copies) !== undefined) return failure(Errno.ENOTCONN)
  const entries = directionOf(set, copies, ChangeKind.ENTRY)
  const heals: Heal[] = []
  if (directionOf(set, copies, ChangeKind.METADATA).splitBrain)
    heals.push(() => healMetadata(job, { resolution }))
  if (entries.splitBrain || entries.pending || entries.dirty) heals.push(() => healEntries(job))
  const outcome = await inTurn(heals)
  // As glfsheal says of a directory whose names are of different kinds.
  return outcome.kind === 'failed' && outcome.errno === Errno.EIO && outcome.splitBrain
    ? failure(Errno.EPERM)
    : outcome
}

/** Until one fails. */
async function inTurn(heals: readonly Heal[]): Promise<Outcome> {
  if (heals.length === 0) return unhealed(Errno.EINVAL, Refusal.NOT_SPLIT)
  for (const heal of heals) {
    const outcome = await heal()
    if (outcome.kind === 'failed') return outcome
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
    if (one.errno === Errno.ENOENT) await view.remove(IndexKind.PENDING, gfid)
  }
  return resolved
}
