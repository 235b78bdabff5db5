/**
 * Leaving: what is left to do for files whose locks are given back, done for many files together.
 *
 * Each brick is asked once to bring everything to its disk; a brick of ours says that it did so for
 * the whole brick, with GlusterFS's each file is flushed by itself. Then dirty is taken back and the
 * locks are returned, many files in one compound.
 */

import { type Ctx, Dict, ROOT_CTX, type Step, type Subvolume } from '@ashlar/core'
import { has, indices, type Members, NOBODY, only, without } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'

/** One file that is left. */
export interface Departure {
  /** Bricks whose disk must have what was written before their dirty may be taken back. */
  readonly unsynced: Members
  /** Flushes the file by itself; gives the bricks whose dirty may be taken back. */
  durable(): Promise<Members>
  /** Dirty taken back and lock returned on one brick: the second must be done whatever the first says. */
  steps(index: number, clean: boolean): { readonly mark: Step | undefined; readonly unlock: Step }
  readonly locked: Members
  /** Bricks whose dirty may be taken back once everything is on their disks. */
  readonly members: Members
  readonly done: () => void
}

/** From so many files on a brick is flushed as a whole. */
const WHOLE_FROM = 3
/** Steps that fit into one compound. */
const STEPS_MAX = 16
const BATCH_KEY = 'batch-fsync'
/** xdata of an fsync of the root: flush the whole brick, and say so in the reply. Our bricks only. */
const WHOLE_BRICK_KEY = 'ashlar.sync-brick'

export class Leaving {
  readonly #set: ReplicaSet
  #waiting: Departure[] = []
  #scheduled = false

  constructor(set: ReplicaSet) {
    this.#set = set
  }

  /** Takes care of a file, together with those that come in the same turn. */
  add(departure: Departure): void {
    this.#waiting.push(departure)
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      const batch = this.#waiting
      this.#waiting = []
      this.#run(batch).catch((bug: unknown) => {
        this.#set.env.log.critical('giving locks back failed with an exception', {
          error: String(bug),
        })
        for (const departure of batch) departure.done()
      })
    })
  }

  async #run(batch: readonly Departure[]): Promise<void> {
    const synced = await this.#syncBricks(batch)
    const clean = await Promise.all(
      batch.map(each =>
        without(each.unsynced, synced) === NOBODY ? Promise.resolve(each.members) : each.durable(),
      ),
    )
    await this.#set.onAll(this.#set.all, async (child, index) => {
      const files = batch
        .map((each, i) => ({ each, clean: has(clean[i] as Members, index) }))
        .filter(({ each }) => has(each.locked, index))
        .map(file => file.each.steps(index, file.clean))
      if (files.length > 0) await settle(child, files)
    })
    for (const departure of batch) departure.done()
  }

  /** The bricks that have flushed everything. */
  async #syncBricks(batch: readonly Departure[]): Promise<Members> {
    const set = this.#set
    let wanted = NOBODY
    let files = 0
    for (const { unsynced } of batch) {
      wanted |= unsynced
      if (unsynced !== NOBODY) files += 1
    }
    if (files < WHOLE_FROM) return NOBODY
    const fd = set.self.anonymousFd(set.self.inodes.root, 0)
    const xdata = new Dict().setInt(BATCH_KEY, 1).setInt(WHOLE_BRICK_KEY, 1)
    const replies = await set.onAll(wanted & set.up, child =>
      child.fsync(ROOT_CTX, { fd, datasync: true, xdata }),
    )
    fd.unref()
    let synced = NOBODY
    for (const index of indices(wanted)) {
      const reply = replies[index]
      if (reply?.ok === true && reply.xdata?.has(WHOLE_BRICK_KEY) === true) synced |= only(index)
    }
    return synced
  }
}

/**
 * Sends the steps of many files. A compound ends at the first step that fails (the file is gone, and
 * its changelog with it): what stood behind goes into the next one.
 */
async function settle(
  child: Subvolume,
  files: readonly { readonly mark: Step | undefined; readonly unlock: Step }[],
): Promise<void> {
  const lazy: Ctx = { ...ROOT_CTX, lazy: true }
  let steps = files.flatMap(({ mark, unlock }) => (mark === undefined ? [unlock] : [mark, unlock]))
  while (steps.length > 0) {
    const now = steps.slice(0, STEPS_MAX)
    const reply = await child.compound(lazy, { steps: now })
    // Not connected: the locks are gone with the connection.
    if (!reply.ok) return
    steps = steps.slice(Math.max(1, reply.replies.length))
  }
}
