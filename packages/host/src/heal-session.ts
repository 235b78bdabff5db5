/**
 * HealSession: a volume's client graph for as long as a few questions take: what is to be healed, a
 * split-brain to be resolved, a brick to be marked as empty. It needs no self-heal daemon.
 */

import {
  type AnyXlatorDefinition,
  type Env,
  Errno,
  errnoText,
  type Failure,
  type GraphEvent,
  type Log,
  type TcpAddress,
  type UnixAddress,
  type Volfile,
  type XlatorSelf,
} from '@ashlar/core'
import {
  type BrickHealInfo,
  type Healer,
  type HealInfoWanted,
  healerOf,
  type Resolution,
  type Resolved,
} from '@ashlar/xlators'
import { definitionsFor } from './definitions.ts'
import { GraphHost } from './graph-host.ts'
import { processInfo } from './process-environment.ts'
import { ServerVolfileSource } from './volfile-source.ts'

/** Pid in the calls of such a session (libglusterfs glusterfs.h, GF_CLIENT_PID_GLFS_HEAL). */
export const HEAL_SESSION_PID = -7

/** A brick that says neither yes nor no is given up after this. */
const CONNECT_MS_DEFAULT = 10_000

/** Looking must not change anything: no heal begins by itself. */
const QUIET_OPTIONS = [
  '*replicate*.data-self-heal=off',
  '*replicate*.metadata-self-heal=off',
  '*replicate*.entry-self-heal=off',
  '*replicate*.background-self-heal-count=0',
]

export interface HealSessionOptions {
  readonly env: Env
  readonly volfileServers: readonly (TcpAddress | UnixAddress)[]
  readonly volume: string
  readonly connectMs?: number
  readonly definitions?: (volfile: Volfile, log: Log) => ReadonlyMap<string, AnyXlatorDefinition>
}

/** A brick as the volfile names it. */
export interface SessionBrick {
  /** Name of its translator, `vol-client-0`. */
  readonly id: string
  readonly host: string
  readonly path: string
}

export interface SessionInfo extends BrickHealInfo {
  readonly host: string
  readonly path: string
}

export class HealSessionError extends Error {
  override name = 'HealSessionError'
}

export class HealSession {
  readonly #options: HealSessionOptions
  readonly #host: GraphHost
  readonly #source: ServerVolfileSource
  /** Clients that have not said yet whether their brick can be reached. */
  readonly #undecided = new Set<string>()
  #decided: () => void = () => {}

