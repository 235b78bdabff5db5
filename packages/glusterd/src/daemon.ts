/**
 * Glusterd: the daemon put together. It owns no data path: bricks and mounts go on without it.
 */

import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { addressText, type Env } from '@ashlar/core'
import type { FastifyInstance } from 'fastify'
import { buildApi, listenApi } from './api/server.ts'
import { type BrickLauncher, ProcessLauncher } from './bricks/launcher.ts'
import { Portmap } from './bricks/portmap.ts'
import { loadSocketNamer } from './bricks/socket-name.ts'
import { BrickSupervisor } from './bricks/supervisor.ts'
import { Hooks } from './hooks.ts'
import { Manager, SERVED_KINDS } from './manager.ts'
import { MAX_OP_VERSION } from './options/change.ts'
import { ManagementServer } from './rpc/management-server.ts'
import type { Settings } from './settings.ts'
import { FileStore } from './store/file-store.ts'
import { LocalHost } from './volume/host.ts'
import type { VolumeKind } from './volume/volume.ts'

/** Release whose behaviour this daemon has, and its own. */
export const VERSION = '0.1.0'

export interface GlusterdOptions {
  readonly settings: Settings
  readonly env: Env
  /** How bricks are started; processes of `settings.brickProgram` when absent. */
  readonly launcher?: BrickLauncher
  /** Volume types that may be started; those of this release when absent. */
  readonly servedKinds?: ReadonlySet<VolumeKind>
}

export class Glusterd {
  readonly manager: Manager
  readonly portmap: Portmap
  readonly #api: FastifyInstance
  readonly #server: ManagementServer
  readonly #hooks: Hooks

  private constructor(
    manager: Manager,
    portmap: Portmap,
    api: FastifyInstance,
    server: ManagementServer,
    hooks: Hooks,
  ) {
    this.manager = manager
    this.portmap = portmap
    this.#api = api
    this.#server = server
    this.#hooks = hooks
  }

  /**
   * Reads the state, listens, and finds or starts the bricks of started volumes. Rejects when the
   * state is damaged or an address is taken.
   */
  static async start(options: GlusterdOptions): Promise<Glusterd> {
    const { settings, env } = options
    for (const directory of [settings.workDirectory, settings.runDirectory]) {
      mkdirSync(directory, { recursive: true })
    }
    mkdirSync(join(settings.logDirectory, 'bricks'), { recursive: true })
    const store = new FileStore(settings.workDirectory, env)
    const portmap = new Portmap()
    const server = new ManagementServer({ env, store, portmap })
    const bound = await server.listen({
      host: settings.bindAddress ?? '0.0.0.0',
      port: settings.port,
    })
    env.log.info('listening', { address: addressText(bound) })
    const bricks = new BrickSupervisor({
      settings,
      env,
      store,
      portmap,
      launcher: options.launcher ?? new ProcessLauncher(settings.brickProgram, env),
      nameSocket: await loadSocketNamer(),
    })
    const hooks = new Hooks(settings, env)
    const manager = new Manager({
      env,
      settings,
      store,
      bricks,
      hooks,
      host: new LocalHost(settings.hostnames),
      servedKinds: options.servedKinds ?? SERVED_KINDS,
      volfilesChanged: () => server.volfilesChanged(),
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
    await bricks.adopt(store.volumes())
    return new Glusterd(manager, portmap, api, server, hooks)
  }

  /** Stops serving. Bricks go on. */
  async stop(): Promise<void> {
    await this.#hooks.idle()
    await this.#api.close()
    await this.#server.close()
  }
}
