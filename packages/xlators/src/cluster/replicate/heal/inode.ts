/**
 * One inode's heal: a look at all copies without locks tells what is to be done, then data,
 * attributes and entries are healed in that order.
 * Source: xlators/cluster/afr/src/afr-self-heal-common.c (`afr_selfheal_do`).
 */

import { Errno, errnoText, type Gfid } from '@ashlar/core'
import { ChangeKind } from '../changelog.ts'
import { size } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import {
  brickNames,
  type Copies,
  isAbsent,
  isCopy,
  logsOf,
  lookAtCopies,
  present,
  sameIdentity,
} from './copies.ts'
import { healData } from './data.ts'
import { healEntries } from './entry.ts'
import { askLocks, isUnderWay } from './lock-counts.ts'
import { CLEAN, HEALED, HealJob, type Outcome, unhealed } from './job.ts'
import { attributesDiffer, healMetadata } from './metadata.ts'
import { healNewFile } from './new-file.ts'
import { touchCounters } from './undo.ts'

/** What of an inode is to be healed. */
export interface Needs {
  readonly data: boolean
  readonly metadata: boolean
  readonly entry: boolean
}

/** `gone`: no brick has it any more. `busy`: an operation is under way, and nothing else is noted. */
export type InodeOutcome = Outcome | { readonly kind: 'gone' } | { readonly kind: 'busy' }

/** What the copies call for. */
export function needsOf(set: ReplicaSet, copies: Copies): Needs {
  const logs = logsOf(copies)
  const marked = (kind: ChangeKind): boolean =>
    logs.some(
      log =>
        log !== undefined &&
        (log.dirty[kind] !== 0 || log.pending.some(counters => counters[kind] !== 0)),
    )
  const found = copies.filter(isCopy)
  const directory = found.some(copy => copy.stat.isDirectory)
  const regular = found.some(copy => copy.stat.isRegular)
  return {
    data: !directory && (marked(ChangeKind.DATA) || (regular && sizesDiffer(set, copies))),
    metadata: marked(ChangeKind.METADATA) || attributesDiffer(copies, present(copies)),
    entry: directory && (marked(ChangeKind.ENTRY) || marked(ChangeKind.DATA)),
  }
}

function sizesDiffer(set: ReplicaSet, copies: Copies): boolean {
  const sizes = copies.flatMap((copy, index) =>
    isCopy(copy) && index !== set.arbiter ? [copy.stat.size] : [],
  )
  return new Set(sizes).size > 1
}

/** Which heals the caller wants; those of the daemon are all on. */
export const ALL_HEALS: Needs = { data: true, metadata: true, entry: true }

export async function healInode(
  set: ReplicaSet,
  gfid: Gfid,
  {
    wanted = ALL_HEALS,
    looked,
  }: { readonly wanted?: Needs; readonly looked?: Copies | undefined } = {},
): Promise<InodeOutcome> {
  if (set.up !== set.all) {
    const down = brickNames(set, set.all & ~set.up)
    return unhealed(
      Errno.ENOTCONN,
      `waits for ${down}, which ${down.includes(',') ? 'are' : 'is'} down`,
    )
  }
  const job = new HealJob(set, gfid)
  try {
    return await healJob(job, wanted, looked)
  } finally {
    job.end()
  }
}

/** `looked`: what an earlier look has told, which need not be so any more. */
async function healJob(
  job: HealJob,
  wanted: Needs,
  looked: Copies | undefined,
): Promise<InodeOutcome> {
  const { set } = job
  const copies = looked ?? (await lookAtCopies(job, askLocks(job)))
  if (size(present(copies)) === 0) {
    // That nobody has it, or somebody works on it, is believed to a fresh look only.
    if (looked !== undefined) return healJob(job, wanted, undefined)
    if (copies.every(isAbsent)) return { kind: 'gone' }
    const failure = copies.find(copy => copy !== undefined && !isCopy(copy) && !isAbsent(copy))
    const errno = failure !== undefined && !isCopy(failure) ? failure.errno : Errno.ENOTCONN
    return unhealed(errno, errnoText(errno))
  }
  if (!sameIdentity(copies))
    return unhealed(Errno.EIO, 'the bricks have different kinds of things under this gfid', true)
  for (const copy of copies) if (isCopy(copy)) job.inode.type ||= copy.stat.type
  const needs = needsOf(set, copies)
  if (!needs.data && !needs.metadata && !needs.entry) return CLEAN
  if (isUnderWay(job, copies))
    return looked === undefined ? { kind: 'busy' } : healJob(job, wanted, undefined)
  if (needs.data && needs.metadata && wanted.data && wanted.metadata && isRegular(copies)) {
    const outcome = await healNewFile(job)
    if (outcome !== undefined) return outcome
  }
  const heals: (() => Promise<Outcome>)[] = []
  if (needs.data && wanted.data) heals.push(() => healData(job))
  if (needs.metadata && wanted.metadata) heals.push(() => healMetadata(job, { before: copies }))
  if (needs.entry && wanted.entry) heals.push(() => healEntries(job))
  return runAll(heals)
}

function isRegular(copies: Copies): boolean {
  return copies.every(copy => isCopy(copy) && copy.stat.isRegular)
}

/** Each heal has its chance, whatever became of the one before; what failed first is told. */
async function runAll(heals: readonly (() => Promise<Outcome>)[]): Promise<Outcome> {
  let failed: Outcome | undefined
  let healed = false
  for (const heal of heals) {
    const outcome = await heal()
    if (outcome.kind === 'failed') failed ??= outcome
    healed ||= outcome.kind === 'healed'
  }
  return failed ?? (healed ? HEALED : CLEAN)
}

/** All bricks are there to be asked, and none has it. */
export async function isGoneEverywhere(set: ReplicaSet, gfid: Gfid): Promise<boolean> {
  const job = new HealJob(set, gfid)
  try {
    const copies = await lookAtCopies(job)
    return set.up === set.all && copies.every(isAbsent)
  } finally {
    job.end()
  }
}

/** Takes an inode of which nothing is pending out of the bricks' indices. */
export async function clearIndex(set: ReplicaSet, gfid: Gfid): Promise<void> {
  const job = new HealJob(set, gfid)
  try {
    await set.onAll(set.up, child =>
      child.compound(job.ctx, { steps: [touchCounters(set, job.inode)] }),
    )
  } finally {
    job.end()
  }
}
