/** A writer of 64 KiB after 64 KiB that knows how long each write took and what must be in the file. */

import * as fs from 'node:fs/promises'
import { constants } from 'node:fs'
import { expect } from 'vitest'

const WRITE_BYTES = 64 * 1024
/** Blocks of the file: then it is written from its start again. */
const BLOCKS = 256

/** How far a writer has come. */
export interface Pace {
  readonly count: number
}

/** See above. */
export interface Stream extends Pace {
  readonly errors: readonly unknown[]
  /** Milliseconds of the longest write that was under way at the mark or began later. */
  readonly longestSinceMark: number
  mark(): void
  /** Ends it after the write under way, with an fsync. */
  end(): Promise<void>
  /** Rejects unless every block of the file is what was written to it last. */
  expectIn(path: string): Promise<void>
}

/** Begins to write. */
export async function streamTo(path: string, flags: number): Promise<Stream> {
  const { O_CREAT, O_TRUNC, O_WRONLY } = constants
  const file = await fs.open(path, O_CREAT | O_TRUNC | O_WRONLY | flags)
  const last: number[] = []
  const errors: unknown[] = []
  let count = 0
  let marked = Number.POSITIVE_INFINITY
  let longest = 0
  let ended = false

  const writing = (async (): Promise<void> => {
    while (!ended) {
      const n = count
      const start = performance.now()
      try {
        const { bytesWritten } = await file.write(
          block(n),
          0,
          WRITE_BYTES,
          (n % BLOCKS) * WRITE_BYTES,
        )
        if (bytesWritten !== WRITE_BYTES) throw new Error(`only ${bytesWritten} bytes written`)
        last[n % BLOCKS] = n
      } catch (error) {
        errors.push(error)
      }
      const end = performance.now()
      if (end >= marked) longest = Math.max(longest, end - start)
      count += 1
    }
    try {
      await file.sync()
      await file.close()
    } catch (error) {
      errors.push(error)
    }
  })()

  return {
    get count() {
      return count
    },
    errors,
    get longestSinceMark() {
      return longest
    },
    mark() {
      marked = performance.now()
    },
    async end() {
      ended = true
      await writing
    },
    async expectIn(copy) {
      const content = await fs.readFile(copy)
      expect(content.length).toBe(last.length * WRITE_BYTES)
      const wrong = last.filter(
        (n, k) => !block(n).equals(content.subarray(k * WRITE_BYTES, (k + 1) * WRITE_BYTES)),
      )
      expect(wrong).toEqual([])
    },
  }
}

function block(n: number): Buffer {
  const data = Buffer.alloc(WRITE_BYTES, n & 0xff)
  data.writeUInt32LE(n, 0)
  return data
}
