/**
 * Locate: which subvolume serves an inode, learnt by a lookup by gfid when this client has never
 * looked it up, and learnt again when its file has gone elsewhere meanwhile.
 */

import {
  type Ctx,
  Errno,
  failure,
  type Failure,
  type Inode,
  inodeLoc,
  type Reply,
  type FopName,
  type Subvolume,
} from '@ashlar/core'
import { lookup } from './lookup.ts'
import { type Distribution, internalCtx, type InodeState, namelessLoc } from './volume.ts'

/** What is known of an inode, looked up by gfid if need be. */
export async function locate(
  volume: Distribution,
  ctx: Ctx,
  inode: Inode,
): Promise<InodeState | Failure> {
  const known = volume.placed(inode)
  if (known !== undefined) return known
  if (!inode.linked) return failure(Errno.ESTALE)
  const reply = await lookup(volume, internalCtx(ctx), {
    loc: namelessLoc(inodeLoc(inode), inode.gfid),
  })
  if (!reply.ok) return reply.errno === Errno.ENOENT ? failure(Errno.ESTALE) : reply
  return volume.states.get(inode) ?? failure(Errno.ESTALE)
}

export function isFailure(state: InodeState | Failure): state is Failure {
  return 'ok' in state
}

/** The file may have moved: its old place answers so. */
const GONE: ReadonlySet<number> = new Set([Errno.ENOENT, Errno.ESTALE])

/**
 * Runs a fop of a file where its data lies; once more elsewhere when the file is gone from there.
 * Directories are not for this.
 */
export async function onFile<F extends FopName>(
  volume: Distribution,
  ctx: Ctx,
  inode: Inode,
  call: (child: Subvolume) => Promise<Reply<F>>,
): Promise<Reply<F>> {
  if (volume.single) return call(volume.children[0] as Subvolume)
  const state = await locate(volume, ctx, inode)
  if (isFailure(state)) return state
  const child = state.cached ?? volume.firstUp()
  if (child === undefined) return failure(Errno.ENOTCONN)
  const reply = await call(child)
  if (reply.ok || state.cached === undefined || !GONE.has(reply.errno)) return reply
  volume.states.set(inode, undefined)
  const again = await locate(volume, ctx, inode)
  // Not elsewhere either: its last name is gone, and descriptors still reach it where it was.
  if (isFailure(again)) volume.states.set(inode, state)
  if (isFailure(again) || again.cached === undefined || again.cached === child) return reply
  return call(again.cached)
}
