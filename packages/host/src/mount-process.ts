/**
 * A mount's process (glusterfs): a client graph under a FUSE mount, kept through every change of the
 * volume until it is unmounted.
 */

import {
  type Env,
  type Graph,
  type GraphEvent,
  type TcpAddress,
  type UnixAddress,
} from '@ashlar/core'
import { type BridgeOptions, FuseBridge, mountFuse } from '@ashlar/fuse'
import { GraphHost } from './graph-host.ts'
import { processInfo } from './process-environment.ts'
import { dumpText } from './statedump.ts'
import { FileVolfileSource, ServerVolfileSource, type VolfileSource } from './volfile-source.ts'

export interface MountProcessOptions {
  readonly env: Env
  readonly volfileServers: readonly (TcpAddress | UnixAddress)[]
  readonly volfileId: string
  /** Gives up once each server was tried so often; without it, after `connectMs`. */
  readonly attempts?: number | undefined
  /** A volfile to use instead of a server's. */
  readonly volfile?: string | undefined
  readonly mountpoint: string
  /** `host:/volume`, as df shows it. */
  readonly source: string
  readonly readOnly?: boolean
  /** MS_* of mount(2). */
  readonly mountFlags?: number
  /** A directory of the volume to show as its root. */
  readonly subdirectory?: string | undefined
  readonly bridge: BridgeOptions
  readonly xlatorOptions: readonly string[]
  readonly processName?: string
  /** Gives up when the volume could not be had within this; else waits for its bricks for ever. */
  readonly connectMs?: number
}

/** How long a mount waits for the first word from the volume's bricks. */
const CONNECT_MS_DEFAULT = 60_000

export class MountError extends Error {
  override name = 'MountError'
}

export class MountProcess {
  readonly #options: MountProcessOptions
  readonly #host: GraphHost
  readonly #source: VolfileSource
  #bridge: FuseBridge | undefined
  #up: Promise<void>
  #settleUp: { resolve: () => void; reject: (error: Error) => void } = {
    resolve: () => {},
    reject: () => {},
  }
  readonly #nextUp = new Map<Graph, () => void>()

  constructor(options: MountProcessOptions) {
    this.#options = options
    const { env } = options
    this.#up = new Promise((resolve, reject) => {
      this.#settleUp = { resolve, reject }
    })
    this.#up.catch(() => undefined)
    this.#host = new GraphHost({
      env,
      process: processInfo(env, {
        name: options.processName ?? 'fuse',
        volfileId: options.volfileId,
        ...(options.subdirectory === undefined ? {} : { subdirectory: options.subdirectory }),
      }),
      xlatorOptions: options.xlatorOptions,
      ...(options.bridge.lruLimit === undefined ? {} : { lruLimit: options.bridge.lruLimit }),
      onEvent: (event, graph) => this.#event(event, graph),
      onSwitch: next => this.#switch(next),
    })
    this.#source =
      options.volfile === undefined
        ? new ServerVolfileSource({
            env,
            servers: options.volfileServers,
            attempts: options.attempts,
            volfileId: options.volfileId,
          })
        : new FileVolfileSource(options.volfile)
  }

  /** Resolves when the volume is mounted. Rejects, with nothing mounted, when it cannot be. */
  async start(): Promise<void> {
    const { env, connectMs = CONNECT_MS_DEFAULT } = this.#options
    let met = ''
    const timer = env.clock.after(connectMs, () =>
      this.#settleUp.reject(
        new MountError(`no answer from the volume within ${connectMs / 1000} seconds${met}`),
      ),
    )
    // Timers of Env keep no process alive; until the sockets are there, this one must.
    const alive = setInterval(() => undefined, 1000)
    try {
      this.#source.start({
        volfile: text => {
          this.#host.apply(text).catch((error: Error) => this.#settleUp.reject(error))
        },
        failed: (reason, final) => {
          env.log.warning('no volfile', { reason })
          met = ` (${reason})`
          if (final) this.#settleUp.reject(new MountError(reason))
        },
      })
      await this.#up
      await this.#mount()
    } catch (error) {
      await this.stop()
      throw error
    } finally {
      timer.cancel()
      clearInterval(alive)
    }
  }

  /** Resolves when the mount has ended, by umount(8) or `stop`. */
  get ended(): Promise<void> {
    return this.#bridge?.closed ?? Promise.resolve()
  }

  /** Unmounts; a mount that is in use is detached, and its users see errors. */
  async stop(): Promise<void> {
    const result = await this.#bridge?.unmount()
    if (result !== undefined && result < 0) await this.#bridge?.unmount({ lazy: true })
    this.#source.stop()
    await this.#host.stop()
  }

  /** After the mount has ended by itself. */
  async finish(): Promise<void> {
    this.#source.stop()
    await this.#host.stop()
  }

  statedump(): string {
    return dumpText(this.#host.graph)
  }

  get graph(): Graph | undefined {
    return this.#host.graph
  }

  async #mount(): Promise<void> {
    const { env, bridge, mountpoint, source, readOnly, mountFlags } = this.#options
    const graph = this.#host.graph
    if (graph === undefined) throw new MountError('the volume has no graph')
    const device = await mountFuse({
      source,
      mountpoint,
      log: env.log,
      ...(readOnly === undefined ? {} : { readOnly }),
      ...(mountFlags === undefined ? {} : { flags: mountFlags }),
      defaultPermissions: bridge.acl !== true,
    })
    this.#bridge = new FuseBridge({ device, graph, env, options: bridge })
    await Promise.race([this.#bridge.ready, this.#bridge.closed])
  }

  #event(event: GraphEvent, graph: Graph): void {
    if (event.kind === 'child-up') {
      this.#settleUp.resolve()
      this.#nextUp.get(graph)?.()
    } else if (event.kind === 'auth-failed') {
      this.#settleUp.reject(new MountError(`the volume refused us: ${event.reason}`))
    } else if (
      event.kind === 'child-down' &&
      this.#bridge === undefined &&
      graph === this.#host.graph
    ) {
      this.#options.env.log.warning('no brick of the volume can be reached')
    }
    this.#bridge?.graphEvent(event)
  }

  /** The next graph takes over once it has a brick. */
  async #switch(next: Graph): Promise<void> {
    await new Promise<void>(resolve => {
      this.#nextUp.set(next, resolve)
      const { connectMs = CONNECT_MS_DEFAULT } = this.#options
      this.#options.env.clock.after(connectMs, resolve)
    })
    this.#nextUp.delete(next)
    await this.#bridge?.switchGraph(next)
  }
}
