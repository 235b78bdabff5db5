/** One operation on a file's data as the file's lock runs it, and what short replies to it mean. */

import { Errno, type Failure, failure, type Step } from '@ashlar/core'
import type { RangeClaim } from './claims.ts'

/** One operation on a file's data. */
export interface DataOperation<R> {
  readonly range: RangeClaim
  /** The operation as brick `index` gets it. */
  readonly step: (index: number) => Step
  /** How much a reply has done; a brick that did less than another has failed. */
  readonly done: (reply: R, index: number) => number
  /** Its data may not be on the disks when it is answered. */
  readonly unstable: boolean
  /** It must not be done twice on a brick. */
  readonly once: boolean
}

/** The file has been removed meanwhile. */
export function isGone(reply: { readonly ok: boolean } | undefined): boolean {
  const errno = (reply as Failure | undefined)?.errno
  return errno === Errno.ENOENT || errno === Errno.ESTALE
}

/** A brick that did less than the best one has not done it. */
export function shortAsFailures<R extends { readonly ok: true }>(
  operation: DataOperation<R>,
  replies: readonly (R | Failure | undefined)[],
): (R | Failure | undefined)[] {
  let best = 0
  for (const [index, reply] of replies.entries()) {
    if (reply?.ok === true) best = Math.max(best, operation.done(reply, index))
  }
  return replies.map((reply, index) =>
    reply?.ok === true && operation.done(reply, index) < best ? failure(Errno.ENOSPC) : reply,
  )
}
