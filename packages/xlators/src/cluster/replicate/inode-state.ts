/**
 * What is known of an inode's copies: from which bricks it may be read. Learnt from the changelogs
 * that lookups bring, good until a brick comes or goes.
 */

import type { Iatt } from '@ashlar/core'
import { type BrickChangelog, ChangeKind, isClean } from './changelog.ts'
import { accusedBy } from './direction.ts'
import { has, type Members, NOBODY, only, without } from './members.ts'

export interface InodeState {
  /** Copies whose data (entries, of a directory) are good. Never an arbiter. */
  readonly data: Members
  /** Copies whose attributes are good. */
  readonly metadata: Members
  /** Copies that some brick accuses of missing data or entries; an arbiter may be among them. */
  readonly accused: Members
  /** Each copy's attributes are accused by another one's: nobody knows who may read the file. */
  readonly disputed: boolean
  /** `ReplicaSet.generation` when it was learnt. */
  readonly generation: number
  /** `Agreement.epoch` when it was learnt. */
  readonly epoch: number
  /** When it was learnt, by the monotonic clock. */
  readonly learnt: number
}

/** One brick's answer as far as it says how good its copy is. */
export interface CopyAnswer {
  readonly stat: Iatt
  readonly changelog: BrickChangelog
  /** The brick's bit-rot scrubber has found the copy damaged. */
  readonly bad: boolean
  /** Somebody holds a lock: sizes may differ because a write is under way. */
  readonly locked: boolean
}

/** What the answers mean; by child, undefined where there is none. */
export interface Interpretation {
  readonly data: Members
  readonly metadata: Members
  readonly accused: Members
  readonly disputed: boolean
  /** Something is to be healed: a brick accuses another one, or is dirty, or is accused. */
  readonly needsHeal: boolean
}

/** Which copies are good, from the answers of a lookup on all bricks that are up. */
export function interpret(
  answers: readonly (CopyAnswer | undefined)[],
  arbiter: number,
): Interpretation {
  const logs = answers.map(answer => answer?.changelog)
  const directory = answers.some(answer => answer?.stat.isDirectory === true)
  const accused = accusedBy(directory ? ChangeKind.ENTRY : ChangeKind.DATA, logs)
  const accusedMetadata = accusedBy(ChangeKind.METADATA, logs)
  let present = NOBODY
  for (const [index, answer] of answers.entries()) {
    if (answer !== undefined && !answer.bad) present |= only(index)
  }
  let data = without(present, accused)
  let metadata = without(present, accusedMetadata)
  const disputed = present !== NOBODY && metadata === NOBODY
  if (arbiter >= 0) {
    data = without(data, only(arbiter))
    metadata = without(metadata, only(arbiter))
  }
  if (!directory) data = without(data, tooShort(answers, data))
  const needsHeal =
    accused !== NOBODY ||
    accusedMetadata !== NOBODY ||
    logs.some(log => log !== undefined && !isClean(log))
  return { data, metadata, accused, disputed, needsHeal }
}

/**
 * Copies shorter than the longest good one, unless somebody is writing: they are not known to be
 * wrong, but the longest one is not wrong either way.
 */
function tooShort(answers: readonly (CopyAnswer | undefined)[], good: Members): Members {
  let longest = -1
  let shorter = NOBODY
  for (const [index, answer] of answers.entries()) {
    if (answer === undefined || !has(good, index) || !answer.stat.isRegular) continue
    if (answer.locked) return NOBODY
    if (answer.stat.size > longest) longest = answer.stat.size
  }
  for (const [index, answer] of answers.entries()) {
    if (answer === undefined || !has(good, index) || !answer.stat.isRegular) continue
    if (answer.stat.size < longest) shorter |= only(index)
  }
  return shorter
}
