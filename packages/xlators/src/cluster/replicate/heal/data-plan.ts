/**
 * DataPlan: which brick's data is copied to which, from what the bricks have and say. Pure.
 * Source: xlators/cluster/afr/src/afr-self-heal-data.c.
 */

import { Errno } from '@ashlar/core'
import { ChangeKind, pendingOf } from '../changelog.ts'
import type { Resolution } from '../healer.ts'
import {
  first,
  has,
  indices,
  type Members,
  NOBODY,
  only,
  size,
  where,
  without,
} from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { type Copies, directionOf, logsOf, present, statOf } from './copies.ts'
import { type Unhealed, unhealed } from './job.ts'
import { chooseWinner, ctimeOf, greatest, Refusal, sizeOf } from './split-brain.ts'

export interface Plan {
  /** Position of the copy that is copied. */
  readonly source: number
  readonly sinks: Members
}

/** The plan of a data heal; sinks may be nobody. All bricks have given their copy. */
export function planData(
  set: ReplicaSet,
  copies: Copies,
  resolution: Resolution | undefined,
): Plan | Unhealed {
  const members = present(copies)
  const data = members & set.dataBricks
  const direction = directionOf(set, copies, ChangeKind.DATA)
  if (direction.splitBrain) return planSplit(set, copies, data, resolution)
  if (resolution !== undefined) return unhealed(Errno.EINVAL, Refusal.NOT_SPLIT)
  const unaccused = direction.sources & data
  const good = unaccused === NOBODY ? vouchedFor(set, copies) & data : unaccused
  if (good === NOBODY) return arbiterOnly(set, copies, direction.sinks)
  const sources = settleSources(copies, good, direction.witness)
  // An arbiter has no content to differ; one that is dirty is made clean as a sink.
  const arbiter = where(
    copies.length,
    index =>
      has(direction.sources & ~set.dataBricks, index) && (direction.witness[index] ?? 0) === 0,
  )
  return { source: choose(copies, sources), sinks: without(members, sources | arbiter) }
}

function planSplit(
  set: ReplicaSet,
  copies: Copies,
  candidates: Members,
  resolution: Resolution | undefined,
): Plan | Unhealed {
  const members = present(copies)
  const empty = indices(candidates).every(index => statOf(copies, index).size === 0)
  const winner =
    empty && resolution === undefined
      ? first(candidates)
      : chooseWinner(set, { kind: ChangeKind.DATA, copies, candidates, resolution })
  if (typeof winner !== 'number') return winner
  if (!has(candidates, winner))
    return unhealed(Errno.EIO, `${set.child(winner).name} keeps no data`, true)
  return { source: winner, sinks: without(members, only(winner)) }
}

/**
 * Copies that nobody accuses but bricks whom a quorum accuses: what a brick noted that was cut off
 * from the others, which went on, does not count. GlusterFS goes by such numbers, too, but not when
 * an arbiter is without blame, which cannot be copied from.
 */
function vouchedFor(set: ReplicaSet, copies: Copies): Members {
  const rows = logsOf(copies).map(log => (log === undefined ? [] : pendingOf(log, ChangeKind.DATA)))
  const accusers = rows.map((_, j) => where(rows.length, i => (rows[i]?.[j] ?? 0) !== 0))
  const outvoted = where(
    rows.length,
    j => set.quorum > 0 && size(accusers[j] as Members) >= set.quorum,
  )
  return where(rows.length, j => without((accusers[j] as Members) | only(j), outvoted) === only(j))
}

/** The arbiter alone is without blame, and has nothing to copy from. */
function arbiterOnly(set: ReplicaSet, copies: Copies, sinks: Members): Plan | Unhealed {
  const members = present(copies)
  const empty = indices(members).every(index => statOf(copies, index).size === 0)
  if (empty) return { source: set.arbiter, sinks }
  return unhealed(Errno.EIO, 'only the arbiter is up to date: no brick has the data', false)
}

/**
 * Sources whose content may differ (another size, or an operation of which the end is not known):
 * the largest, of those who have seen most, of those the newest.
 */
export function settleSources(
  copies: Copies,
  sources: Members,
  witness: readonly number[],
): Members {
  const positions = indices(sources)
  const sizes = new Set(positions.map(index => statOf(copies, index).size))
  const witnessed = positions.some(index => (witness[index] ?? 0) > 0)
  if (sizes.size <= 1 && !witnessed) return sources
  const largest = greatest(copies, sources, sizeOf)
  const most = Math.max(...indices(largest).map(index => witness[index] ?? 0))
  const seen = where(copies.length, index => has(largest, index) && (witness[index] ?? 0) === most)
  return only(first(greatest(copies, seen, ctimeOf)))
}

/** Spreads the reading over the sources, by gfid. */
function choose(copies: Copies, sources: Members): number {
  const positions = indices(sources)
  const { gfid } = statOf(copies, positions[0] as number)
  return positions[gfid.charCodeAt(15) % positions.length] as number
}
