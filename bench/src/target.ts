/** A file system under measurement: somewhere to work, and how to begin and end it. */

export interface Target {
  readonly name: string
  /** Resolves with the directory to work in. */
  start(): Promise<string>
  stop(): Promise<void>
}

/** A target that is not to be had on this machine, with the reason. */
export class UnavailableError extends Error {
  override name = 'UnavailableError'
}
