/** A file system under measurement: somewhere to work, and how to begin and end it. */

export interface Target {
  readonly name: string
  /** Resolves with the directory to work in. */
  start(): Promise<string>
  stop(): Promise<void>
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
  if (match === null) throw new Error(`no such volume: ${text}`)
  const bricks = Number(match[2])
  return { bricks, words: match[1] === 'replica' ? text.split(' ') : [] }
}

/** A target that is not to be had on this machine, with the reason. */
export class UnavailableError extends Error {
  override name = 'UnavailableError'
}
