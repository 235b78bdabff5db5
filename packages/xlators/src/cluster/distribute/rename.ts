/**
 * Rename: of files between names that may hash to other subvolumes than where the data lies. Facts:
 * xlators/cluster/dht/src/dht-rename.c.
 *
 *   SC, SH  where the source's data lies, where its name hashes; DC, DH the same of the target
 *
 *   data already where the target's name hashes (SC = DH)   rename there
 *   target's data on the same subvolume (SC = DC)           rename there, linkto file on DH
 *   no target                                               linkto file on DH, rename on SC
 *   else                                                    the new name is linked on SC, a linkto
 *                                                           file takes its place on DH
 */

import {
  type Ctx,
  Dict,
  EMPTY_IATT,
  Errno,
  failure,
  isExclusive,
  type Failure,
  type FopArgs,
  type RenameReply,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { parentLoc } from './directories.ts'
import { acquire, type HeldLocks } from './held-locks.ts'
import { makeLinkto, removeLinkto, removeStaleLinkto } from './linkto.ts'
import { isFailure, locate } from './locate.ts'
import { migrateLock, namespaceLocks, namespaceOrder } from './locks.ts'
import { type Places, Questions, settle, unchanged } from './rename-check.ts'
import { renameDirectory, tidy } from './rename-directory.ts'
import { type Distribution, internalCtx } from './volume.ts'

type RenameArgs = FopArgs['rename']

export async function rename(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
): Promise<Reply<'rename'>> {
  if (volume.single) return tidy(await (volume.children[0] as Subvolume).rename(ctx, args))
  const source = await locate(volume, ctx, args.oldloc.inode)
  if (isFailure(source)) return source
  if (source.cached === undefined) return renameDirectory(volume, ctx, args)

  const sourceHashed = volume.hashedChild(args.oldloc.parent, args.oldloc.name)
  const targetHashed = volume.hashedChild(args.newloc.parent, args.newloc.name)
  if (sourceHashed === undefined || targetHashed === undefined) return volume.unplaced()
  let targetCached: Subvolume | undefined
  if (args.newloc.inode.linked) {
    const target = await locate(volume, ctx, args.newloc.inode)
    if (isFailure(target)) {
      if (target.errno !== Errno.ESTALE && target.errno !== Errno.ENOENT) return target
    } else {
      if (target.cached === undefined)
        return failure(isExclusive(args) ? Errno.EEXIST : Errno.EISDIR)
      targetCached = target.cached
    }
  }
  return renameFile(volume, ctx, args, {
    sourceCached: source.cached,
    sourceHashed,
    targetCached,
    targetHashed,
  })
}

async function renameFile(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
): Promise<Reply<'rename'>> {
  const { oldloc, newloc } = args
  const names = [
    { on: places.sourceHashed, loc: parentLoc(oldloc), name: oldloc.name },
    { on: places.targetHashed, loc: parentLoc(newloc), name: newloc.name },
  ].sort(namespaceOrder)
  const files = [
    { on: places.sourceCached, loc: oldloc, name: '' },
    ...(places.targetCached === undefined
      ? []
      : [{ on: places.targetCached, loc: newloc, name: '' }]),
  ].sort(namespaceOrder)
  const questions = new Questions(volume, ctx, args, places)
  const requests = [
    ...files.map(({ on, loc }) => migrateLock(on, loc, loc === newloc)),
    ...names.flatMap(({ on, loc, name }) => namespaceLocks(on, loc, name)),
  ]
  const locks = await acquire(volume, ctx, requests, { work: questions.early })
  if (!locks.ok) return locks
  try {
    const settled = await settle(volume, ctx, args, places, { questions, locks })
    if ('ok' in settled) return settled
    if (!isExclusive(args)) {
      if ('same' in settled) return unchanged(settled.same)
      return await renameLocked(volume, ctx, args, settled, locks)
    }
    if ('same' in settled || settled.targetCached !== undefined) return failure(Errno.EEXIST)
    // A linkto file that leads nowhere; nobody else is making it, as the name is ours.
    if (settled.free !== true) await removeStaleLinkto(ctx, args.newloc, places.targetHashed)
    // What is made under the new name meanwhile is in the way of each step from here on.
    return await renameLocked(volume, ctx, args, { ...settled, free: true }, locks)
  } finally {
    locks.release()
  }
}

async function renameLocked(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
  locks: HeldLocks,
): Promise<Reply<'rename'>> {
  const { sourceCached, sourceHashed, targetCached, targetHashed } = places
  if (sourceCached === targetHashed || sourceCached === targetCached) {
    return renameInPlace(volume, ctx, args, places, locks)
  }
  if (places.free === true) {
    const reply = await renameBehindLinkto(volume, ctx, args, places, locks)
    if (reply !== undefined) return reply
    if (isExclusive(args)) return failure(Errno.EEXIST)
  }
  const root = internalCtx(ctx)
  // The order keeps the data reachable under a name at every step.
  const gfid = args.oldloc.gfid
  if (targetHashed !== sourceHashed) {
    const failed = await makeLinkto(volume, ctx, {
      loc: args.oldloc,
      gfid,
      on: targetHashed,
      to: sourceCached,
      force: true,
      ...(places.owner === undefined ? {} : { owner: places.owner }),
    })
    if (failed !== undefined) return failed
  }
  const linked = await sourceCached.link(root, {
    oldloc: args.oldloc,
    newloc: args.newloc,
    xdata: new Dict()
      .setString('glusters.marker.dont-account', 'yes')
      .setString('changelog.rename-op', 'yes')
      .setString('force-replace', 'yes'),
  })
  if (!linked.ok) {
    if (targetHashed !== sourceHashed) await removeLinkto(ctx, args.oldloc, targetHashed)
    return linked
  }
  const moved = await moveLinkto(volume, ctx, args, places)
  if (moved?.ok === false) {
    await sourceCached.unlink(root, { loc: args.newloc, xflags: 0 })
    if (targetHashed !== sourceHashed) await removeLinkto(ctx, args.oldloc, targetHashed)
    return moved
  }
  const [removed] = await Promise.all([
    sourceCached.unlink(ctx, { loc: args.oldloc, xflags: 0, xdata: args.xdata }),
    dropSourceLinkto(ctx, args, places),
    dropTarget(root, args, places),
  ])
  if (removed.ok) linked.stat.nlink -= 1
  else
    volume.self.env.log.warning('the old name of a renamed file stays', {
      path: args.oldloc.path,
      errno: removed.errno,
    })
  volume.states.set(args.oldloc.inode, { cached: sourceCached })
  return tidy({
    preoldparent: removed.ok ? removed.preparent : EMPTY_IATT.clone(),
    postoldparent: removed.ok ? removed.postparent : EMPTY_IATT.clone(),
    prenewparent: linked.preparent,
    postnewparent: linked.postparent,
    ...moved,
    ok: true,
    stat: linked.stat,
  })
}

/**
 * Nothing has the new name, so nothing is to be replaced in one stroke: its linkto file goes ahead,
 * and the data is renamed where it lies. Should that not happen, the linkto file leads nowhere, and
 * the next lookup removes it. Undefined: somebody has made the new name meanwhile.
 */
async function renameBehindLinkto(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
  locks: HeldLocks,
): Promise<Reply<'rename'> | undefined> {
  const { sourceCached, sourceHashed, targetHashed } = places
  const failed = await makeLinkto(volume, ctx, {
    loc: { ...args.newloc, inode: args.oldloc.inode },
    gfid: args.oldloc.gfid,
    on: targetHashed,
    to: sourceCached,
    ...(places.owner === undefined ? {} : { owner: places.owner }),
  })
  if (failed !== undefined) return failed.errno === Errno.EEXIST ? undefined : failed
  const reply =
    sourceHashed === sourceCached
      ? await locks.finish<'rename'>(ctx, sourceCached, { fop: 'rename', args })
      : await sourceCached.rename(ctx, args)
  if (reply.ok) {
    if (sourceHashed !== sourceCached) await removeLinkto(ctx, args.oldloc, sourceHashed)
  } else if (reply.errno !== Errno.ENOTCONN) {
    // Without an answer the data may have the new name, and only this leads to it.
    await removeLinkto(ctx, args.newloc, targetHashed)
  }
  return tidy(reply)
}

/**
 * The linkto file takes the new name. Where it was missing it is made anew: the data has its new name
 * already. Undefined: done without a reply of a rename.
 */
async function moveLinkto(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
): Promise<RenameReply | Failure | undefined> {
  const { sourceCached, targetCached, targetHashed } = places
  const moved = await targetHashed.rename(ctx, args)
  // Old data under the new name must go by this very rename: there is no other way to replace it.
  if (moved.ok || targetCached === targetHashed) return moved
  if (moved.errno !== Errno.ENOENT && moved.errno !== Errno.ESTALE) return moved
  volume.self.env.log.info('a linkto file was not where it should be and is made again', {
    path: args.newloc.path,
    errno: moved.errno,
  })
  const failed = await makeLinkto(volume, ctx, {
    loc: { ...args.newloc, inode: args.oldloc.inode },
    gfid: args.oldloc.gfid,
    on: targetHashed,
    to: sourceCached,
    force: true,
    ...(places.owner === undefined ? {} : { owner: places.owner }),
  })
  return failed === undefined ? undefined : moved
}

async function renameInPlace(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
  locks: HeldLocks,
): Promise<Reply<'rename'>> {
  const { sourceCached, sourceHashed, targetCached, targetHashed } = places
  if (
    sourceHashed === sourceCached &&
    targetHashed === sourceCached &&
    (targetCached === undefined || targetCached === sourceCached)
  )
    return tidy(await locks.finish<'rename'>(ctx, sourceCached, { fop: 'rename', args }))
  // The new name's linkto file is replaced after: a rename that fails must leave what was there.
  const reply = await sourceCached.rename(ctx, args)
  if (!reply.ok) return reply
  const after: Promise<unknown>[] = [
    dropSourceLinkto(ctx, args, places),
    dropTarget(internalCtx(ctx), args, places),
  ]
  if (targetHashed !== sourceCached) {
    const loc = { ...args.newloc, inode: args.oldloc.inode }
    after.push(
      makeLinkto(volume, ctx, {
        loc,
        gfid: args.oldloc.gfid,
        on: targetHashed,
        to: sourceCached,
        force: true,
        owner: { uid: reply.stat.uid, gid: reply.stat.gid },
      }),
    )
  }
  await Promise.all(after)
  return tidy(reply)
}

/** The linkto file of the old name, unless the rename itself has moved it. */
async function dropSourceLinkto(ctx: Ctx, args: RenameArgs, places: Places): Promise<void> {
  const { sourceCached, sourceHashed, targetHashed } = places
  const renamedOn =
    sourceCached === targetHashed || sourceCached === places.targetCached
      ? sourceCached
      : targetHashed
  if (sourceHashed !== sourceCached && sourceHashed !== renamedOn)
    await removeLinkto(ctx, args.oldloc, sourceHashed)
}

/** The data that the target's name had, where no rename has replaced it. */
async function dropTarget(ctx: Ctx, args: RenameArgs, places: Places): Promise<void> {
  const { sourceCached, targetCached, targetHashed } = places
  if (targetCached === undefined || targetCached === targetHashed || targetCached === sourceCached)
    return
  await targetCached.unlink(ctx, { loc: args.newloc, xflags: 0 })
}
