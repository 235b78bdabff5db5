/** Streams over files: they open when they are first used, and close at their end. */

import { Readable, Writable } from 'node:stream'
import type { FileHandle } from './file-handle.ts'

export interface ReadStreamOptions {
  readonly encoding?: BufferEncoding
  /** First byte; the handle's position when absent. */
  readonly start?: number
  /** Last byte, inclusive. */
  readonly end?: number
  readonly highWaterMark?: number
  /** Closes the file at the end, which is the default. */
  readonly autoClose?: boolean
  readonly signal?: AbortSignal
}

export interface WriteStreamOptions {
  readonly encoding?: BufferEncoding
  readonly start?: number
  readonly highWaterMark?: number
  readonly autoClose?: boolean
  readonly signal?: AbortSignal
}

/** Bytes asked for at a time: a round trip should bring much. */
const READ_BYTES = 256 * 1024
/** Bytes that a writer may be ahead of the bricks. */
const WRITE_BYTES = 1024 * 1024

/** A stream of an open file's bytes. */
export function readStream(opening: Promise<FileHandle>, options: ReadStreamOptions): Readable {
  const { start, end = Infinity, highWaterMark = READ_BYTES, autoClose = true } = options
  let position = start
  let left = end - (start ?? 0) + 1
  return new Readable({
    highWaterMark,
    ...(options.encoding === undefined ? {} : { encoding: options.encoding }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    construct: done => opened(opening, done),
    read(size) {
      const length = Math.min(size, left)
      if (length <= 0) {
        this.push(null)
        return
      }
      opening
        .then(handle =>
          handle.read({ buffer: Buffer.allocUnsafe(length), position: position ?? null }),
        )
        .then(
          ({ bytesRead, buffer }) => {
            if (position !== undefined) position += bytesRead
            left -= bytesRead
            this.push(bytesRead === 0 ? null : buffer.subarray(0, bytesRead))
          },
          (error: Error) => this.destroy(error),
        )
    },
    destroy: (error, done) => closed(opening, autoClose, error, done),
  })
}

/** A stream that writes into an open file. */
export function writeStream(opening: Promise<FileHandle>, options: WriteStreamOptions): Writable {
  const { highWaterMark = WRITE_BYTES, autoClose = true } = options
  let position = options.start
  const write = async (pieces: readonly Buffer[]): Promise<void> => {
    const handle = await opening
    const data = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
    for (let done = 0; done < data.length; ) {
      const { bytesWritten } = await handle.write(data, done, data.length - done, position ?? null)
      done += bytesWritten
      if (position !== undefined) position += bytesWritten
    }
  }
  return new Writable({
    highWaterMark,
    ...(options.encoding === undefined ? {} : { defaultEncoding: options.encoding }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    construct: done => opened(opening, done),
    write(chunk: Buffer, _encoding, done) {
      write([chunk]).then(() => done(), done)
    },
    writev(chunks, done) {
      write(chunks.map(({ chunk }) => chunk as Buffer)).then(() => done(), done)
    },
    final(done) {
      if (!autoClose) {
        done()
        return
      }
      // The last bytes may fail only now: the stream has finished when they are on the brick.
      opening.then(handle => handle.close()).then(() => done(), done)
    },
    destroy: (error, done) => closed(opening, autoClose, error, done),
  })
}

type Done = (error?: Error | null) => void

function opened(opening: Promise<FileHandle>, done: Done): void {
  opening.then(() => done(), done)
}

function closed(
  opening: Promise<FileHandle>,
  autoClose: boolean,
  error: Error | null,
  done: Done,
): void {
  opening
    .then(handle => (autoClose && handle.fd !== -1 ? handle.close() : undefined))
    .then(
      () => done(error),
      (problem: Error) => done(error ?? problem),
    )
}
