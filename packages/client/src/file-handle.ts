/** FileHandle: an open file with the face of node:fs/promises' FileHandle. */

import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { type Failure, Iatt, type Reply, SetAttr, type Graph, type Fd } from '@ashlar/core'
import {
  type Data,
  type EncodingOption,
  encodingOf,
  isData,
  signalOf,
  toBytes,
  type WholeData,
} from './bytes.ts'
import { checkSignal, FsError } from './errors.ts'
import type { OpenFile } from './open-file.ts'
import { Stats } from './stats.ts'
import {
  readStream,
  type ReadStreamOptions,
  writeStream,
  type WriteStreamOptions,
} from './streams.ts'
import { owner, type TimeLike, timesOf } from './attributes.ts'

export interface ReadResult<T extends NodeJS.ArrayBufferView> {
  readonly bytesRead: number
  readonly buffer: T
}
export interface ReadOptions<T extends NodeJS.ArrayBufferView = Buffer> {
  readonly buffer?: T
  readonly offset?: number
  readonly length?: number
  /** Absent: at the handle's own position, which moves on. */
  readonly position?: number | null
}

/** Bytes of a buffer that `read` makes itself, as node:fs does. */
const BUFFER_BYTES = 16 * 1024
/** Bytes of a piece of a file whose size is not known. */
const GROWTH_BYTES = 1024 * 1024
/** Bytes that are on their way at once where a signal may end it. */
const ABORTABLE_BYTES = 4 * 1024 * 1024

export class FileHandle implements AsyncDisposable {
  readonly #file: OpenFile
  #position = 0

  constructor(file: OpenFile) {
    this.#file = file
  }

  /** A number of this process for the open file; no descriptor of the system. */
  get fd(): number {
    return this.#file.closed ? -1 : this.#file.serial
  }

