/**
 * Paths, for people: from a gfid to a path in the volume, and from a path to what the bricks have
 * there.
 */

import { Errno, type Failure, failure, type Gfid, inodeLoc, ROOT_GFID, S_IFDIR } from '@ashlar/core'
import { indices, type Members } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { type Copies, isAbsent, isCopy } from './copies.ts'
import { lookAtName } from './look-at-name.ts'
import { HealJob } from './job.ts'
import { pathOnBrick } from './moved-directory.ts'

const PATHINFO = 'trusted.glusterfs.pathinfo'
const GFID_TO_PATH = 'glusterfs.gfidtopath'

/** A path of the inode as one of `members` tells it; undefined: none does. */
export async function pathOf(job: HealJob, members: Members): Promise<string | undefined> {
  if (job.inode.isRoot) return '/'
  const { set, ctx, inode } = job
  const loc = inodeLoc(inode)
  for (const index of indices(members)) {
    const child = set.child(index)
    const info = await child.getxattr(ctx, { loc, name: PATHINFO })
    const names = info.ok ? pathOnBrick(info.dict.getString(PATHINFO) ?? '') : undefined
    if (names !== undefined && names.length > 0) return `/${names.join('/')}`
    const named = await child.getxattr(ctx, { loc, name: GFID_TO_PATH })
    const paths = named.ok ? named.dict.getString(GFID_TO_PATH) : undefined
    if (paths !== undefined && paths !== '') return paths
  }
  return undefined
}

/** What is at a path: the directory of its last name, that name, and what each brick has there. */
export interface Place {
  readonly parent: Gfid
  /** '' for the root itself. */
  readonly name: string
  readonly copies: Copies
}

/** Walks down a path. ENOENT when no brick has it, EIO when they disagree on the way. */
export async function placeOf(set: ReplicaSet, path: string): Promise<Place | Failure> {
  const names = path.split('/').filter(name => name !== '')
  let place: Place = { parent: ROOT_GFID, name: '', copies: [] }
  let parent: Gfid = ROOT_GFID
  for (const [depth, name] of names.entries()) {
    const job = new HealJob(set, parent, S_IFDIR)
    const copies = await lookAtName(job, name)
    job.end()
    const found = copies.filter(isCopy)
    const [one] = found
    if (one === undefined) {
      const other = copies.find(copy => copy !== undefined && !isCopy(copy) && !isAbsent(copy))
      return failure(other !== undefined && !isCopy(other) ? other.errno : Errno.ENOENT)
    }
    place = { parent, name, copies }
    const agreed = found.every(copy => copy.stat.gfid === one.stat.gfid)
    if (!agreed && depth < names.length - 1) return failure(Errno.EIO)
    parent = one.stat.gfid
  }
  return place
}
