/** The bytes of a file in memory: pages by number, holes where nothing was written. */

/** Bytes of a page: small enough for sparse files, large enough to copy fast. */
export const PAGE_BYTES = 65_536

export class Pages {
  readonly #pages = new Map<number, Buffer>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Bytes that are really there. */
  get allocated(): number {
    return this.#pages.size * PAGE_BYTES
  }

  read(offset: number, length: number): Buffer {
    const end = Math.min(offset + length, this.#size)
    if (end <= offset) return Buffer.alloc(0)
    const out = Buffer.allocUnsafe(end - offset)
    for (let at = offset; at < end; ) {
      const start = at % PAGE_BYTES
      const count = Math.min(PAGE_BYTES - start, end - at)
      const page = this.#pages.get(Math.floor(at / PAGE_BYTES))
      if (page === undefined) out.fill(0, at - offset, at - offset + count)
      else page.copy(out, at - offset, start, start + count)
      at += count
    }
    return out
  }

  write(offset: number, data: Buffer): void {
    const end = offset + data.length
    for (let at = offset; at < end; ) {
      const start = at % PAGE_BYTES
      const count = Math.min(PAGE_BYTES - start, end - at)
      data.copy(this.#page(Math.floor(at / PAGE_BYTES)), start, at - offset, at - offset + count)
      at += count
    }
    if (data.length > 0) this.#size = Math.max(this.#size, end)
  }

  resize(size: number): void {
    if (size < this.#size) this.clear(size, this.#size)
    this.#size = size
  }

  /** Makes room: the pages of a range exist from now on. */
  allocate(offset: number, length: number): void {
    for (let at = Math.floor(offset / PAGE_BYTES) * PAGE_BYTES; at < offset + length; ) {
      this.#page(at / PAGE_BYTES)
      at += PAGE_BYTES
    }
  }

  /** Zeros from `start` to `end`; whole pages become holes. */
  clear(start: number, end: number): void {
    for (const [number, page] of this.#pages) {
      const from = Math.max(start - number * PAGE_BYTES, 0)
      const to = Math.min(end - number * PAGE_BYTES, PAGE_BYTES)
      if (from >= to) continue
      if (from === 0 && to === PAGE_BYTES) this.#pages.delete(number)
      else page.fill(0, from, to)
    }
  }

  /** Where data (or, with `hole`, a hole) is met first at or after `offset`; the end is a hole. */
  seek(offset: number, hole: boolean): number | undefined {
    if (offset >= this.#size) return undefined
    for (let at = offset; at < this.#size; ) {
      const number = Math.floor(at / PAGE_BYTES)
      if (this.#pages.has(number) !== hole) return at
      at = (number + 1) * PAGE_BYTES
    }
    return hole ? this.#size : undefined
  }

  #page(number: number): Buffer {
    let page = this.#pages.get(number)
    if (page === undefined) {
      page = Buffer.alloc(PAGE_BYTES)
      this.#pages.set(number, page)
    }
    return page
  }
}
