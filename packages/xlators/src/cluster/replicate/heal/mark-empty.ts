/**
 * Marking a brick as empty: the others note on the root that it has missed everything there. Each
 * directory that is made on it is marked in turn by the heal of the one above.
 * Source: xlators/cluster/afr/src/afr-inode-write.c (`afr_handle_empty_brick`).
 */

import { Errno, failure, type Failure, ROOT_GFID, S_IFDIR } from '@ashlar/core'
import type { Counters } from '../changelog.ts'
import { only, size } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { HealJob } from './job.ts'
import { blameStep } from './undo.ts'

/** All names of the root, its attributes, and its entries. */
const EVERYTHING: Counters = [1, 1, 1]

export async function markEmpty(set: ReplicaSet, brick: string): Promise<Failure | undefined> {
  const index = set.children.findIndex(child => child.name === brick)
  if (index < 0) return failure(Errno.EINVAL)
  const others = set.up & ~only(index)
  if (size(others) === 0) return failure(Errno.ENOTCONN)
  const job = new HealJob(set, ROOT_GFID, S_IFDIR)
  try {
    const steps = [blameStep(set, job.inode, only(index), EVERYTHING)]
    const replies = await set.onAll(others, child => child.compound(job.ctx, { steps }))
    for (const reply of replies) {
      const last = reply?.ok === true ? reply.replies.at(-1) : reply
      if (last !== undefined && !last.ok) return last
    }
    return undefined
  } finally {
    job.end()
  }
}
