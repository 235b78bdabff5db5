/**
 * Directories: made, removed and changed on every subvolume, the hashed one first when making and
 * last when removing, so that a directory that is half there can always be healed or removed again.
 * Facts: xlators/cluster/dht/src/dht-common.c, dht-selfheal.c.
 */

import {
  type ChangeReply,
  type Ctx,
  Dict,
  Errno,
  type EntryReply,
  failure,
  type Failure,
  type FopArgs,
  type FopName,
  type Gfid,
  inodeLoc,
  jointNamesLease,
  type Loc,
  NAMES_LEASE,
  type ParentReply,
  type Reply,
  type StatReply,
  type Subvolume,
} from '@ashlar/core'
import { newLayout, writeLayout } from './heal.ts'
import { COMMIT_HASH_INVALID, type Layout, NO_LAYOUT, printRange, type Range } from './layout.ts'
import { isFailure, locate } from './locate.ts'
import { acquire, type HeldLocks, type Work } from './held-locks.ts'
import { namespaceLocks } from './locks.ts'
import { lookup, refreshLayout } from './lookup.ts'
import {
  asDirectory,
  type Distribution,
  internalCtx,
  mergeDirectoryStats,
  namelessLoc,
  worstFailure,
} from './volume.ts'

const PREOP_KEY = 'glusterfs.preop.parent.key'
const PREOP_FAILED = 'glusterfs.preop.check.failed'
/** How often an operation is tried again after its parent's layout changed under it. */
const LAYOUT_RETRIES_MAX = 2

/**
 * Asks the brick to make an entry only if the parent's range there is still the one we know: then
 * the name still hashes there.
 */
export function withParentCheck(
  volume: Distribution,
  xdata: Dict | undefined,
  loc: Loc,
  child: Subvolume,
): Dict {
  const dict = xdata?.clone() ?? new Dict()
  const range =
    loc.parent === undefined
      ? undefined
      : volume.states.get(loc.parent)?.layout?.ranges[child.index]
  if (range === undefined || range.state !== 0) return dict
  return dict.setString(PREOP_KEY, volume.layoutKey).setBytes(volume.layoutKey, printRange(range))
}

/** Runs an operation on the subvolume a name hashes to, again if the parent's layout has changed. */
export async function onHashed<R extends { ok: true; xdata?: Dict | undefined }>(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  operation: (hashed: Subvolume) => Promise<R | Failure>,
): Promise<R | Failure> {
  for (let attempt = 0; ; attempt++) {
    let hashed = volume.hashedChild(loc.parent, loc.name)
    if (hashed === undefined && loc.parent !== undefined) {
      const failed = await refreshLayout(volume, ctx, loc.parent)
      if (failed !== undefined) return failed
      hashed = volume.hashedChild(loc.parent, loc.name)
    }
    if (hashed === undefined) return volume.unplaced()
    const reply = await operation(hashed)
    if (reply.ok || reply.errno !== Errno.EIO || reply.xdata?.has(PREOP_FAILED) !== true)
      return reply
    if (attempt === LAYOUT_RETRIES_MAX || loc.parent === undefined) return reply
    await refreshLayout(volume, ctx, loc.parent)
  }
}

export function parentLoc(loc: Loc): Loc {
  return inodeLoc(loc.parent as NonNullable<Loc['parent']>)
}

export async function mkdir(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['mkdir'],
): Promise<Reply<'mkdir'>> {
  if (volume.single) return mkdirSingle(volume, ctx, args)
  volume.space.refreshSoon()
  return onHashed<EntryReply>(volume, ctx, args.loc, async hashed => {
    const gfid = args.xdata?.getGfid('gfid-req')
    if (gfid === undefined) return failure(Errno.EINVAL)
    const layout = layoutFor(volume, args.loc, gfid)
    const making = mkdirHashed(volume, args, hashed)
    // It is known by its gfid as soon as it is made.
    const ranging = volume.compounds[hashed.index]
      ? rangeHashed(volume, ctx, args.loc, { gfid, hashed, layout })
      : undefined
    const requests = namespaceLocks(hashed, parentLoc(args.loc), args.loc.name)
    const work = ranging === undefined ? [making] : [making, ranging]
    const locks = await acquire(volume, ctx, requests, { work })
    if (!locks.ok) return locks
    try {
      const first = locks.reply(making, 'mkdir') ?? failure(Errno.ENOTCONN)
      if (!first.ok) return first
      const ranged = locks.reply(ranging, 'setxattr')?.ok === true
      return await mkdirElsewhere(volume, ctx, args, { hashed, layout, first, ranged })
    } finally {
      locks.release()
    }
  })
}

