/**
 * The healer of a replica set: what lookups, clients, the self-heal daemon and the management ask of
 * it.
 */

import { type Failure, type Gfid, parseBoolean } from '@ashlar/core'
import type {
  BrickHealInfo,
  CrawlStatistics,
  Healer,
  HealInfoWanted,
  Resolution,
  Resolved,
} from '../healer.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { HealDaemon } from './daemon.ts'
import { healCounts, healInfo } from './info.ts'
import { healInode, type Needs } from './inode.ts'
import { markEmpty } from './mark-empty.ts'
import { HealMemory } from './memory.ts'
import { healName } from './name.ts'
import { Pool } from './pool.ts'
import { resolveSplitBrain } from './resolve.ts'

export type HealResult = 'healed' | 'clean' | 'failed'

/** What the translator has of its healer. */
export interface SetHealer extends Healer {
  start(): void
  stop(): void
  brickUp(index: number): void
  brickDown(index: number): void
  /**
   * Heals an inode in the background, as far as the options allow it to a client. 'failed' at once
   * when too many are waiting already.
   */
  healInode(gfid: Gfid): Promise<HealResult>
  /** Makes the bricks agree on a name; a failure when they do not. */
  healName(parent: Gfid, name: string): Promise<Failure | undefined>
  reconfigure(): void
  dump(): Readonly<Record<string, unknown>>
}

export function makeHealer(set: ReplicaSet): SetHealer {
  return new SelfHeal(set)
}

class SelfHeal implements SetHealer {
  readonly #set: ReplicaSet
  readonly #memory = new HealMemory()
  readonly #daemon: HealDaemon
  readonly #background: Pool<Gfid, HealResult>

  constructor(set: ReplicaSet) {
    this.#set = set
    this.#daemon = new HealDaemon(set, this.#memory)
    this.#background = new Pool(() => ({
      running: set.options['background-self-heal-count'],
      waiting: set.options['heal-wait-queue-length'],
    }))
  }

  get name(): string {
    return this.#set.name
  }

  get bricks(): readonly { readonly brick: string; readonly up: boolean }[] {
    return this.#set.children.map((child, index) => ({
      brick: child.name,
      up: this.#set.isUp(index),
    }))
  }

  get #isDaemon(): boolean {
    return this.#set.options['iam-self-heal-daemon']
  }

  start(): void {
    if (this.#isDaemon) this.#daemon.start()
  }

  stop(): void {
    this.#daemon.stop()
  }

  brickUp(_index: number): void {
    if (this.#isDaemon) this.#daemon.sweep()
  }

  brickDown(_index: number): void {
    // Heals that were under way end with ENOTCONN; the next sweep comes when the brick does.
  }

  reconfigure(): void {
    if (this.#isDaemon) this.#daemon.reconfigure()
  }

  healInode(gfid: Gfid): Promise<HealResult> {
    const wanted = this.#wanted
    if (!wanted.data && !wanted.metadata && !wanted.entry) return Promise.resolve('failed')
    const heal = this.#background.run(gfid, async () => {
      const outcome = await healInode(this.#set, gfid, { wanted })
      this.#memory.note(gfid, outcome)
      if (outcome.kind === 'failed' || outcome.kind === 'busy') return 'failed'
      return outcome.kind === 'healed' ? 'healed' : 'clean'
    })
    return heal ?? Promise.resolve('failed')
  }

  get #wanted(): Needs {
    const { options } = this.#set
    return {
      data: parseBoolean(options['data-self-heal']) !== false,
      metadata: options['metadata-self-heal'],
      entry: options['entry-self-heal'],
    }
  }

  healName(parent: Gfid, name: string): Promise<Failure | undefined> {
    return healName(this.#set, parent, name)
  }

  healIndex(): void {
    this.#daemon.sweep()
  }

  healFull(): void {
    this.#daemon.crawl()
  }

  info(wanted: HealInfoWanted = {}): Promise<readonly BrickHealInfo[]> {
    return healInfo(this.#set, this.#memory, wanted)
  }

  counts(): Promise<readonly (number | undefined)[]> {
    return healCounts(this.#set)
  }

  statistics(): readonly CrawlStatistics[] {
    return this.#daemon.history
  }

  resolve(resolution: Resolution, file: string | undefined): Promise<readonly Resolved[]> {
    return resolveSplitBrain(this.#set, resolution, file)
  }

  markEmpty(brick: string): Promise<Failure | undefined> {
    return markEmpty(this.#set, brick)
  }

  dump(): Readonly<Record<string, unknown>> {
    return {
      background_heals: this.#background.active,
      waiting_heals: this.#background.waiting,
      sweeping: this.#daemon.working,
      remembered_failures: this.#memory.size,
    }
  }
}
