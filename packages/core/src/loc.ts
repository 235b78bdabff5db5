/**
 * Loc: where a fop acts. Identity is the gfid; a name is only a name inside a parent.
 * Source: libglusterfs/src/glusterfs/xlator.h (`loc_t`).
 */

import { NULL_GFID, type Gfid } from './gfid.ts'
import type { Inode } from './inode.ts'

/**
 * `gfid` is the object (NULL_GFID when only its name is known), `pargfid` and `name` the entry
 * (name '' for a fop on the inode alone). `inode` and `parent` are set wherever the graph's inode
 * table knows them; on a brick the inode of an entry that is not looked up yet is a provisional
 * one, and what is learnt of the object belongs on `inodes.obtain(reply.stat.gfid)`. `path` is only
 * for logs, layouts and people, and may be `<gfid:…>`-relative.
 */
export interface Loc {
  readonly gfid: Gfid
  readonly pargfid: Gfid
  readonly name: string
  readonly path: string
  readonly inode: Inode
  readonly parent: Inode | undefined
}

/** A loc that names an inode alone. */
export function inodeLoc(inode: Inode): Loc {
  return {
    gfid: inode.gfid,
    pargfid: NULL_GFID,
    name: '',
    path: inode.path(),
    inode,
    parent: undefined,
  }
}

/** A loc of entry `name` in `parent`; `inode` is the object, or a fresh one for a name to look up or make. */
export function entryLoc(parent: Inode, name: string, inode: Inode): Loc {
  const directory = parent.path()
  return {
    gfid: inode.gfid,
    pargfid: parent.gfid,
    name,
    path: directory === '/' ? `/${name}` : `${directory}/${name}`,
    inode,
    parent,
  }
}