async function mkdirSingle(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['mkdir'],
): Promise<Reply<'mkdir'>> {
  const child = volume.children[0] as Subvolume
  const layout = layoutFor(volume, args.loc, '')
  const xdata = args.xdata?.clone() ?? new Dict()
  if (layout !== undefined) xdata.setBytes(volume.layoutKey, printRange(layout.ranges[0] as Range))
  const reply = await child.mkdir(ctx, { ...args, xdata })
  if (!reply.ok) return reply
  volume.remember(args.loc.inode, reply.stat.gfid, { mds: child, layout })
  return tidy(reply)
}

function layoutFor(volume: Distribution, loc: Loc, gfid: string): Layout | undefined {
  return newLayout(volume, loc, {
    gfid,
    present: volume.children.map(() => true),
    commitHash: volume.self.options['lookup-optimize']
      ? volume.volumeCommitHash
      : COMMIT_HASH_INVALID,
  })
}

/** The hashed subvolume decides whether the directory comes to be. */
function mkdirHashed(volume: Distribution, args: FopArgs['mkdir'], hashed: Subvolume): Work {
  const xdata = withParentCheck(volume, args.xdata, args.loc, hashed).setBytes(
    volume.mdsKey,
    Buffer.alloc(4),
  )
  return { on: hashed, step: { fop: 'mkdir', args: { ...args, xdata } } }
}

/** The range of the hashed subvolume, on the directory that was just made there. */
function rangeHashed(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  { gfid, hashed, layout }: { gfid: Gfid; hashed: Subvolume; layout: Layout | undefined },
): Work | undefined {
  const range = layout?.ranges[hashed.index]
  if (range === undefined || range.state === NO_LAYOUT) return undefined
  const dict = new Dict().setBytes(volume.layoutKey, printRange(range))
  const xdata = new Dict().setString('glusterfs-internal-fop', 'yes')
  const args = { loc: namelessLoc(loc, gfid), dict, flags: 0, xdata }
  return { on: hashed, step: { fop: 'setxattr', args, ctx: internalCtx(ctx) } }
}

/** The other subvolumes get it, each with its range, and the hashed one its own. */
async function mkdirElsewhere(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['mkdir'],
  done: { hashed: Subvolume; layout: Layout | undefined; first: EntryReply; ranged: boolean },
): Promise<Reply<'mkdir'>> {
  const { loc } = args
  const { hashed, layout, first, ranged } = done
  const target = namelessLoc(loc, first.stat.gfid)
  const [others] = await Promise.all([
    Promise.all(
      volume.children
        .filter(child => child !== hashed)
        .map(child => {
          const request = args.xdata?.clone() ?? new Dict()
          if (layout !== undefined)
            request.setBytes(volume.layoutKey, printRange(layout.ranges[child.index] as Range))
          return child.mkdir(ctx, { ...args, xdata: request })
        }),
    ),
    layout === undefined || ranged
      ? true
      : writeLayout(volume, internalCtx(ctx), target, layout, [hashed]),
  ])
  const made = [first, ...others.filter((reply): reply is EntryReply => reply.ok)]
  // What could not be made is made by the next lookup, which sees the directory missing there.
  const whole = made.length === volume.children.length
  volume.remember(loc.inode, first.stat.gfid, whole ? { layout, mds: hashed } : {})
  if (!whole) volume.states.set(loc.inode, undefined)
  return tidy({
    ...first,
    stat: mergeDirectoryStats(
      made.map(reply => reply.stat),
      first.stat,
    ),
    postparent: mergeDirectoryStats(made.map(reply => reply.postparent)),
    preparent: mergeDirectoryStats(made.map(reply => reply.preparent)),
  })
}

function tidy(reply: EntryReply): EntryReply {
  asDirectory(reply.stat)
  asDirectory(reply.preparent)
  asDirectory(reply.postparent)
  return reply
}

export async function rmdir(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['rmdir'],
): Promise<Reply<'rmdir'>> {
  if (volume.single) return (volume.children[0] as Subvolume).rmdir(ctx, args)
  const hashed = volume.hashedChild(args.loc.parent, args.loc.name)
  if (volume.upChildren().length < volume.children.length) return failure(Errno.ENOTCONN)
  const locks =
    hashed === undefined
      ? undefined
      : await acquire(volume, ctx, namespaceLocks(hashed, parentLoc(args.loc), args.loc.name))
  if (locks?.ok === false) return locks
  let reply: Reply<'rmdir'>
  try {
    reply = await rmdirLocked(volume, ctx, args, { hashed, locks })
  } finally {
    locks?.release()
  }
  // Removed from some and not from others: a lookup makes the missing copies again at once, before
  // anybody misses them.
  if (!reply.ok && reply.errno !== Errno.ENOENT && volume.states.get(args.loc.inode) === undefined)
    await lookup(volume, internalCtx(ctx), { loc: args.loc })
  return reply
}

