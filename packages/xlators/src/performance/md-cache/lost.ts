/**
 * Lost inodes: what a client knows by a gfid may have been removed by another one, and its name given
 * to something else. Bricks then answer ESTALE, to whatever fop it is that comes by first; the kernel
 * walks the path again, and must be told by bricks what is there now.
 */

import {
  type Ctx,
  Errno,
  FOP_NAMES,
  type Fop,
  type FopArgs,
  Fd,
  type Inode,
  type Loc,
  type PlainFop,
  type Reply,
  type Subvolume,
} from '@ashlar/core'

/** `child`, of whose failures those that say an inode is not there are told, before they are answered. */
export function watchLost(child: Subvolume, lost: (inode: Inode) => void): Subvolume {
  const watched: Record<string, unknown> = { ...child }
  for (const fop of FOP_NAMES) watched[fop] = watch(child, fop, lost)
  return watched as unknown as Subvolume
}

function watch<F extends PlainFop>(child: Subvolume, fop: F, lost: (inode: Inode) => void): Fop<F> {
  const call = child[fop] as (ctx: Ctx, args: FopArgs[F]) => Promise<Reply<F>>
  return async (ctx, args) => {
    const reply = await call(ctx, args)
    if (!reply.ok) for (const inode of lostBy(args, reply.errno)) lost(inode)
    return reply
  }
}

/** Inodes that may not be there any more, as a fop with these arguments has failed. */
function lostBy(args: object, errno: number): Inode[] {
  if (errno !== Errno.ESTALE && errno !== Errno.ENOENT) return []
  const inodes: Inode[] = []
  for (const subject of Object.values(args) as unknown[]) {
    if (subject instanceof Fd) inodes.push(subject.inode)
    else if (isLoc(subject)) {
      const { inode, name, parent } = subject
      // That nothing has a name is no news of its directory.
      if (name !== '' && errno === Errno.ENOENT) continue
      if (inode.linked) inodes.push(inode)
      if (name !== '' && parent !== undefined) inodes.push(parent)
    }
  }
  return inodes
}

export function isLoc(value: unknown): value is Loc {
  return typeof value === 'object' && value !== null && 'inode' in value && 'name' in value
}
