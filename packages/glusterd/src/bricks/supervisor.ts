/**
 * BrickSupervisor: makes brick processes of this server be as the volumes say. It starts them,
 * finds those that run already, stops them, and tells who is online.
 */

import { existsSync, lstatSync, rmSync } from 'node:fs'
import { ManagementError } from '@ashlar/contract'
import { delay, type Env } from '@ashlar/core'
import type { Settings } from '../settings.ts'
import type { PoolStore } from '../store/pool-store.ts'
import type { Brick, Volume } from '../volume/volume.ts'
import type { Launcher } from './launcher.ts'
import { askProcess } from './operations.ts'
import { freePort, type PortReservations } from './ports.ts'
import type { Portmap } from './portmap.ts'
import type { SocketNamer } from './socket-name.ts'
import { type BrickSpec, brickSpec } from './spec.ts'

/** A started brick has so long to load its volfile and sign in. */
const SIGN_IN_MS_MAX = 20_000
/** After TERMINATE, and again after SIGTERM, a brick has so long to end. */
const END_MS_MAX = 5_000
const POLL_MS = 20

export interface BrickState {
  readonly online: boolean
  readonly port: number | undefined
  readonly pid: number | undefined
}

export interface SupervisorParts {
  readonly settings: Settings
  readonly env: Env
  readonly store: PoolStore
  readonly portmap: Portmap
  readonly launcher: Launcher
  readonly nameSocket: SocketNamer
}

export class BrickSupervisor {
  readonly #parts: SupervisorParts
  /** Ports given out to processes that have not signed in yet. */
  readonly #promised = new Set<number>()
  readonly #reservations: PortReservations = {
    reserve: port => {
      if (this.#parts.portmap.uses(port) || this.#promised.has(port)) return false
      this.#promised.add(port)
      return true
    },
    release: port => this.#promised.delete(port),
  }

  constructor(parts: SupervisorParts) {
    this.#parts = parts
  }

