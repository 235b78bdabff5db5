/** Files made while a brick is down, and how long it takes until it has them. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { until } from '../command.ts'
import type { VolumeTarget } from '../target.ts'
import {
  ASK_MS,
  brickPids,
  gone,
  HEAL_SECONDS_MAX,
  healed,
  isHealed,
  signalBrick,
} from './bricks.ts'

const FILE_BYTES = 64 * 1024
const VICTIM = 1

export interface Outage {
  readonly createSeconds: number
  /** The command that starts the brick again. */
  readonly startSeconds: number
  /** From before that command until `heal info summary` shows nothing any more. */
  readonly healSeconds: number
  /** Files that are not as they were written, on each brick. */
  readonly wrong: readonly number[]
}

function contentOf(round: number, file: number): Buffer {
  const content = Buffer.alloc(FILE_BYTES, `${round} ${file} `)
  content.writeUInt32LE(file, FILE_BYTES - 4)
  return content
}

/** Makes so many files without one of the bricks, and waits until it has them. */
export async function outage(
  target: VolumeTarget,
  directory: string,
  round: number,
  files: number,
): Promise<Outage> {
  const name = `outage${round}`
  const names = Array.from({ length: files }, (_, i) => `${name}/f${i}`)
  mkdirSync(`${directory}/${name}`)
  const pids = brickPids(target)
  signalBrick(target, pids[VICTIM] as number, 'SIGKILL')
  await gone(pids[VICTIM] as number)
  let start = performance.now()
  for (const [i, each] of names.entries())
    writeFileSync(`${directory}/${each}`, contentOf(round, i))
  const createSeconds = secondsSince(start)
  start = performance.now()
  target.gluster('volume', 'start', target.volume, 'force')
  const startSeconds = secondsSince(start)
  await until(`${target.name}: healed`, HEAL_SECONDS_MAX, () => isHealed(target), ASK_MS)
  const healSeconds = secondsSince(start)
  const wrong = pids.map((_, brick) =>
    names.reduce(
      (sum, each, i) =>
        sum + (isWrong(`${target.brickPath(brick)}/${each}`, contentOf(round, i)) ? 1 : 0),
      0,
    ),
  )
  rmSync(`${directory}/${name}`, { recursive: true })
  await healed(target)
  return { createSeconds, startSeconds, healSeconds, wrong }
}

function isWrong(path: string, content: Buffer): boolean {
  try {
    return !readFileSync(path).equals(content)
  } catch {
    return true
  }
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000
}
