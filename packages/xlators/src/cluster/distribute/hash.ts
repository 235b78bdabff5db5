/**
 * The name hash that places a file: 32 bits, Davies–Meyer over a TEA-like round.
 * Source of the facts: libglusterfs/src/hashfn.c (`gf_dm_hashfn`), dht-hashfn.c.
 */

import { encodeName } from '@ashlar/core'

const H0 = 0x9464a485
const H1 = 0x542e1a94
const DELTA = 0x9e3779b9
const ROUNDS_PARTIAL = 6
const ROUNDS_FINAL = 10
const BLOCK_BYTES = 16

interface State {
  h0: number
  h1: number
}

function mix(state: State, rounds: number, a: number, b: number, c: number, d: number): void {
  let b0 = state.h0
  let b1 = state.h1
  let sum = 0
  for (let round = 0; round < rounds; round++) {
    sum = (sum + DELTA) | 0
    b0 = (b0 + (((b1 << 4) + a) ^ (b1 + sum) ^ ((b1 >>> 5) + b))) | 0
    b1 = (b1 + (((b0 << 4) + c) ^ (b0 + sum) ^ ((b0 >>> 5) + d))) | 0
  }
  state.h0 = (state.h0 + b0) | 0
  state.h1 = (state.h1 + b1) | 0
}

/** Word `index` of the last, incomplete block: a whole word, or the padding with what bytes are left. */
function finalWord(bytes: Buffer, at: number, index: number, padding: number): number {
  const start = at + index * 4
  if (start + 4 <= bytes.length) return bytes.readInt32LE(start)
  let word = padding
  // Bytes are read as signed chars there: one of 0x80 and above fills the upper bits.
  for (let i = start; i < bytes.length; i++) word = (word << 8) | bytes.readInt8(i)
  return word
}

/** Hash of raw bytes, in [0, 2^32). */
export function hashBytes(bytes: Buffer): number {
  const state: State = { h0: H0 | 0, h1: H1 | 0 }
  let padding = bytes.length | (bytes.length << 8)
  padding |= padding << 16
  let at = 0
  for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) {
    mix(
      state,
      ROUNDS_PARTIAL,
      bytes.readInt32LE(at),
      bytes.readInt32LE(at + 4),
      bytes.readInt32LE(at + 8),
      bytes.readInt32LE(at + 12),
    )
  }
  mix(
    state,
    ROUNDS_FINAL,
    finalWord(bytes, at, 0, padding),
    finalWord(bytes, at, 1, padding),
    finalWord(bytes, at, 2, padding),
    finalWord(bytes, at, 3, padding),
  )
  return (state.h0 ^ state.h1) >>> 0
}

/** The default of `rsync-hash-regex`: rsync's temporary names hash as the name they will get. */
export const RSYNC_REGEX_DEFAULT = '^\\.(.+)\\.[^.]+$'

/** Hashes names as a volume is told to. */
export class NameHash {
  readonly #regexes: readonly RegExp[]

  /** Regexes are POSIX extended; 'none' or undefined: not used. Throws SyntaxError for a bad one. */
  constructor(options: { extraRegex?: string | undefined; rsyncRegex?: string | undefined }) {
    this.#regexes = [options.extraRegex, options.rsyncRegex]
      .filter(text => text !== undefined && text !== '' && text !== 'none')
      .map(text => new RegExp(text as string))
  }

  /** The part of a name that is hashed: the first group of the first regex that matches. */
  munge(name: string): string {
    for (const regex of this.#regexes) {
      const group = regex.exec(name)?.[1]
      if (group !== undefined && group.length < name.length) return group
    }
    return name
  }

  hash(name: string): number {
    return hashBytes(encodeName(this.munge(name)))
  }
}
