/** Dice: all chance of a simulation, from one seed. The same seed throws the same numbers. */

import { type Gfid, gfidFromRandom, type Random } from '@ashlar/core'

/** What is given to translators as randomness, and what the simulation itself decides by. */
export class Dice implements Random {
  #a: number
  #b: number
  #c: number
  #d: number

  /** `name` sets dice of one seed apart: what one of them throws does not move the others. */
  constructor(seed: number, name: string) {
    let hash = 0x811c9dc5 ^ seed
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    this.#a = hash | 0
    this.#b = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0
    this.#c = (hash ^ (seed >>> 7) ^ 0x1b873593) | 0
    this.#d = 1
    for (let i = 0; i < 12; i++) this.#next()
  }

  /** 32 bits of the generator sfc32 (Chris Doty-Humphrey, public domain). */
  #next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }

  integer(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit)
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count)
    for (let i = 0; i < count; i++) bytes[i] = this.#next() & 0xff
    return bytes
  }

  uuid(): Gfid {
    return gfidFromRandom(this.bytes(16))
  }

  /** True once in so many times: `chance(0.1)` in one of ten. */
  chance(probability: number): boolean {
    return this.#next() / 2 ** 32 < probability
  }

  /** From `low` up to but not including `high`. */
  between(low: number, high: number): number {
    return low + (this.#next() / 2 ** 32) * (high - low)
  }

  pick<T>(of: readonly T[]): T {
    return of[this.integer(of.length)] as T
  }

  /** One of the keys, each as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][]
    let rest = this.between(
      0,
      entries.reduce((sum, [, weight]) => sum + weight, 0),
    )
    for (const [key, weight] of entries) {
      rest -= weight
      if (rest < 0) return key
    }
    return (entries[0] as [K, number])[0]
  }
}
