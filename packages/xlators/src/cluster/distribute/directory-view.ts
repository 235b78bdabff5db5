/**
 * What a lookup asks of every subvolume, and a directory as the answers show it.
 * Facts: xlators/cluster/dht/src/dht-layout.c.
 */

import { Dict, Errno, type Gfid, type Iatt, type Reply, type Subvolume } from '@ashlar/core'
import { absentRange, Layout, LAYOUT_BYTES, NO_LAYOUT, parseRange, type Range } from './layout.ts'
import { LINKTO_BYTES_MAX } from './linkto.ts'
import type { Distribution } from './volume.ts'

export const MDS_BYTES = 4

/** A subvolume's answer to a lookup. */
export interface Answer {
  readonly child: Subvolume
  readonly reply: Reply<'lookup'>
}

/** The keys distribute asks of every lookup, added to those the caller asks. */
export function lookupXdata(volume: Distribution, xdata: Dict | undefined): Dict {
  const dict = xdata?.clone() ?? new Dict()
  dict.setUint(volume.linktoKey, LINKTO_BYTES_MAX)
  if (volume.single) return dict
  return dict
    .setUint(volume.layoutKey, LAYOUT_BYTES)
    .setUint(volume.mdsKey, MDS_BYTES)
    .setUint('glusterfs.open-fd-count', MDS_BYTES)
}

/** A directory as all subvolumes together see it. */
export interface DirectoryView {
  readonly gfid: Gfid
  readonly layout: Layout
  /** Attributes by child; undefined where the directory is not. */
  readonly stats: readonly (Iatt | undefined)[]
  readonly mds: Subvolume | undefined
}

/** Puts the answers of a directory's subvolumes together. */
export function viewDirectory(
  volume: Distribution,
  answers: readonly Answer[],
  gfid: Gfid,
): DirectoryView {
  const ranges: Range[] = volume.children.map(child => absentRange(child.index, Errno.ENOTCONN))
  const stats: (Iatt | undefined)[] = volume.children.map(() => undefined)
  let mds: Subvolume | undefined
  for (const { child, reply } of answers) {
    if (!reply.ok) {
      ranges[child.index] = absentRange(child.index, reply.errno)
      continue
    }
    const value = reply.xdata?.getBytes(volume.layoutKey)
    const range = value === undefined ? undefined : parseRange(child.index, value)
    ranges[child.index] = range ?? absentRange(child.index, NO_LAYOUT)
    stats[child.index] = reply.stat
    if (mds === undefined && reply.xdata?.has(volume.mdsKey) === true) mds = child
  }
  return { gfid, layout: new Layout(ranges), stats, mds }
}
