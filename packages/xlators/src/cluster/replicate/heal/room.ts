/** Room: how much space bricks have, as a brick that was full does not tell of itself when it is not. */

import { inodeLoc } from '@ashlar/core'
import type { ReplicaSet } from '../replica-set.ts'
import { HEAL_CTX } from './sweep.ts'

/** Space that has come free counts from such a part of a brick. */
const GROWTH_PART = 1 / 128

export class Room {
  readonly #set: ReplicaSet
  /** By brick: bytes that were free; undefined: not known. */
  #free: readonly (number | undefined)[] = []

  constructor(set: ReplicaSet) {
    this.#set = set
  }

  /** How it is now is what `grown` goes by. */
  async note(): Promise<void> {
    this.#free = (await this.#ask()).map(each => each?.free)
  }

  /** Some brick has more than when it was noted. */
  async grown(): Promise<boolean> {
    const now = await this.#ask()
    return now.some((each, index) => {
      const before = this.#free[index]
      return each !== undefined && before !== undefined && each.free - before > each.step
    })
  }

  async #ask(): Promise<({ free: number; step: number } | undefined)[]> {
    const set = this.#set
    const loc = inodeLoc(set.self.inodes.root)
    const replies = await set.onAll(set.up, child => child.statfs(HEAL_CTX, { loc }))
    return replies.map(reply => {
      if (reply?.ok !== true) return undefined
      const { bavail, blocks, frsize } = reply.statfs
      return { free: bavail * frsize, step: blocks * frsize * GROWTH_PART }
    })
  }
}
