/**
 * Layouts: which part of the hash ring each subvolume of a directory answers for.
 *
 * On disk, every subvolume's copy of a directory carries its own range in `trusted.glusterfs.dht`
 * (16 bytes: commit hash, type, start, stop, big-endian); a directory's layout is the ranges of all
 * of them. Facts: xlators/cluster/dht/src/dht-layout.c. All functions here are pure.
 */

import { assert, Errno } from '@ashlar/core'

export const LAYOUT_BYTES = 16
/** `DHT_LAYOUT_HASH_INVALID`: written by heals, so that lookups ask everywhere. */
export const COMMIT_HASH_INVALID = 1
const HASH_TYPE_DM = 0
const HASH_TYPE_DM_USER = 1
const RING_LAST = 0xffffffff

/** A directory's range on one subvolume. */
export interface Range {
  /** Position of the subvolume among the children of distribute. */
  readonly subvolume: number
  readonly start: number
  /** Inclusive; start === stop: takes no part. */
  readonly stop: number
  readonly commitHash: number
  readonly type: number
  /**
   * 0: has a range. NO_LAYOUT: the directory is there, the xattr is not. Else why the directory
   * could not be seen there (ENOENT: missing, ENOTCONN: brick down).
   */
  readonly state: number
}

export const NO_LAYOUT = -1

/** Throws nothing: undefined for a value that is no layout. */
export function parseRange(subvolume: number, value: Buffer): Range | undefined {
  if (value.length < LAYOUT_BYTES) return undefined
  const type = value.readUInt32BE(4)
  if (type !== HASH_TYPE_DM && type !== HASH_TYPE_DM_USER) return undefined
  return {
    subvolume,
    commitHash: value.readUInt32BE(0),
    type,
    start: value.readUInt32BE(8),
    stop: value.readUInt32BE(12),
    state: 0,
  }
}

export function printRange(range: Range): Buffer {
  const value = Buffer.alloc(LAYOUT_BYTES)
  value.writeUInt32BE(range.commitHash, 0)
  value.writeUInt32BE(range.type, 4)
  value.writeUInt32BE(range.start, 8)
  value.writeUInt32BE(range.stop, 12)
  return value
}

/** A subvolume where the directory has no range, and why. */
export function absentRange(subvolume: number, state: number): Range {
  assert(state !== 0, 'an absent range needs a reason')
  return { subvolume, start: 0, stop: 0, commitHash: 0, type: HASH_TYPE_DM, state }
}

export class Layout {
  /** One per subvolume, in the order of the children. */
  readonly ranges: readonly Range[]
  /** Common commit hash of all ranges; COMMIT_HASH_INVALID when they differ. */
  readonly commitHash: number
  /** Ranges that take part, by start. */
  readonly #ring: readonly Range[]

  constructor(ranges: readonly Range[]) {
    this.ranges = ranges
    this.#ring = ranges
      .filter(range => range.state === 0 && range.start !== range.stop)
      .sort((one, other) => one.start - other.start)
    const hashes = new Set(ranges.filter(range => range.state === 0).map(range => range.commitHash))
    this.commitHash =
      hashes.size === 1 ? (hashes.values().next().value as number) : COMMIT_HASH_INVALID
  }

  /** The subvolume whose range holds `hash`; undefined in a hole. */
  search(hash: number): number | undefined {
    for (const range of this.#ring) {
      if (hash >= range.start && hash <= range.stop) return range.subvolume
    }
    return undefined
  }

