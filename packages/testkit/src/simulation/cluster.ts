/**
 * SimulatedCluster: the bricks of a volume, clients of it, and its self-heal daemon, each with the
 * graph that it has in a process of its own, on one timeline and one network.
 */

import { type Env, gfidText, type Log, type LogFields } from '@ashlar/core'
import { healerOf, type Healer, xlators } from '@ashlar/xlators'
import { TestVolume } from '../test-volume.ts'
import { Dice } from './dice.ts'
import { Disk } from './disk.ts'
import { healIndex } from './heal-index.ts'
import { SimulatedNetwork } from './network.ts'
import type { Plan } from './plan.ts'
import { simulatedStorage } from './storage.ts'
import { Timeline } from './timeline.ts'

const VOLUME = 'gv0'
const PORT = 49_152
/** Seconds of silence after which clients give a brick up; short, so that histories are. */
const PING_TIMEOUT_SEC = 5

/** A process: it has a number of lives, one after the other. */
interface Host {
  readonly name: string
  life: number
  up: boolean
}

/** A brick: its disk, and its graph while it runs. */
export interface SimulatedBrick extends Host {
  readonly disk: Disk
  volume: TestVolume | undefined
}

export interface SimulatedClient extends Host {
  readonly volume: TestVolume
}

export class SimulatedCluster {
  readonly plan: Plan
  readonly timeline = new Timeline()
  readonly network: SimulatedNetwork
  readonly bricks: SimulatedBrick[] = []
  readonly clients: SimulatedClient[] = []
  readonly #hosts = new Map<string, Host>()
  readonly #trace: (text: string) => void
  readonly #volumeId: string
  #daemon: SimulatedClient | undefined

  /** `trace` gets a line for everything that is logged. */
  constructor(plan: Plan, trace: (text: string) => void) {
    this.plan = plan
    this.#trace = trace
    this.network = new SimulatedNetwork({
      timeline: this.timeline,
      dice: new Dice(plan.seed, 'network'),
      alive: host => this.#hosts.get(host)?.up === true,
    })
    this.#volumeId = gfidText(new Dice(plan.seed, 'volume').uuid())
  }

  async start(): Promise<void> {
    for (let i = 0; i < this.plan.sets * this.plan.setSize; i++) {
      const name = `brick-${i}`
      const host = this.#host(name)
      const dice = new Dice(this.plan.seed, `disk ${name}`)
      const disk = new Disk({ name, env: this.#env(host), dice })
      const brick: SimulatedBrick = Object.assign(host, { disk, volume: undefined })
      this.bricks.push(brick)
      await this.startBrick(i)
    }
    this.#daemon = await this.#join('healer', 'yes')
    for (let i = 0; i < this.plan.clients; i++) await this.addClient()
  }

  brick(index: number): SimulatedBrick {
    return this.bricks[index] as SimulatedBrick
  }

  /** Child name of a brick, as clients and changelogs have it. */
  childName(index: number): string {
    return `${VOLUME}-client-${index}`
  }

  async startBrick(index: number): Promise<void> {
    const brick = this.brick(index)
    if (brick.volume !== undefined) return
    brick.up = true
    brick.life += 1
    const arbiter = this.plan.arbiter && index % this.plan.setSize === this.plan.setSize - 1
    const below = arbiter ? 'arbiter' : 'storage'
    const layer = arbiter
      ? 'volume arbiter\n  type features/arbiter\n  subvolumes storage\nend-volume\n'
      : ''
    brick.volume = await TestVolume.start({
      brick: true,
      env: this.#env(brick),
      uuid: gfidText(new Dice(this.plan.seed, `${brick.name} ${brick.life}`).uuid()),
      definitions: [...xlators.values(), simulatedStorage(brick.disk), healIndex(brick.disk)],
      volfile: `volume storage
  type testing/simulated-storage
end-volume
${layer}volume locks
  type features/locks
  subvolumes ${below}
end-volume
volume index
  type testing/heal-index
  subvolumes locks
end-volume
volume server
  type protocol/server
  option listen-port ${PORT}
  option auth.addr.index.allow *
  subvolumes index
end-volume`,
    })
  }

  /** Ends a brick. `power`: its machine goes down, with what was not synced. What was lost, for people. */
  stopBrick(index: number, power: boolean): string[] {
    const brick = this.brick(index)
    if (brick.volume === undefined) return []
    this.network.died(brick.name, !power)
    brick.up = false
    brick.life += 1
    brick.volume = undefined
    return power ? brick.disk.lose() : []
  }

  async addClient(): Promise<SimulatedClient> {
    const client = await this.#join(`client-${this.clients.length}`, 'off')
    this.clients.push(client)
    return client
  }

  /** A client's process ends in the midst of its work. */
  stopClient(client: SimulatedClient, told: boolean): void {
    this.network.died(client.name, told)
    client.up = false
    client.life += 1
  }

  get healer(): SimulatedClient {
    return this.#daemon as SimulatedClient
  }

  /** The healers of all sets, as the daemon has them. */
  get healers(): Healer[] {
    const { graph } = this.healer.volume
    return Array.from({ length: this.plan.sets }, (_, set) => {
      const xlator = graph.xlator(`${VOLUME}-replicate-${set}`)
      return (xlator === undefined ? undefined : healerOf(xlator)) as Healer
    })
  }

  /** Whether a client has its connection to a brick. */
  reaches(client: SimulatedClient, index: number): boolean {
    return client.volume.graph.xlator(this.childName(index))?.dump?.()['ready'] === true
  }

  #host(name: string): Host {
    const host: Host = { name, life: 0, up: true }
    this.#hosts.set(name, host)
    return host
  }

  /** What a host has of the world, in this life of it. */
  #env(host: Host): Env {
    const { seed } = this.plan
    const { life } = host
    return {
      clock: this.timeline.clock(() => host.up && host.life === life),
      random: new Dice(seed, `${host.name} ${life}`),
      log: this.#log(host.name),
      network: this.network.of(host.name),
    }
  }

