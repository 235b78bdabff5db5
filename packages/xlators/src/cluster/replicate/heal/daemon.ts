/**
 * HealDaemon: the self-heal daemon's part in one set. It sweeps the heal indices of this server's
 * bricks when it starts, when a brick comes back, when something has come into an index, when
 * somebody asks, and every heal-timeout; and crawls the whole set when asked. One of these at a time.
 * Source: xlators/cluster/afr/src/afr-self-heald.c.
 */

import { inodeLoc, type Timer } from '@ashlar/core'
import type { CrawlStatistics } from '../healer.ts'
import { indices } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { tidyAside } from './aside-tidy.ts'
import { crawl } from './crawl.ts'
import { IndexKind, IndexView } from './index-view.ts'
import type { HealMemory } from './memory.ts'
import { Room } from './room.ts'
import { HEAL_CTX, type Sweeper, sweepIndex, type Tally } from './sweep.ts'

/** Files healed at a time when the volume does not say. */
const AT_ONCE_DEFAULT = 16
/** Crawls of a brick that are remembered (AFR_STATISTICS_HISTORY_SIZE). */
const HISTORY_MAX = 50
/** After a sweep that could not heal everything; doubled each time, up to heal-timeout. */
const RETRY_FIRST_MS = 15_000
/**
 * How often bricks are asked how much there is in their indices. A client may lose a brick that this
 * daemon does not (it hangs while nothing is asked of it, or the way between those two is broken): no
 * return of a brick tells of what was missed then.
 */
const WATCH_MS = 5_000
/** Watches in a row with dirty files: most are being written, and clean in a moment. */
const DIRTY_WATCHES = 2
const NODE_UUID = 'trusted.glusterfs.node-uuid'

type Crawl = { -readonly [K in keyof CrawlStatistics]: CrawlStatistics[K] }

export class HealDaemon {
  readonly #set: ReplicaSet
  readonly #memory: HealMemory
  readonly #room: Room
  readonly #history: Crawl[] = []
  #timer: Timer | undefined
  #watch: Timer | undefined
  /** By brick: how much the last sweep had to leave in its index. */
  readonly #left = new Map<number, number>()
  /** By brick: in how many watches it had more dirty files than the last sweep had met. */
  readonly #dirty = new Map<number, { readonly watches: number; readonly met: number }>()
  #retryMs = RETRY_FIRST_MS
  #stopped = true
  #indexWanted = false
  #fullWanted = false
  #working: Promise<void> | undefined

  constructor(set: ReplicaSet, memory: HealMemory) {
    this.#set = set
    this.#memory = memory
    this.#room = new Room(set)
  }

  get history(): readonly CrawlStatistics[] {
    return this.#history
  }

  get working(): boolean {
    return this.#working !== undefined
  }

  start(): void {
    this.#stopped = false
    this.#arm()
    this.#armWatch()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#watch?.cancel()
    // Heals under way wait for bricks whose links are about to be closed: they end with them.
    this.#indexWanted = false
    this.#fullWanted = false
  }

  reconfigure(): void {
    if (!this.#stopped) this.#arm()
  }

  /** Sweeps now, or once more when a sweep is under way. */
  sweep(): void {
    this.#indexWanted = true
    this.#wake()
  }

  crawl(): void {
    this.#fullWanted = true
    this.#wake()
  }

  get #timeoutMs(): number {
    return this.#set.options['heal-timeout'] * 1000
  }

