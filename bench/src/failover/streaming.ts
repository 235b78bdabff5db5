/** A streaming writer while a brick is killed, or hangs. */

import { closeSync, openSync, readSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../command.ts'
import { median } from '../report.ts'
import type { VolumeTarget } from '../target.ts'
import {
  brickPids,
  dropCaches,
  gone,
  healedUnasked,
  setOption,
  signalBrick,
  startBricks,
} from './bricks.ts'
import { blockOf, nowMs, WRITE_BYTES, Writer, type Written } from './writer.ts'

/** Written before anything happens. */
const CALM_MS = 4000
/** What counts as after the loss. */
const AFTER_MS = 3000
/** A client hears of a changed option within a moment; nothing tells when it has. */
const OPTION_MS = 5000
const VICTIM = 1
/** Writes that show that a writer goes on. */
const GOING_ON = 50
/** GlusterFS's longest was 48 s, with a ping-timeout of 42 s that it had not left. */
const STALL_SECONDS_MAX = 180

export interface Latencies {
  readonly count: number
  readonly median: number
  readonly p99: number
  readonly longest: number
}

/** Milliseconds of the writes before the loss, and of those that ran in the seconds after it. */
export interface Stream {
  readonly before: Latencies
  readonly after: Latencies
  readonly errors: readonly string[]
  /** Blocks that are not what the last good write made them, through the mount and on each brick. */
  readonly lost: number
  /** undefined: not by itself within a minute. */
  readonly healSeconds: number | undefined
}

/** Median, 99th percentile and longest of times. */
export function latencies(times: readonly number[]): Latencies {
  if (times.length === 0) throw new Error('no write ended: nothing can be said of it')
  const sorted = [...times].sort((one, other) => one - other)
  return {
    count: sorted.length,
    median: median(sorted),
    p99: sorted[Math.ceil(sorted.length * 0.99) - 1] as number,
    longest: sorted.at(-1) as number,
  }
}

/** A brick is killed under a writer. */
export async function killed(
  target: VolumeTarget,
  directory: string,
  sync: boolean,
): Promise<Stream> {
  const pid = brickPids(target)[VICTIM] as number
  return stream(target, directory, sync, AFTER_MS, {
    begin: () => signalBrick(target, pid, 'SIGKILL'),
    goOn: () => pause(AFTER_MS),
    end: async () => {
      await gone(pid)
      await startBricks(target)
    },
  })
}

/** A brick hangs under a writer, and goes on when the writer has done so. */
export async function frozen(
  target: VolumeTarget,
  seconds: number,
  mounted: boolean,
): Promise<Stream> {
  const name = 'network.ping-timeout'
  target.unmount()
  if (mounted) target.gluster('volume', 'reset', target.volume, name)
  else setOption(target, name, String(seconds))
  const directory = await target.mount()
  if (mounted) {
    setOption(target, name, String(seconds))
    await pause(OPTION_MS)
  }
  const pid = brickPids(target)[VICTIM] as number
  try {
    return await stream(target, directory, true, STALL_SECONDS_MAX * 1000, {
      begin: () => signalBrick(target, pid, 'SIGSTOP'),
      goOn: async writer => {
        const { count } = writer
        // The write under way at the stop may still be answered, and a few more in a window.
        await until('the writer goes on', STALL_SECONDS_MAX, () => writer.count > count + GOING_ON)
      },
      end: async () => signalBrick(target, pid, 'SIGCONT'),
    })
  } finally {
    signalBrick(target, pid, 'SIGCONT')
    target.gluster('volume', 'reset', target.volume, name)
  }
}

interface Trouble {
  readonly begin: () => void
  readonly goOn: (writer: Writer) => Promise<void>
  readonly end: () => Promise<void>
}

async function stream(
  target: VolumeTarget,
  directory: string,
  sync: boolean,
  afterMs: number,
  trouble: Trouble,
): Promise<Stream> {
  const name = 'stream'
  const path = `${directory}/${name}`
  const writer = new Writer(path, sync)
  await pause(CALM_MS)
  const moment = nowMs()
  trouble.begin()
  await trouble.goOn(writer)
  const written = await writer.end()
  await trouble.end()
  const healSeconds = await healedUnasked(target)
  dropCaches()
  const copies = brickPids(target).map((_, index) => `${target.brickPath(index)}/${name}`)
  const lost = [path, ...copies].reduce((sum, copy) => sum + lostBlocks(copy, written), 0)
  return { ...split(written, moment, afterMs), errors: written.errors, lost, healSeconds }
}

function split(
  { starts, times }: Written,
  moment: number,
  afterMs: number,
): { before: Latencies; after: Latencies } {
  const before: number[] = []
  const after: number[] = []
  for (const [n, time] of times.entries()) {
    const start = starts[n] as number
    if (start + time < moment) before.push(time)
    else if (start < moment + afterMs) after.push(time)
  }
  return { before: latencies(before), after: latencies(after) }
}

function lostBlocks(path: string, { last }: Written): number {
  const fd = openSync(path, 'r')
  const block = Buffer.alloc(WRITE_BYTES)
  let lost = 0
  for (const [n, write] of last.entries()) {
    if (write < 0) continue
    block.fill(0)
    readSync(fd, block, 0, WRITE_BYTES, n * WRITE_BYTES)
    if (!block.equals(blockOf(write))) lost += 1
  }
  closeSync(fd)
  return lost
}
