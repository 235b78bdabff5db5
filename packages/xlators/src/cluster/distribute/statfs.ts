/** Statfs: the space of all subvolumes together, in blocks of the largest block size among them. */

import {
  type Ctx,
  type Failure,
  type FopArgs,
  type Reply,
  type Statfs,
  type StatfsReply,
  type Subvolume,
} from '@ashlar/core'
import { type Distribution, worstFailure } from './volume.ts'

export async function statfs(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['statfs'],
): Promise<Reply<'statfs'>> {
  if (volume.single) return (volume.children[0] as Subvolume).statfs(ctx, args)
  // Any directory's subvolumes are all; a path that one of them lacks must not hide its space.
  const root = volume.self.inodes.root
  const loc = { ...args.loc, gfid: root.gfid, inode: root, name: '', path: '/', parent: undefined }
  const replies = await Promise.all(
    volume.upChildren().map(child => child.statfs(ctx, { ...args, loc })),
  )
  const good = replies.filter((reply): reply is StatfsReply => reply.ok)
  if (good.length === 0) return worstFailure(replies.filter((reply): reply is Failure => !reply.ok))
  return { ok: true, statfs: sumStatfs(good.map(reply => reply.statfs)), xdata: good[0]?.xdata }
}

/** Pure: the sum of several file systems. */
export function sumStatfs(parts: readonly Statfs[]): Statfs {
  const frsize = Math.max(...parts.map(part => part.frsize))
  const bsize = Math.max(...parts.map(part => part.bsize))
  const blocks = (pick: (part: Statfs) => number): number =>
    parts.reduce((sum, part) => sum + Math.floor((pick(part) * part.frsize) / frsize), 0)
  const sum = (pick: (part: Statfs) => number): number =>
    parts.reduce((total, part) => total + pick(part), 0)
  const first = parts[0] as Statfs
  return {
    bsize,
    frsize,
    blocks: blocks(part => part.blocks),
    bfree: blocks(part => part.bfree),
    bavail: blocks(part => part.bavail),
    files: sum(part => part.files),
    ffree: sum(part => part.ffree),
    favail: sum(part => part.favail),
    fsid: first.fsid,
    flag: first.flag,
    namemax: Math.min(...parts.map(part => part.namemax)),
  }
}
