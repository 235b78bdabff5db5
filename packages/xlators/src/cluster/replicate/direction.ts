/**
 * Which copies are good and which are to be healed, from what the bricks say of each other. Pure: the
 * decision is a function of the changelogs alone, with a table of cases beside it.
 * Source: xlators/cluster/afr/src/afr-self-heal-common.c (`afr_selfheal_find_direction`).
 */

import { type BrickChangelog, ChangeKind, pendingOf } from './changelog.ts'
import { everybody, has, type Members, NOBODY, only, size, where, without } from './members.ts'

export interface Direction {
  /** Copies that nobody accuses. */
  readonly sources: Members
  /** Copies that lack what a source has. */
  readonly sinks: Members
  /** Copies of which every one is accused: no source is left, and nobody may guess one. */
  readonly splitBrain: boolean
  /**
   * By child: how much it has seen of which the outcome is not known (its own accusations of
   * others while it accuses itself, and dirty). Among sources of different content more is better.
   */
  readonly witness: readonly number[]
  /** Somebody holds something against somebody. */
  readonly pending: boolean
  /** Somebody is dirty. */
  readonly dirty: boolean
}

/**
 * The direction of a heal of `kind`. `logs` by child, undefined for bricks that gave none; `members`
 * are those that may be sources or sinks (answered, and locked where the caller locks). `quorum` is
 * the number of copies that count as a majority.
 */
export function findDirection(
  kind: ChangeKind,
  logs: readonly (BrickChangelog | undefined)[],
  members: Members,
  quorum: number,
): Direction {
  const count = logs.length
  const matrix = logs.map(log => (log === undefined ? [] : pendingOf(log, kind)))
  const at = (i: number, j: number): number => matrix[i]?.[j] ?? 0
  const selfAccused = (i: number): boolean => at(i, i) !== 0
  const accused = Array.from({ length: count }, () => 0)
  const accuses = Array.from({ length: count }, () => 0)
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      if (at(i, j) === 0) continue
      if (!selfAccused(i)) accused[j] = (accused[j] as number) + 1
      if (i !== j) accuses[i] = (accuses[i] as number) + 1
    }
  }
  let sources = where(count, i => has(members, i) && accused[i] === 0)
  let sinks = NOBODY
  for (let i = 0; i < count; i++) {
    if (!has(sources, i) || selfAccused(i)) continue
    for (let j = 0; j < count; j++) if (at(i, j) !== 0) sinks |= only(j)
  }
  if (sources === NOBODY && kind !== ChangeKind.ENTRY) {
    sources = where(count, i => has(members, i) && (accused[i] as number) < quorum)
    if (sources !== NOBODY) sinks = without(members, sources)
  }
  const splitBrain = sources === NOBODY
  if (splitBrain) sinks = members
  return {
    sources,
    sinks: sinks & members,
    splitBrain,
    witness: witnesses(kind, logs, matrix, accuses),
    pending: matrix.some(row => row.some(value => value !== 0)),
    dirty: logs.some(log => log !== undefined && log.dirty[kind] !== 0),
  }
}

function witnesses(
  kind: ChangeKind,
  logs: readonly (BrickChangelog | undefined)[],
  matrix: readonly (readonly number[])[],
  accuses: readonly number[],
): number[] {
  const nobodyAccuses = accuses.every(value => value === 0)
  return logs.map((log, i) => {
    const row = matrix[i] ?? []
    const own = row[i] ?? 0
    let witness = log?.dirty[kind] ?? 0
    if (own === 0) return witness
    for (const [j, value] of row.entries()) if (j !== i) witness += value
    if (nobodyAccuses || (accuses[i] as number) > 0) witness += own
    return witness
  })
}

/** Copies that some brick accuses, whoever it is: what reads must not use. */
export function accusedBy(
  kind: ChangeKind,
  logs: readonly (BrickChangelog | undefined)[],
): Members {
  let accused = NOBODY
  for (const log of logs) {
    if (log === undefined) continue
    for (const [j, value] of pendingOf(log, kind).entries()) if (value !== 0) accused |= only(j)
  }
  return accused
}

/** Who has told what it holds against the others. */
export function tellers(logs: readonly (BrickChangelog | undefined)[]): Members {
  return where(logs.length, index => logs[index] !== undefined)
}

/** Some have told, and by that none of `members` among them has all there is of `kind`. */
export function noneGood(
  kind: ChangeKind,
  logs: readonly (BrickChangelog | undefined)[],
  members: Members,
): boolean {
  const told = tellers(logs)
  return told !== NOBODY && without(told & members, accusedBy(kind, logs)) === NOBODY
}

/** Number of copies that are a majority of `count`. */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1
}

/** Everybody of `count` bricks is in. */
export function isComplete(members: Members, count: number): boolean {
  return members === everybody(count) && size(members) === count
}
