/**
 * The bridge from the kernel to a graph: every request becomes fops at the top of the graph, every
 * reply becomes an answer of the protocol.
 *
 * Requests are handled side by side; each is answered exactly once. What comes while the graph is
 * being switched waits until that is done, and what had begun ends on the old one; but who waits for a
 * lock waits on the next.
 */

import { delay, type Env, Errno, type Graph, type GraphEvent } from '@ashlar/core'
import type { FuseDevice } from '../device.ts'
import { Opcode, OUT_HEADER_BYTES } from '../protocol/constants.ts'
import { INIT_OUT } from '../protocol/table.ts'
import { Linger } from '../linger.ts'
import { moveToGraph } from './graph-switch.ts'
import { HANDLERS } from './handlers.ts'
import { type BridgeOptions, completeOptions } from './options.ts'
import { raiseReadAhead } from './read-ahead.ts'
import { Request } from './request.ts'
import { negotiate } from './session.ts'
import { BridgeState } from './state.ts'

/** How long a change of graph waits for requests that are in progress, and how often it looks. */
const QUIET_MS = 10_000
const QUIET_POLL_MS = 2

/** Requests that have begun on one graph. */
interface Tenure {
  readonly graph: Graph
  running: number
  /** Called when `running` falls to 0 after the graph was switched away. */
  whenIdle: (() => void) | undefined
}

/** Counts for statedumps. */
export interface BridgeStatus {
  readonly nodes: number
  readonly files: number
  readonly running: number
  readonly waitingForLocks: number
  readonly minor: number | undefined
}

export class FuseBridge {
  readonly #state: BridgeState
  readonly #linger: Linger
  #tenure: Tenure
  /** Requests that have gone over to another graph, by their number: those that wait for a lock. */
  readonly #carried = new Map<number, Tenure>()
  /** Requests that came during a graph switch; undefined outside of one. */
  #held: Buffer[] | undefined
  /** Resolves when the kernel has answered INIT's reply with its first words: the mount works. */
  readonly ready: Promise<void>
  #markReady: () => void = () => {}

