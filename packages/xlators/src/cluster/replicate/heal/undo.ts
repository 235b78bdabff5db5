/**
 * Undoing the changelog after a heal: what was read under the lock is subtracted, so that what
 * others have added meanwhile stays.
 * Source: xlators/cluster/afr/src/afr-self-heal-common.c (`afr_selfheal_undo_pending`).
 */

import { Dict, inodeLoc, type Inode, type Step, Xattrop } from '@ashlar/core'
import { ChangeKind, countersOf, encodeCounters, type Counters } from '../changelog.ts'
import { has, type Members } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { type Copies, isCopy } from './copies.ts'

export interface Undone {
  readonly kind: ChangeKind
  /** As they were read under the lock. */
  readonly copies: Copies
  readonly sinks: Members
  /** Sinks of which the heal has succeeded. */
  readonly healed: Members
  /** Entry heals of all names of the directory: the marker that asked for it (data) goes as well. */
  readonly full?: boolean
}

/** What brick `index` adds to its counters; by key. Pure. */
export function undoCounters(set: ReplicaSet, undone: Undone, index: number): Dict {
  const { copies, kind, sinks, healed, full = false } = undone
  const copy = copies[index]
  const log = isCopy(copy) ? copy.log : undefined
  const dict = new Dict()
  const unhealed = (j: number): boolean => has(sinks, j) && !has(healed, j)
  for (const [j, key] of set.pendingKeys.entries()) {
    const found = log?.pending[j]
    const change = (at: ChangeKind): number => (unhealed(j) ? 1 : -(found?.[at] ?? 0))
    dict.setBytes(key, encodeCounters(pick(kind, change(kind), full ? change(ChangeKind.DATA) : 0)))
  }
  const dirty = unhealed(index) ? 0 : -(log?.dirty[kind] ?? 0)
  const dirtyData = full && !unhealed(index) ? -(log?.dirty[ChangeKind.DATA] ?? 0) : 0
  return dict.setBytes(set.dirtyKey, encodeCounters(pick(kind, dirty, dirtyData)))
}

function pick(kind: ChangeKind, amount: number, data: number): Counters {
  const counters = countersOf(kind, amount)
  return kind === ChangeKind.ENTRY ? [data, counters[1], counters[2]] : counters
}

/** The step by which brick `index` takes back what was healed. */
export function undoStep(
  set: ReplicaSet,
  inode: Inode,
  undone: Undone,
  index: number,
  xdata?: Dict,
): Step {
  const dict = undoCounters(set, undone, index)
  return {
    fop: 'xattrop',
    args: { loc: inodeLoc(inode), op: Xattrop.ADD_ARRAY, dict, xdata },
  }
}

/** Adds nothing: an index entry of a file of which nothing is pending goes. */
export function touchCounters(set: ReplicaSet, inode: Inode): Step {
  const zero = encodeCounters([0, 0, 0])
  const dict = new Dict().setBytes(set.dirtyKey, zero)
  for (const key of set.pendingKeys) dict.setBytes(key, zero)
  return { fop: 'xattrop', args: { loc: inodeLoc(inode), op: Xattrop.ADD_ARRAY, dict } }
}

/** Blames bricks on `inode`: `counters` are added for each of `accused`. */
export function blameStep(
  set: ReplicaSet,
  inode: Inode,
  accused: Members,
  counters: Counters,
): Step {
  const dict = new Dict()
  for (const [j, key] of set.pendingKeys.entries()) {
    if (has(accused, j)) dict.setBytes(key, encodeCounters(counters))
  }
  return { fop: 'xattrop', args: { loc: inodeLoc(inode), op: Xattrop.ADD_ARRAY, dict } }
}
