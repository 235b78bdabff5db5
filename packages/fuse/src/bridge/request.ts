/** A request of the kernel: its header, and a cursor over what follows. */

import { decodeName } from '@ashlar/core'
import { IN_HEADER_BYTES } from '../protocol/constants.ts'
import type { Struct } from '../protocol/struct.ts'

/**
 * `buffer` is the device's, and the next request overwrites it: decode everything before the first
 * `await`. What the header tells stays.
 */
export class Request {
  readonly opcode: number
  readonly unique: number
  readonly nodeid: number
  readonly uid: number
  readonly gid: number
  readonly pid: number
  readonly buffer: Buffer
  readonly end: number
  /** The buffer is not the device's: it may be kept, but is no use for anything else. */
  readonly copied: boolean
  #at = IN_HEADER_BYTES

  constructor(buffer: Buffer, length: number, copied = false) {
    this.copied = copied
    this.buffer = buffer
    this.end = Math.min(buffer.readUInt32LE(0), length)
    this.opcode = buffer.readUInt32LE(4)
    this.unique = buffer.readUInt32LE(12) * 2 ** 32 + buffer.readUInt32LE(8)
    this.nodeid = buffer.readUInt32LE(20) * 2 ** 32 + buffer.readUInt32LE(16)
    this.uid = buffer.readUInt32LE(24)
    this.gid = buffer.readUInt32LE(28)
    this.pid = buffer.readUInt32LE(32)
  }

  /** Offset of what has not been taken yet. */
  get at(): number {
    return this.#at
  }

  take<V>(layout: Struct<V>): V {
    const value = layout.decode(this.buffer, this.#at)
    this.#at += layout.size
    return value
  }

  /** The next NUL-terminated name. */
  name(): string {
    let end = this.#at
    const { buffer } = this
    while (end < this.end && buffer[end] !== 0) end += 1
    const name = decodeName(buffer, this.#at, end)
    this.#at = end + 1
    return name
  }

  /** A copy of the next `length` bytes. */
  bytes(length: number): Buffer {
    const end = Math.min(this.#at + length, this.end)
    const copy = Buffer.allocUnsafe(end - this.#at)
    this.buffer.copy(copy, 0, this.#at, end)
    this.#at = end
    return copy
  }
}