async function rmdirLocked(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['rmdir'],
  { hashed, locks }: { hashed: Subvolume | undefined; locks: HeldLocks | undefined },
): Promise<Reply<'rmdir'>> {
  if (hashed === undefined || locks === undefined)
    return removeFrom(volume, ctx, args, volume.children)
  const others = volume.children.filter(child => child !== hashed)
  const rest = await removeFrom(volume, ctx, args, others)
  if (!rest.ok && rest.errno !== Errno.ENOENT) return rest
  const last = await locks.finish<'rmdir'>(ctx, hashed, { fop: 'rmdir', args })
  if (!last.ok) {
    if (rest.ok && last.errno !== Errno.ENOENT) volume.states.set(args.loc.inode, undefined)
    return last
  }
  return rest.ok ? mergeParents([rest, last]) : last
}

/** Removes an empty directory from some subvolumes; where it is gone already is no failure. */
async function removeFrom(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['rmdir'],
  from: readonly Subvolume[],
): Promise<Reply<'rmdir'>> {
  const replies = await Promise.all(from.map(child => child.rmdir(ctx, args)))
  const removed = replies.filter((reply): reply is ParentReply => reply.ok)
  const failures = replies.filter((reply): reply is Failure => !reply.ok)
  const serious = failures.filter(
    reply => reply.errno !== Errno.ENOENT && reply.errno !== Errno.ESTALE,
  )
  if (serious.length === 0 && removed.length > 0) return mergeParents(removed)
  // Half removed.
  if (removed.length > 0) volume.states.set(args.loc.inode, undefined)
  return worstFailure(serious.length > 0 ? serious : failures)
}

function mergeParents(replies: readonly ParentReply[]): ParentReply {
  return {
    ok: true,
    preparent: mergeDirectoryStats(replies.map(reply => reply.preparent)),
    postparent: mergeDirectoryStats(replies.map(reply => reply.postparent)),
    xdata: replies[0]?.xdata,
  }
}

/** stat of a directory: all copies together. */
export async function statDirectory(
  volume: Distribution,
  call: (child: Subvolume) => Promise<Reply<'stat'>>,
  mds: Subvolume | undefined,
): Promise<Reply<'stat'>> {
  const children = volume.upChildren()
  const replies = await Promise.all(children.map(child => call(child)))
  const stats = replies.filter((reply): reply is StatReply => reply.ok)
  const first = stats[0]
  if (first === undefined)
    return worstFailure(replies.filter((reply): reply is Failure => !reply.ok))
  const leading = mds === undefined ? undefined : replies[children.indexOf(mds)]
  return {
    ok: true,
    stat: mergeDirectoryStats(
      stats.map(reply => reply.stat),
      leading?.ok === true ? leading.stat : undefined,
    ),
    xdata: first.xdata,
  }
}

/** A change of attributes: first where they count, then on the other copies. */
export async function changeDirectory(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  call: (child: Subvolume) => Promise<Reply<'setattr'>>,
): Promise<Reply<'setattr'>> {
  const state = await locate(volume, ctx, loc.inode)
  if (isFailure(state)) return state
  const leader = state.mds ?? volume.firstUp()
  if (leader === undefined || volume.childUp[leader.index] !== true) return failure(Errno.ENOTCONN)
  const first = await call(leader)
  if (!first.ok) return first
  const others = await Promise.all(
    volume
      .upChildren()
      .filter(child => child !== leader)
      .map(child => call(child)),
  )
  const changed = [first, ...others.filter((reply): reply is ChangeReply => reply.ok)]
  return {
    ok: true,
    prestat: mergeDirectoryStats(
      changed.map(reply => reply.prestat),
      first.prestat,
    ),
    poststat: mergeDirectoryStats(
      changed.map(reply => reply.poststat),
      first.poststat,
    ),
    xdata: first.xdata,
  }
}

/** Opens all copies. Their lease on its names is one only if all of them grant it. */
export async function opendir(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['opendir'],
): Promise<Reply<'opendir'>> {
  const replies: Reply<'opendir'>[] = await Promise.all(
    volume.upChildren().map(child => child.opendir(ctx, args)),
  )
  const good = replies.find(reply => reply.ok)
  if (good === undefined)
    return worstFailure(replies.filter((reply): reply is Failure => !reply.ok))
  if (args.xdata?.has(NAMES_LEASE) !== true) return good
  const lease = replies.length === volume.children.length ? jointNamesLease(replies) : undefined
  return lease === undefined
    ? { ok: true }
    : { ok: true, xdata: new Dict().setString(NAMES_LEASE, lease) }
}

/** Runs a fop on every subvolume that is up; succeeds when one does (fsyncdir, ipc). */
export async function onAnyCopy<F extends FopName>(
  volume: Distribution,
  call: (child: Subvolume) => Promise<Reply<F>>,
): Promise<Reply<F>> {
  const replies: Reply<F>[] = await Promise.all(volume.upChildren().map(child => call(child)))
  const good = replies.find(reply => reply.ok)
  return good ?? worstFailure(replies.filter((reply): reply is Reply<F> & Failure => !reply.ok))
}