  /** Starts serving at once. */
  constructor(options: {
    device: FuseDevice
    graph: Graph
    env: Env
    options?: BridgeOptions
  }) {
    const { device, graph, env } = options
    this.#state = new BridgeState({
      device,
      graph,
      env: { ...env, log: env.log.child('fuse') },
      options: completeOptions(options.options ?? {}),
    })
    this.#tenure = { graph, running: 0, whenIdle: undefined }
    this.ready = new Promise(resolve => {
      this.#markReady = resolve
    })
    this.#linger = new Linger(env.clock, () => device.poll())
    this.#adoptTable(graph)
    device.listen((buffer, length) => this.#receive(buffer, length))
    void device.closed.then(() => this.#abandon())
  }

  /** Resolves when the file system is unmounted, by us or by anybody else. */
  get closed(): Promise<void> {
    return this.#state.device.closed
  }

  get graph(): Graph {
    return this.#state.graph
  }

  /** To be called with what reaches the top of the graph (`GraphOptions.onEvent`). */
  graphEvent(event: GraphEvent): void {
    this.#state.invalidations.event(event)
  }

  /**
   * Goes over to `next`, which is started and connected. Open files are opened there, requests in
   * progress end on the old graph. Resolves when nothing uses the old one: it may be stopped.
   */
  async switchGraph(next: Graph): Promise<void> {
    while (this.#held !== undefined) await this.#switching
    this.#held = []
    this.#switching = this.#switch(next)
    await this.#switching
    const old = this.#previous
    if (old !== undefined) await old
  }

  #switching: Promise<void> = Promise.resolve()
  #previous: Promise<void> | undefined

  async #switch(next: Graph): Promise<void> {
    const tenure = this.#tenure
    await this.#quiet(tenure)
    this.#adoptTable(next)
    const left = await moveToGraph(this.#state, next)
    tenure.graph.inodes.setInvalidator(undefined)
    this.#tenure = { graph: next, running: 0, whenIdle: undefined }
    this.#carryOver(tenure)
    this.#previous = this.#idle(tenure).then(() => {
      for (const fd of left) fd.unref()
    })
    const held = this.#held ?? []
    this.#held = undefined
    for (const message of held) this.#receive(message, message.length, true)
  }

  /**
   * Waits for what is in progress: a file that is being opened now would be opened on the old graph
   * and be missed by the move. Those who wait for a lock begin anew on the next graph; who hangs for
   * longer than `QUIET_MS` (on a brick that hangs) may lose the file it opens.
   */
  async #quiet(tenure: Tenure): Promise<void> {
    const { env, waiting } = this.#state
    const until = env.clock.monotonic() + QUIET_MS
    while (tenure.running > waiting.size && env.clock.monotonic() < until) {
      await delay(env.clock, QUIET_POLL_MS)
    }
  }

  /** Who waits for a lock waits on the next graph: the old one need not stay for it. */
  #carryOver(from: Tenure): void {
    for (const unique of this.#state.waiting.keys()) {
      this.#carried.set(unique, this.#tenure)
      from.running -= 1
      this.#tenure.running += 1
    }
  }

  /** Unmounts. `lazy`: also when it is in use. 0 or −errno; `closed` tells when it is over. */
  async unmount(options: { lazy?: boolean } = {}): Promise<number> {
    return await this.#state.device.unmount(options)
  }

  status(): BridgeStatus {
    const { nodes, files, waiting, session } = this.#state
    return {
      nodes: nodes.size,
      files: files.size,
      running: this.#tenure.running,
      waitingForLocks: waiting.size,
      minor: session?.minor,
    }
  }

  #adoptTable(graph: Graph): void {
    graph.inodes.lruLimit = this.#state.options.lruLimit
    graph.inodes.setInvalidator(inode => this.#state.invalidations.names(inode))
  }

  #idle(tenure: Tenure): Promise<void> {
    if (tenure.running === 0) return Promise.resolve()
    return new Promise(resolve => {
      tenure.whenIdle = resolve
    })
  }

  #receive(buffer: Buffer, length: number, copied = false): void {
    if (this.#held !== undefined) {
      this.#held.push(Buffer.from(buffer.subarray(0, length)))
      return
    }
    const request = new Request(buffer, length, copied)
    const handler = HANDLERS[request.opcode]
    if (handler === undefined) {
      if (request.opcode === Opcode.INIT) this.#initialise(request)
      else this.#state.device.replyError(request.unique, Errno.ENOSYS)
      return
    }
    const tenure = this.#tenure
    const running = handler(this.#state, request)
    if (running === undefined) return
    tenure.running += 1
    running.then(
      () => this.#done(request, tenure),
      (error: unknown) => {
        this.#crashed(request, error)
        this.#done(request, tenure)
      },
    )
  }

  #done({ unique }: Request, begun: Tenure): void {
    const tenure = this.#carried.size === 0 ? begun : (this.#carried.get(unique) ?? begun)
    this.#carried.delete(unique)
    tenure.running -= 1
    if (tenure.running === 0) tenure.whenIdle?.()
    // Those who wait for a lock may wait for long; nobody else is in progress.
    const { options, waiting } = this.#state
    if (options.linger && tenure === this.#tenure && tenure.running <= waiting.size)
      this.#linger.wait()
  }

  /** A mistake of ours must not leave the caller hanging: it gets EIO, the log gets the trace. */
  #crashed(request: Request, error: unknown): void {
    const { env, device } = this.#state
    env.log.critical('a request failed by a mistake of ours', {
      opcode: request.opcode,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    device.replyError(request.unique, Errno.EIO)
  }

  #initialise(request: Request): void {
    const { device, env, options } = this.#state
    if (this.#state.session !== undefined) {
      env.log.error('the kernel started its session twice')
      device.replyError(request.unique, Errno.EIO)
      return
    }
    const negotiation = negotiate(request, options)
    if (negotiation === undefined) {
      env.log.critical('the kernel speaks a version of FUSE that is too old')
      device.replyError(request.unique, Errno.EPROTO)
      return
    }
    this.#state.session = negotiation.session
    negotiation.reply(device.scratch, OUT_HEADER_BYTES)
    device.reply(request.unique, INIT_OUT.size)
    env.log.info('FUSE session started', { minor: negotiation.session.minor })
    raiseReadAhead(device.mountpoint, options.readAheadKib)
    this.#markReady()
  }

  /** The mount is gone: its open files are closed on the graph. */
  #abandon(): void {
    const { files, waiting } = this.#state
    for (const each of waiting.values()) {
      each.reason = 'interrupted'
      each.controller.abort()
    }
    for (const file of files) files.remove(file.handle)
    this.#state.graph.inodes.setInvalidator(undefined)
  }
}