  async read<T extends NodeJS.ArrayBufferView = Buffer>(
    target?: T | ReadOptions<T>,
    offset?: number,
    length?: number,
    position?: number | null,
  ): Promise<ReadResult<T>> {
    const options: ReadOptions<T> =
      target === undefined
        ? {}
        : ArrayBuffer.isView(target)
          ? {
              buffer: target,
              ...(offset === undefined ? {} : { offset }),
              ...(length === undefined ? {} : { length }),
              ...(position === undefined ? {} : { position }),
            }
          : target
    const buffer = options.buffer ?? (Buffer.alloc(BUFFER_BYTES) as unknown as T)
    const from = options.offset ?? 0
    const size = options.length ?? buffer.byteLength - from
    if (from < 0 || size < 0 || from + size > buffer.byteLength)
      throw new RangeError('the part to fill is not inside the buffer')
    const at = options.position ?? this.#position
    const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset + from, size)
    const bytesRead = this.#check('read', await this.#file.read(bytes, at))
    if (options.position === undefined || options.position === null) this.#position += bytesRead
    return { bytesRead, buffer }
  }

  /** Writes all that is given; at the handle's own position unless one is named. */
  async write<T extends Data>(
    data: T,
    offsetOrPosition?: number | null,
    lengthOrEncoding?: number | BufferEncoding | null,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffer: T }> {
    let bytes: Uint8Array
    let at: number | null | undefined
    if (typeof data === 'string') {
      const encoding = typeof lengthOrEncoding === 'string' ? lengthOrEncoding : 'utf8'
      bytes = toBytes(data, encoding)
      at = offsetOrPosition
    } else {
      const whole = toBytes(data)
      const from = offsetOrPosition ?? 0
      const size = typeof lengthOrEncoding === 'number' ? lengthOrEncoding : whole.length - from
      if (from < 0 || size < 0 || from + size > whole.length)
        throw new RangeError('the part to write is not inside the buffer')
      bytes = whole.subarray(from, from + size)
      at = position
    }
    const bytesWritten = this.#check('write', await this.#file.write(bytes, at ?? this.#position))
    if (at === undefined || at === null) this.#position += bytesWritten
    return { bytesWritten, buffer: data }
  }

  async readv<T extends NodeJS.ArrayBufferView>(
    buffers: readonly T[],
    position?: number | null,
  ): Promise<{ bytesRead: number; buffers: readonly T[] }> {
    let bytesRead = 0
    for (const buffer of buffers) {
      const at = position === undefined || position === null ? null : position + bytesRead
      const part = await this.read({ buffer, position: at })
      bytesRead += part.bytesRead
      if (part.bytesRead < buffer.byteLength) break
    }
    return { bytesRead, buffers }
  }

  async writev<T extends NodeJS.ArrayBufferView>(
    buffers: readonly T[],
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffers: readonly T[] }> {
    const whole = Buffer.concat(buffers.map(buffer => toBytes(buffer)))
    const { bytesWritten } = await this.write(whole, 0, whole.length, position)
    return { bytesWritten, buffers }
  }

  readFile(
    options?: { readonly encoding?: null; readonly signal?: AbortSignal | undefined } | null,
  ): Promise<Buffer>
  readFile(
    options:
      | BufferEncoding
      | { readonly encoding: BufferEncoding; readonly signal?: AbortSignal | undefined },
  ): Promise<string>
  /** From the handle's position to the end of the file. */
  async readFile(options?: EncodingOption): Promise<Buffer | string> {
    const signal = signalOf(options)
    checkSignal(signal)
    const { size } = await this.stat()
    const pieces: Buffer[] = []
    let expected = Math.max(size - this.#position, 0)
    for (;;) {
      const piece = Buffer.allocUnsafeSlow(expected === 0 ? GROWTH_BYTES : expected)
      const bytesRead = await this.#fill(piece, signal)
      pieces.push(bytesRead === piece.length ? piece : piece.subarray(0, bytesRead))
      // At its known size a file ends, unless it has grown; of size 0 it may be of any length.
      if (bytesRead < piece.length || (expected === size && size > 0)) break
      expected = 0
    }
    const content = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
    const encoding = encodingOf(options)
    return encoding === undefined ? content : content.toString(encoding)
  }

  /** Fills `piece` as far as the file goes; how far, in bytes. */
  async #fill(piece: Buffer, signal: AbortSignal | undefined): Promise<number> {
    const step = signal === undefined ? piece.length : ABORTABLE_BYTES
    for (let done = 0; done < piece.length; ) {
      const length = Math.min(step, piece.length - done)
      const { bytesRead } = await this.read({ buffer: piece, offset: done, length })
      checkSignal(signal)
      done += bytesRead
      if (bytesRead < length) return done
    }
    return piece.length
  }

  /** Writes at the handle's position all that is given. */
  async writeFile(data: WholeData, options?: EncodingOption): Promise<void> {
    const encoding = encodingOf(options)
    const signal = signalOf(options)
    checkSignal(signal)
    for await (const piece of isData(data) ? [data] : data) {
      const bytes = toBytes(piece, encoding)
      const step = signal === undefined ? bytes.length : ABORTABLE_BYTES
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.write(bytes, done, Math.min(step, bytes.length - done))
        done += bytesWritten
        checkSignal(signal)
      }
    }
  }

  /** As `writeFile`: where it goes is decided by how the file was opened. */
  async appendFile(data: WholeData, options?: EncodingOption): Promise<void> {
    await this.writeFile(data, options)
  }

  async stat(): Promise<Stats> {
    const reply = this.#ok('fstat', await this.#file.fstat())
    return new Stats(reply.stat)
  }

  async sync(): Promise<void> {
    await this.#fsync('fsync', false)
  }

  async datasync(): Promise<void> {
    await this.#fsync('fdatasync', true)
  }

  async truncate(length = 0): Promise<void> {
    await this.#fop('ftruncate', (graph, fd) =>
      graph.top.ftruncate(this.#file.session.ctx, { fd, offset: Math.max(0, length) }),
    )
  }

  async chmod(mode: number): Promise<void> {
    const stat = new Iatt()
    stat.mode = mode & 0o7777
    await this.#setattr('fchmod', stat, SetAttr.MODE)
  }

  async chown(uid: number, gid: number): Promise<void> {
    await this.#setattr('fchown', ...owner(uid, gid))
  }

  async utimes(atime: TimeLike, mtime: TimeLike): Promise<void> {
    await this.#setattr('futime', timesOf(atime, mtime), SetAttr.ATIME | SetAttr.MTIME)
  }

  createReadStream(options: ReadStreamOptions = {}): Readable {
    return readStream(Promise.resolve(this), { autoClose: true, ...options })
  }

  createWriteStream(options: WriteStreamOptions = {}): Writable {
    return writeStream(Promise.resolve(this), { autoClose: true, ...options })
  }

  /** The lines of the file; it is closed at the end. */
  readLines(options: ReadStreamOptions = {}): Interface {
    return createInterface({ input: this.createReadStream(options), crlfDelay: Infinity })
  }

  /** Rejects when what was written could not be brought to the brick. Closed again it stays so. */
  async close(): Promise<void> {
    if (this.#file.closed) return
    const problem = await this.#file.close()
    if (problem !== undefined) throw this.#error('close', problem)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #fsync(syscall: string, datasync: boolean): Promise<void> {
    await this.#fop(syscall, (graph, fd) =>
      graph.top.fsync(this.#file.session.ctx, { fd, datasync }),
    )
  }

  async #setattr(syscall: string, stat: Iatt, valid: number): Promise<void> {
    await this.#fop(syscall, (graph, fd) =>
      graph.top.fsetattr(this.#file.session.ctx, { fd, stat, valid }),
    )
  }

  async #fop(
    syscall: string,
    work: (graph: Graph, fd: Fd) => Promise<Reply<'fsync' | 'ftruncate' | 'fsetattr'>>,
  ): Promise<void> {
    this.#ok(syscall, await this.#file.use(work))
  }

  #check(syscall: string, result: number | Failure): number {
    if (typeof result === 'number') return result
    throw this.#error(syscall, result)
  }

  #ok<T extends { readonly ok: true }>(syscall: string, reply: T | Failure): T {
    if (reply.ok) return reply
    throw this.#error(syscall, reply)
  }

  /** Node names no path for what is done through a handle. */
  #error(syscall: string, problem: Failure): FsError {
    return new FsError(problem.errno, { syscall })
  }
}
