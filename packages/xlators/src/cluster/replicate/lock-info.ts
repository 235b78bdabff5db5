/**
 * Locks of programs that move to the next graph's connections: every brick names the fd that has them
 * by its own name, and takes its own out of what all have said. Nothing on the disks changes, so it
 * is no transaction: a brick that misses it has nothing to be healed.
 */

import { type Ctx, Dict, type Failure, type FopArgs, LOCK_INFO, type Reply } from '@ashlar/core'
import { parseDict, serialiseDict, WireError } from '@ashlar/wire'
import { NO_QUORUM, type ReplicaSet, succeeded } from './replica-set.ts'
import { worstOf } from './transaction/outcome.ts'

/** What the bricks have answered as one answer; the worst failure when none has. */
export function mergeLockInfo(
  replies: readonly (Reply<'fgetxattr'> | undefined)[],
): Reply<'fgetxattr'> {
  const answers = replies.filter(reply => reply?.ok === true)
  if (answers.length === 0) return worst(replies)
  const merged = new Dict()
  for (const { dict } of answers) merged.merge(fdsIn(dict))
  const dict = new Dict()
  if (merged.size > 0) dict.setBytes(LOCK_INFO, serialiseDict(merged))
  return { ok: true, dict }
}

/** The fds that a brick names: none when it has no locks, or says what cannot be read. */
function fdsIn(dict: Dict): Dict {
  try {
    return parseDict(dict.getBytes(LOCK_INFO) ?? Buffer.alloc(0))
  } catch (error) {
    if (error instanceof WireError) return new Dict()
    throw error
  }
}

/** Claims the locks on all bricks that are up; enough when a quorum has handed them over. */
export async function claimLocks(
  set: ReplicaSet,
  ctx: Ctx,
  args: FopArgs['fsetxattr'],
): Promise<Reply<'fsetxattr'>> {
  const replies = await set.onAll(set.up, child => child.fsetxattr(ctx, args))
  return set.hasQuorum(succeeded(replies)) ? { ok: true } : worst(replies)
}

function worst(replies: readonly ({ readonly ok: boolean } | undefined)[]): Failure {
  const failures = replies.filter((reply): reply is Failure => reply?.ok === false)
  return failures.length === 0 ? NO_QUORUM : worstOf(failures)
}
