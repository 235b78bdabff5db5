/** FsError: failures as node:fs reports them, with `code`, `errno`, `syscall`, `path` and `dest`. */

import { getSystemErrorMap } from 'node:util'
import { Errno, errnoFromName, errnoName, errnoText } from '@ashlar/core'

/** What failed, for messages: the system call's name, the path, and the second one if there is one. */
export interface Operation {
  readonly syscall: string
  readonly path?: string | undefined
  readonly dest?: string | undefined
}

/** Thrown by every call of this library that the volume has refused. */
export class FsError extends Error implements NodeJS.ErrnoException {
  override name = 'Error'
  /** `ENOENT` and the like. */
  readonly code: string
  /** Negative, as node:fs has it. */
  readonly errno: number
  readonly syscall: string
  declare readonly path?: string
  declare readonly dest?: string

  constructor(errno: Errno, operation: Operation) {
    const { syscall, path, dest } = operation
    const code = errnoName(errno)
    const places =
      path === undefined ? '' : ` '${path}'${dest === undefined ? '' : ` -> '${dest}'`}`
    super(`${code}: ${reason(errno)}, ${syscall}${places}`)
    this.code = code
    this.errno = -errno
    this.syscall = syscall
    if (path !== undefined) this.path = path
    if (dest !== undefined) this.dest = dest
  }
}

/** Node's own words where it has them. */
function reason(errno: Errno): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? errnoText(errno).toLowerCase()
}

/** True when `error` is a failure with that code (`ENOENT`). */
export function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.errno === -(errnoFromName(code) ?? 0)
}

/** The volume could not be reached, or refused us. */
export class ConnectError extends Error {
  override name = 'ConnectError'
  /** `ETIMEDOUT`, `EACCES`, `ENOENT` and the like. */
  readonly code: string

  constructor(errno: Errno, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = errnoName(errno)
  }
}

/** What node:fs throws when a signal ends its work. */
export class AbortError extends Error {
  override name = 'AbortError'
  readonly code = 'ABORT_ERR'

  constructor(reason: unknown) {
    super('The operation was aborted', { cause: reason })
  }
}

/** Throws AbortError when the signal has been given. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new AbortError(signal.reason)
}

/** rm(1) of a directory without `recursive`, for which node:fs has a code of its own. */
export class DirectoryRemovalError extends Error implements NodeJS.ErrnoException {
  override name = 'SystemError'
  readonly code = 'ERR_FS_EISDIR'
  readonly errno = Errno.EISDIR
  readonly syscall = 'rm'
  readonly path: string

  constructor(path: string) {
    super(`Path is a directory: rm returned EISDIR (is a directory) ${path}`)
    this.path = path
  }
}
