/**
 * Healing of directories: a directory exists on every subvolume, with the same attributes, and its
 * ranges cover the ring. Lookup calls `healDirectory` with what it saw; nothing is touched while a
 * subvolume is down. Facts: xlators/cluster/dht/src/dht-selfheal.c.
 */

import { type Ctx, Dict, Errno, type Iatt, type Loc, SetAttr, type Subvolume } from '@ashlar/core'
import { type DirectoryView, lookupXdata, MDS_BYTES, viewDirectory } from './directory-view.ts'
import {
  COMMIT_HASH_INVALID,
  Layout,
  NO_LAYOUT,
  planLayout,
  printRange,
  type Range,
} from './layout.ts'
import { acquire } from './held-locks.ts'
import { allInPlace, wantsAudit } from './layout-audit.ts'
import { layoutWriteLocks, namespaceLocks } from './locks.ts'
import { type Distribution, internalCtx, namelessLoc } from './volume.ts'

const PERMISSION_BITS = 0o7777

/** What the directory is like afterwards: as seen, when nothing was or could be done. */
export async function healDirectory(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  view: DirectoryView,
): Promise<DirectoryView> {
  const anomalies = view.layout.anomalies()
  if (anomalies.down > 0 || anomalies.misc > 0) return view
  const uneven = attributesDiffer(view)
  const broken = anomalies.holes > 0 || anomalies.overlaps > 0
  const audited = !broken && wantsAudit(volume, loc.inode, view.layout)
  const unmarked = view.mds === undefined && loc.name !== '' && !loc.inode.isRoot
  if (!broken && !uneven && anomalies.missing === 0 && !audited && !unmarked) return view
  const root = internalCtx(ctx)
  let healed = view
  if (anomalies.missing > 0) healed = await makeMissing(volume, root, loc, healed)
  if (uneven) await evenOut(volume, root, loc, healed)
  const after = healed.layout.anomalies()
  if (audited || after.holes > 0 || after.overlaps > 0) {
    healed = await healLayout(volume, root, loc, healed)
  }
  return unmarked && healed.mds === undefined ? markMetadata(volume, root, loc, healed) : healed
}

/**
 * A directory of a time when the volume had one subvolume has no mark of whose attributes count: from
 * now on those of the subvolume that its name belongs to.
 */
async function markMetadata(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  view: DirectoryView,
): Promise<DirectoryView> {
  const hashed = volume.hashedChild(loc.parent, loc.name)
  if (hashed === undefined || view.stats[hashed.index] === undefined) return view
  const dict = new Dict().setBytes(volume.mdsKey, Buffer.alloc(MDS_BYTES))
  const target = namelessLoc(loc, view.gfid)
  const reply = await hashed.setxattr(ctx, { loc: target, dict, flags: 0 })
  return reply.ok ? { ...view, mds: hashed } : view
}

function attributesDiffer(view: DirectoryView): boolean {
  const stats = view.stats.filter((stat): stat is Iatt => stat !== undefined)
  const first = stats[0]
  return (
    first !== undefined &&
    stats.some(stat => stat.uid !== first.uid || stat.gid !== first.gid || stat.mode !== first.mode)
  )
}

/** The copy whose attributes count: the metadata subvolume's, else the one changed last. */
function leadingStat(view: DirectoryView): Iatt {
  const marked = view.mds === undefined ? undefined : view.stats[view.mds.index]
  if (marked !== undefined) return marked
  const stats = view.stats.filter((stat): stat is Iatt => stat !== undefined)
  return stats.reduce((newest, stat) =>
    stat.ctime > newest.ctime || (stat.ctime === newest.ctime && stat.ctimeNsec > newest.ctimeNsec)
      ? stat
      : newest,
  )
}

async function evenOut(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  view: DirectoryView,
): Promise<void> {
  const leading = leadingStat(view)
  const target = namelessLoc(loc, view.gfid)
  await Promise.all(
    view.stats.map(async (stat, index) => {
      if (stat === undefined || stat === leading) return
      if (stat.uid === leading.uid && stat.gid === leading.gid && stat.mode === leading.mode) return
      const child = volume.children[index] as Subvolume
      const reply = await child.setattr(ctx, {
        loc: target,
        stat: leading,
        valid: SetAttr.UID | SetAttr.GID | SetAttr.MODE,
      })
      if (!reply.ok) return
      stat.uid = leading.uid
      stat.gid = leading.gid
      stat.mode = leading.mode
    }),
  )
}

