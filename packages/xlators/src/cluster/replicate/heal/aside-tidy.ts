/**
 * Tidying the directories in which bricks rest what heals have taken out of the volume's tree: what
 * no other brick has in the volume's tree any more was deleted by its users, and goes.
 * Source: xlators/cluster/afr/src/afr-self-heald.c (`afr_cleanup_anon_inode_dir`).
 */

import { entryLoc, gfidText, inodeLoc, type Loc, parseGfid, type Subvolume } from '@ashlar/core'
import { indices, only } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { Aside } from './aside.ts'
import { isAbsent, readCopy } from './copies.ts'
import { readDirectory } from './directory-reader.ts'
import { HEAL_CTX } from './sweep.ts'

const RECURSIVE = 1

export async function tidyAside(set: ReplicaSet): Promise<void> {
  // Only when every brick can say that it does not have it.
  const aside = set.up === set.all ? Aside.of(set, HEAL_CTX) : undefined
  if (aside === undefined) return
  try {
    for (const index of indices(set.up)) {
      await readDirectory(
        { set, child: set.child(index), ctx: HEAL_CTX, directory: aside.directory },
        async entries => {
          for (const entry of entries) await tidyEntry(set, aside, index, entry.name)
          return true
        },
      )
    }
  } finally {
    aside.end()
  }
}

async function tidyEntry(
  set: ReplicaSet,
  aside: Aside,
  index: number,
  name: string,
): Promise<void> {
  const gfid = parseGfid(name)
  if (gfid === undefined) return
  const { inodes } = set.self
  const inode = inodes.ref(inodes.link(inodes.create(), { gfid, type: 0 }))
  try {
    const loc = inodeLoc(inode)
    const lives = await set.onAll(set.all & ~only(index), other => isWanted(set, aside, other, loc))
    const child = set.child(index)
    if (lives.includes(true) && !(await hasOtherName(child, loc))) return
    const entry = entryLoc(aside.directory, name, inodes.create())
    const removed = await child.unlink(HEAL_CTX, { loc: entry, xflags: 0 })
    if (!removed.ok) await child.rmdir(HEAL_CTX, { loc: entry, xflags: RECURSIVE })
  } finally {
    inodes.unref(inode)
  }
}

/** A brick has it, or does not tell; if it has put it aside, too, none of them keeps it for the other. */
async function isWanted(
  set: ReplicaSet,
  aside: Aside,
  child: Subvolume,
  loc: Loc,
): Promise<boolean> {
  const found = await child.lookup(HEAL_CTX, { loc })
  if (!found.ok) return !isAbsent(readCopy(set, found))
  if (!found.stat.isDirectory && found.stat.nlink > 1) return true
  const resting = entryLoc(aside.directory, gfidText(loc.inode.gfid), set.self.inodes.create())
  return !(await child.lookup(HEAL_CTX, { loc: resting })).ok
}

/** A file that came back under another name: the one in here is left over. */
async function hasOtherName(child: Subvolume, loc: Loc): Promise<boolean> {
  const reply = await child.lookup(HEAL_CTX, { loc })
  return reply.ok && !reply.stat.isDirectory && reply.stat.nlink > 1
}
