/**
 * What the bricks' replies to one operation mean together. Pure, with a table of cases beside it.
 */

import { Errno, type Failure, failure } from '@ashlar/core'
import { has, indices, type Members, NOBODY, only, where, without } from '../members.ts'

export type Outcome =
  /** All answered, and all with the same refusal: nothing has changed anywhere. */
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** Some did it, or it is not known who did. `failure` is what to answer when they are too few. */
  | {
      readonly kind: 'mixed'
      readonly done: Members
      readonly failed: Members
      readonly failure: Failure | undefined
    }

/**
 * Judges the replies of `members`. A failure that `counts` denies is no reason to blame the brick
 * (a directory that is not empty says nothing of the copy).
 */
export function judge(
  replies: readonly ({ readonly ok: true } | Failure | undefined)[],
  members: Members,
  counts: (errno: Errno) => boolean = () => true,
): Outcome {
  let done = NOBODY
  let blamed = NOBODY
  const failures: Failure[] = []
  for (const index of indices(members)) {
    const reply = replies[index] ?? failure(Errno.ENOTCONN)
    if (reply.ok) {
      done |= only(index)
      continue
    }
    failures.push(reply)
    if (counts(reply.errno)) blamed |= only(index)
  }
  const worst = failures.length === 0 ? undefined : worstOf(failures)
  const alike = failures.every(each => each.errno === failures[0]?.errno)
  if (done === NOBODY && worst !== undefined && alike && !UNCERTAIN.has(worst.errno)) {
    return { kind: 'refused', failure: worst }
  }
  return { kind: 'mixed', done, failed: blamed, failure: worst }
}

/** Failures after which something may have been done, or a part of it. */
const UNCERTAIN: ReadonlySet<Errno> = new Set([Errno.ENOTCONN, Errno.EIO])

/** Members of which it is not known whether they have done it, or will: one that hangs may yet. */
export function undecided(
  replies: readonly ({ readonly ok: true } | Failure | undefined)[],
  members: Members,
): Members {
  return where(replies.length, index => {
    const reply = replies[index]
    return has(members, index) && (reply === undefined || (!reply.ok && UNCERTAIN.has(reply.errno)))
  })
}

/** Of several failures the one that says most (xlators/cluster/afr/src/afr-common.c). */
const TELLING: readonly Errno[] = [Errno.ENODATA, Errno.ENOENT, Errno.ESTALE, Errno.ENOSPC]

export function worstOf(failures: readonly Failure[]): Failure {
  for (const errno of TELLING) {
    const found = failures.find(each => each.errno === errno)
    if (found !== undefined) return found
  }
  return (
    failures.find(each => each.errno !== Errno.ENOTCONN) ?? failures[0] ?? failure(Errno.ENOTCONN)
  )
}

/** Members that are not in `done`. */
export function missing(members: Members, done: Members): Members {
  return without(members, done)
}

/** The members that satisfy a test of their reply. */
export function whose<R>(
  replies: readonly (R | undefined)[],
  members: Members,
  test: (reply: R) => boolean,
): Members {
  let found = NOBODY
  for (const [index, reply] of replies.entries()) {
    if (reply !== undefined && has(members, index) && test(reply)) found |= only(index)
  }
  return found
}
