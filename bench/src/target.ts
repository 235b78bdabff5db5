/** A file system under measurement: somewhere to work, and how to begin and end it. */

import { ArgumentError } from './arguments.ts'
import { say } from './report.ts'

export interface Target {
  readonly name: string
  /** Resolves with the directory to work in. */
  start(): Promise<string>
  stop(): Promise<void>
}

/** A volume, and what can be done to it. */
export interface VolumeTarget extends Target {
  readonly volume: string
  /** Runs its command; gives the output, throws when it fails. */
  gluster(...words: readonly string[]): string
  /** Where the brick lies, counted from 0. */
  brickPath(index: number): string
  /** Mounts it; `start` has done so once. Resolves with the directory. */
  mount(): Promise<string>
  unmount(): void
}

/** What kind of volume is measured. */
export interface VolumeShape {
  /** Words of `volume create` before the bricks. */
  readonly words: readonly string[]
  /** Number of bricks. */
  readonly bricks: number
}

/** `distribute 2`, `replica 3`, `replica 3 arbiter 1`; throws for anything else. */
export function volumeShape(text: string): VolumeShape {
  const match = /^(distribute|replica) (\d+)( arbiter 1)?$/.exec(text)
  if (match === null)
    throw new ArgumentError(
      `--volume takes 'distribute N' or 'replica N [arbiter 1]', not '${text}'`,
    )
  const bricks = Number(match[2])
  return { bricks, words: match[1] === 'replica' ? text.split(' ') : [] }
}

/** A target that is not to be had on this machine, with the reason. */
export class UnavailableError extends Error {
  override name = 'UnavailableError'
}

/** Starts those that are to be had; gives the directories to work in. */
export async function startAll<T extends Target>(targets: readonly T[]): Promise<Map<T, string>> {
  const started = new Map<T, string>()
  for (const target of targets) {
    try {
      started.set(target, await target.start())
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
      say(`${target.name}: left out: ${error.message}`)
    }
  }
  return started
}
