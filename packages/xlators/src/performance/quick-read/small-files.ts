/**
 * SmallFiles: whole contents of small files, the least used of which go when there are too many
 * bytes; and SmallFile, what is known of one.
 */

import type { Iatt } from '@ashlar/core'

export class SmallFile {
  /** Undefined: not kept. */
  content: Buffer | undefined
  /** As of the content. */
  #mtime = 0
  #mtimeNsec = 0
  #ctime = 0
  #ctimeNsec = 0
  /** When it was last known to be so, in milliseconds. */
  validatedAt = -Infinity
  /** Grows with every change: an answer to what was asked before it is not kept. */
  generation = 0
  /** Changes of ours under way. */
  changing = 0

  /** True when the attributes are those that the content was sent with. */
  isOf(stat: Iatt, byCtime: boolean): boolean {
    if (this.content?.length !== stat.size) return false
    if (byCtime && (this.#ctime !== stat.ctime || this.#ctimeNsec !== stat.ctimeNsec)) return false
    return this.#mtime === stat.mtime && this.#mtimeNsec === stat.mtimeNsec
  }

  /** What the content was sent with. */
  describe(stat: Iatt): void {
    this.#mtime = stat.mtime
    this.#mtimeNsec = stat.mtimeNsec
    this.#ctime = stat.ctime
    this.#ctimeNsec = stat.ctimeNsec
  }
}

/** What a file costs beside its content, so that many empty ones are not free. */
const OVERHEAD_BYTES = 256

export class SmallFiles {
  /** In the order of their use. */
  readonly #kept = new Set<SmallFile>()
  #limit: number
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#kept.size
  }

  get limit(): number {
    return this.#limit
  }

  set limit(bytes: number) {
    this.#limit = bytes
    this.#shrink()
  }

  keep(file: SmallFile, content: Buffer): void {
    this.drop(file)
    file.content = content
    this.#kept.add(file)
    this.#bytes += content.length + OVERHEAD_BYTES
    this.#shrink()
  }

  used(file: SmallFile): void {
    if (this.#kept.delete(file)) this.#kept.add(file)
  }

  drop(file: SmallFile): void {
    if (!this.#kept.delete(file)) return
    this.#bytes -= (file.content as Buffer).length + OVERHEAD_BYTES
    file.content = undefined
  }

  #shrink(): void {
    for (const file of this.#kept) {
      if (this.#bytes <= this.#limit) return
      this.drop(file)
    }
  }
}
