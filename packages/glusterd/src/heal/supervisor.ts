/**
 * HealSupervisor: makes the self-heal daemon of this server look after the volumes that need it. It
 * starts the daemon, finds one that runs already, attaches and detaches volumes, and starts it again
 * when it dies.
 */

import { rmSync } from 'node:fs'
import { delay, Dict, type Env, type Timer } from '@ashlar/core'
import type { Launcher, ProcessSpec } from '../bricks/launcher.ts'
import {
  askProcess,
  type ProcessAnswer,
  type ProcessOperation,
  type Question,
} from '../bricks/operations.ts'
import type { SocketNamer } from '../bricks/socket-name.ts'
import type { Settings } from '../settings.ts'
import type { PoolStore } from '../store/pool-store.ts'
import type { Volume } from '../volume/volume.ts'
import { canHeal, healIsEnabled, healPidFile, healSpec, healVolfileId } from './spec.ts'

/** How often it is looked whether the daemon lives. */
const WATCH_MS = 1_000
/** A daemon that dies sooner after its start is started again later and later. */
const SHORT_LIFE_MS = 10_000
const PAUSE_MS_MAX = 60_000
const ATTACH_MS_MAX = 15_000
const END_MS_MAX = 5_000
const POLL_MS = 20

export interface HealSupervisorParts {
  readonly settings: Settings
  readonly env: Env
  readonly store: PoolStore
  readonly launcher: Launcher
  readonly nameSocket: SocketNamer
}

export class HealSupervisor {
  readonly #parts: HealSupervisorParts
  #turn: Promise<void> = Promise.resolve()
  #watch: Timer | undefined
  #ended = false
  #startedAt: number | undefined
  #pauseMs = 0
  #notBefore = 0

  constructor(parts: HealSupervisorParts) {
    this.#parts = parts
  }

  /** Resolves when the daemon serves the volumes that are started, or it has been logged why not. */
  follow(): Promise<void> {
    this.#pauseMs = 0
    this.#notBefore = 0
    return this.#inTurn()
  }

  /** Follows no more. The daemon goes on. */
  async stop(): Promise<void> {
    this.#ended = true
    this.#watch?.cancel()
    await this.#turn
  }

  /** Pid of the daemon when it runs. */
  get pid(): number | undefined {
    for (const volume of this.#parts.store.volumes()) {
      const pid = this.#parts.launcher.running(this.#spec(volume.name))
      if (pid !== undefined) return pid
    }
    return undefined
  }

  /** Pid of the daemon when it looks after `volume`. */
  pidFor(volume: Volume): number | undefined {
    return this.#parts.launcher.running(this.#spec(volume.name))
  }

  /** Asks the daemon about sets of a volume; undefined when it does not answer. */
  ask(input: Dict, answerMs: number): Promise<ProcessAnswer | undefined> {
    return this.#ask('XLATOR_OP', { input, answerMs })
  }

  /** Asks the daemon how it is, with regard to a volume; undefined when it does not answer. */
  state(volume: Volume, input: Dict): Promise<ProcessAnswer | undefined> {
    return this.#ask('NODE_STATUS', { name: healVolfileId(volume.name), input })
  }

