/**
 * Rename of directories, which are on every subvolume: first where the new name hashes, then on the
 * others; back again everywhere when one of them refuses. Facts: dht_rename_dir in
 * xlators/cluster/dht/src/dht-rename.c.
 */

import {
  type Ctx,
  Errno,
  failure,
  isExclusive,
  type Failure,
  type FopArgs,
  type Loc,
  OpenFlag,
  type RenameReply,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { parentLoc } from './directories.ts'
import { acquire, type Work } from './held-locks.ts'
import { namespaceLocks, namespaceOrder } from './locks.ts'
import {
  asDirectory,
  type Distribution,
  internalCtx,
  mergeDirectoryStats,
  worstFailure,
} from './volume.ts'

type RenameArgs = FopArgs['rename']

export async function renameDirectory(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
): Promise<Reply<'rename'>> {
  if (volume.upChildren().length < volume.children.length) return failure(Errno.ENOTCONN)
  const { oldloc, newloc } = args
  const sourceHashed = volume.hashedChild(oldloc.parent, oldloc.name)
  const targetHashed = volume.hashedChild(newloc.parent, newloc.name)
  if (sourceHashed === undefined || targetHashed === undefined) return volume.unplaced()
  const names = [
    { on: sourceHashed, loc: parentLoc(oldloc), name: oldloc.name },
    { on: targetHashed, loc: parentLoc(newloc), name: newloc.name },
  ].sort(namespaceOrder)
  const renaming: Work = { on: targetHashed, step: { fop: 'rename', args } }
  // With the locks, where all of them are on the one subvolume and nothing else is to be asked.
  const replaces = newloc.inode.linked && !isExclusive(args)
  const early = sourceHashed === targetHashed && !replaces
  const requests = names.flatMap(({ on, loc, name }) => namespaceLocks(on, loc, name))
  const locks = await acquire(volume, ctx, requests, { work: early ? [renaming] : [] })
  if (!locks.ok) return locks
  try {
    const occupied = replaces ? await isOccupied(volume, ctx, newloc) : undefined
    if (occupied !== undefined) return occupied
    const first = locks.reply(renaming, 'rename') ?? (await targetHashed.rename(ctx, args))
    if (!first.ok) return first
    return await renameElsewhere(volume, ctx, args, targetHashed, first)
  } finally {
    locks.release()
  }
}

async function renameElsewhere(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  done: Subvolume,
  first: RenameReply,
): Promise<Reply<'rename'>> {
  const others = volume.children.filter(child => child !== done)
  const replies = await Promise.all(others.map(child => child.rename(ctx, args)))
  const failures = replies.filter((reply): reply is Failure => !reply.ok)
  if (failures.length === 0) {
    const all = [first, ...replies.filter((reply): reply is RenameReply => reply.ok)]
    return tidy({
      ...first,
      stat: mergeDirectoryStats(
        all.map(reply => reply.stat),
        first.stat,
      ),
    })
  }
  // Back to the old name everywhere: a directory must not have two names.
  const back = {
    oldloc: { ...args.newloc, gfid: args.oldloc.gfid, inode: args.oldloc.inode },
    newloc: args.oldloc,
  }
  await Promise.all(
    [done, ...others.filter((_, i) => replies[i]?.ok === true)].map(child =>
      child.rename(internalCtx(ctx), back),
    ),
  )
  return worstFailure(failures)
}

const LISTING_BYTES = 4096

/** A failure when the directory to be replaced is one that holds entries on any subvolume. */
async function isOccupied(volume: Distribution, ctx: Ctx, loc: Loc): Promise<Failure | undefined> {
  const root = internalCtx(ctx)
  const results = await Promise.all(
    volume.children.map(async child => {
      const fd = volume.self.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: ctx.pid })
      try {
        const opened = await child.opendir(root, { loc, fd })
        if (!opened.ok)
          return opened.errno === Errno.ENOENT || opened.errno === Errno.ESTALE ? undefined : opened
        const listing = await child.readdir(root, { fd, size: LISTING_BYTES, offset: 0n })
        if (!listing.ok) return listing
        return listing.entries.some(entry => entry.name !== '.' && entry.name !== '..')
          ? failure(Errno.ENOTEMPTY)
          : undefined
      } finally {
        fd.unref()
      }
    }),
  )
  return results.find(result => result !== undefined)
}

/** What every directory of a volume shows, in the replies of renames. */
export function tidy(reply: RenameReply | Failure): RenameReply | Failure {
  if (!reply.ok) return reply
  for (const parent of [
    reply.preoldparent,
    reply.postoldparent,
    reply.prenewparent,
    reply.postnewparent,
  ])
    asDirectory(parent)
  if (reply.stat.isDirectory) asDirectory(reply.stat)
  return reply
}
