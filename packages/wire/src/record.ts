/**
 * Record marking (RFC 5531 §11): where one message ends and the next begins in a byte stream.
 *
 * Small messages are handed out in place, from the memory they were read into; one that is not
 * complete gets a buffer of its own length, into which the stream then reads directly.
 */

import type { BufferPool } from '@ashlar/core'
import { WireError } from './error.ts'

/** Bit 31 of a fragment's header: the record ends with it. */
export const LAST_FRAGMENT = 0x8000_0000
/** A record of this length or more ends the connection (rpc/rpc-transport/socket: 1 GiB). */
export const RECORD_BYTES_MAX = 1024 * 1024 * 1024
/** What we accept unless told otherwise. Real messages stay far below it. */
export const RECORD_BYTES_DEFAULT = 128 * 1024 * 1024
/**
 * Memory for an unfinished record is had in steps: a length alone buys no more than this, or as much
 * again as has come.
 */
const STEP_BYTES = 4 * 1024 * 1024

/**
 * Told of each record: `buffer[start, end)`. `owned`: the memory is this record's alone and may be
 * kept; otherwise it is valid only during the call.
 */
export type OnRecord = (buffer: Buffer, start: number, end: number, owned: boolean) => void

export class RecordAssembler {
  readonly #onRecord: OnRecord
  /** Longer records end the stream; of one that is under way already, with its next fragment. */
  limit: number
  readonly #pool: BufferPool | undefined
  /** Header bytes of a fragment, when they arrived in pieces. */
  readonly #header = Buffer.alloc(4)
  #headerBytes = 0
  /** The unfinished record: its memory, what is in it, and what it has to be. */
  #record: Buffer | undefined
  #filled = 0
  #length = 0
  #last = true

  /** With a `pool`, an owned record's memory comes from there: give it back when it is done with. */
  constructor(onRecord: OnRecord, limit = RECORD_BYTES_DEFAULT, pool?: BufferPool) {
    this.#onRecord = onRecord
    this.limit = limit
    this.#pool = pool
  }

  /** Where the stream should put its next bytes, if a record waits for them. */
  target(): Buffer | undefined {
    const record = this.#record
    if (record === undefined || this.#filled === this.#length) return undefined
    return record.subarray(this.#filled, Math.min(this.#length, record.length))
  }

  /** The first `length` bytes of `buffer` arrived. Throws WireError when they cannot be records. */
  received(buffer: Buffer, length: number): void {
    let at = 0
    const record = this.#record
    if (
      record !== undefined &&
      buffer.buffer === record.buffer &&
      buffer.byteOffset === record.byteOffset + this.#filled
    ) {
      // It was read straight into the record.
      this.#filled += length
      this.#advance()
      return
    }
    while (at < length) {
      if (this.#record !== undefined && this.#filled < this.#length) {
        at += this.#fill(buffer, at, length)
        this.#advance()
        continue
      }
      if (this.#headerBytes > 0 || length - at < 4) {
        this.#header[this.#headerBytes++] = buffer[at++] as number
        if (this.#headerBytes < 4) continue
        this.#headerBytes = 0
        this.#begin(this.#header.readUInt32BE(0))
        continue
      }
      const mark = buffer.readUInt32BE(at)
      const size = mark & 0x7fff_ffff
      at += 4
      if (mark >= LAST_FRAGMENT && this.#record === undefined && size <= length - at) {
        this.#check(size)
        at += size
        this.#onRecord(buffer, at - size, at, false)
      } else {
        this.#begin(mark)
      }
    }
  }

  #check(size: number): void {
    if (size === 0 || size > this.limit) {
      throw new WireError(`a record of ${size} bytes (limit ${this.limit})`)
    }
  }

  #begin(mark: number): void {
    const size = mark & 0x7fff_ffff
    const before = this.#record === undefined ? 0 : this.#length
    this.#check(before + size)
    this.#last = mark >= LAST_FRAGMENT
    this.#length = before + size
    const wanted = Math.min(this.#length, before + STEP_BYTES)
    if (this.#record === undefined)
      this.#record = this.#pool?.take(wanted) ?? Buffer.allocUnsafeSlow(wanted)
    else if (this.#record.length < wanted)
      // Twice as much, or a record of many small fragments would be copied for each of them.
      this.#extend(Math.max(wanted, Math.min(this.limit, this.#record.length * 2)))
    this.#advance()
  }

  #fill(buffer: Buffer, at: number, length: number): number {
    const record = this.#record as Buffer
    const count = Math.min(length - at, Math.min(this.#length, record.length) - this.#filled)
    buffer.copy(record, this.#filled, at, at + count)
    this.#filled += count
    return count
  }

  /** After bytes came: more memory, or the end of the record. */
  #advance(): void {
    const record = this.#record as Buffer
    if (this.#filled < this.#length) {
      if (this.#filled === record.length) {
        this.#extend(Math.min(this.#length, record.length * 2))
      }
      return
    }
    if (!this.#last) return
    const size = this.#length
    this.#record = undefined
    this.#filled = 0
    this.#length = 0
    this.#onRecord(record, 0, size, true)
  }

  #extend(size: number): void {
    const larger = this.#pool?.take(size) ?? Buffer.allocUnsafeSlow(size)
    ;(this.#record as Buffer).copy(larger, 0, 0, this.#filled)
    this.#record = larger
  }
}
