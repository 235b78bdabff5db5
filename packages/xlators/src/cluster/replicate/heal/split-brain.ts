/**
 * Which copy wins when every copy is accused. Nobody guesses: a copy is chosen by what the volume's
 * owner has said beforehand (favorite-child-policy) or says now (a resolution), or not at all. Pure.
 * Source: xlators/cluster/afr/src/afr-self-heal-common.c.
 */

import { Errno, type Iatt } from '@ashlar/core'
import { ChangeKind } from '../changelog.ts'
import type { Resolution } from '../healer.ts'
import { has, indices, type Members, size, where } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { brickNames, type Copies, isCopy, present, statOf } from './copies.ts'
import { type Unhealed, unhealed } from './job.ts'

export type Policy = 'none' | 'size' | 'ctime' | 'mtime' | 'majority'

/** As GlusterFS says them (afr-self-heal-common.c). */
export const Refusal = {
  NOT_SPLIT: 'File not in split-brain',
  NO_BIGGER: 'No bigger file',
  SAME_MTIME: 'No difference in mtime',
  NEEDS_SOURCE: 'Use source-brick option to heal metadata split-brain',
  NO_SUCH_BRICK: 'Invalid brick name',
  BRICK_DOWN: 'Brick is not up',
  GFID_NEEDS_ALL: 'All the bricks should be up to resolve the gfid split brain',
} as const

export interface Split {
  readonly kind: ChangeKind
  readonly copies: Copies
  /** Those that may win: bricks with the data. */
  readonly candidates: Members
  /** As they were before the heal of the data, which makes their times alike. */
  readonly before?: Copies | undefined
  readonly resolution: Resolution | undefined
}

/** The winner's position, or why there is none. */
export function chooseWinner(set: ReplicaSet, split: Split): number | Unhealed {
  if (split.resolution !== undefined) return byResolution(set, split, split.resolution)
  const policy = set.options['favorite-child-policy'] as Policy
  const winner = byPolicy(split.copies, split.candidates, policy) ?? byEarlierTimes(split, policy)
  return winner ?? unhealed(Errno.EIO, splitReason(set, split), true)
}

function byEarlierTimes({ before, candidates }: Split, policy: Policy): number | undefined {
  if (before === undefined || (policy !== 'mtime' && policy !== 'ctime')) return undefined
  if ((candidates & present(before)) !== candidates) return undefined
  return byPolicy(before, candidates, policy)
}

function splitReason(set: ReplicaSet, { kind, candidates }: Split): string {
  const what =
    kind === ChangeKind.DATA ? 'data' : kind === ChangeKind.METADATA ? 'attributes' : 'entries'
  return `split-brain of ${what}: ${brickNames(set, candidates)} accuse each other`
}

function byResolution(set: ReplicaSet, split: Split, resolution: Resolution): number | Unhealed {
  const refuse = (reason: string): Unhealed => unhealed(Errno.EINVAL, reason, true)
  if (resolution.policy === 'source-brick') {
    const index = set.children.findIndex(child => child.name === resolution.brick)
    if (index < 0) return refuse(Refusal.NO_SUCH_BRICK)
    if (!isCopy(split.copies[index])) return refuse(Refusal.BRICK_DOWN)
    return index
  }
  if (split.kind !== ChangeKind.DATA) return refuse(Refusal.NEEDS_SOURCE)
  const bySize = resolution.policy === 'bigger-file'
  const winner = best(split.copies, split.candidates, bySize ? sizeOf : mtimeOf)
  return winner ?? refuse(bySize ? Refusal.NO_BIGGER : Refusal.SAME_MTIME)
}

/** undefined: the policy knows no winner. */
export function byPolicy(copies: Copies, candidates: Members, policy: Policy): number | undefined {
  switch (policy) {
    case 'none':
      return undefined
    case 'size':
      return best(copies, candidates, sizeOf)
    case 'mtime':
      return best(copies, candidates, mtimeOf)
    case 'ctime':
      return best(copies, candidates, ctimeOf)
    case 'majority':
      return byMajority(copies, candidates)
  }
}

/** The one copy of which there are more than half, by size and time of change. */
function byMajority(copies: Copies, candidates: Members): number | undefined {
  return indices(candidates).find(index => {
    const like = statOf(copies, index)
    const same = indices(candidates).filter(other => {
      const stat = statOf(copies, other)
      return stat.size === like.size && mtimeOf(stat) === mtimeOf(like)
    })
    return same.length * 2 > copies.length
  })
}

export type Measure = (stat: Iatt) => bigint

export const sizeOf: Measure = stat => BigInt(stat.size)
export const mtimeOf: Measure = stat => BigInt(stat.mtime) * 1_000_000_000n + BigInt(stat.mtimeNsec)
export const ctimeOf: Measure = stat => BigInt(stat.ctime) * 1_000_000_000n + BigInt(stat.ctimeNsec)

/** Those of `among` that measure most. */
export function greatest(copies: Copies, among: Members, measure: Measure): Members {
  const measures = new Map(indices(among).map(index => [index, measure(statOf(copies, index))]))
  const most = [...measures.values()].reduce((a, b) => (a > b ? a : b), 0n)
  return where(copies.length, index => has(among, index) && measures.get(index) === most)
}

/** The first of those that measure most; undefined when all measure the same. */
function best(copies: Copies, among: Members, measure: Measure): number | undefined {
  const found = greatest(copies, among, measure)
  const [winner] = indices(found)
  return found === among && size(among) > 1 ? undefined : winner
}