  constructor(options: HealSessionOptions) {
    this.#options = options
    const { env, volume, volfileServers } = options
    this.#host = new GraphHost({
      env,
      process: processInfo(env, {
        name: 'glfsheal',
        volfileId: volume,
        clientPid: HEAL_SESSION_PID,
      }),
      xlatorOptions: QUIET_OPTIONS,
      definitions: (volfile, log) => this.#watched(volfile, log),
    })
    this.#source = new ServerVolfileSource({ env, servers: volfileServers, volfileId: volume })
  }

  /** Resolves when every brick has been reached or is known not to be. Rejects without a volfile. */
  async start(): Promise<void> {
    const { env, connectMs = CONNECT_MS_DEFAULT } = this.#options
    const decided = new Promise<void>(resolve => {
      this.#decided = resolve
    })
    await new Promise<void>((resolve, reject) => {
      const timer = env.clock.after(connectMs, () =>
        reject(new HealSessionError('glusterd does not answer')),
      )
      this.#source.start({
        volfile: text => {
          timer.cancel()
          this.#host.apply(text).then(resolve, reject)
        },
        failed: (reason, final) => {
          env.log.warning('no volfile', { reason })
          if (final) reject(new HealSessionError(reason))
        },
      })
    })
    const timer = env.clock.after(connectMs, () => this.#decided())
    if (this.#undecided.size > 0) await decided
    timer.cancel()
  }

  async stop(): Promise<void> {
    this.#source.stop()
    await this.#host.stop()
  }

  /** In the order of the volume's bricks. */
  async info(wanted?: HealInfoWanted): Promise<SessionInfo[]> {
    const all = (await Promise.all(this.#healers.map(healer => healer.info(wanted)))).flat()
    return this.#bricks.flatMap(({ id, host, path }) => {
      const found = all.find(each => each.brick === id)
      return found === undefined ? [] : [{ ...found, host, path }]
    })
  }

  /**
   * Resolves split-brains of a file, or of all that the bricks have noted. `brick` of the resolution
   * is `HOST:/PATH`. Rejects when there is no such brick, or when it cannot say what it has noted.
   */
  async resolve(resolution: Resolution, file: string | undefined): Promise<readonly Resolved[]> {
    const named = this.#translated(resolution)
    const healers =
      named.policy === 'source-brick'
        ? this.#healers.filter(healer => healer.bricks.some(({ brick }) => brick === named.brick))
        : this.#healers
    if (named.policy === 'source-brick' && file === undefined) {
      const up = healers.some(({ bricks }) =>
        bricks.some(each => each.brick === named.brick && each.up),
      )
      if (!up) throw new HealSessionError(errnoText(Errno.ENOTCONN))
    }
    const answers = await Promise.all(healers.map(healer => healer.resolve(named, file)))
    if (file === undefined) return answers.flat()
    // A file lies in one set; the others say that they do not have it.
    const flat = answers.flat()
    const best =
      flat.find(each => each.outcome === 'healed') ??
      flat.find(each => !/no such file/i.test(each.reason)) ??
      flat[0]
    return best === undefined ? [] : [best]
  }

  /** Marks bricks (by their translators' names) as empty. The first failure, if there is one. */
  async markEmpty(bricks: readonly string[]): Promise<Failure | undefined> {
    for (const brick of bricks) {
      const healer = this.#healers.find(each => each.bricks.some(own => own.brick === brick))
      if (healer === undefined) throw new HealSessionError(`no set has the brick ${brick}`)
      const failed = await healer.markEmpty(brick)
      if (failed !== undefined) return failed
    }
    return undefined
  }

  get #healers(): Healer[] {
    const xlators = [...(this.#host.graph?.xlators() ?? [])]
    return xlators.flatMap(({ xlator }) => healerOf(xlator) ?? [])
  }

  get #bricks(): SessionBrick[] {
    const nodes = this.#host.graph?.volfile.nodes ?? []
    return nodes
      .filter(node => node.type === 'protocol/client')
      .map(({ name, options }) => ({
        id: name,
        host: options.get('remote-host') ?? '',
        path: options.get('remote-subvolume') ?? '',
      }))
  }

  #translated(resolution: Resolution): Resolution {
    if (resolution.policy !== 'source-brick') return resolution
    const { brick } = resolution
    const found = this.#bricks.find(({ host, path }) => `${host}:${path}` === brick)
    if (found === undefined) throw new HealSessionError('No such brick available in the volume.')
    return { policy: 'source-brick', brick: found.id }
  }

  /** Our translators, with an ear at each client. */
  #watched(volfile: Volfile, log: Log): ReadonlyMap<string, AnyXlatorDefinition> {
    const { definitions = definitionsFor } = this.#options
    const all = new Map(definitions(volfile, log))
    const client = all.get('protocol/client')
    if (client === undefined) return all
    for (const node of volfile.nodes) {
      if (node.type === client.type) this.#undecided.add(node.name)
    }
    return all.set(client.type, {
      ...client,
      create: self => client.create(this.#overheard(self)),
    })
  }

  #overheard(self: XlatorSelf): XlatorSelf {
    const notify = (event: GraphEvent): void => {
      self.notify(event)
      if (event.kind !== 'child-up' && event.kind !== 'child-down' && event.kind !== 'auth-failed')
        return
      this.#undecided.delete(self.name)
      if (this.#undecided.size === 0) this.#decided()
    }
    return Object.create(self, { notify: { value: notify } }) as XlatorSelf
  }
}
