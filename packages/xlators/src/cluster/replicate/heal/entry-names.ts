/**
 * Which names of a directory are to be looked at by its heal: those that its bricks have noted
 * (granular), or all of which the bricks' listings differ.
 * Source: xlators/cluster/afr/src/afr-self-heal-entry.c.
 */

import { Errno, errnoText, type Failure, type Gfid, NULL_GFID } from '@ashlar/core'
import { ChangeKind } from '../changelog.ts'
import { indices } from '../members.ts'
import { type Copies, isCopy } from './copies.ts'
import { readDirectory } from './directory-reader.ts'
import { IndexView } from './index-view.ts'
import { ASIDE_PREFIX } from './aside.ts'
import { type HealJob, type Unhealed, unhealed } from './job.ts'
import type { EntrySource } from './name-plan.ts'

/** Names kept in memory of one directory; larger ones are worked through as they are read. */
const NAMES_MAX = 65_536
const LANDFILL = '.landfill'

export interface EntryNames {
  /** All names are looked at, not only the noted ones. */
  readonly full: boolean
  /** Calls `heal` with up to `size` names at a time until it says false. */
  each(
    size: number,
    heal: (names: readonly string[]) => Promise<boolean>,
  ): Promise<Unhealed | undefined>
  /** These are healed. */
  done(names: readonly string[]): void
  /** The heal of the directory is not complete: what is done is crossed off, the rest stays noted. */
  forget(): Promise<void>
}

export function entryNames(job: HealJob, copies: Copies, at: EntrySource): EntryNames {
  const granular = job.set.options['granular-entry-heal'] && !wantsAll(copies)
  return granular ? new NotedNames(job, at) : new AllNames(job, at)
}

/** Of a directory the data counters say that all of its names are to be looked at. */
function wantsAll(copies: Copies): boolean {
  return copies.some(
    copy => isCopy(copy) && copy.log.pending.some(counters => counters[ChangeKind.DATA] !== 0),
  )
}

/** Sinks first, then the source: what is there too much, then what is missing. */
function readers(at: EntrySource): number[] {
  return at.source < 0 ? indices(at.sinks) : [...indices(at.sinks), at.source]
}

/** Whether a name of the root is the bricks' own business. */
function isOwn(job: HealJob, name: string): boolean {
  return job.inode.isRoot && (name.startsWith(ASIDE_PREFIX) || name === LANDFILL)
}

function unread(job: HealJob, index: number, failure: Failure): Unhealed {
  return unhealed(
    failure.errno,
    `${job.brick(index)} cannot be listed: ${errnoText(failure.errno)}`,
  )
}

/** Hands out names in groups, each once as long as memory allows. */
class Batches {
  readonly #size: number
  readonly #heal: (names: readonly string[]) => Promise<boolean>
  readonly #seen = new Set<string>()
  #waiting: string[] = []
  #going = true

  constructor(size: number, heal: (names: readonly string[]) => Promise<boolean>) {
    this.#size = size
    this.#heal = heal
  }

  get count(): number {
    return this.#seen.size
  }