  /** The control socket is named after the volume that the daemon began with. */
  #ask(operation: ProcessOperation, question: Question): Promise<ProcessAnswer | undefined> {
    const { env, launcher } = this.#parts
    const { pid } = this
    const words = pid === undefined ? [] : (launcher.commandLine(pid) ?? [])
    const socket = words[words.indexOf('-S') + 1]
    if (socket === undefined) return Promise.resolve(undefined)
    return askProcess(env, socket, operation, question)
  }

  #spec(volume: string): ProcessSpec {
    const { settings, store, nameSocket } = this.#parts
    return healSpec(settings, store.serverId, nameSocket, volume)
  }

  #inTurn(): Promise<void> {
    this.#turn = this.#turn
      .then(() => this.#reconcile())
      .catch((error: unknown) => {
        this.#parts.env.log.error('the self-heal daemon is not as it should be', {
          reason: (error as Error).message,
        })
      })
      .then(() => this.#watchOn())
    return this.#turn
  }

  #wanted(): Volume[] {
    const volumes = this.#parts.store.volumes()
    return volumes.filter(
      volume => volume.status === 'started' && canHeal(volume) && healIsEnabled(volume),
    )
  }

  /** One timer at a time, and none while nobody needs a daemon. */
  #watchOn(): void {
    this.#watch?.cancel()
    if (this.#ended || this.#wanted().length === 0) return
    this.#watch = this.#parts.env.clock.after(WATCH_MS, () => {
      const lost = this.#wanted().some(volume => this.pidFor(volume) === undefined)
      if (lost && this.#parts.env.clock.monotonic() >= this.#notBefore) void this.#inTurn()
      else this.#watchOn()
    })
  }

  async #reconcile(): Promise<void> {
    if (this.#ended) return
    const wanted = this.#wanted()
    const [first] = wanted
    let pid = this.pid
    if (first === undefined) {
      if (pid !== undefined) await this.#end(pid)
      return
    }
    const served = pid === undefined ? undefined : await this.#served()
    if (pid !== undefined && served === undefined) {
      this.#parts.env.log.warning('the self-heal daemon does not answer; it is started anew', {
        pid,
      })
      await this.#end(pid)
      pid = undefined
    }
    if (pid === undefined) await this.#start(first)
    const have = served ?? new Set([first.name])
    for (const volume of wanted) if (!have.has(volume.name)) await this.#attach(volume)
    const names = new Set(wanted.map(volume => volume.name))
    for (const name of have) if (!names.has(name)) await this.#detach(name)
  }

  async #served(): Promise<Set<string> | undefined> {
    const answer = await this.#ask('NODE_STATUS', {})
    if (answer === undefined || answer.ret < 0) return undefined
    const { output } = answer
    const count = output.getNumber('count') ?? 0
    return new Set(Array.from({ length: count }, (_, n) => output.getString(`volume-${n}`) ?? ''))
  }

  async #start(volume: Volume): Promise<void> {
    const { env, launcher, settings, store } = this.#parts
    const now = env.clock.monotonic()
    const short = this.#startedAt !== undefined && now - this.#startedAt < SHORT_LIFE_MS
    this.#pauseMs = short ? Math.min(Math.max(WATCH_MS, this.#pauseMs * 2), PAUSE_MS_MAX) : 0
    this.#notBefore = now + this.#pauseMs
    this.#startedAt = now
    for (const { name } of store.volumes()) rmSync(healPidFile(settings, name), { force: true })
    const spec = this.#spec(volume.name)
    rmSync(spec.socket, { force: true })
    await launcher.launch(spec)
    env.log.info('self-heal daemon started', { volume: volume.name, pid: launcher.running(spec) })
  }

  async #attach(volume: Volume): Promise<void> {
    const { env, settings, store } = this.#parts
    const answer = await this.#ask('SVC_ATTACH', {
      name: healVolfileId(volume.name),
      input: Buffer.from(store.volfile(volume.name, `${volume.name}-shd.vol`) ?? ''),
      dict: new Dict().setString('pidfile', healPidFile(settings, volume.name)),
      answerMs: ATTACH_MS_MAX,
    })
    if (answer?.ret === 0) return
    env.log.error('the self-heal daemon does not take a volume', {
      volume: volume.name,
      reason: answer?.message ?? 'no answer',
    })
  }

  async #detach(name: string): Promise<void> {
    await this.#ask('SVC_DETACH', {
      name: healVolfileId(name),
      answerMs: ATTACH_MS_MAX,
    })
  }

  async #end(pid: number): Promise<void> {
    const { env, launcher, settings, store } = this.#parts
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      launcher.signal(pid, signal)
      const deadline = env.clock.monotonic() + END_MS_MAX
      while (this.pid !== undefined && env.clock.monotonic() < deadline) {
        await delay(env.clock, POLL_MS)
      }
      if (this.pid === undefined) break
    }
    for (const { name } of store.volumes()) {
      rmSync(healPidFile(settings, name), { force: true })
      rmSync(this.#spec(name).socket, { force: true })
    }
    env.log.info('self-heal daemon stopped', { pid })
  }
}
