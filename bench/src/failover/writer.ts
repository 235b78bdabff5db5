/**
 * A writer in a thread of its own: 64 KiB after 64 KiB into one file, from its start again when the
 * file is full, until it is told to end. It knows how long each write took, and every block says
 * which write was the last to it.
 */

import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export const WRITE_BYTES = 64 * 1024
/** Blocks of the file. */
export const BLOCKS = 2048

/** Slots of the shared memory. */
const ENDED = 0
const COUNT = 1

export interface Written {
  /** By write: when it began and how long it took, milliseconds of the monotonic clock. */
  readonly starts: Float64Array
  readonly times: Float64Array
  readonly errors: readonly string[]
  /** By block: number of the last write to it; −1: none, −2: one that failed. */
  readonly last: Int32Array
}

/** Milliseconds of the clock that all threads share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** What a write puts into its block. */
export function blockOf(write: number): Buffer {
  const block = Buffer.alloc(WRITE_BYTES, write & 0xff)
  block.writeUInt32LE(write, 0)
  return block
}

export class Writer {
  readonly #shared: Int32Array
  readonly #result: Promise<Written>

  constructor(path: string, sync: boolean) {
    const memory = new SharedArrayBuffer(8)
    this.#shared = new Int32Array(memory)
    const worker = new Worker(new URL(import.meta.url), { workerData: { path, sync, memory } })
    this.#result = new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  }

  /** Writes that have been answered. */
  get count(): number {
    return Atomics.load(this.#shared, COUNT)
  }

  /** Ends it after the write under way. */
  end(): Promise<Written> {
    Atomics.store(this.#shared, ENDED, 1)
    return this.#result
  }
}

function write(path: string, sync: boolean, shared: Int32Array): Written {
  const { O_CREAT, O_TRUNC, O_WRONLY, O_SYNC } = constants
  const fd = openSync(path, O_CREAT | O_TRUNC | O_WRONLY | (sync ? O_SYNC : 0))
  const starts: number[] = []
  const times: number[] = []
  const errors: string[] = []
  const last = new Int32Array(BLOCKS).fill(-1)
  const attempt = (what: () => void): boolean => {
    try {
      what()
      return true
    } catch (error) {
      errors.push(String(error))
      return false
    }
  }
  for (let n = 0; Atomics.load(shared, ENDED) === 0; n++) {
    const data = blockOf(n)
    const start = nowMs()
    const good = attempt(() => {
      const written = writeSync(fd, data, 0, WRITE_BYTES, (n % BLOCKS) * WRITE_BYTES)
      if (written !== WRITE_BYTES) throw new Error(`only ${written} bytes were written`)
    })
    times.push(nowMs() - start)
    starts.push(start)
    last[n % BLOCKS] = good ? n : -2
    Atomics.store(shared, COUNT, n + 1)
  }
  attempt(() => fsyncSync(fd))
  attempt(() => closeSync(fd))
  return { starts: Float64Array.from(starts), times: Float64Array.from(times), errors, last }
}

if (!isMainThread && parentPort !== null) {
  const { path, sync, memory } = workerData as {
    path: string
    sync: boolean
    memory: SharedArrayBuffer
  }
  parentPort.postMessage(write(path, sync, new Int32Array(memory)))
}
