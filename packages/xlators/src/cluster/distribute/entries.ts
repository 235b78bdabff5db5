/**
 * Entries: files, links and nodes made and removed. A file lies on the subvolume its name hashes to
 * unless that is short of space; then a linkto file stands there for it.
 * Facts: xlators/cluster/dht/src/dht-common.c, dht-linkfile.c.
 */

import {
  type Ctx,
  Dict,
  Errno,
  type EntryReply,
  failure,
  type Failure,
  type FopArgs,
  type Loc,
  OpenFlag,
  type ParentReply,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { onHashed, parentLoc, withParentCheck } from './directories.ts'
import { acquire } from './held-locks.ts'
import { hasLinktoMode, makeLinkto, removeLinkto } from './linkto.ts'
import { isFailure, locate } from './locate.ts'
import { namespaceLocks } from './locks.ts'
import { lookup } from './lookup.ts'
import { asDirectory, type Distribution, internalCtx } from './volume.ts'

/** Makes a file where it belongs, or elsewhere with a linkto file when that place is full. */
async function place(
  volume: Distribution,
  ctx: Ctx,
  args: { loc: Loc; xdata?: Dict | undefined },
  make: (child: Subvolume, xdata: Dict | undefined) => Promise<EntryReply | Failure>,
): Promise<EntryReply | Failure> {
  const { loc } = args
  if (volume.single)
    return remembered(
      volume,
      loc,
      volume.children[0] as Subvolume,
      await make(volume.children[0] as Subvolume, args.xdata),
    )
  volume.space.refreshSoon()
  return onHashed<EntryReply>(volume, ctx, loc, async hashed => {
    if (!volume.space.isFilled(hashed) && !volume.decommissioned.has(hashed.name)) {
      return remembered(
        volume,
        loc,
        hashed,
        await make(hashed, withParentCheck(volume, args.xdata, loc, hashed)),
      )
    }
    const chosen = volume.space.alternative(hashed)
    if (chosen === hashed) return remembered(volume, loc, hashed, await make(hashed, args.xdata))
    const gfid = args.xdata?.getGfid('gfid-req')
    if (gfid === undefined) return failure(Errno.EINVAL)
    return withName(volume, ctx, loc, hashed, async () => {
      const link = { loc, gfid, on: hashed, to: chosen, owner: ctx }
      const failed = await makeLinkto(volume, ctx, link)
      if (failed !== undefined) return failed
      const reply = await make(chosen, args.xdata)
      if (!reply.ok) await removeLinkto(ctx, loc, hashed)
      return remembered(volume, loc, chosen, reply)
    })
  })
}

/**
 * Runs what makes a linkto file ahead of its data under the name's lock: to a lookup in between it
 * would be one that leads nowhere, to be removed.
 */
async function withName<R extends { ok: true }>(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  hashed: Subvolume,
  work: () => Promise<R | Failure>,
): Promise<R | Failure> {
  const locks = await acquire(volume, ctx, namespaceLocks(hashed, parentLoc(loc), loc.name))
  if (!locks.ok) return locks
  try {
    return await work()
  } finally {
    locks.release()
  }
}

function remembered(
  volume: Distribution,
  loc: Loc,
  child: Subvolume,
  reply: EntryReply | Failure,
): EntryReply | Failure {
  if (!reply.ok) return reply
  volume.remember(loc.inode, reply.stat.gfid, { cached: child })
  asDirectory(reply.preparent)
  asDirectory(reply.postparent)
  return reply
}

export async function create(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['create'],
): Promise<Reply<'create'>> {
  const reply = await place(volume, ctx, args, (child, xdata) =>
    child.create(ctx, { ...args, xdata }),
  )
  if (volume.single || (args.flags & OpenFlag.EXCL) !== 0) return reply
  const behind = reply.ok ? hasLinktoMode(reply.stat) : reply.errno === Errno.EACCES
  return behind ? openBehindLinkto(volume, ctx, args, reply) : reply
}

/**
 * A create without O_EXCL may have met a linkto file: somebody has made the name since this client
 * looked it up. The brick has opened it, or, as its mode allows nothing, refused to. What is to be
 * opened is the file behind it.
 */
async function openBehindLinkto(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['create'],
  reply: EntryReply | Failure,
): Promise<Reply<'create'>> {
  const met = reply.ok
    ? volume.states.get(args.loc.inode)?.cached
    : volume.hashedChild(args.loc.parent, args.loc.name)
  volume.states.set(args.loc.inode, undefined)
  const found = await lookup(volume, internalCtx(ctx), { loc: args.loc })
  if (!found.ok) return reply.ok ? found : reply
  const cached = volume.states.get(args.loc.inode)?.cached
  if (cached === undefined) return failure(Errno.EISDIR)
  if (cached === met) return reply
  const loc = { ...args.loc, gfid: found.stat.gfid }
  const flags = args.flags & ~(OpenFlag.CREAT | OpenFlag.EXCL)
  const there = await cached.open(ctx, { loc, fd: args.fd, flags })
  if (!there.ok) return there
  const { postparent } = found
  const parents = reply.ok ? reply : { preparent: postparent, postparent: postparent.clone() }
  return { ...parents, ok: true, stat: found.stat }
}

export function mknod(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['mknod'],
): Promise<Reply<'mknod'>> {
  return place(volume, ctx, args, (child, xdata) => child.mknod(ctx, { ...args, xdata }))
}

export async function symlink(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['symlink'],
): Promise<Reply<'symlink'>> {
  return onHashed<EntryReply>(volume, ctx, args.loc, async hashed =>
    remembered(volume, args.loc, hashed, await hashed.symlink(ctx, args)),
  )
}

/** A further name: the data stays, the new name's own subvolume gets a linkto file if it is another. */
export async function link(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['link'],
): Promise<Reply<'link'>> {
  const state = await locate(volume, ctx, args.oldloc.inode)
  if (isFailure(state)) return state
  const cached = volume.single ? (volume.children[0] as Subvolume) : state.cached
  if (cached === undefined) return failure(Errno.EPERM) // a directory
  const { newloc, oldloc } = args
  return onHashed<EntryReply>(volume, ctx, newloc, async hashed => {
    if (hashed === cached) return remembered(volume, newloc, cached, await cached.link(ctx, args))
    return withName(volume, ctx, newloc, hashed, async () => {
      const loc = { ...newloc, inode: oldloc.inode }
      const link = { loc, gfid: oldloc.gfid, on: hashed, to: cached, owner: ctx }
      const failed = await makeLinkto(volume, ctx, link)
      if (failed !== undefined) return failed
      const reply = await cached.link(ctx, args)
      if (!reply.ok && reply.errno !== Errno.EEXIST) await removeLinkto(ctx, newloc, hashed)
      return remembered(volume, newloc, cached, reply)
    })
  })
}

export async function unlink(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['unlink'],
): Promise<Reply<'unlink'>> {
  if (volume.single) return tidyParents(await (volume.children[0] as Subvolume).unlink(ctx, args))
  const state = await locate(volume, ctx, args.loc.inode)
  if (isFailure(state)) return state
  if (state.cached === undefined) return failure(Errno.EISDIR)
  const hashed = volume.hashedChild(args.loc.parent, args.loc.name)
  let { cached } = state
  let reply = await cached.unlink(ctx, args)
  if (!reply.ok && reply.errno === Errno.ENOENT) {
    // The file may have gone elsewhere since we saw it there.
    volume.states.set(args.loc.inode, undefined)
    const found = await lookup(volume, internalCtx(ctx), { loc: args.loc })
    const now = found.ok ? volume.states.get(args.loc.inode)?.cached : undefined
    if (now !== undefined && now !== cached) {
      cached = now
      reply = await cached.unlink(ctx, args)
    }
  }
  if (hashed !== undefined && hashed !== cached && (reply.ok || reply.errno === Errno.ENOENT)) {
    await removeLinkto(ctx, args.loc, hashed)
  }
  return tidyParents(reply)
}

function tidyParents(reply: ParentReply | Failure): ParentReply | Failure {
  if (reply.ok) {
    asDirectory(reply.preparent)
    asDirectory(reply.postparent)
  }
  return reply
}