  anomalies(): Anomalies {
    const count = { holes: 0, overlaps: 0, missing: 0, noLayout: 0, down: 0, misc: 0 }
    for (const range of this.ranges) {
      if (range.state === 0) continue
      if (range.state === NO_LAYOUT) count.noLayout += 1
      else if (range.state === Errno.ENOENT || range.state === Errno.ESTALE) count.missing += 1
      else if (range.state === Errno.ENOTCONN) count.down += 1
      else count.misc += 1
    }
    const first = this.#ring[0]
    const last = this.#ring.at(-1)
    if (first === undefined || last === undefined) {
      count.holes = 1
      return count
    }
    for (let i = 1; i < this.#ring.length; i++) {
      const stop = (this.#ring[i - 1] as Range).stop
      const start = (this.#ring[i] as Range).start
      if (start > stop + 1) count.holes += 1
      else if (start < stop + 1) count.overlaps += 1
    }
    if (first.start !== 0) count.holes += 1
    if (last.stop !== RING_LAST) count.holes += 1
    return count
  }

  /** The same ranges, all with this commit hash. */
  withCommitHash(commitHash: number): Layout {
    return new Layout(
      this.ranges.map(range => (range.state === 0 ? { ...range, commitHash } : range)),
    )
  }

  /** True when every subvolume says the same as `other`'s. */
  equals(other: Layout): boolean {
    return this.ranges.every((range, i) => {
      const twin = other.ranges[i]
      return (
        twin !== undefined &&
        range.state === twin.state &&
        range.start === twin.start &&
        range.stop === twin.stop &&
        range.commitHash === twin.commitHash
      )
    })
  }
}

export interface Anomalies {
  readonly holes: number
  readonly overlaps: number
  /** Subvolumes without the directory. */
  readonly missing: number
  /** Subvolumes that have the directory and no range for it. */
  readonly noLayout: number
  readonly down: number
  readonly misc: number
}

export interface LayoutPlan {
  /** Names of all subvolumes, in the order of the children. */
  readonly names: readonly string[]
  /** Subvolumes that may get a range. */
  readonly usable: readonly boolean[]
  /** MiB chunks of each subvolume's disk; 0 anywhere: all weigh the same. */
  readonly weights: readonly number[]
  /** Hash of the directory's path (or gfid): where on the ring the first range goes. */
  readonly startHash: number
  /** Most subvolumes to use (`directory-layout-spread`). */
  readonly spread: number
  readonly commitHash: number
}

/**
 * A whole new layout. Subvolumes take their turn in the order of their names (bytewise: client-10
 * before client-2), beginning at `startHash` mod their number.
 */
export function planLayout(plan: LayoutPlan): Layout {
  const order = plan.names
    .map((name, subvolume) => ({ key: Buffer.from(name), subvolume }))
    .sort((one, other) => Buffer.compare(one.key, other.key))
    .map(entry => entry.subvolume)
  const usable = order.filter(subvolume => plan.usable[subvolume])
  assert(usable.length > 0, 'a layout needs a usable subvolume')
  const count = Math.max(1, Math.min(plan.spread, usable.length))

  const weighed = usable.slice(0, count)
  const weighted = weighed.every(subvolume => (plan.weights[subvolume] ?? 0) > 0)
  const total = weighted
    ? weighed.reduce((sum, subvolume) => sum + (plan.weights[subvolume] as number), 0)
    : count
  const chunk = RING_LAST / total

  const ranges: Range[] = plan.names.map((_, subvolume) => ({
    subvolume,
    start: 0,
    stop: 0,
    commitHash: plan.commitHash,
    type: HASH_TYPE_DM,
    state: 0,
  }))
  let start = 0
  let used = 0
  for (let i = 0; i < order.length && used < count; i++) {
    const subvolume = order[(i + plan.startHash) % order.length] as number
    if (plan.usable[subvolume] !== true) continue
    const size = Math.trunc(chunk * (weighted ? (plan.weights[subvolume] as number) : 1))
    used += 1
    const stop = used === count ? RING_LAST : start + size - 1
    ranges[subvolume] = { ...(ranges[subvolume] as Range), start, stop }
    start += size
  }
  return new Layout(ranges)
}

function overlap(one: Range, other: Range): number {
  if (one.start === one.stop || other.start === other.stop) return 0
  if (one.state !== 0 || other.state !== 0) return 0
  const start = Math.max(one.start, other.start)
  const stop = Math.min(one.stop, other.stop)
  return stop < start ? 0 : stop - start + 1
}

/**
 * The ranges of `planned` handed out anew so that as much as possible of the ring stays where it
 * was in `old`: for each subvolume in turn the swap that gains most. Subvolumes are visited in the
 * order of their names, as `planLayout` does.
 */
export function keepOverlap(
  planned: Layout,
  old: Layout,
  plan: Pick<LayoutPlan, 'names' | 'usable'>,
): Layout {
  const order = plan.names
    .map((name, subvolume) => ({ key: Buffer.from(name), subvolume }))
    .sort((one, other) => Buffer.compare(one.key, other.key))
    .map(entry => entry.subvolume)
    .filter(subvolume => plan.usable[subvolume] === true)
  const ranges = planned.ranges.map(range => ({ ...range }))
  const held = (subvolume: number, by: number): number =>
    overlap(ranges[by] as Range, old.ranges[subvolume] ?? absentRange(subvolume, NO_LAYOUT))

  order.forEach((i, position) => {
    let bestGain = 0
    let best = i
    for (const j of order.slice(position + 1)) {
      const gain = held(i, j) + held(j, i) - held(i, i) - held(j, j)
      if (gain > bestGain) {
        bestGain = gain
        best = j
      }
    }
    if (best === i) return
    const mine = ranges[i] as Range
    const theirs = ranges[best] as Range
    ranges[i] = { ...mine, start: theirs.start, stop: theirs.stop }
    ranges[best] = { ...theirs, start: mine.start, stop: mine.stop }
  })
  return new Layout(ranges)
}
