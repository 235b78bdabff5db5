/**
 * Writer: encodes records one behind the other into one slab of memory, so that many small messages
 * leave in one system call and none costs an allocation. Large payloads are not copied: they are
 * remembered with their place and handed out as chunks of their own by `take`.
 */

import { assert, encodeName, type Gfid } from '@ashlar/core'
import { LAST_FRAGMENT, RECORD_BYTES_MAX } from './record.ts'
import { WireError } from './error.ts'

/** Enough for some hundred messages between two flushes. */
const SLAB_BYTES = 64 * 1024
/** Payloads up to this are cheaper copied than sent as a chunk of their own. */
const PAYLOAD_COPY_BYTES = 4096
/** Strings up to this length are written by a loop, which beats the call into Node's own code. */
const SHORT_STRING = 48

interface Insert {
  /** Offset from the first byte not yet taken. */
  readonly at: number
  readonly payload: Buffer
}

export class Writer {
  #slab: Buffer
  #view: DataView
  /** First byte that has not been taken. */
  #start = 0
  #at = 0
  /** Where the current record's mark stands, from `#start`; -1 outside of records. */
  #record = -1
  #recordPayload = 0
  #payloadBytes = 0
  #inserts: Insert[] = []

  constructor(bytes = SLAB_BYTES) {
    this.#slab = Buffer.allocUnsafeSlow(bytes)
    this.#view = new DataView(this.#slab.buffer)
  }

  /** Bytes written, with payloads, that have not been taken. */
  get length(): number {
    return this.#at - this.#start + this.#payloadBytes
  }

  /** Position for `patch`: an offset from the first byte not taken. */
  get position(): number {
    return this.#at - this.#start
  }

  patch(position: number, value: number): void {
    this.#view.setUint32(this.#start + position, value)
  }

