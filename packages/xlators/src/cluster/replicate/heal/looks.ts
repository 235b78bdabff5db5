/**
 * Looks: the first look at each of a list of inodes, at several in one message and a little ahead of
 * their heals. What it tells may be old when it is used: it says whether a heal is called for, and
 * heals look again under their locks.
 */

import type { Gfid } from '@ashlar/core'
import type { ReplicaSet } from '../replica-set.ts'
import { type Copies, lookAtAllCopies } from './copies.ts'
import { HealJob } from './job.ts'
import { askLocks } from './lock-counts.ts'

/** Inodes that are looked at together. */
export const LOOKED_AT_ONCE = 16
/** Heals of large files take long: what was seen before is then looked at again. */
const AGE_MS_MAX = 500

interface Look {
  readonly all: readonly Copies[]
  readonly takenAt: number
  /** Of the set: a brick that came or went was not asked, or was. */
  readonly generation: number
}

export class Looks {
  readonly #set: ReplicaSet
  readonly #gfids: readonly Gfid[]
  readonly #groups = new Map<number, Promise<Look>>()

  constructor(set: ReplicaSet, gfids: readonly Gfid[]) {
    this.#set = set
    this.#gfids = gfids
  }

  /** The copies of inode `n` of the list; undefined when they are to be looked at again. */
  async at(n: number): Promise<Copies | undefined> {
    const group = Math.floor(n / LOOKED_AT_ONCE)
    const look = this.#look(group)
    void this.#look(group + 1)
    this.#groups.delete(group - 2)
    const { all, takenAt, generation } = await look
    const { env } = this.#set
    if (generation !== this.#set.generation) return undefined
    return env.clock.monotonic() - takenAt > AGE_MS_MAX ? undefined : all[n % LOOKED_AT_ONCE]
  }

  #look(group: number): Promise<Look> {
    const known = this.#groups.get(group)
    if (known !== undefined) return known
    const look = this.#take(group * LOOKED_AT_ONCE)
    this.#groups.set(group, look)
    return look
  }

  async #take(from: number): Promise<Look> {
    const { generation, env } = this.#set
    const takenAt = env.clock.monotonic()
    return {
      all: await lookAtMany(this.#set, this.#gfids.slice(from, from + LOOKED_AT_ONCE)),
      takenAt,
      generation,
    }
  }
}

/** The copies of each inode, and who has locks on it, without locks. */
async function lookAtMany(set: ReplicaSet, gfids: readonly Gfid[]): Promise<Copies[]> {
  const jobs = gfids.map(gfid => new HealJob(set, gfid))
  try {
    return await lookAtAllCopies(set, jobs, askLocks)
  } finally {
    for (const job of jobs) job.end()
  }
}
