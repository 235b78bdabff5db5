/**
 * The changelog: what bricks remember of operations that not all of them did. Brick i keeps, per
 * inode, twelve bytes for each brick j of the set (`trusted.afr.<key of j>`) and twelve for `dirty`:
 * three big-endian 32-bit counters, of data, metadata and entry operations. A counter for j that is
 * not zero says "I did what j did not"; dirty says "I began, and do not know how it ended".
 * Source: xlators/cluster/afr/src/afr.h, afr-self-heal-common.c.
 */

import type { Dict } from '@ashlar/core'

/** What an operation changes, by its counter's position. */
export const ChangeKind = { DATA: 0, METADATA: 1, ENTRY: 2 } as const
export type ChangeKind = (typeof ChangeKind)[keyof typeof ChangeKind]

/** Counters of data, metadata and entry changes. */
export type Counters = readonly [data: number, metadata: number, entry: number]

export const ZERO_COUNTERS: Counters = [0, 0, 0]
export const CHANGELOG_BYTES = 12

/** What one brick says of all bricks. */
export interface BrickChangelog {
  /** By child: what this brick holds against it. */
  readonly pending: readonly Counters[]
  readonly dirty: Counters
}

/** The value of a changelog xattr; zeros for what is missing or too short. */
export function decodeCounters(bytes: Buffer | undefined): Counters {
  if (bytes === undefined || bytes.length < CHANGELOG_BYTES) return ZERO_COUNTERS
  return [bytes.readInt32BE(0), bytes.readInt32BE(4), bytes.readInt32BE(8)]
}

export function encodeCounters(counters: Counters): Buffer {
  const bytes = Buffer.alloc(CHANGELOG_BYTES)
  counters.forEach((value, i) => bytes.writeInt32BE(value | 0, i * 4))
  return bytes
}

/** Counters with `amount` at one kind. */
export function countersOf(kind: ChangeKind, amount: number): Counters {
  return [
    kind === ChangeKind.DATA ? amount : 0,
    kind === ChangeKind.METADATA ? amount : 0,
    kind === ChangeKind.ENTRY ? amount : 0,
  ]
}

export function addCounters(one: Counters, other: Counters): Counters {
  return [one[0] + other[0], one[1] + other[1], one[2] + other[2]]
}

export function negated(counters: Counters): Counters {
  return [-counters[0], -counters[1], -counters[2]]
}

export function isZero(counters: Counters): boolean {
  return counters[0] === 0 && counters[1] === 0 && counters[2] === 0
}

/** A brick's changelog from the xattrs it gave: `keys` by child, and the key of dirty. */
export function readChangelog(
  xattrs: Dict | undefined,
  keys: readonly string[],
  dirtyKey: string,
): BrickChangelog {
  return {
    pending: keys.map(key => decodeCounters(xattrs?.getBytes(key))),
    dirty: decodeCounters(xattrs?.getBytes(dirtyKey)),
  }
}

/** Nothing is pending and nothing dirty. */
export function isClean(changelog: BrickChangelog): boolean {
  return isZero(changelog.dirty) && changelog.pending.every(isZero)
}

/** Only the counters of `kind`: by child, what this brick holds against it. */
export function pendingOf(changelog: BrickChangelog, kind: ChangeKind): number[] {
  return changelog.pending.map(counters => counters[kind])
}
