/**
 * What each brick has under one name of a directory, for heals; and what a brick has of a name that it
 * was just making when it died: an object without a gfid.
 */

import { Dict, entryLoc, Errno, inodeLoc, NULL_GFID } from '@ashlar/core'
import { type Copies, isCopy, readCopy } from './copies.ts'
import type { HealJob } from './job.ts'

const GFIDLESS = 'gfidless-lookup'

/** What each brick has under a name of the job's directory. */
export async function lookAtName(job: HealJob, name: string): Promise<Copies> {
  const { set, ctx, inode } = job
  const xdata = set.askChangelog(new Dict().setInt(GFIDLESS, 1))
  const replies = await set.onAll(set.all, child => {
    const loc = entryLoc(inode, name, set.self.inodes.create())
    return child.lookup(ctx, { loc, xdata })
  })
  return replies.map(reply => readCopy(set, reply))
}

/** An object that a crash has left without a gfid gets the one that the other bricks have. */
export async function completed(job: HealJob, name: string, copies: Copies): Promise<Copies> {
  const nameless = copies.map(copy => isCopy(copy) && copy.stat.gfid === NULL_GFID)
  if (!nameless.includes(true)) return copies
  const { set, ctx, inode } = job
  const known = copies.find(copy => isCopy(copy) && copy.stat.gfid !== NULL_GFID)
  const gfid = isCopy(known) ? known.stat.gfid : set.env.random.uuid()
  const xdata = new Dict().setGfid('gfid-req', gfid)
  await set.onAll(set.all, async (child, index) => {
    if (nameless[index] !== true) return
    const object = set.self.inodes.obtain(gfid)
    // No two objects of a brick may have one gfid.
    if ((await child.lookup(ctx, { loc: inodeLoc(object) })).ok) return
    const loc = entryLoc(inode, name, set.self.inodes.create())
    const reply = await child.lookup(ctx, { loc, xdata })
    if (!reply.ok && reply.errno !== Errno.ENOENT)
      set.env.log.warning('an entry stays without a gfid', { name, brick: child.name })
  })
  return lookAtName(job, name)
}
