/**
 * HealVolume: one volume in the self-heal daemon. Its graph follows the volume's definition: new
 * options are taken in place, another shape replaces the graph.
 */

import type { AnyXlatorDefinition, Env, Log, TcpAddress, Volfile } from '@ashlar/core'
import { type Healer, healerOf } from '@ashlar/xlators'
import { GraphHost } from './graph-host.ts'
import { removePidFile, writePidFile } from './pid-file.ts'
import { processInfo } from './process-environment.ts'
import { ServerVolfileSource } from './volfile-source.ts'

/** Pid in the calls of self-heal daemons (libglusterfs glusterfs.h, GF_CLIENT_PID_SELF_HEALD). */
export const HEAL_DAEMON_PID = -6

export interface HealVolumeOptions {
  readonly env: Env
  readonly volfileServers: readonly TcpAddress[]
  /** `shd/VOLUME`. */
  readonly volfileId: string
  readonly pidFile?: string | undefined
  readonly xlatorOptions: readonly string[]
  readonly definitions?: (volfile: Volfile, log: Log) => ReadonlyMap<string, AnyXlatorDefinition>
}

export class HealVolume {
  readonly #options: HealVolumeOptions
  readonly #host: GraphHost
  readonly #source: ServerVolfileSource

  constructor(options: HealVolumeOptions) {
    this.#options = options
    const { env, volfileId, volfileServers, xlatorOptions, definitions } = options
    this.#host = new GraphHost({
      env,
      process: processInfo(env, { name: 'glustershd', volfileId, clientPid: HEAL_DAEMON_PID }),
      xlatorOptions,
      // Nothing above holds files open: the next graph may begin where the last one was.
      onSwitch: () => Promise.resolve(),
      ...(definitions === undefined ? {} : { definitions }),
    })
    this.#source = new ServerVolfileSource({ env, servers: volfileServers, volfileId })
  }

  get name(): string {
    return this.#options.volfileId.replace(/^\/?shd\//, '')
  }

  get graph(): GraphHost['graph'] {
    return this.#host.graph
  }

  get healers(): Healer[] {
    const xlators = [...(this.#host.graph?.xlators() ?? [])]
    return xlators.flatMap(({ xlator }) => healerOf(xlator) ?? [])
  }

  /** Resolves when the volume's graph runs; rejects when there is none to be had. */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#source.start({
        volfile: text => {
          this.#host.apply(text).then(resolve, reject)
        },
        failed: (reason, final) => {
          this.#options.env.log.warning('no volfile', { reason })
          if (final) reject(new Error(reason))
        },
      })
    })
    writePidFile(this.#options.pidFile)
  }

  async stop(): Promise<void> {
    this.#source.stop()
    await this.#host.stop()
    removePidFile(this.#options.pidFile)
  }
}
