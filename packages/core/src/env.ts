/**
 * Env: time, randomness, network and log as a translator receives them. Nothing in the house reads
 * a clock or opens a socket in any other way, so a whole cluster can run simulated, from a seed.
 */

import { randomFillSync } from 'node:crypto'
import { type Gfid, gfidFromRandom } from './gfid.ts'
import type { Log } from './log.ts'
import type { Network } from './network.ts'

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds from an arbitrary start, never going back. */
  monotonic(): number
  /** Wall-clock time since 1970. */
  wall(): { sec: number; nsec: number }
  /** Runs `action` once after `ms` milliseconds. A pending timer keeps no process alive. */
  after(ms: number, action: () => void): Timer
}

export interface Random {
  bytes(count: number): Buffer
  /** Uniform in [0, limit). */
  integer(limit: number): number
  uuid(): Gfid
}

export interface Env {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** `offlineNetwork` where nobody is to be reached. */
  readonly network: Network
}

/** The real clock. */
export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall() {
    const ms = performance.timeOrigin + performance.now()
    const sec = Math.floor(ms / 1000)
    return { sec, nsec: Math.floor((ms - sec * 1000) * 1e6) }
  },
  after(ms, action) {
    const handle = setTimeout(action, ms)
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
}

const POOL_BYTES = 4096

/** The operating system's randomness, fetched 4 KiB at a time. */
export function systemRandom(): Random {
  const pool = Buffer.alloc(POOL_BYTES)
  let used = POOL_BYTES
  const bytes = (count: number): Buffer => {
    if (count > POOL_BYTES) return randomFillSync(Buffer.alloc(count))
    if (used + count > POOL_BYTES) {
      randomFillSync(pool)
      used = 0
    }
    used += count
    return Buffer.from(pool.subarray(used - count, used))
  }
  return {
    bytes,
    integer: limit => Math.floor((bytes(4).readUInt32LE(0) / 2 ** 32) * limit),
    uuid: () => gfidFromRandom(bytes(16)),
  }
}

/** Resolves after `ms` milliseconds of `clock`, or at once when `signal` aborts. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted === true) {
      resolve()
      return
    }
    const timer = clock.after(ms, resolve)
    signal?.addEventListener(
      'abort',
      () => {
        timer.cancel()
        resolve()
      },
      { once: true },
    )
  })
}
