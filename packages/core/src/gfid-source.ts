/**
 * GfidSource: identities for new files. They are random, but those that are made one after the other
 * share their first two bytes for a while: a brick keeps each file's handle in a directory named
 * after these bytes, and files of one job then lie in few such directories instead of in 65,536.
 * What is left is 14 random bytes, and over many jobs all directories fill evenly.
 */

import type { Random } from './env.ts'
import type { Gfid } from './gfid.ts'

/** Identities with the same beginning. */
const BATCH = 1024

export class GfidSource {
  readonly #random: Random
  #prefix = ''
  #left = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** A version 4 UUID that nobody else has. */
  next(): Gfid {
    const gfid = this.#random.uuid()
    if (this.#left === 0) {
      this.#prefix = gfid.slice(0, 2)
      this.#left = BATCH
    }
    this.#left -= 1
    return (this.#prefix + gfid.slice(2)) as Gfid
  }
}
