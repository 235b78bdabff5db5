/**
 * The virtual xattr that tells a user of a mount whether a file is in split-brain, and between which
 * bricks. It is answered where reads of the file itself are refused.
 * Source: xlators/cluster/afr/src/afr-common.c (`afr_get_split_brain_status`); texts as recorded.
 */

import { Dict, Errno, failure, type Failure, type Inode, type Reply } from '@ashlar/core'
import { ChangeKind } from './changelog.ts'
import { directionOf, isAbsent, isCopy, lookAtCopies, present } from './heal/copies.ts'
import { HealJob } from './heal/job.ts'
import { indices } from './members.ts'
import type { ReplicaSet } from './replica-set.ts'

/** libglusterfs glusterfs.h, GF_AFR_SBRAIN_STATUS. */
export const SPLIT_BRAIN_STATUS = 'replica.split-brain-status'

const NOT_SPLIT = 'The file is not under data or metadata split-brain'

/** What of a file is in split-brain, and the bricks that have a copy of it, by name. */
export interface SplitKinds {
  readonly data: boolean
  readonly metadata: boolean
  readonly bricks: readonly string[]
}

/** Looks now, on all bricks that are up. ENOTCONN when none can tell, ESTALE when none has it. */
export async function splitKinds(set: ReplicaSet, inode: Inode): Promise<SplitKinds | Failure> {
  const job = new HealJob(set, inode.gfid, inode.type)
  try {
    const copies = await lookAtCopies(job)
    const [one] = copies.filter(isCopy)
    if (one === undefined) return failure(copies.some(isAbsent) ? Errno.ESTALE : Errno.ENOTCONN)
    const split = (kind: ChangeKind): boolean => directionOf(set, copies, kind).splitBrain
    return {
      data: !one.stat.isDirectory && split(ChangeKind.DATA),
      metadata: split(ChangeKind.METADATA),
      bricks: indices(present(copies)).map(index => set.child(index).name),
    }
  } finally {
    job.end()
  }
}

export async function splitBrainStatus(set: ReplicaSet, inode: Inode): Promise<Reply<'getxattr'>> {
  const split = await splitKinds(set, inode)
  if ('ok' in split) return split
  // Users get the NUL, too, as they do from GlusterFS.
  const text = Buffer.from(`${statusText(split)}\0`)
  return { ok: true, dict: new Dict().setBytes(SPLIT_BRAIN_STATUS, text) }
}

function statusText({ data, metadata, bricks }: SplitKinds): string {
  if (!data && !metadata) return NOT_SPLIT
  const word = (split: boolean): string => (split ? 'yes' : 'no')
  return [
    `data-split-brain:${word(data)}`,
    `metadata-split-brain:${word(metadata)}`,
    `Choices:${bricks.join(',')}`,
  ].join('    ')
}
