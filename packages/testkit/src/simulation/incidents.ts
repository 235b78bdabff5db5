/** Incidents: what goes wrong in a simulation, and when it is well again. */

import type { SimulatedCluster } from './cluster.ts'
import type { Dice } from './dice.ts'
import type { Trouble } from './plan.ts'

/** Longest time that something stays wrong, in ms; and in a crowd, which is done sooner. */
const LASTS_MS = 9000
const CROWDED_LASTS_MS = 500

export class Incidents {
  readonly #cluster: SimulatedCluster
  readonly #dice: Dice
  readonly #note: (text: string) => void
  /** Called when a client has died; the one that takes its place. */
  readonly #clientDied: (index: number, told: boolean) => void
  /** Brick that may lose its power: no two copies are lost at a time. */
  readonly #weak: number

  constructor(options: {
    cluster: SimulatedCluster
    dice: Dice
    note: (text: string) => void
    clientDied: (index: number, told: boolean) => void
  }) {
    this.#cluster = options.cluster
    this.#dice = options.dice
    this.#note = options.note
    this.#clientDied = options.clientDied
    this.#weak = this.#dice.integer(this.#cluster.bricks.length)
  }

  /** Spreads the plan's incidents over `span` ms. */
  schedule(span: number): void {
    const { plan, timeline } = this.#cluster
    for (let i = 0; i < plan.incidents; i++) {
      const trouble = this.#dice.pick(plan.troubles)
      timeline.after(this.#dice.between(0, span), () => this.#happen(trouble))
    }
  }

  /** Everything is well again. */
  async repair(): Promise<void> {
    const { bricks, network } = this.#cluster
    for (const [index, brick] of bricks.entries()) {
      brick.disk.troubles.full = false
      brick.disk.troubles.eio = 0
      brick.disk.troubles.slowMs = 0.3
      for (const host of this.#hosts()) network.set(host, brick.name, 'good')
      await this.#cluster.startBrick(index)
    }
  }

  #hosts(): string[] {
    const { clients, healer } = this.#cluster
    return [...clients, healer].map(client => client.name)
  }

  #happen(trouble: Trouble): void {
    const { bricks, timeline, network, clients, plan } = this.#cluster
    const any = this.#dice.integer(bricks.length)
    // What has been killed for a moment is not healed yet: another one would be one too many.
    const index = plan.crowded ? this.#weak : any
    const brick = this.#cluster.brick(index)
    const lasts = this.#dice.chance(0.3)
      ? this.#dice.between(1, 400)
      : this.#dice.between(400, plan.crowded ? CROWDED_LASTS_MS : LASTS_MS)
    const later = (text: string, action: () => void): void => {
      timeline.after(lasts, () => {
        this.#note(`--- ${text}`)
        action()
      })
    }
    switch (trouble) {
      case 'kill':
        return this.#stop(index, false, lasts)
      case 'power':
        return this.#stop(this.#weak, true, lasts)
      case 'full':
        this.#note(`--- ${brick.name} is full`)
        brick.disk.troubles.full = true
        return later(`${brick.name} has room`, () => (brick.disk.troubles.full = false))
      case 'eio':
        this.#note(`--- ${brick.name} has I/O errors`)
        brick.disk.troubles.eio = this.#dice.between(0.1, 0.9)
        return later(`${brick.name} has none any more`, () => (brick.disk.troubles.eio = 0))
      case 'slow':
        this.#note(`--- ${brick.name} is slow`)
        brick.disk.troubles.slowMs = this.#dice.between(5, 1500)
        return later(`${brick.name} is quick`, () => (brick.disk.troubles.slowMs = 0.3))
      case 'client': {
        const alive = [...clients.keys()].filter(each => clients[each]?.up === true)
        if (alive.length > 0) this.#clientDied(this.#dice.pick(alive), this.#dice.chance(0.7))
        return
      }
      default: {
        // One client, or everybody: some bricks are out of reach.
        const hosts = this.#dice.chance(0.3) ? this.#hosts() : [this.#dice.pick(this.#hosts())]
        const out = bricks.filter(each => each === brick || this.#dice.chance(0.25))
        const state = trouble === 'silence' ? 'silent' : 'cut'
        const names = out.map(each => each.name).join(', ')
        this.#note(`--- ${names} ${state} for ${hosts.join(', ')}`)
        const set = (to: 'good' | 'cut' | 'silent'): void => {
          for (const host of hosts) for (const each of out) network.set(host, each.name, to)
        }
        set(state)
        return later(`${names} in reach of ${hosts.join(', ')}`, () => set('good'))
      }
    }
  }

  #stop(index: number, power: boolean, lasts: number): void {
    const brick = this.#cluster.brick(index)
    if (brick.volume === undefined) return
    const lost = this.#cluster.stopBrick(index, power)
    this.#note(`--- ${brick.name} ${power ? `loses power: ${lost.join('; ')}` : 'is killed'}`)
    this.#cluster.timeline.after(lasts, () => {
      this.#note(`--- ${brick.name} starts`)
      this.#cluster.startBrick(index).catch((bug: unknown) => this.#note(`C ${String(bug)}`))
    })
  }
}
