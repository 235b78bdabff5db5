/**
 * A directory that was renamed while a brick was away: the brick has it under its old name. It is
 * moved as it is, rather than made anew and filled again.
 */

import {
  entryLoc,
  Errno,
  failure,
  type Failure,
  type Gfid,
  type Inode,
  inodeLoc,
  ROOT_GFID,
  S_IFDIR,
  type Subvolume,
} from '@ashlar/core'
import { nameLock, HeldLocks } from './held-locks.ts'
import { HealJob } from './job.ts'

const PATHINFO = 'trusted.glusterfs.pathinfo'

interface OldName {
  readonly parent: Gfid
  readonly name: string
}

/** Gives the directory of `inode` the name `name` in the job's directory, on one brick. */
export async function moveHere(
  job: HealJob,
  child: Subvolume,
  inode: Inode,
  name: string,
): Promise<Failure | undefined> {
  const old = await oldName(job, child, inode)
  if ('errno' in old) return old
  if (old.parent === job.inode.gfid) return rename(job, child, job.inode, old.name, name)
  const other = new HealJob(job.set, old.parent, S_IFDIR)
  const locks = new HeldLocks(other)
  try {
    // Whoever works on the old directory must not meet the name half way.
    const lock = nameLock(other.inode, job.domain, old.name)
    const taken = await locks.take([{ lock, nested: true }])
    return 'ok' in taken ? taken : await rename(job, child, other.inode, old.name, name)
  } finally {
    await locks.give()
    other.end()
  }
}

async function rename(
  job: HealJob,
  child: Subvolume,
  from: Inode,
  old: string,
  name: string,
): Promise<Failure | undefined> {
  const { inodes } = job.set.self
  const reply = await child.rename(job.ctx, {
    oldloc: entryLoc(from, old, inodes.create()),
    newloc: entryLoc(job.inode, name, inodes.create()),
  })
  return reply.ok ? undefined : reply
}

/** Where the brick has the directory, by the path on its disk, walked down by names. */
async function oldName(job: HealJob, child: Subvolume, inode: Inode): Promise<OldName | Failure> {
  const reply = await child.getxattr(job.ctx, { loc: inodeLoc(inode), name: PATHINFO })
  if (!reply.ok) return reply
  const path = pathOnBrick(reply.dict.getString(PATHINFO) ?? '')
  if (path === undefined || path.length === 0) return failure(Errno.EIO)
  const { inodes } = job.set.self
  let parent: Gfid = ROOT_GFID
  for (const [depth, name] of path.entries()) {
    const directory = inodes.ref(inodes.link(inodes.create(), { gfid: parent, type: S_IFDIR }))
    const found = await child.lookup(job.ctx, { loc: entryLoc(directory, name, inodes.create()) })
    inodes.unref(directory)
    if (!found.ok) return found
    if (depth === path.length - 1)
      return found.stat.gfid === inode.gfid ? { parent, name } : failure(Errno.ESTALE)
    parent = found.stat.gfid
  }
  return failure(Errno.EIO)
}

/** Names from the brick's root, of `<POSIX(/brick):host:/brick/a/b>`. */
export function pathOnBrick(pathinfo: string): string[] | undefined {
  const match = /<POSIX\((?<root>[^)]*)\):[^:>]*:(?<path>.*)>/.exec(pathinfo)
  const { root, path } = match?.groups ?? {}
  if (root === undefined || path === undefined || !path.startsWith(root)) return undefined
  const names = path
    .slice(root.length)
    .split('/')
    .filter(name => name !== '')
  return names[0] === '.glusterfs' ? undefined : names
}
