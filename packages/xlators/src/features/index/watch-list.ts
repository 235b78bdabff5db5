/**
 * Which counters of an xattrop the index follows. Names match by prefix, as glusterd writes them
 * into the brick's volfile. Facts: xlators/features/index/src/index.c. Pure.
 */

import { type Dict, valueBytes, Xattrop } from '@ashlar/core'

/** What a counter stands for, as bits: `pending` heals (also EC's dirty mark), `dirty` changes under way. */
export const Watch = { PENDING: 1, DIRTY: 2 } as const

/** Kinds of the watched counters in a dict, and those of them with a value that is not zero. */
export interface Seen {
  readonly present: number
  readonly nonZero: number
}

const NOTHING: Seen = { present: 0, nonZero: 0 }

export class WatchList {
  readonly #pending: readonly string[]
  readonly #dirty: readonly string[]
  readonly #pending64: readonly string[]

  constructor(names: {
    readonly pending: readonly string[]
    readonly dirty: readonly string[]
    readonly pending64: readonly string[]
  }) {
    this.#pending = names.pending
    this.#dirty = names.dirty
    this.#pending64 = names.pending64
  }

  /** True on volumes that keep one copy of everything. */
  get isEmpty(): boolean {
    return this.#pending.length + this.#dirty.length + this.#pending64.length === 0
  }

  inspect(op: number, dict: Dict): Seen {
    if (this.isEmpty) return NOTHING
    let present = 0
    let nonZero = 0
    for (const [key, value] of dict) {
      const kind = this.#kindOf(op, key)
      if (kind === 0) continue
      present |= kind
      if (!isZero(valueBytes(value))) nonZero |= kind
    }
    return { present, nonZero }
  }

  #kindOf(op: number, key: string): number {
    if (startsWithAny(key, this.#dirty)) return Watch.DIRTY
    if (startsWithAny(key, this.#pending)) return Watch.PENDING
    // EC's versions and sizes are counters of the same width: only its dirty mark is listed.
    if (op === Xattrop.ADD_ARRAY64 && startsWithAny(key, this.#pending64)) return Watch.PENDING
    return 0
  }
}

function startsWithAny(key: string, prefixes: readonly string[]): boolean {
  for (const prefix of prefixes) if (key.startsWith(prefix)) return true
  return false
}

function isZero(bytes: Buffer | undefined): boolean {
  if (bytes !== undefined) for (const byte of bytes) if (byte !== 0) return false
  return true
}