  get #enabled(): boolean {
    return !this.#stopped && this.#set.options['self-heal-daemon']
  }

  #arm(ms = this.#timeoutMs): void {
    this.#timer?.cancel()
    this.#timer = this.#set.env.clock.after(ms, () => {
      this.sweep()
      if (!this.#stopped) this.#arm()
    })
  }

  #armWatch(): void {
    this.#watch = this.#set.env.clock.after(WATCH_MS, () => {
      this.#lookForMore()
        .catch((bug: unknown) => {
          this.#set.env.log.critical('watching indices failed with an exception', {
            error: String(bug),
          })
        })
        .finally(() => {
          if (!this.#stopped) this.#armWatch()
        })
    })
  }

  /** Sweeps when an index has more in it than the last sweep had to leave there, or where it can go. */
  async #lookForMore(): Promise<void> {
    const set = this.#set
    if (this.working || !this.#enabled || set.up !== set.all) return
    for (const index of await this.#ownBricks()) {
      const count = await this.#count(index)
      if (count !== undefined && count > (this.#left.get(index) ?? 0)) return this.sweep()
      if (await this.#staysDirty(index)) return this.sweep()
    }
    if (!this.#memory.lacksRoom || !(await this.#room.grown())) return
    this.#retryMs = RETRY_FIRST_MS
    this.sweep()
  }

  /** What was refused for want of a quorum is dirty, and nobody is blamed for it. */
  async #staysDirty(index: number): Promise<boolean> {
    const count = (await this.#count(index, IndexKind.DIRTY)) ?? 0
    const before = this.#dirty.get(index) ?? { watches: 0, met: 0 }
    const met = Math.min(before.met, count)
    const watches = count > met ? before.watches + 1 : 0
    const stays = watches >= DIRTY_WATCHES
    this.#dirty.set(index, stays ? { watches: 0, met: count } : { watches, met })
    return stays
  }

  async #count(
    index: number,
    kind: typeof IndexKind.PENDING | typeof IndexKind.DIRTY = IndexKind.PENDING,
  ): Promise<number | undefined> {
    const count = await new IndexView(this.#set, index, HEAL_CTX).count(kind)
    return typeof count === 'number' ? count : undefined
  }

  #wake(): void {
    if (this.#working !== undefined || !this.#enabled) return
    this.#working = this.#work().finally(() => {
      this.#working = undefined
      if (this.#indexWanted || this.#fullWanted) this.#wake()
    })
  }

  async #work(): Promise<void> {
    while (this.#enabled && (this.#indexWanted || this.#fullWanted)) {
      const full = this.#fullWanted
      this.#indexWanted = false
      this.#fullWanted = false
      // A heal needs every brick: the one that is missing brings the next sweep.
      if (this.#set.up !== this.#set.all) continue
      let unhealed = false
      for (const index of await this.#ownBricks()) {
        if (!this.#enabled) return
        unhealed = (await this.#crawlBrick(index, 'INDEX')) || unhealed
        if (full) unhealed = (await this.#crawlBrick(index, 'FULL')) || unhealed
      }
      if (this.#enabled) await tidyAside(this.#set)
      if (this.#enabled && this.#memory.lacksRoom) await this.#room.note()
      this.#armRetry(unhealed)
    }
  }

  /** What could not be healed for a passing reason is tried again sooner than at the next sweep. */
  #armRetry(unhealed: boolean): void {
    if (this.#stopped) return
    if (!unhealed) {
      this.#retryMs = RETRY_FIRST_MS
      return
    }
    this.#arm(Math.min(this.#retryMs, this.#timeoutMs))
    this.#retryMs = Math.min(this.#retryMs * 2, this.#timeoutMs)
  }

  /** True when something could not be healed, though it is not torn. */
  async #crawlBrick(index: number, type: CrawlStatistics['type']): Promise<boolean> {
    const tally: Tally = { healed: 0, splitBrain: 0, failed: 0 }
    const record: Crawl = {
      brick: this.#set.child(index).name,
      type,
      started: this.#now(),
      ended: undefined,
      ...tally,
    }
    this.#remember(record)
    const sweeper = this.#sweeper()
    await (type === 'INDEX' ? sweepIndex(sweeper, index, tally) : crawl(sweeper, index, tally))
    Object.assign(record, tally, { ended: this.#now() })
    if (type === 'INDEX') {
      // What came in since is not among those that could not be healed.
      const count = (await this.#count(index)) ?? 0
      this.#left.set(index, Math.min(count, tally.failed + tally.splitBrain))
    }
    return tally.failed > 0
  }

  #sweeper(): Sweeper {
    const { options, self } = this.#set
    const asked = self.texts.has('shd-max-threads') ? options['shd-max-threads'] : AT_ONCE_DEFAULT
    return {
      set: this.#set,
      memory: this.#memory,
      atOnce: asked,
      stopped: () => !this.#enabled,
    }
  }

  #remember(record: Crawl): void {
    this.#history.push(record)
    const own = this.#history.filter(each => each.brick === record.brick)
    if (own.length > HISTORY_MAX) this.#history.splice(this.#history.indexOf(own[0] as Crawl), 1)
  }

  #now(): number {
    const { sec, nsec } = this.#set.env.clock.wall()
    return sec * 1000 + Math.floor(nsec / 1e6)
  }

  /** Connected bricks of this server; all, when it is not known which server this is. */
  async #ownBricks(): Promise<number[]> {
    const set = this.#set
    const uuid = set.options['node-uuid']
    const up = indices(set.up)
    if (uuid === undefined) return up
    const loc = inodeLoc(set.self.inodes.root)
    const replies = await set.onAll(set.up, child =>
      child.getxattr(HEAL_CTX, { loc, name: NODE_UUID }),
    )
    return up.filter(index => {
      const reply = replies[index]
      return reply?.ok === true && reply.dict.getString(NODE_UUID) === uuid
    })
  }
}
