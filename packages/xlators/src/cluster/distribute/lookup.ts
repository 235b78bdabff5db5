/**
 * Lookup: finding where a name or a gfid lies.
 *
 *   named   hashed subvolume ─ file ──────────────▶ there
 *                            ├ linkto ────────────▶ the subvolume it names
 *                            ├ directory ─────────▶ all subvolumes, layouts merged, healed if need be
 *                            └ ENOENT ─ layout current? ─ yes ▶ ENOENT
 *                                                       └ no  ▶ everywhere
 *   by gfid          ─▶ all subvolumes
 *   known already    ─▶ where it was; everywhere when it is gone from there
 *
 * A rename over a name may move its data from one subvolume to another while it is looked up, and a
 * linkto file that led to the old data then leads nowhere. So where nothing but such is found the name
 * is looked up again, before it is said not to exist.
 *
 * Facts: `dht_lookup`, xlators/cluster/dht/src/dht-common.c.
 */

import {
  type Ctx,
  EMPTY_IATT,
  Errno,
  failure,
  type Failure,
  type FopArgs,
  type Iatt,
  inodeLoc,
  type Inode,
  type Loc,
  type LookupReply,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { type Answer, lookupXdata, MDS_BYTES, viewDirectory } from './directory-view.ts'
import { healDirectory } from './heal.ts'
import { isLinkto, linktoTarget, makeLinkto, removeStaleLinkto } from './linkto.ts'
import { acquire } from './held-locks.ts'
import { namespaceLocks } from './locks.ts'
import {
  asDirectory,
  type Distribution,
  internalCtx,
  mergeDirectoryStats,
  namelessLoc,
  worstFailure,
} from './volume.ts'

type LookupArgs = FopArgs['lookup']

/** Lookups of a name of which only linkto files are found, before these are believed. */
const LOOKS_MAX = 4

export async function lookup(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
): Promise<Reply<'lookup'>> {
  const request = { loc: args.loc, xdata: lookupXdata(volume, args.xdata) }
  if (volume.single) return lookupSingle(volume, ctx, request)
  if (args.loc.inode.isRoot) request.xdata.setUint(volume.commitHashKey, MDS_BYTES)
  const state = volume.placed(args.loc.inode)
  if (state?.cached !== undefined) return revalidateFile(volume, ctx, request, state.cached)
  if (state?.layout !== undefined) return lookupDirectory(volume, ctx, request, [])
  if (args.loc.name === '') return lookupEverywhere(volume, ctx, request, [])
  return lookupFresh(volume, ctx, request)
}

async function lookupSingle(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
): Promise<Reply<'lookup'>> {
  const child = volume.children[0] as Subvolume
  const reply = await child.lookup(ctx, args)
  if (!reply.ok) return reply
  if (reply.stat.isDirectory) {
    asDirectory(reply.stat)
    volume.remember(args.loc.inode, reply.stat.gfid, { mds: child })
  } else {
    volume.remember(args.loc.inode, reply.stat.gfid, { cached: child })
  }
  return visible(volume, reply)
}

async function lookupFresh(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
): Promise<Reply<'lookup'>> {
  const { loc } = args
  let hashed = volume.hashedChild(loc.parent, loc.name)
  if (hashed === undefined && loc.parent !== undefined) {
    await refreshLayout(volume, ctx, loc.parent)
    hashed = volume.hashedChild(loc.parent, loc.name)
  }
  if (hashed === undefined) return lookupEverywhere(volume, ctx, args, [])
  const reply = await hashed.lookup(ctx, args)
  const answer: Answer = { child: hashed, reply }
  if (!reply.ok) {
    if (reply.errno === Errno.ENOTCONN || reply.errno === Errno.ENODATA) {
      return lookupEverywhere(volume, ctx, args, [answer])
    }
    if (reply.errno !== Errno.ENOENT || !mayLieElsewhere(volume, loc)) return reply
    return lookupEverywhere(volume, ctx, args, [answer])
  }
  if (reply.stat.isDirectory) return lookupDirectory(volume, ctx, args, [answer])
  if (!isLinkto(volume, reply.stat, reply.xdata)) return found(volume, loc, hashed, reply)
  return followLinkto(volume, ctx, args, answer as Answer & { reply: LookupReply })
}

/** False when the parent's layout is current, so that every name lies where it hashes. */
function mayLieElsewhere(volume: Distribution, loc: Loc): boolean {
  const options = volume.self.options
  if (options['lookup-optimize']) {
    const layout = loc.parent === undefined ? undefined : volume.states.get(loc.parent)?.layout
    return layout === undefined || layout.commitHash !== volume.volumeCommitHash
  }
  return options['lookup-unhashed'] !== 'off' && options['lookup-unhashed'] !== 'no'
}

async function followLinkto(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
  link: Answer & { reply: LookupReply },
): Promise<Reply<'lookup'>> {
  const target = linktoTarget(volume, link.reply.xdata)
  if (target === undefined || target === link.child)
    return lookupEverywhere(volume, ctx, args, [link])
  const reply = await target.lookup(ctx, args)
  if (
    reply.ok &&
    !reply.stat.isDirectory &&
    !isLinkto(volume, reply.stat, reply.xdata) &&
    reply.stat.gfid === link.reply.stat.gfid
  ) {
    return found(volume, args.loc, target, reply)
  }
  if (!reply.ok && reply.errno === Errno.ENOTCONN) return reply
  return lookupEverywhere(volume, ctx, args, [link, { child: target, reply }])
}

/** A file that lies where it was known to lie, or wherever it has gone since. */
async function revalidateFile(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
  cached: Subvolume,
): Promise<Reply<'lookup'>> {
  const reply = await cached.lookup(ctx, args)
  if (reply.ok && !reply.stat.isDirectory && !isLinkto(volume, reply.stat, reply.xdata)) {
    return found(volume, args.loc, cached, reply)
  }
  if (!reply.ok && reply.errno !== Errno.ENOENT) return reply
  volume.states.set(args.loc.inode, undefined)
  if (args.loc.name === '') return lookupEverywhere(volume, ctx, args, [{ child: cached, reply }])
  return lookupFresh(volume, ctx, args)
}

function found(volume: Distribution, loc: Loc, child: Subvolume, reply: LookupReply): LookupReply {
  volume.remember(loc.inode, reply.stat.gfid, { cached: child })
  if (volume.single) {
    asDirectory(reply.postparent)
    return visible(volume, reply)
  }
  // Another subvolume may have changed the parent later: this one's times say nothing.
  return visible(volume, { ...reply, postparent: EMPTY_IATT })
}

/** The reply without the xattrs that are distribute's own business. */
function visible(volume: Distribution, reply: LookupReply): LookupReply {
  reply.xdata?.delete(volume.layoutKey)
  reply.xdata?.delete(volume.linktoKey)
  reply.xdata?.delete(volume.commitHashKey)
  reply.xdata?.delete(volume.mdsKey)
  reply.xdata?.delete('glusterfs.open-fd-count')
  return reply
}

/** Asks every subvolume that has not answered yet. */
async function askOthers(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
  known: readonly Answer[],
): Promise<Answer[]> {
  const asked = new Set(known.map(answer => answer.child))
  const others = await Promise.all(
    volume.children
      .filter(child => !asked.has(child))
      .map(async child => ({ child, reply: await child.lookup(ctx, args) })),
  )
  return [...known, ...others].sort((one, other) => one.child.index - other.child.index)
}

async function lookupEverywhere(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
  known: readonly Answer[],
  looks = 1,
): Promise<Reply<'lookup'>> {
  const answers = await askOthers(volume, ctx, args, known)
  const files: { child: Subvolume; reply: LookupReply }[] = []
  const links: { child: Subvolume; reply: LookupReply }[] = []
  const failures: Failure[] = []
  let directories = 0
  for (const { child, reply } of answers) {
    if (!reply.ok) failures.push(reply)
    else if (reply.stat.isDirectory) directories += 1
    else if (isLinkto(volume, reply.stat, reply.xdata)) links.push({ child, reply })
    else files.push({ child, reply })
  }
  if (directories > 0 && files.length > 0) {
    volume.self.env.log.error('a name is a directory on one subvolume and a file on another', {
      path: args.loc.path,
    })
    return failure(Errno.EIO)
  }
  if (directories > 0) return mergeDirectory(volume, ctx, args, answers)
  const file = files[0]
  if (file === undefined) {
    const moving = links.length > 0 && failures.every(each => each.errno === Errno.ENOENT)
    if (moving && looks < LOOKS_MAX) return lookupEverywhere(volume, ctx, args, [], looks + 1)
    await dropStaleLinks(volume, ctx, args.loc, links)
    return worstFailure(failures.length > 0 ? failures : [failure(Errno.ENOENT)])
  }
  await repairLinkto(volume, ctx, args.loc, file, links)
  return found(volume, args.loc, file.child, file.reply)
}

/**
 * Linkto files that point at nothing and that nobody holds open are in the way of the name. One that
 * somebody is just making, ahead of its data, looks the same: only under the name's lock can they be
 * told apart. While that is held by another, they stay.
 */
async function dropStaleLinks(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  links: readonly { child: Subvolume; reply: LookupReply }[],
): Promise<void> {
  const hashed = volume.hashedChild(loc.parent, loc.name)
  const unused = links.filter(
    ({ reply }) => (reply.xdata?.getNumber('glusterfs.open-fd-count') ?? 0) === 0,
  )
  if (loc.name === '' || loc.parent === undefined || hashed === undefined) return
  if (unused.length === 0 || volume.childUp[hashed.index] !== true) return
  const name = namespaceLocks(hashed, inodeLoc(loc.parent), loc.name)
  const locks = await acquire(volume, ctx, name, { wait: false })
  if (!locks.ok) return
  try {
    await Promise.all(
      unused.map(async ({ child }) => {
        const stale = child !== hashed || !(await leadsSomewhere(volume, ctx, loc, child))
        if (stale) await removeStaleLinkto(ctx, loc, child)
      }),
    )
  } finally {
    locks.release()
  }
}

/** True also when it cannot be told. */
async function leadsSomewhere(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  child: Subvolume,
): Promise<boolean> {
  const args = { loc, xdata: lookupXdata(volume, undefined) }
  const link = await child.lookup(internalCtx(ctx), args)
  if (!link.ok || !isLinkto(volume, link.stat, link.xdata)) return true
  const target = linktoTarget(volume, link.xdata)
  if (target === undefined || target === child) return false
  const there = await target.lookup(internalCtx(ctx), args)
  if (!there.ok) return there.errno !== Errno.ENOENT && there.errno !== Errno.ESTALE
  return !isLinkto(volume, there.stat, there.xdata) && there.stat.gfid === link.stat.gfid
}

/** The file lies away from where its name hashes: leave a linkto file there, and nowhere else. */
async function repairLinkto(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  file: { child: Subvolume; reply: LookupReply },
  links: readonly { child: Subvolume; reply: LookupReply }[],
): Promise<void> {
  const hashed = volume.hashedChild(loc.parent, loc.name)
  if (loc.name === '' || loc.parent === undefined || hashed === undefined) return
  const valid = links.find(
    ({ child, reply }) =>
      child === hashed &&
      linktoTarget(volume, reply.xdata) === file.child &&
      reply.stat.gfid === file.reply.stat.gfid,
  )
  await dropStaleLinks(
    volume,
    ctx,
    loc,
    links.filter(link => link !== valid),
  )
  if (hashed === file.child || valid !== undefined || volume.childUp[hashed.index] !== true) return
  const name = namespaceLocks(hashed, inodeLoc(loc.parent), loc.name)
  const locks = await acquire(volume, ctx, name, { wait: false })
  if (!locks.ok) return
  try {
    const args = { loc, xdata: lookupXdata(volume, undefined) }
    const [there, still] = await Promise.all([
      hashed.lookup(internalCtx(ctx), args),
      file.child.lookup(internalCtx(ctx), args),
    ])
    if (there.ok || there.errno !== Errno.ENOENT) return
    if (!still.ok || still.stat.gfid !== file.reply.stat.gfid) return
    await makeLinkto(volume, ctx, {
      loc,
      gfid: file.reply.stat.gfid,
      on: hashed,
      to: file.child,
      owner: { uid: file.reply.stat.uid, gid: file.reply.stat.gid },
    })
  } finally {
    locks.release()
  }
}

async function lookupDirectory(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
  known: readonly Answer[],
): Promise<Reply<'lookup'>> {
  return mergeDirectory(volume, ctx, args, await askOthers(volume, ctx, args, known))
}

async function mergeDirectory(
  volume: Distribution,
  ctx: Ctx,
  args: LookupArgs,
  answers: readonly Answer[],
): Promise<Reply<'lookup'>> {
  const replies = answers.map(answer => answer.reply)
  const present = replies.filter(
    (reply): reply is LookupReply => reply.ok && reply.stat.isDirectory,
  )
  const first = present[0]
  if (first === undefined) {
    volume.states.set(args.loc.inode, undefined)
    if (replies.some(reply => reply.ok)) return lookupEverywhere(volume, ctx, args, answers)
    return worstFailure(replies.filter((reply): reply is Failure => !reply.ok))
  }
  if (present.some(reply => reply.stat.gfid !== first.stat.gfid)) {
    volume.self.env.log.error('a directory has different gfids on its subvolumes', {
      path: args.loc.path,
    })
    return failure(Errno.EIO)
  }
  let view = viewDirectory(volume, answers, first.stat.gfid)
  if (args.loc.inode.isRoot) learnCommitHash(volume, present)
  volume.remember(args.loc.inode, first.stat.gfid, { layout: view.layout, mds: view.mds })
  view = await healDirectory(volume, ctx, args.loc, view)
  volume.remember(args.loc.inode, view.gfid, { layout: view.layout, mds: view.mds })

  const stats = view.stats.filter((stat): stat is Iatt => stat !== undefined)
  const leading = view.mds === undefined ? undefined : view.stats[view.mds.index]
  const source = (view.mds === undefined ? undefined : answerOf(answers, view.mds)) ?? first
  return visible(volume, {
    ok: true,
    stat: mergeDirectoryStats(stats, leading),
    postparent: asDirectory(mergeDirectoryStats(present.map(reply => reply.postparent))),
    xdata: source.xdata,
  })
}

function answerOf(answers: readonly Answer[], child: Subvolume): LookupReply | undefined {
  const reply = answers.find(answer => answer.child === child)?.reply
  return reply?.ok === true ? reply : undefined
}

function learnCommitHash(volume: Distribution, replies: readonly LookupReply[]): void {
  for (const reply of replies) {
    const hash = reply.xdata?.getNumber(volume.commitHashKey)
    if (hash !== undefined) volume.volumeCommitHash = hash
  }
}

/** Reads a directory's layout anew from all subvolumes. */
export async function refreshLayout(
  volume: Distribution,
  ctx: Ctx,
  directory: Inode,
): Promise<Failure | undefined> {
  const loc = namelessLoc(inodeLoc(directory), directory.gfid)
  const args = { loc, xdata: lookupXdata(volume, undefined) }
  if (directory.isRoot) args.xdata.setUint(volume.commitHashKey, MDS_BYTES)
  const reply = await lookupDirectory(volume, internalCtx(ctx), args, [])
  return reply.ok ? undefined : reply
}
