/**
 * BatchSync: flushes that nobody waits for (`batch-fsync` in their xdata: replicate's before it takes
 * dirty marks back). Those that come within a moment are served together; when they are many, by one
 * flush of the whole file system, which costs about as much as that of a single file.
 */

import type { Clock } from '@ashlar/core'
import * as sys from '@ashlar/sys'

/** How long the first one waits for others. */
const GATHER_MS = 10
/** From so many on the file system is flushed as a whole. */
const WHOLE_FROM = 4

interface Waiting {
  readonly fd: number
  readonly done: (result: number) => void
}

export class BatchSync {
  readonly #clock: Clock
  /** A descriptor on the brick's file system. */
  readonly #root: number
  #waiting: Waiting[] = []
  #running = false

  constructor(clock: Clock, root: number) {
    this.#clock = clock
    this.#root = root
  }

  /** Resolves with 0 or −errno when what was written to `fd` before is on the disk. */
  sync(fd: number): Promise<number> {
    return new Promise(done => {
      this.#waiting.push({ fd, done })
      if (this.#running || this.#waiting.length > 1) return
      this.#clock.after(GATHER_MS, this.#run)
    })
  }

  readonly #run = (): void => {
    const batch = this.#waiting
    this.#waiting = []
    this.#running = true
    flush(batch, this.#root)
      .catch(() => {
        for (const { done } of batch) done(-EIO)
      })
      .finally(() => {
        this.#running = false
        if (this.#waiting.length > 0) this.#clock.after(GATHER_MS, this.#run)
      })
  }
}

const EIO = 5

async function flush(batch: readonly Waiting[], root: number): Promise<void> {
  if (batch.length < WHOLE_FROM) {
    await Promise.all(batch.map(async ({ fd, done }) => done(await sys.fdatasyncAsync(fd))))
    return
  }
  const result = await sys.syncfsAsync(root)
  for (const { done } of batch) done(result)
}