  u32(value: number): void {
    if (this.#at + 4 > this.#slab.length) this.#grow(4)
    this.#view.setUint32(this.#at, value)
    this.#at += 4
  }

  /** A 64-bit integer, signed or not, from a number that is exact. */
  u64(value: number): void {
    if (this.#at + 8 > this.#slab.length) this.#grow(8)
    this.#view.setInt32(this.#at, Math.floor(value / 0x1_0000_0000))
    this.#view.setInt32(this.#at + 4, value)
    this.#at += 8
  }

  big64(value: bigint): void {
    if (this.#at + 8 > this.#slab.length) this.#grow(8)
    this.#view.setBigUint64(this.#at, BigInt.asUintN(64, value))
    this.#at += 8
  }

  double(value: number): void {
    if (this.#at + 8 > this.#slab.length) this.#grow(8)
    this.#view.setFloat64(this.#at, value)
    this.#at += 8
  }

  gfid(gfid: Gfid): void {
    if (this.#at + 16 > this.#slab.length) this.#grow(16)
    const slab = this.#slab
    const at = this.#at
    for (let i = 0; i < 16; i++) slab[at + i] = gfid.charCodeAt(i)
    this.#at += 16
  }

  /** The inode number that users see for a gfid: its last 8 bytes. */
  inodeNumber(gfid: Gfid, ino: bigint | undefined): void {
    if (ino !== undefined) {
      this.big64(ino)
      return
    }
    if (this.#at + 8 > this.#slab.length) this.#grow(8)
    const slab = this.#slab
    const at = this.#at
    for (let i = 0; i < 8; i++) slab[at + i] = gfid.charCodeAt(8 + i)
    this.#at += 8
  }

  /** Length, bytes, padding. */
  opaque(bytes: Buffer): void {
    this.u32(bytes.length)
    this.raw(bytes)
    this.pad(bytes.length)
  }

  /** One byte per character (lock owners, tokens): length, bytes, padding. */
  latin1(text: string): void {
    const length = text.length
    if (this.#at + length + 8 > this.#slab.length) this.#grow(length + 8)
    this.#view.setUint32(this.#at, length)
    const slab = this.#slab
    let at = this.#at + 4
    for (let i = 0; i < length; i++) slab[at++] = text.charCodeAt(i)
    this.#at = at
    this.pad(length)
  }

  /** A string with its length, `terminator` (0 or 1) NUL bytes that count, and padding. */
  string(text: string, terminator = 0): void {
    const length = text.length
    const most = length * 3 + 12
    if (this.#at + most > this.#slab.length) this.#grow(most)
    const slab = this.#slab
    const start = this.#at + 4
    let at = start
    if (length <= SHORT_STRING) {
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 0x7f) break
        slab[at++] = code
      }
      if (i < length) at = start + this.#utf8(text, start)
    } else {
      at = start + this.#utf8(text, start)
    }
    if (terminator === 1) slab[at++] = 0
    const bytes = at - start
    this.#view.setUint32(this.#at, bytes)
    this.#at = at
    this.pad(bytes)
  }

  #utf8(text: string, at: number): number {
    if (text.isWellFormed()) return this.#slab.utf8Write(text, at)
    const bytes = encodeName(text)
    bytes.copy(this.#slab, at)
    return bytes.length
  }

  raw(bytes: Buffer): void {
    if (this.#at + bytes.length > this.#slab.length) this.#grow(bytes.length)
    bytes.copy(this.#slab, this.#at)
    this.#at += bytes.length
  }

  /** Zeros up to the next multiple of four after `length` bytes. */
  pad(length: number): void {
    const count = (4 - (length & 3)) & 3
    if (count === 0) return
    if (this.#at + 4 > this.#slab.length) this.#grow(4)
    for (let i = 0; i < count; i++) this.#slab[this.#at++] = 0
  }

  /** File data behind a message: unpadded, and not copied when it is large. */
  payload(data: Buffer): void {
    if (data.length <= PAYLOAD_COPY_BYTES) {
      this.raw(data)
      return
    }
    this.#inserts.push({ at: this.position, payload: data })
    this.#payloadBytes += data.length
  }

  beginRecord(): void {
    assert(this.#record === -1, 'a record inside a record')
    this.#record = this.position
    this.#recordPayload = this.#payloadBytes
    this.u32(0)
  }

  endRecord(): void {
    assert(this.#record !== -1, 'no record to end')
    const length = this.position - this.#record - 4 + this.#payloadBytes - this.#recordPayload
    if (length >= RECORD_BYTES_MAX) {
      this.abortRecord()
      throw new WireError(`a record of ${length} bytes is too long to send`)
    }
    this.patch(this.#record, LAST_FRAGMENT + length)
    this.#record = -1
  }

  /** Forgets what was written since `beginRecord`. */
  abortRecord(): void {
    if (this.#record === -1) return
    this.#at = this.#start + this.#record
    while ((this.#inserts.at(-1)?.at ?? -1) > this.#record) this.#inserts.pop()
    this.#payloadBytes = this.#recordPayload
    this.#record = -1
  }

  /** Hands out what was written, in order. The chunks must be sent before `rewind`. */
  take(): Buffer[] {
    assert(this.#record === -1, 'take inside a record')
    const chunks: Buffer[] = []
    let from = this.#start
    for (const { at, payload } of this.#inserts) {
      const to = this.#start + at
      if (to > from) chunks.push(this.#slab.subarray(from, to))
      chunks.push(payload)
      from = to
    }
    if (this.#at > from) chunks.push(this.#slab.subarray(from, this.#at))
    if (this.#inserts.length > 0) this.#inserts = []
    this.#payloadBytes = 0
    this.#start = this.#at
    return chunks
  }

  /** What was taken has been sent: its memory may be used again. */
  rewind(): void {
    if (this.#at !== this.#start || this.#record !== -1) return
    this.#at = 0
    this.#start = 0
  }

  /** One buffer of everything, for what is not sent on a stream. */
  toBuffer(): Buffer {
    return Buffer.concat(this.take())
  }

  #grow(need: number): void {
    const used = this.#at - this.#start
    const size = Math.max(SLAB_BYTES, (used + need) * 2)
    const slab = Buffer.allocUnsafeSlow(size)
    this.#slab.copy(slab, 0, this.#start, this.#at)
    this.#slab = slab
    this.#view = new DataView(slab.buffer)
    this.#at = used
    this.#start = 0
  }
}