  async add(names: Iterable<string>): Promise<boolean> {
    for (const name of names) {
      if (this.#seen.has(name)) continue
      if (this.#seen.size < NAMES_MAX) this.#seen.add(name)
      this.#waiting.push(name)
      if (this.#waiting.length >= this.#size) await this.flush()
      if (!this.#going) break
    }
    return this.#going
  }

  async flush(): Promise<void> {
    const names = this.#waiting
    this.#waiting = []
    if (names.length > 0 && this.#going) this.#going = await this.#heal(names)
  }
}

class AllNames implements EntryNames {
  readonly full = true
  readonly #job: HealJob
  readonly #at: EntrySource

  constructor(job: HealJob, at: EntrySource) {
    this.#job = job
    this.#at = at
  }

  async each(
    size: number,
    heal: (names: readonly string[]) => Promise<boolean>,
  ): Promise<Unhealed | undefined> {
    const batches = new Batches(size, heal)
    const differing = await this.#compare()
    if ('kind' in differing) return differing
    if (differing.names !== undefined) {
      await batches.add(differing.names)
      await batches.flush()
      return undefined
    }
    for (const index of readers(this.#at)) {
      const failed = await this.#read(index, false, entries =>
        batches.add(entries.map(entry => entry.name)),
      )
      if (failed !== undefined) return failed
      await batches.flush()
    }
    return undefined
  }

  done(): void {}

  async forget(): Promise<void> {}

  /**
   * Names of which not all bricks say the same; undefined when there are too many names to keep.
   * Read without locks: what clients change meanwhile they change on all bricks, or note.
   */
  async #compare(): Promise<{ names: readonly string[] | undefined } | Unhealed> {
    const { set } = this.#job
    const listings = new Map<number, Map<string, Gfid>>()
    let failed: Unhealed | undefined
    let tooMany = false
    await Promise.all(
      indices(set.all).map(async index => {
        const listing = new Map<string, Gfid>()
        listings.set(index, listing)
        failed =
          (await this.#read(index, true, async entries => {
            for (const { name, gfid } of entries) listing.set(name, gfid)
            tooMany ||= listing.size > NAMES_MAX
            return !tooMany
          })) ?? failed
      }),
    )
    if (failed !== undefined) return failed
    if (tooMany) return { names: undefined }
    const names = new Set([...listings.values()].flatMap(listing => [...listing.keys()]))
    const all = [...listings.values()]
    const [one] = all
    return {
      names: [...names].filter(name => {
        const gfid = one?.get(name)
        if (gfid === undefined || gfid === NULL_GFID) return true
        return all.some(listing => listing.get(name) !== gfid)
      }),
    }
  }

  async #read(
    index: number,
    plus: boolean,
    page: (entries: readonly { name: string; gfid: Gfid }[]) => Promise<boolean>,
  ): Promise<Unhealed | undefined> {
    const { set, ctx, inode: directory } = this.#job
    const failed = await readDirectory(
      { set, child: set.child(index), ctx, directory, plus },
      entries =>
        page(
          entries
            .filter(entry => !isOwn(this.#job, entry.name))
            .map(entry => ({ name: entry.name, gfid: entry.stat?.gfid ?? NULL_GFID })),
        ),
    )
    return failed === undefined ? undefined : unread(this.#job, index, failed)
  }
}

class NotedNames implements EntryNames {
  #full = false
  readonly #job: HealJob
  readonly #at: EntrySource
  readonly #done: string[] = []

  constructor(job: HealJob, at: EntrySource) {
    this.#job = job
    this.#at = at
  }

  get full(): boolean {
    return this.#full
  }

  async each(
    size: number,
    heal: (names: readonly string[]) => Promise<boolean>,
  ): Promise<Unhealed | undefined> {
    const batches = new Batches(size, heal)
    for (const index of readers(this.#at)) {
      const failed = await this.#view(index).eachName(this.#job.inode.gfid, names =>
        batches.add(names),
      )
      if (failed !== undefined) return unread(this.#job, index, failed)
    }
    await batches.flush()
    if (batches.count > 0) return undefined
    // Counters without a noted name: they were made by somebody who notes none.
    this.#full = true
    return new AllNames(this.#job, this.#at).each(size, heal)
  }

  done(names: readonly string[]): void {
    if (this.#done.length < NAMES_MAX) this.#done.push(...names)
  }

  async forget(): Promise<void> {
    const { set, inode } = this.#job
    const failed = await Promise.all(
      indices(set.all).map(index => this.#view(index).removeNames(inode.gfid, this.#done)),
    )
    for (const each of failed) {
      if (each !== undefined && each.errno !== Errno.ENOENT)
        set.env.log.debug('names of a healed directory stay noted', { errno: each.errno })
    }
  }

  #view(index: number): IndexView {
    return new IndexView(this.#job.set, index, this.#job.ctx)
  }
}
