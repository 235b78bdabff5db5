/**
 * Statistics: calls, latencies and block sizes as `volume profile` shows them, since the start and
 * since they were last asked for.
 */

import type { FopName } from '@ashlar/core'

/** Latencies in microseconds. */
export interface FopStatistics {
  calls: number
  failures: number
  total: number
  min: number
  max: number
}

export class Interval {
  readonly startedAt: number
  readonly fops = new Map<FopName, FopStatistics>()
  /** Reads and writes by size, rounded down to a power of two. */
  readonly reads = new Map<number, number>()
  readonly writes = new Map<number, number>()
  bytesRead = 0
  bytesWritten = 0

  constructor(startedAt: number) {
    this.startedAt = startedAt
  }

  called(fop: FopName, microseconds: number, ok: boolean): void {
    let entry = this.fops.get(fop)
    if (entry === undefined) {
      entry = { calls: 0, failures: 0, total: 0, min: Number.POSITIVE_INFINITY, max: 0 }
      this.fops.set(fop, entry)
    }
    entry.calls += 1
    if (!ok) entry.failures += 1
    entry.total += microseconds
    if (microseconds < entry.min) entry.min = microseconds
    if (microseconds > entry.max) entry.max = microseconds
  }

  read(bytes: number): void {
    this.bytesRead += bytes
    count(this.reads, bytes)
  }

  wrote(bytes: number): void {
    this.bytesWritten += bytes
    count(this.writes, bytes)
  }

  /** For statedumps and the profile command. */
  report(now: number): Readonly<Record<string, unknown>> {
    return {
      seconds: Math.round((now - this.startedAt) / 1000),
      bytesRead: this.bytesRead,
      bytesWritten: this.bytesWritten,
      fops: Object.fromEntries(
        [...this.fops].map(([fop, entry]) => [
          fop,
          { ...entry, average: entry.total / entry.calls },
        ]),
      ),
      reads: Object.fromEntries(this.reads),
      writes: Object.fromEntries(this.writes),
    }
  }
}

function count(sizes: Map<number, number>, bytes: number): void {
  const size = bytes === 0 ? 0 : 2 ** Math.floor(Math.log2(bytes))
  sizes.set(size, (sizes.get(size) ?? 0) + 1)
}
