/**
 * Agreement: whether all copies of everything are good, so that one brick may speak for all.
 *
 * A brick that did what another one missed has an entry in its heal index. While all bricks are up
 * and all have lately said that their index is empty, nobody has anything against anybody, and a
 * lookup need not ask them all. They are asked again while lookups go on; another client that
 * notices a brick's failure before us is heard of within `HOLDS_MS`, the time for which the kernel
 * keeps attributes anyway.
 */

import { type Ctx, Dict, inodeLoc, ROOT_CTX } from '@ashlar/core'
import type { ReplicaSet } from './replica-set.ts'

const LINK_COUNT = 'link-count'
const INDEX_COUNT = 'glusterfs.xattrop_index_count'
/** How long the bricks' word counts, from when they were asked. */
const HOLDS_MS = 1000
/** When they are asked again, if anybody wants to know. */
const RENEW_MS = 400

export class Agreement {
  readonly #set: ReplicaSet
  #askedAt = Number.NEGATIVE_INFINITY
  /** The generation that was asked for last. */
  #askedFor = -1
  #agreed = false
  #asking: Promise<void> | undefined
  /**
   * Grows when bricks that agreed do not any more: somebody has blamed one of them, and what was
   * learnt of copies before is not to be trusted.
   */
  epoch = 0
  /** Counts what this client has blamed on bricks: an answer from before is worth nothing. */
  #broken = 0

  constructor(set: ReplicaSet) {
    this.#set = set
  }

  /** All copies are good. Asks anew in the background when the answer grows old. */
  holds(): boolean {
    const set = this.#set
    if (set.up !== set.all) return false
    const age = set.env.clock.monotonic() - this.#askedAt
    if (age > RENEW_MS || this.#askedFor !== set.generation) void this.#ask()
    return this.#agreed && this.#askedFor === set.generation && age < HOLDS_MS
  }

  /** All copies are good, by what the bricks say after this has been asked. */
  async confirmed(): Promise<boolean> {
    await this.#asking
    // Another question may be under way again: that one has begun since.
    await this.#ask()
    return this.holds()
  }

  /** This client has blamed a brick. */
  broken(): void {
    this.#broken += 1
    this.#agreed = false
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#askAll().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  #askAll(): Promise<void> {
    const set = this.#set
    const { generation } = set
    const asked = set.env.clock.monotonic()
    const broken = this.#broken
    const loc = inodeLoc(set.self.inodes.root)
    const ctx: Ctx = ROOT_CTX
    return set
      .askAll(set.up, child =>
        child.lookup(ctx, { loc, xdata: new Dict().setString(LINK_COUNT, INDEX_COUNT) }),
      )
      .then(replies => {
        const empty = replies.every(
          reply => reply?.ok === true && reply.xdata?.getNumber(LINK_COUNT) === 0,
        )
        if (this.#agreed && !empty) this.epoch += 1
        this.#agreed = empty && broken === this.#broken
        this.#askedAt = asked
        this.#askedFor = generation
      })
      .catch((bug: unknown) => {
        set.env.log.critical('asking for heal indices failed with an exception', {
          error: String(bug),
        })
      })
  }
}
