/**
 * Glusterd: the daemon put together. It owns no data path: bricks and mounts go on without it.
 */

import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { type Address, addressText, type Env } from '@ashlar/core'
import type { FastifyInstance } from 'fastify'
import { buildApi, listenApi } from './api/server.ts'
import { type Launcher, ProcessLauncher } from './bricks/launcher.ts'
import { Portmap } from './bricks/portmap.ts'
import { loadSocketNamer } from './bricks/socket-name.ts'
import { BrickSupervisor } from './bricks/supervisor.ts'
import { type HealProgram, ProcessHealProgram } from './heal/program.ts'
import { HealSupervisor } from './heal/supervisor.ts'
import { Hooks } from './hooks.ts'
import { Manager, SERVED_KINDS } from './manager.ts'
import { MAX_OP_VERSION } from './options/change.ts'
import { ManagementServer } from './rpc/management-server.ts'
import { GLUSTERD_PORT, type Settings } from './settings.ts'
import { FileStore } from './store/file-store.ts'
import { LocalHost } from './volume/host.ts'
import type { VolumeKind } from './volume/volume.ts'

/** Release whose behaviour this daemon has, and its own. */
export const VERSION = '0.1.0'

export interface GlusterdOptions {
  readonly settings: Settings
  readonly env: Env
  /** How bricks and daemons are started; as processes of the settings' programs when absent. */
  readonly launcher?: Launcher
  /** What looks at what is to be healed; a process of `settings.healProgram` when absent. */
  readonly healProgram?: HealProgram
  /** Volume types that may be started; those of this release when absent. */
  readonly servedKinds?: ReadonlySet<VolumeKind>
}

interface Parts {
  readonly manager: Manager
  readonly portmap: Portmap
  readonly address: Address
  readonly adopted: Promise<void>
  readonly api: FastifyInstance
  readonly server: ManagementServer
  readonly hooks: Hooks
  readonly healer: HealSupervisor
}

export class Glusterd {
  readonly #parts: Parts

  private constructor(parts: Parts) {
    this.#parts = parts
  }

  get manager(): Manager {
    return this.#parts.manager
  }

  get portmap(): Portmap {
    return this.#parts.portmap
  }

  /** Where the handshake and portmap programs are served. */
  get address(): Address {
    return this.#parts.address
  }

  /** Resolves when the processes of started volumes have been found or started. */
  get adopted(): Promise<void> {
    return this.#parts.adopted
  }

  /**
   * Reads the state, listens, and begins to find or start the bricks of started volumes. Rejects
   * when the state is damaged or an address is taken.
   */
  static async start(options: GlusterdOptions): Promise<Glusterd> {
    const { settings, env } = options
    for (const directory of [settings.workDirectory, settings.runDirectory]) {
      mkdirSync(directory, { recursive: true })
    }
    mkdirSync(join(settings.logDirectory, 'bricks'), { recursive: true })
    const store = new FileStore(settings.workDirectory, env)
    const portmap = new Portmap()
    const server = new ManagementServer({
      env,
      store,
      portmap,
      relocated: settings.port !== GLUSTERD_PORT,
    })
    const bound = await server.listen({
      host: settings.bindAddress ?? '0.0.0.0',
      port: settings.port,
    })
    env.log.info('listening', { address: addressText(bound) })
    const launcher =
      options.launcher ??
      new ProcessLauncher({ brick: settings.brickProgram, client: settings.clientProgram }, env)
    const nameSocket = await loadSocketNamer()
    const bricks = new BrickSupervisor({ settings, env, store, portmap, launcher, nameSocket })
    const healer = new HealSupervisor({ settings, env, store, launcher, nameSocket })
    const hooks = new Hooks(settings, env)
    const manager = new Manager({
      env,
      settings,
      store,
      bricks,
      healer,
      healProgram: options.healProgram ?? new ProcessHealProgram(settings, env),
      hooks,
      host: new LocalHost(settings.hostnames),
      servedKinds: options.servedKinds ?? SERVED_KINDS,
      volfilesChanged: () => server.volfilesChanged(),
      holdNews: () => server.holdNews(),
    })
    const api = await buildApi({
      env,
      manager,
      store,
      server: {
        uuid: store.serverId,
        hostname: hostname(),
        version: VERSION,
        opVersion: store.opVersion,
        maxOpVersion: MAX_OP_VERSION,
        workDirectory: settings.workDirectory,
        logDirectory: settings.logDirectory,
        runDirectory: settings.runDirectory,
      },
    })
    await listenApi(api, settings.apiSocket)
    const adopted = bricks
      .adopt(store.volumes())
      .catch((error: unknown) => {
        env.log.error('bricks could not be looked after', { reason: String(error) })
      })
      .then(() => healer.follow())
    return new Glusterd({ manager, portmap, address: bound, adopted, api, server, hooks, healer })
  }

  /** Stops serving. Bricks and the self-heal daemon go on. */
  async stop(): Promise<void> {
    const { hooks, api, server, healer } = this.#parts
    await healer.stop()
    await hooks.idle()
    await api.close()
    await server.close()
  }
}
