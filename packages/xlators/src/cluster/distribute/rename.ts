/**
 * Rename: of files between names that may hash to other subvolumes than where the data lies, and of
 * directories, which are everywhere. Facts: reference/dht.md §3, §6.
 *
 *   SC, SH  where the source's data lies, where its name hashes; DC, DH the same of the target
 *
 *   data already where the target's name hashes (SC = DH)   rename there
 *   target's data on the same subvolume (SC = DC)           rename there, linkto file on DH
 *   else                                                    the new name is linked on SC, a linkto
 *                                                           file takes its place on DH
 */

import {
  type Ctx,
  Dict,
  EMPTY_IATT,
  Errno,
  failure,
  type Failure,
  type FopArgs,
  type Loc,
  type LookupReply,
  OpenFlag,
  type RenameReply,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { parentLoc } from './directories.ts'
import { isLinkto, makeLinkto, removeLinkto } from './linkto.ts'
import { isFailure, locate } from './locate.ts'
import { acquire, migrateLock, namespaceLocks, namespaceOrder } from './locks.ts'
import { lookupXdata } from './directory-view.ts'
import { lookup } from './lookup.ts'
import {
  asDirectory,
  type Distribution,
  internalCtx,
  mergeDirectoryStats,
  worstFailure,
} from './volume.ts'

interface Places {
  readonly sourceCached: Subvolume
  readonly sourceHashed: Subvolume
  readonly targetCached: Subvolume | undefined
  readonly targetHashed: Subvolume
  /** The source's: linkto files are its too, or a sticky directory would not let them move. */
  readonly owner?: { readonly uid: number; readonly gid: number }
}

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
      if (target.cached === undefined) return failure(Errno.EISDIR)
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
  const locks = await acquire(volume, ctx, [
    ...files.map(({ on, loc }) => migrateLock(on, loc, loc === newloc)),
    ...names.flatMap(({ on, loc, name }) => namespaceLocks(on, loc, name)),
  ])
  if (!locks.ok) return locks
  try {
    const settled = await lookAgain(volume, ctx, args, places)
    if ('ok' in settled) return settled
    // Two names of one file: nothing is to be done, and both stay.
    if ('same' in settled) return unchanged(settled.same)
    return await renameLocked(volume, ctx, args, settled)
  } finally {
    locks.release()
  }
}

/** Under the locks: the source must still be what and where it was; the target may have changed. */
async function lookAgain(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
): Promise<Places | { same: LookupReply } | Failure> {
  const root = internalCtx(ctx)
  const xdata = lookupXdata(volume, undefined)
  const target = newInodeLoc(args.newloc)
  const [source, there] = await Promise.all([
    places.sourceCached.lookup(root, { loc: args.oldloc, xdata }),
    (places.targetCached ?? places.targetHashed).lookup(root, { loc: target, xdata }),
  ])
  if (!source.ok) return source
  if (isLinkto(volume, source.stat, source.xdata)) return failure(Errno.EBUSY)
  if (source.stat.gfid !== args.oldloc.gfid) return failure(Errno.ESTALE)
  const { uid, gid } = source.stat
  const settled: Places = { ...places, owner: { uid, gid } }
  const forbidden = await refusal(ctx, args, places, source, there)
  if (forbidden !== undefined) return forbidden
  if (!there.ok) {
    if (there.errno !== Errno.ENOENT) return there
    return { ...settled, targetCached: undefined }
  }
  if (there.stat.isDirectory) return failure(Errno.EISDIR)
  if (there.stat.gfid === args.oldloc.gfid && (await isSameFile(volume, root, target, args))) {
    return { same: source }
  }
  if (!isLinkto(volume, there.stat, there.xdata)) {
    return { ...settled, targetCached: places.targetCached ?? places.targetHashed }
  }
  return followTarget(volume, root, target, settled)
}

/**
 * True when the new name is another name of the file itself, and not a linkto file that an earlier
 * rename has left behind.
 */
async function isSameFile(
  volume: Distribution,
  ctx: Ctx,
  target: Loc,
  args: RenameArgs,
): Promise<boolean> {
  const reply = await lookup(volume, ctx, {
    loc: { ...target, inode: target.inode.table.create() },
  })
  return reply.ok && reply.stat.gfid === args.oldloc.gfid
}

function unchanged(source: LookupReply): RenameReply {
  return {
    ok: true,
    stat: source.stat,
    preoldparent: EMPTY_IATT.clone(),
    postoldparent: EMPTY_IATT.clone(),
    prenewparent: EMPTY_IATT.clone(),
    postnewparent: EMPTY_IATT.clone(),
  }
}

const WRITE_AND_ENTER = 3
const S_ISVTX = 0o1000

/**
 * A rename takes several steps, some of them by ourselves: whether the caller may make it at all is
 * settled before the first. Bricks judge the rights to both directories; who may take a name out of
 * a sticky one follows from what the lookups have shown.
 */
async function refusal(
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
  source: LookupReply,
  there: Reply<'lookup'>,
): Promise<Failure | undefined> {
  if (ctx.uid === 0 || ctx.pid < 0) return undefined
  const [out, into] = await Promise.all([
    places.sourceHashed.access(ctx, { loc: parentLoc(args.oldloc), mask: WRITE_AND_ENTER }),
    places.targetHashed.access(ctx, { loc: parentLoc(args.newloc), mask: WRITE_AND_ENTER }),
  ])
  if (!out.ok) return out
  if (!into.ok) return into
  if (isGuarded(ctx, source)) return failure(Errno.EPERM)
  return there.ok && isGuarded(ctx, there) ? failure(Errno.EPERM) : undefined
}

/** A name in a sticky directory that is neither the caller's file nor in the caller's directory. */
function isGuarded(ctx: Ctx, found: LookupReply): boolean {
  const { stat, postparent } = found
  return (postparent.mode & S_ISVTX) !== 0 && postparent.uid !== ctx.uid && stat.uid !== ctx.uid
}

/** The target's name leads to a linkto file: its data is wherever a whole lookup finds it. */
async function followTarget(
  volume: Distribution,
  ctx: Ctx,
  target: Loc,
  places: Places,
): Promise<Places | Failure> {
  const reply = await lookup(volume, ctx, { loc: target })
  if (!reply.ok)
    return reply.errno === Errno.ENOENT ? { ...places, targetCached: undefined } : reply
  return { ...places, targetCached: volume.states.get(target.inode)?.cached }
}

/** The target's name with an inode of its own, so that looking it up changes nothing that is known. */
function newInodeLoc(loc: Loc): Loc {
  const inode = loc.inode.table.create()
  return { ...loc, gfid: inode.gfid, inode }
}

async function renameLocked(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
): Promise<Reply<'rename'>> {
  const { sourceCached, sourceHashed, targetCached, targetHashed } = places
  if (sourceCached === targetHashed || sourceCached === targetCached) {
    return renameInPlace(volume, ctx, args, places)
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
): Promise<Reply<'rename'>> {
  const { sourceCached, targetHashed } = places
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

function tidy(reply: RenameReply | Failure): RenameReply | Failure {
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

async function renameDirectory(
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
  const locks = await acquire(
    volume,
    ctx,
    names.flatMap(({ on, loc, name }) => namespaceLocks(on, loc, name)),
  )
  if (!locks.ok) return locks
  try {
    const occupied = newloc.inode.linked ? await isOccupied(volume, ctx, newloc) : undefined
    if (occupied !== undefined) return occupied
    const first = await targetHashed.rename(ctx, args)
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
