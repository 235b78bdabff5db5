/**
 * BufferPool: memory for large records and reads, used again and again. Fresh memory of this size costs a
 * page fault for each 4 KiB, as much as copying the data into it, and calls the garbage collector often.
 */

/** Memory is handed out in multiples of this, so that records of about one size share it. */
const UNIT_BYTES = 64 * 1024
/** Buffers kept that nobody uses; more are left to the garbage collector. */
const KEPT_MAX = 16
const KEPT_BYTES_MAX = 2 * 1024 * 1024

export class BufferPool {
  readonly #kept: Buffer[] = []
  readonly #keptMax: number

  /** `keptMax` bounds the buffers that nobody uses. */
  constructor(keptMax = KEPT_MAX) {
    this.#keptMax = keptMax
  }

  /** At least `size` bytes, with anything in them. */
  take(size: number): Buffer {
    const at = this.#kept.findIndex(buffer => buffer.length >= size)
    if (at !== -1) return this.#kept.splice(at, 1)[0] as Buffer
    return Buffer.allocUnsafeSlow(Math.ceil(size / UNIT_BYTES) * UNIT_BYTES)
  }

  /** Takes memory back: nobody may hold a part of it any more. */
  give(buffer: Buffer): void {
    if (this.#kept.length < this.#keptMax && buffer.length <= KEPT_BYTES_MAX)
      this.#kept.push(buffer)
  }
}