  /** Bricks of the volume on this server. */
  local(volume: Volume): Brick[] {
    return volume.bricks.filter(brick => brick.peer === this.#parts.store.serverId)
  }

  /** Control socket and files of the brick's process. */
  spec(volume: Volume, brick: Brick): BrickSpec {
    const { settings, store, nameSocket } = this.#parts
    return brickSpec(settings, store.serverId, nameSocket, volume, brick, brick.port)
  }

  state(volume: Volume, brick: Brick): BrickState {
    const pid = this.#parts.launcher.running(this.spec(volume, brick))
    const port = this.#parts.portmap.port(brick.path)
    return { online: pid !== undefined && port !== undefined, port, pid }
  }

  /**
   * Starts the volume's bricks that do not run. With `tolerant` a brick that fails is logged and
   * the others go on; without, those that were started are stopped and the first failure is thrown.
   */
  async startVolume(volume: Volume, tolerant: boolean): Promise<void> {
    const results = await Promise.allSettled(
      this.local(volume).map(brick => this.#start(volume, brick)),
    )
    await this.#parts.store.savePorts(volume)
    const failed = results.find(result => result.status === 'rejected')
    if (failed === undefined) return
    const { message } = failed.reason as Error
    this.#parts.env.log.error('a brick did not start', { volume: volume.name, reason: message })
    if (tolerant) return
    await this.stopVolume(volume)
    throw new ManagementError('BRICK_START_FAILED', message)
  }

  /** Ends all processes of the volume. Throws ManagementError when one refuses to go. */
  async stopVolume(volume: Volume): Promise<void> {
    await Promise.all(this.local(volume).map(brick => this.#stop(volume, brick)))
    await this.#parts.store.savePorts(volume)
  }

  /** Starts some of the volume's bricks. Throws ManagementError when one fails; the others run. */
  async startBricks(volume: Volume, bricks: readonly Brick[]): Promise<void> {
    const here = this.local(volume).filter(brick => bricks.includes(brick))
    const results = await Promise.allSettled(here.map(brick => this.#start(volume, brick)))
    await this.#parts.store.savePorts(volume)
    const failed = results.find(result => result.status === 'rejected')
    if (failed === undefined) return
    throw new ManagementError('BRICK_START_FAILED', (failed.reason as Error).message)
  }

  /** Ends the process of one brick. Throws ManagementError when it refuses to go. */
  stopBrick(volume: Volume, brick: Brick): Promise<void> {
    return this.#stop(volume, brick)
  }

  /** When glusterd starts: running bricks are known again, missing ones are started. */
  async adopt(volumes: readonly Volume[]): Promise<void> {
    const started = volumes.filter(volume => volume.status === 'started')
    for (const volume of started) {
      for (const brick of this.local(volume)) {
        const pid = this.#parts.launcher.running(this.spec(volume, brick))
        if (pid === undefined || brick.port < this.#parts.settings.basePort) continue
        this.#parts.portmap.signIn(brick.path, brick.port, pid, undefined)
      }
    }
    await Promise.all(started.map(volume => this.startVolume(volume, true)))
  }

  async #start(volume: Volume, brick: Brick): Promise<void> {
    const { launcher, portmap, env, settings } = this.#parts
    const now = launcher.running(this.spec(volume, brick))
    if (now !== undefined && portmap.port(brick.path) !== undefined) return
    if (now !== undefined) return this.#signedIn(volume, brick, () => Promise.resolve())
    portmap.signOut(brick.path)
    const old = this.spec(volume, brick)
    rmSync(old.pidFile, { force: true })
    if (existsSync(old.socket) && lstatSync(old.socket).isSocket()) rmSync(old.socket)
    const port = await freePort(env, settings, this.#reservations, brick.port)
    brick.port = port
    try {
      const spec = this.spec(volume, brick)
      await this.#signedIn(volume, brick, () => launcher.launch(spec))
      env.log.info('brick started', { volume: volume.name, brick: brick.path, port })
    } finally {
      this.#reservations.release(port)
    }
  }

  /** Runs `launch` and waits until the brick has signed in. */
  async #signedIn(volume: Volume, brick: Brick, launch: () => Promise<void>): Promise<void> {
    const { portmap, env } = this.#parts
    const spec = this.spec(volume, brick)
    const name = `${brick.hostname}:${brick.path}`
    let finish: () => void = () => {}
    const arrived = new Promise<boolean>(resolve => {
      const forget = portmap.onSignIn(brick.path, () => finish())
      const timer = env.clock.after(SIGN_IN_MS_MAX, () => {
        forget()
        resolve(false)
      })
      finish = () => {
        timer.cancel()
        forget()
        resolve(true)
      }
    })
    try {
      await launch()
    } catch (error) {
      finish()
      const { message } = error as Error
      throw new Error(`Brick ${name} did not start: ${message}. See ${spec.logFile}.`)
    }
    if (portmap.port(brick.path) !== undefined) finish()
    if (await arrived) return
    throw new Error(`Brick ${name} started but did not report its port. See ${spec.logFile}.`)
  }

  async #stop(volume: Volume, brick: Brick): Promise<void> {
    const { launcher, portmap, env } = this.#parts
    const spec = this.spec(volume, brick)
    const pid = launcher.running(spec)
    if (pid !== undefined) {
      const asked = await askProcess(env, spec.socket, 'TERMINATE', { name: brick.path })
      if (asked === undefined || !(await this.#ended(spec))) {
        launcher.signal(pid, 'SIGTERM')
        if (!(await this.#ended(spec))) {
          launcher.signal(pid, 'SIGKILL')
          if (!(await this.#ended(spec))) {
            throw new ManagementError(
              'BRICK_STOP_FAILED',
              `Brick ${brick.hostname}:${brick.path} (pid ${pid}) does not end.`,
            )
          }
        }
      }
    }
    portmap.signOut(brick.path)
    rmSync(spec.pidFile, { force: true })
    rmSync(spec.socket, { force: true })
    env.log.info('brick stopped', { volume: volume.name, brick: brick.path })
  }

  async #ended(spec: BrickSpec): Promise<boolean> {
    const { launcher, env } = this.#parts
    const deadline = env.clock.monotonic() + END_MS_MAX
    while (launcher.running(spec) !== undefined) {
      if (env.clock.monotonic() > deadline) return false
      await delay(env.clock, POLL_MS)
    }
    return true
  }
}
