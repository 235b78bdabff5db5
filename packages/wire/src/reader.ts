/**
 * Reader: decodes one record. Every length is checked against what is left before it is believed,
 * and nothing that is handed out points into memory that the stream will use again.
 */

import { decodeName, type Gfid, gfidFromBytes, NULL_GFID } from '@ashlar/core'
import { WireError } from './error.ts'

const EMPTY = Buffer.alloc(0)

export class Reader {
  #buffer: Buffer = EMPTY
  #view: DataView = new DataView(EMPTY.buffer, 0, 0)
  #at = 0
  #end = 0
  #owned = false

  /** A reader of the whole of `bytes`, which belong to it. */
  static of(bytes: Buffer): Reader {
    return new Reader().reset(bytes, 0, bytes.length, true)
  }

  /** Reads `buffer[start, end)` from now on. `owned`: the memory may be kept. */
  reset(buffer: Buffer, start: number, end: number, owned: boolean): this {
    if (buffer !== this.#buffer) {
      this.#buffer = buffer
      this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
    }
    this.#at = start
    this.#end = end
    this.#owned = owned
    return this
  }

  /** Lets go of the record's memory. */
  release(): void {
    if (this.#owned) this.reset(EMPTY, 0, 0, false)
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  u32(): number {
    const at = this.#advance(4)
    return this.#view.getUint32(at)
  }

  i32(): number {
    const at = this.#advance(4)
    return this.#view.getInt32(at)
  }

  /** Unsigned 64 bits; above 2^53 rounded. */
  u64(): number {
    const at = this.#advance(8)
    return this.#view.getUint32(at) * 0x1_0000_0000 + this.#view.getUint32(at + 4)
  }

  i64(): number {
    const at = this.#advance(8)
    return this.#view.getInt32(at) * 0x1_0000_0000 + this.#view.getUint32(at + 4)
  }

  big64(): bigint {
    const at = this.#advance(8)
    return this.#view.getBigUint64(at)
  }

  /** A number while it is exact, else a bigint. */
  u64OrBig(): number | bigint {
    const at = this.#advance(8)
    const high = this.#view.getUint32(at)
    if (high >= 0x20_0000) return this.#view.getBigUint64(at)
    return high * 0x1_0000_0000 + this.#view.getUint32(at + 4)
  }

  i64OrBig(): number | bigint {
    const at = this.#advance(8)
    const high = this.#view.getInt32(at)
    if (high >= 0x20_0000 || high < -0x20_0000) return this.#view.getBigInt64(at)
    return high * 0x1_0000_0000 + this.#view.getUint32(at + 4)
  }

  double(): number {
    const at = this.#advance(8)
    return this.#view.getFloat64(at)
  }

  gfid(): Gfid {
    const at = this.#advance(16)
    if (
      this.#view.getInt32(at + 12) === 0 &&
      this.#view.getInt32(at + 8) === 0 &&
      this.#view.getInt32(at + 4) === 0 &&
      this.#view.getInt32(at) === 0
    ) {
      return NULL_GFID
    }
    return gfidFromBytes(this.#buffer, at)
  }

  /** An inode number; undefined when it is that of the gfid which ended `gap` bytes before it. */
  inodeNumber(gap: number): bigint | undefined {
    const at = this.#advance(8)
    const gfid = at - gap - 8
    if (
      this.#view.getInt32(at) === this.#view.getInt32(gfid) &&
      this.#view.getInt32(at + 4) === this.#view.getInt32(gfid + 4)
    ) {
      return undefined
    }
    return this.#view.getBigUint64(at)
  }

  /** Length, bytes, padding: a copy. */
  opaque(): Buffer {
    const length = this.#length()
    const at = this.#padded(length)
    if (length === 0) return EMPTY
    const copy = Buffer.allocUnsafe(length)
    this.#buffer.copy(copy, 0, at, at + length)
    return copy
  }

  latin1(): string {
    const length = this.#length()
    const at = this.#padded(length)
    return this.#buffer.latin1Slice(at, at + length)
  }

  string(): string {
    const length = this.#length()
    if (length === 0) return ''
    const at = this.#padded(length)
    return decodeName(this.#buffer, at, at + length)
  }

  /** A string whose length counts a NUL at its end; what stands behind an earlier NUL is dropped. */
  terminated(): string {
    const length = this.#length()
    if (length === 0) return ''
    const at = this.#padded(length)
    let end = at
    while (end < at + length && this.#buffer[end] !== 0) end += 1
    return decodeName(this.#buffer, at, end)
  }

  /** A string of `length` bytes, without padding. */
  name(length: number): string {
    const at = this.#advance(length)
    return decodeName(this.#buffer, at, at + length)
  }

  fixed(length: number): Buffer {
    const at = this.#advance(length)
    return Buffer.from(this.#buffer.subarray(at, at + length))
  }

  skip(length: number): void {
    this.#advance(length)
  }

  /** All that is left: file data behind a message. Not copied when the memory may be kept. */
  rest(): Buffer {
    const at = this.#at
    const length = this.#end - at
    this.#at = this.#end
    if (length === 0) return EMPTY
    if (this.#owned) return this.#buffer.subarray(at, at + length)
    const copy = Buffer.allocUnsafe(length)
    this.#buffer.copy(copy, 0, at, at + length)
    return copy
  }

  /** A count of things that take at least `bytes` each. */
  count(bytes: number): number {
    const count = this.u32()
    if (count * bytes > this.#end - this.#at) {
      throw new WireError(`${count} elements announced in ${this.#end - this.#at} bytes`)
    }
    return count
  }

  /** A string known to be one of a table's, without making it anew (see dict.ts). */
  intern(find: (buffer: Buffer, start: number, length: number) => string | undefined): string {
    const length = this.#length()
    if (length === 0) return ''
    const at = this.#padded(length)
    let end = at
    while (end < at + length && this.#buffer[end] !== 0) end += 1
    return find(this.#buffer, at, end - at) ?? decodeName(this.#buffer, at, end)
  }

  #length(): number {
    const length = this.u32()
    if (length > this.#end - this.#at) {
      throw new WireError(`${length} bytes announced, ${this.#end - this.#at} left`)
    }
    return length
  }

  #padded(length: number): number {
    return this.#advance((length + 3) & ~3)
  }

  #advance(count: number): number {
    const at = this.#at
    if (at + count > this.#end) throw new WireError(`${at + count - this.#end} bytes are missing`)
    this.#at = at + count
    return at
  }
}
