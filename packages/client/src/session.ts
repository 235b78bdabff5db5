/**
 * Session: one graph at a time, the calls under way on it, and the files open on it. When the
 * volume's graph changes, calls that come wait, open files are opened on the next graph, and the
 * calls that had begun end on the old one.
 */

import { type Ctx, Dict, type Env, Errno, GfidSource, type Graph } from '@ashlar/core'
import { FsError } from './errors.ts'
import type { OpenFile } from './open-file.ts'

/** Calls that have begun on one graph. */
interface Tenure {
  readonly graph: Graph
  running: number
  /** Called when `running` falls to 0 after the graph was switched away. */
  whenIdle: (() => void) | undefined
}

export interface SessionOptions {
  readonly graph: Graph
  readonly env: Env
  /** In whose name calls are made. */
  readonly ctx: Ctx
  /** Bits that new files and directories do not get. */
  readonly umask: number
}

export class Session {
  readonly env: Env
  readonly ctx: Ctx
  readonly umask: number
  readonly files = new Set<OpenFile>()
  readonly #gfids: GfidSource
  #tenure: Tenure
  #switching: Promise<void> | undefined
  #closed = false

  constructor(options: SessionOptions) {
    this.env = options.env
    this.ctx = options.ctx
    this.umask = options.umask
    this.#gfids = new GfidSource(options.env.random)
    this.#tenure = { graph: options.graph, running: 0, whenIdle: undefined }
  }

  get graph(): Graph {
    return this.#tenure.graph
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Runs `work` on the graph in use, which stays until it is done. Calls do not nest. */
  async run<T>(work: (graph: Graph) => Promise<T>): Promise<T> {
    while (this.#switching !== undefined) await this.#switching
    if (this.#closed) throw new FsError(Errno.EBADF, { syscall: 'volume' })
    const tenure = this.#tenure
    tenure.running += 1
    try {
      return await work(tenure.graph)
    } finally {
      tenure.running -= 1
      if (tenure.running === 0) tenure.whenIdle?.()
    }
  }

  /** Goes over to `next`. Resolves when nothing uses the old graph. */
  async switchTo(next: Graph): Promise<void> {
    const old = this.#tenure
    this.#switching = this.#move(next)
    try {
      await this.#switching
    } finally {
      this.#switching = undefined
    }
    if (old.running > 0) {
      await new Promise<void>(resolve => {
        old.whenIdle = resolve
      })
    }
  }

  /** Closes what is open; calls fail from now on. */
  async close(): Promise<void> {
    if (this.#closed) return
    await Promise.allSettled([...this.files].map(file => file.close()))
    this.#closed = true
  }

  async #move(next: Graph): Promise<void> {
    for (const file of this.files) await file.moveTo(next)
    this.#tenure = { graph: next, running: 0, whenIdle: undefined }
  }

  /** The identity that a new object is made with: its client chooses it. */
  identity(): Dict {
    return new Dict().setGfid('gfid-req', this.#gfids.next())
  }
}
