/**
 * What becomes of one name of a directory: where it is made, replaced or removed. Pure.
 * Source: xlators/cluster/afr/src/afr-self-heal-entry.c.
 */

import { Errno, NULL_GFID } from '@ashlar/core'
import { ChangeKind } from '../changelog.ts'
import type { Direction } from '../direction.ts'
import type { Resolution } from '../healer.ts'
import {
  everybody,
  first,
  has,
  indices,
  type Members,
  NOBODY,
  only,
  where,
  without,
} from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { brickNames, type Copies, type Copy, isAbsent, isCopy, statOf } from './copies.ts'
import { type Unhealed, unhealed } from './job.ts'
import { chooseWinner } from './split-brain.ts'

export type NameAction =
  /** The brick does not have the name. */
  | { readonly kind: 'create'; readonly on: number; readonly from: number }
  /** The brick has something else under it. */
  | { readonly kind: 'replace'; readonly on: number; readonly from: number }
  | { readonly kind: 'remove'; readonly on: number }

/** Where entries of a directory are right; −1: nowhere, what a brick has is kept. */
export interface EntrySource {
  readonly source: number
  /** Without a source: those whose entries count; nobody: all bricks'. */
  readonly sources: Members
  readonly sinks: Members
  /** Every brick is accused: each may have done alone what was answered with success. */
  readonly disputed?: boolean
}

/**
 * Which brick's entries win. Without one all are kept. When the outcome of something is not known
 * those of all bricks are kept that nobody accuses: what they have not, others have missed to remove.
 */
export function entrySource(direction: Direction, members: Members): EntrySource {
  const sinks = without(members, direction.sources)
  const witnessed = indices(direction.sources).some(index => (direction.witness[index] ?? 0) > 0)
  if (direction.splitBrain) {
    return { source: -1, sources: NOBODY, sinks: members, disputed: true }
  }
  if (sinks === NOBODY) {
    return { source: -1, sources: NOBODY, sinks: members }
  }
  if (witnessed) return { source: -1, sources: direction.sources, sinks: members }
  return { source: first(direction.sources), sources: direction.sources, sinks }
}

/** What is to be done about a name; `copies` is what each brick has under it. */
export function planName(
  set: ReplicaSet,
  where: EntrySource,
  copies: Copies,
  resolution?: Resolution,
): readonly NameAction[] | Unhealed {
  const broken = copies.findIndex(copy => !isCopy(copy) && !isAbsent(copy))
  if (broken >= 0) {
    const errno = (copies[broken] as { errno?: Errno } | undefined)?.errno ?? Errno.ENOTCONN
    return unhealed(errno, `${set.child(broken).name} does not tell what it has`)
  }
  const nameless = copies.findIndex(copy => isCopy(copy) && copy.stat.gfid === NULL_GFID)
  if (nameless >= 0) return unhealed(Errno.EIO, `has no gfid on ${set.child(nameless).name}`)
  const holders = holdersOf(copies)
  if (where.source >= 0 && (holders & where.sources) === NOBODY) {
    return indices(where.sinks & holders).map(on => ({ kind: 'remove', on }))
  }
  if (where.source >= 0) return fromSource(where, copies)
  return merge(set, where, copies, resolution)
}

/**
 * Of bricks that have different things under a name those that agree and are a quorum; nobody if
 * there are none such. As no brick accuses them, whatever was answered with success they have all
 * done: what too few have is of an operation that failed and could not be taken back.
 */
function quorumOf(set: ReplicaSet, copies: Copies, holders: Members): Members {
  if (set.quorum === 0) return NOBODY
  const identity = (index: number): string => {
    const { gfid, type } = statOf(copies, index)
    return `${gfid} ${type}`
  }
  const alike = indices(holders).map(index =>
    where(copies.length, other => has(holders, other) && identity(other) === identity(index)),
  )
  const enough = new Set(alike.filter(members => set.hasQuorum(members)))
  const [one] = enough
  return enough.size === 1 && one !== undefined ? one : NOBODY
}

function holdersOf(copies: Copies): Members {
  return where(copies.length, index => isCopy(copies[index]))
}

function fromSource({ source, sources, sinks }: EntrySource, copies: Copies): NameAction[] {
  const from = isCopy(copies[source]) ? source : first(holdersOf(copies) & sources)
  // A source that lacks what another has is no better than a sink.
  const lacking = sources & ~holdersOf(copies)
  return towards(copies, from, sinks | lacking)
}

/** Makes all of `targets` have what `from` has. */
function towards(copies: Copies, from: number, targets: Members): NameAction[] {
  const wanted = statOf(copies, from)
  return indices(without(targets, only(from))).flatMap((on): NameAction[] => {
    const copy = copies[on]
    if (!isCopy(copy)) return [{ kind: 'create', on, from }]
    const same = copy.stat.gfid === wanted.gfid && copy.stat.type === wanted.type
    return same ? [] : [{ kind: 'replace', on, from }]
  })
}

/**
 * Conservative merge of what `judges` have (nobody: of what any brick has): nothing of it is removed,
 * unless two things want one name and one is chosen.
 */
function merge(
  set: ReplicaSet,
  { sources: judges, disputed }: EntrySource,
  copies: Copies,
  resolution: Resolution | undefined,
): readonly NameAction[] | Unhealed {
  const all = everybody(copies.length)
  const anywhere = holdersOf(copies)
  const holders = judges === NOBODY ? anywhere : anywhere & judges
  if (holders === NOBODY) return indices(anywhere).map(on => ({ kind: 'remove', on }))
  const from = first(holders)
  const wanted = statOf(copies, from)
  const found = indices(holders).map(index => copies[index] as Copy)
  const sameType = found.every(copy => copy.stat.type === wanted.type)
  const sameGfid = found.every(copy => copy.stat.gfid === wanted.gfid)
  if (sameType && sameGfid) return towards(copies, from, all)
  const open = resolution !== undefined || disputed === true
  const majority = open ? NOBODY : quorumOf(set, copies, holders)
  if (majority !== NOBODY) return towards(copies, first(majority), all)
  if (!sameType) {
    const reason = `split-brain: ${brickNames(set, holders)} have different kinds of things there`
    return unhealed(Errno.EIO, reason, true)
  }
  const winner = chooseWinner(set, {
    kind: ChangeKind.DATA,
    copies,
    candidates: holders & set.dataBricks,
    resolution,
  })
  if (typeof winner === 'number') return towards(copies, winner, all)
  if (resolution !== undefined) return winner
  return unhealed(
    Errno.EIO,
    `split-brain: ${brickNames(set, holders)} have different files of that name (gfid mismatch)`,
    true,
  )
}
