/**
 * Linkto files: an empty file of mode 01000 on the subvolume a name hashes to, whose xattr names the
 * subvolume where the data lies. Facts: xlators/cluster/dht/src/dht-linkfile.c.
 */

import {
  type Ctx,
  Dict,
  type Failure,
  type Gfid,
  type Iatt,
  type Loc,
  EMPTY_IATT,
  Errno,
  S_IFREG,
  SetAttr,
  type Subvolume,
} from '@ashlar/core'
import { type Distribution, internalCtx, namelessLoc } from './volume.ts'

const LINKTO_MODE = 0o1000
/** Room for a subvolume's name in the answer to a lookup. */
export const LINKTO_BYTES_MAX = 256
const PERMISSION_BITS = 0o7777

/** True for the attributes of a linkto file, when `xdata` carries its xattr. */
export function isLinkto(volume: Distribution, stat: Iatt, xdata: Dict | undefined): boolean {
  return hasLinktoMode(stat) && xdata?.has(volume.linktoKey) === true
}

/** Mode of a linkto file; an ordinary file has it only when somebody set just the sticky bit. */
export function hasLinktoMode(stat: Iatt): boolean {
  return stat.isRegular && (stat.mode & PERMISSION_BITS) === LINKTO_MODE
}

/** The subvolume that a linkto file points to; undefined when it names none of ours. */
export function linktoTarget(volume: Distribution, xdata: Dict | undefined): Subvolume | undefined {
  const name = xdata?.getString(volume.linktoKey)
  return name === undefined ? undefined : volume.childByName(name)
}

export interface LinktoRequest {
  readonly loc: Loc
  readonly gfid: Gfid
  /** Subvolume that gets the linkto file. */
  readonly on: Subvolume
  /** Subvolume with the data. */
  readonly to: Subvolume
  /** Replaces a linkto file of that name (rename). */
  readonly force?: boolean
  readonly owner?: { uid: number; gid: number }
}

/** Makes a linkto file. One of the same file that is there already is as good. */
export async function makeLinkto(
  volume: Distribution,
  ctx: Ctx,
  request: LinktoRequest,
): Promise<Failure | undefined> {
  const xdata = new Dict()
    .setGfid('gfid-req', request.gfid)
    .setString(volume.linktoKey, request.to.name)
    .setString('glusterfs-internal-fop', 'yes')
  if (request.force === true) xdata.setString('force-replace', 'yes')
  const root = internalCtx(ctx)
  const loc = { ...request.loc, gfid: request.gfid }
  const args = { loc, mode: S_IFREG | LINKTO_MODE, rdev: 0, umask: 0, xdata }
  const uid = request.owner?.uid ?? 0
  const gid = request.owner?.gid ?? 0
  let reply = await request.on.mknod({ ...root, uid, gid }, args)
  if (!reply.ok && reply.errno === Errno.EACCES) {
    // Whose file it is need not be allowed to make names here: it is given to him afterwards.
    reply = await request.on.mknod(root, args)
    if (reply.ok) await giveTo(root, request, { uid, gid })
  }
  if (reply.ok) return undefined
  if (reply.errno !== Errno.EEXIST) return reply
  // Anything else of that name is somebody's file: the name is taken.
  const asked = new Dict().setUint(volume.linktoKey, LINKTO_BYTES_MAX)
  const there = await request.on.lookup(root, { loc: request.loc, xdata: asked })
  if (!there.ok) return there
  const same = there.stat.gfid === request.gfid && isLinkto(volume, there.stat, there.xdata)
  return same ? undefined : reply
}

/** Makes a linkto file somebody's; that it fails matters in sticky directories only. */
async function giveTo(
  ctx: Ctx,
  { loc, gfid, on }: LinktoRequest,
  { uid, gid }: { uid: number; gid: number },
): Promise<void> {
  const stat = EMPTY_IATT.clone()
  stat.uid = uid
  stat.gid = gid
  const xdata = new Dict().setString('glusterfs-internal-fop', 'yes')
  const valid = SetAttr.UID | SetAttr.GID
  await on.setattr(ctx, { loc: namelessLoc(loc, gfid), stat, valid, xdata })
}

/** Removes a name only if it is a linkto file that nobody has open. */
export async function removeStaleLinkto(ctx: Ctx, loc: Loc, on: Subvolume): Promise<void> {
  const xdata = new Dict()
    .setInt('unlink-only-if-dht-linkto-file', 1)
    .setInt('dont-unlink-for-open-fd', 1)
  await on.unlink(internalCtx(ctx), { loc, xflags: 0, xdata })
}

/** Removes the linkto file of a name whose data is gone or moved; that it fails harms nobody. */
export async function removeLinkto(ctx: Ctx, loc: Loc, on: Subvolume): Promise<void> {
  const xdata = new Dict().setInt('unlink-only-if-dht-linkto-file', 1)
  await on.unlink(internalCtx(ctx), { loc, xflags: 0, xdata })
}
