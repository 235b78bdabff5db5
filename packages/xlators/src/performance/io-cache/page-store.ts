/**
 * PageStore: the data of all files of a mount, in extents of whole pages as they came from the
 * bricks, within a bound of bytes. What was not used for the longest time goes first, of the lowest
 * priority before any other.
 */

import { assert } from '@ashlar/core'

/** Bytes of a page: data is fetched and dropped in multiples of it. */
export const PAGE_BYTES = 128 * 1024

/** Some pages of one file, in the buffer in which they came. */
export interface Extent {
  readonly file: FilePages
  /** Offset in the file, at a page's beginning. */
  readonly start: number
  readonly data: Buffer
  readonly pages: number
}

/** The pages held of one file. */
export class FilePages {
  readonly byIndex = new Map<number, Extent>()
  readonly priority: number

  constructor(priority: number) {
    this.priority = priority
  }

  at(offset: number): Extent | undefined {
    return this.byIndex.get(Math.floor(offset / PAGE_BYTES))
  }
}

export class PageStore {
  /** By priority; each set is in order of use, oldest first. */
  readonly #extents = new Map<number, Set<Extent>>()
  #bytes = 0
  #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return this.#bytes
  }

  get limit(): number {
    return this.#limit
  }

  /** Takes effect at once. */
  set limit(bytes: number) {
    this.#limit = bytes
    this.#prune()
  }

  /** Keeps what a read at `start` has brought. Pages that are held already give way. */
  add(file: FilePages, start: number, data: Buffer): void {
    assert(start % PAGE_BYTES === 0, 'an extent begins with a page')
    if (data.length === 0 || data.length > this.#limit) return
    const first = start / PAGE_BYTES
    const pages = Math.ceil(data.length / PAGE_BYTES)
    const extent: Extent = { file, start, data, pages }
    for (let i = first; i < first + pages; i++) {
      const before = file.byIndex.get(i)
      if (before !== undefined) this.drop(before)
      file.byIndex.set(i, extent)
    }
    this.#set(file.priority).add(extent)
    this.#bytes += weight(extent)
    this.#prune()
  }

  /** The extent was used. */
  touch(extent: Extent): void {
    const set = this.#set(extent.file.priority)
    set.delete(extent)
    set.add(extent)
  }

  drop(extent: Extent): void {
    if (!this.#set(extent.file.priority).delete(extent)) return
    this.#bytes -= weight(extent)
    const { byIndex } = extent.file
    const first = extent.start / PAGE_BYTES
    for (let i = first; i < first + extent.pages; i++)
      if (byIndex.get(i) === extent) byIndex.delete(i)
  }

  /** Everything of a file. */
  dropFile(file: FilePages): void {
    for (const extent of file.byIndex.values()) this.drop(extent)
  }

  #set(priority: number): Set<Extent> {
    let set = this.#extents.get(priority)
    if (set === undefined) {
      set = new Set()
      this.#extents.set(priority, set)
    }
    return set
  }

  #prune(): void {
    if (this.#bytes <= this.#limit) return
    for (const priority of [...this.#extents.keys()].sort((one, other) => one - other)) {
      for (const extent of this.#extents.get(priority) as Set<Extent>) {
        if (this.#bytes <= this.#limit) return
        this.drop(extent)
      }
    }
  }
}

/** Memory that an extent keeps from being freed. */
function weight(extent: Extent): number {
  return extent.data.buffer.byteLength
}