  #log(area: string): Log {
    const line = (level: string) => (message: string, fields?: LogFields) => {
      const rest = Object.entries(fields ?? {}).map(([key, value]) => `${key}=${String(value)}`)
      this.#trace(`${area} ${level} ${message} ${rest.join(' ')}`.trimEnd())
    }
    return {
      trace: () => {},
      debug: () => {},
      info: line('I'),
      warning: line('W'),
      error: line('E'),
      critical: line('C'),
      child: name => this.#log(`${area} [${name}]`),
      setLevel: () => {},
    }
  }

  async #join(name: string, daemon: 'yes' | 'off'): Promise<SimulatedClient> {
    const host = this.#host(name)
    host.life = 1
    const volume = new TestVolume({
      env: this.#env(host),
      uuid: gfidText(new Dice(this.plan.seed, `uuid ${name}`).uuid()),
      definitions: xlators.values(),
      volfile: this.#clientVolfile(daemon),
    })
    // One owner of locks for each client's programs.
    volume.ctx = { ...volume.ctx, lkOwner: name }
    await volume.graph.start()
    return Object.assign(host, { volume })
  }

  #clientVolfile(daemon: 'yes' | 'off'): string {
    const { plan } = this
    const parts = this.bricks.map(
      (brick, index) => `volume ${this.childName(index)}
  type protocol/client
  option remote-host ${brick.name}
  option remote-port ${PORT}
  option remote-subvolume index
  option ping-timeout ${PING_TIMEOUT_SEC}
end-volume`,
    )
    const options = Object.entries(plan.options).map(([key, value]) => `  option ${key} ${value}`)
    const sets: string[] = []
    for (let set = 0; set < plan.sets; set++) {
      const first = set * plan.setSize
      const members = Array.from({ length: plan.setSize }, (_, i) => this.childName(first + i))
      sets.push(`${VOLUME}-replicate-${set}`)
      parts.push(`volume ${VOLUME}-replicate-${set}
  type cluster/replicate
  option afr-pending-xattr ${members.join(',')}
  option volume-id ${this.#volumeId}
  option iam-self-heal-daemon ${daemon}
${options.join('\n')}
  subvolumes ${members.join(' ')}
end-volume`)
    }
    if (daemon === 'yes') {
      parts.push(`volume glustershd
  type debug/io-stats
  subvolumes ${sets.join(' ')}
end-volume`)
    } else if (plan.sets > 1) {
      parts.push(`volume ${VOLUME}-dht
  type cluster/distribute
  subvolumes ${sets.join(' ')}
end-volume`)
    }
    return parts.join('\n')
  }
}