async function makeMissing(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  view: DirectoryView,
): Promise<DirectoryView> {
  const parent = loc.parent
  if (loc.name === '' || parent === undefined) return view
  const hashed = volume.hashedChild(parent, loc.name)
  if (hashed === undefined) return view
  const parentLoc = { ...loc, gfid: parent.gfid, inode: parent, name: '', parent: undefined }
  const locks = await acquire(volume, ctx, namespaceLocks(hashed, parentLoc, loc.name))
  if (!locks.ok) return view
  try {
    const fresh = await lookAgain(volume, ctx, loc, view)
    if (fresh === undefined) return view
    const leading = leadingStat(fresh)
    await Promise.all(
      volume.children.map(async (child, index) => {
        if ((fresh.layout.ranges[index] as Range).state !== Errno.ENOENT) return
        const xdata = new Dict().setGfid('gfid-req', fresh.gfid).setInt('glusterfs.internal-ctx', 1)
        const reply = await child.mkdir(
          { ...ctx, uid: leading.uid, gid: leading.gid },
          {
            loc: { ...loc, gfid: fresh.gfid },
            mode: leading.mode & PERMISSION_BITS,
            umask: 0,
            xdata,
          },
        )
        if (!reply.ok && reply.errno !== Errno.EEXIST) {
          volume.self.env.log.warning('a missing directory could not be made', {
            path: loc.path,
            subvolume: child.name,
            errno: reply.errno,
          })
        }
      }),
    )
    const healed = (await lookAgain(volume, ctx, loc, view)) ?? view
    if (attributesDiffer(healed)) await evenOut(volume, ctx, loc, healed)
    return healed
  } finally {
    locks.release()
  }
}

/** The directory as it is now; undefined when it is gone or a subvolume does not answer. */
async function lookAgain(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  view: DirectoryView,
): Promise<DirectoryView | undefined> {
  const args = {
    loc: loc.name === '' ? namelessLoc(loc, view.gfid) : loc,
    xdata: lookupXdata(volume, undefined),
  }
  const answers = await Promise.all(
    volume.children.map(async child => ({ child, reply: await child.lookup(ctx, args) })),
  )
  for (const { reply } of answers) {
    if (
      reply.ok
        ? reply.stat.gfid !== view.gfid
        : reply.errno !== Errno.ENOENT && reply.errno !== Errno.ESTALE
    )
      return undefined
  }
  if (!answers.some(({ reply }) => reply.ok)) return undefined
  return viewDirectory(volume, answers, view.gfid)
}

async function healLayout(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  view: DirectoryView,
): Promise<DirectoryView> {
  await volume.space.refresh()
  const target = namelessLoc(loc, view.gfid)
  const locks = await acquire(volume, ctx, layoutWriteLocks(volume.children, target))
  if (!locks.ok) return view
  try {
    const fresh = await lookAgain(volume, ctx, loc, view)
    if (fresh === undefined) return view
    const anomalies = fresh.layout.anomalies()
    const whole = anomalies.holes === 0 && anomalies.overlaps === 0
    const audit = wantsAudit(volume, loc.inode, fresh.layout)
    if (whole && !audit) return fresh
    let layout = whole
      ? fresh.layout
      : newLayout(volume, loc, {
          gfid: view.gfid,
          present: fresh.stats.map(stat => stat !== undefined),
          commitHash: COMMIT_HASH_INVALID,
        })
    if (layout === undefined) return fresh
    if (audit) {
      volume.rootAudited = true
      if (await allInPlace(volume, ctx, target, layout))
        layout = layout.withCommitHash(volume.volumeCommitHash)
      else if (whole) return fresh
    }
    const written = await writeLayout(volume, ctx, target, layout)
    return written ? { ...fresh, layout } : fresh
  } finally {
    locks.release()
  }
}

/** A layout for a directory over the subvolumes that may take files; undefined when there is none. */
export function newLayout(
  volume: Distribution,
  loc: Loc,
  directory: { gfid: string; present: readonly boolean[]; commitHash: number },
): Layout | undefined {
  const { options } = volume.self
  let usable = volume.children.map(
    (child, i) =>
      directory.present[i] === true &&
      !volume.decommissioned.has(child.name) &&
      !volume.space.isFilled(child),
  )
  if (!usable.includes(true))
    usable = volume.children.map(
      (child, i) => directory.present[i] === true && !volume.decommissioned.has(child.name),
    )
  if (!usable.includes(true)) return undefined
  const weights = volume.space.weights()
  return planLayout({
    names: volume.children.map(child => child.name),
    usable,
    weights: options['weighted-rebalance'] ? weights : weights.map(() => 1),
    startHash: volume.names.hash(
      options['randomize-hash-range-by-gfid'] ? directory.gfid : loc.path,
    ),
    spread: options['directory-layout-spread'] ?? volume.children.length,
    commitHash: directory.commitHash,
  })
}

/** Writes each subvolume's range to its copy; true when all have it. */
export async function writeLayout(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  layout: Layout,
  on: readonly Subvolume[] = volume.children,
): Promise<boolean> {
  const xdata = new Dict().setString('glusterfs-internal-fop', 'yes')
  const replies = await Promise.all(
    on
      .filter(child => (layout.ranges[child.index] as Range).state !== NO_LAYOUT)
      .map(child =>
        child.setxattr(ctx, {
          loc,
          dict: new Dict().setBytes(
            volume.layoutKey,
            printRange(layout.ranges[child.index] as Range),
          ),
          flags: 0,
          xdata,
        }),
      ),
  )
  return replies.every(reply => reply.ok)
}
