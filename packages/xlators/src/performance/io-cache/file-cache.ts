/**
 * FileCache: what io-cache knows of one file: its pages, which content they are of, and when that
 * was last asked. The rule that must not break: data that was asked for before a change does not get
 * in after it (`generation`).
 */

import type { Failure, Iatt, ReadReply } from '@ashlar/core'
import { type FilePages, PAGE_BYTES, type PageStore } from './page-store.ts'

/** Places that were read once and may be worth a page the second time: so many are remembered. */
const TOUCHED_MAX = 1024
/** How late a reply may come in after one that was asked for later. */
const OVERTAKING_MS = 1000
/** Reads at least so long are worth keeping at once. */
const LONG_READ_BYTES = 64 * 1024

export class FileCache {
  readonly pages: FilePages
  readonly #store: PageStore
  /** Grows with every change through this client. */
  generation = 0
  #mtime = 0
  #mtimeNsec = 0
  #size = 0
  /** When the brick last said what the content is; undefined: there is nothing to ask about. */
  #validAt: number | undefined
  /** Changes of ours in progress. */
  #changing = 0
  /** Where the last read ended. */
  #readEnd = 0
  readonly #touched = new Set<number>()
  /** Requests in progress that others may wait for, by their first page. */
  readonly fetching = new Map<number, Promise<ReadReply | Failure>>()
  /** The question whether the file has changed, while it is under way. */
  validation: Promise<void> | undefined

  constructor(store: PageStore, pages: FilePages) {
    this.#store = store
    this.pages = pages
  }

  get size(): number {
    return this.#size
  }

  /** Nothing is changing: what is read now may be kept. */
  get quiet(): boolean {
    return this.#changing === 0
  }

  isFresh(now: number, timeoutMs: number): boolean {
    return this.#validAt !== undefined && now - this.#validAt < timeoutMs
  }

  /**
   * The brick's word on what the file is now: pages of another content go. False when the word is
   * older than what is known.
   */
  validate(stat: Iatt, now: number): boolean {
    const known = this.#validAt !== undefined
    const newer =
      stat.mtime > this.#mtime || (stat.mtime === this.#mtime && stat.mtimeNsec > this.#mtimeNsec)
    const same =
      stat.mtime === this.#mtime && stat.mtimeNsec === this.#mtimeNsec && stat.size === this.#size
    if (!known || !same) {
      // Somebody may have set the time back: that shows when nothing newer is fresh.
      if (known && !newer && now - (this.#validAt as number) < OVERTAKING_MS) return false
      this.#store.dropFile(this.pages)
      this.#mtime = stat.mtime
      this.#mtimeNsec = stat.mtimeNsec
      this.#size = stat.size
    }
    this.#validAt = now
    return true
  }

  /** Drops all pages; replies on their way are not kept. */
  forget(): void {
    this.generation += 1
    this.#validAt = undefined
    this.#store.dropFile(this.pages)
    this.#touched.clear()
  }

  /** A change of ours begins. */
  begin(): void {
    this.#changing += 1
    this.forget()
  }

  /** It is done, or has been promised: layers below see to it that later reads come after it. */
  end(): void {
    this.#changing -= 1
    this.forget()
  }

  /**
   * Whether the pages under a read are worth fetching whole: of one that goes on where the last one
   * ended, of a long one, or when the place was read before.
   */
  deservesPages(offset: number, size: number): boolean {
    const sequential = offset === this.#readEnd || offset === 0
    this.#readEnd = offset + size
    if (sequential || size >= LONG_READ_BYTES) return true
    const index = Math.floor(offset / PAGE_BYTES)
    if (this.#touched.delete(index)) return true
    if (this.#touched.size >= TOUCHED_MAX) this.#touched.clear()
    this.#touched.add(index)
    return false
  }
}
