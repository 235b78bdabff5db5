/**
 * Marks: the changes of the changelog that transactions make, as xattrops.
 */

import { type Ctx, Dict, type Fd, type Loc, type Reply, type Step, Xattrop } from '@ashlar/core'
import {
  addCounters,
  type BrickChangelog,
  type Counters,
  encodeCounters,
  isZero,
  ZERO_COUNTERS,
} from '../changelog.ts'
import { indices, type Members, NOBODY } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'

const ENTRY_CREATE = 'glusterfs.xattrop-entry-create'
const ENTRY_DELETE = 'glusterfs.xattrop-entry-delete'

/** What is added to the changelog of one inode. */
export interface Mark {
  readonly loc: Loc
  /** An open fd of it, by which it is reached even when it has no name any more. */
  readonly fd?: Fd | undefined
  /** Bricks that are blamed, or of which blame is taken back, and by how much. */
  readonly blamed: Members
  readonly blame: Counters
  readonly dirty: Counters
  /**
   * The counters of all bricks are answered: adding nothing reads them. Also for what takes blame back:
   * a brick takes an inode off its heal index when all counters that it sees in one request are zero.
   */
  readonly asks?: boolean
  /** Directories with granular heal: the name that is to be looked at, or need not be any more. */
  readonly name?: { readonly value: string; readonly pending: boolean } | undefined
}

/** The mark as a step in `ctx`'s name; undefined when there is nothing to write. */
export function markStep(set: ReplicaSet, ctx: Ctx, mark: Mark): Step | undefined {
  const dict = new Dict()
  if (mark.blamed !== NOBODY && !isZero(mark.blame)) {
    for (const index of indices(mark.blamed)) {
      dict.setBytes(set.pendingKeys[index] as string, encodeCounters(mark.blame))
    }
  }
  if (!isZero(mark.dirty)) dict.setBytes(set.dirtyKey, encodeCounters(mark.dirty))
  if (mark.asks === true) {
    for (const key of set.pendingKeys) {
      if (!dict.has(key)) dict.setBytes(key, encodeCounters(ZERO_COUNTERS))
    }
  }
  if (dict.size === 0) return undefined
  const xdata =
    mark.name === undefined || !set.options['granular-entry-heal']
      ? undefined
      : new Dict().setString(mark.name.pending ? ENTRY_CREATE : ENTRY_DELETE, mark.name.value)
  const { fd } = mark
  if (fd !== undefined) {
    return { fop: 'fxattrop', ctx, args: { fd, op: Xattrop.ADD_ARRAY, dict, xdata } }
  }
  return { fop: 'xattrop', ctx, args: { loc: mark.loc, op: Xattrop.ADD_ARRAY, dict, xdata } }
}

/** What bricks say of each other, as their answers to a mark that asks for it tell; by child. */
export function changelogsTold(
  set: ReplicaSet,
  answers: readonly (Reply<'compound'> | undefined)[],
  step = 0,
): (BrickChangelog | undefined)[] {
  return answers.map(answer => {
    const marked = answer?.ok === true ? (answer.replies[step] as Reply<'xattrop'>) : undefined
    return marked?.ok === true ? set.changelog(marked.dict) : undefined
  })
}

/** The steps of several marks, without those that write nothing. */
export function markSteps(set: ReplicaSet, ctx: Ctx, marks: readonly Mark[]): Step[] {
  return marks
    .map(mark => markStep(set, ctx, mark))
    .filter((step): step is Step => step !== undefined)
}

/**
 * Blame of bricks for an object that they do not have at all: its attributes and its data, or its
 * entries, and for a directory with granular heal the data counter too, which there means "look at
 * all of it". Nothing more than attributes for anything else.
 */
export function newObjectBlame(set: ReplicaSet, kind: 'file' | 'directory' | 'other'): Counters {
  const attributes: Counters = [0, 1, 0]
  if (kind === 'file') return addCounters(attributes, [1, 0, 0])
  if (kind === 'other') return attributes
  const whole: Counters = set.options['granular-entry-heal'] ? [1, 0, 0] : ZERO_COUNTERS
  return addCounters(addCounters(attributes, [0, 0, 1]), whole)
}
