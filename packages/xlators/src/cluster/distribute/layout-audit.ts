/**
 * Whether every name of a directory is to be found where it hashes. A layout that says so (its commit
 * hash is the volume's) lets a name that is missing there be missing altogether, so that nobody else
 * is asked; while a brick is down that is the difference between "not there" and "not known".
 *
 * The root's layout is the one that no mkdir has written. GlusterFS leaves it unconfirmed for good
 * (`DHT_LAYOUT_HASH_INVALID`, xlators/cluster/dht/src/dht-selfheal.c); here it is confirmed by looking,
 * under the locks of whoever changes layouts. Later operations keep it true: each leaves a linkto file
 * where a name hashes, and whoever changes the ranges changes the commit hash with them.
 */

import {
  type Ctx,
  Dict,
  type DirentPlus,
  type Inode,
  type Loc,
  OpenFlag,
  type Subvolume,
} from '@ashlar/core'
import type { Layout } from './layout.ts'
import { hasLinktoMode, LINKTO_BYTES_MAX } from './linkto.ts'
import type { Distribution } from './volume.ts'

/** Names of one subvolume that are looked at; of a larger directory nothing is known. */
const NAMES_MAX = 1000
const LIST_BYTES = 65_536

/** A name, and whether more than a linkto file stands there. */
type Names = ReadonlyMap<string, { readonly real: boolean }>

/** True when all is in its place by `layout`; false also when that cannot be told. */
export async function allInPlace(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  layout: Layout,
): Promise<boolean> {
  const lists = await Promise.all(
    volume.children.map(child => namesOn(volume, ctx, { child, loc })),
  )
  return lists.every(list => {
    if (list === undefined) return false
    for (const [name, { real }] of list) {
      const home = layout.search(volume.names.hash(name))
      if (real && (home === undefined || lists[home]?.has(name) !== true)) return false
    }
    return true
  })
}

/** Undefined when the subvolume does not tell, or when there are too many. */
async function namesOn(
  volume: Distribution,
  ctx: Ctx,
  { child, loc }: { child: Subvolume; loc: Loc },
): Promise<Names | undefined> {
  const fd = volume.self.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: ctx.pid })
  try {
    const opened = await child.opendir(ctx, { loc, fd })
    if (!opened.ok) return undefined
    fd.bind()
    const names = new Map<string, { real: boolean }>()
    let offset = 0n
    for (;;) {
      const xdata = new Dict().setUint(volume.linktoKey, LINKTO_BYTES_MAX)
      const reply = await child.readdirp(ctx, { fd, size: LIST_BYTES, offset, xdata })
      if (!reply.ok) return undefined
      for (const entry of reply.entries) {
        if (entry.name === '.' || entry.name === '..') continue
        names.set(entry.name, { real: !isLink(volume, entry) })
      }
      const last = reply.entries.at(-1)
      if (names.size > NAMES_MAX) return undefined
      if (reply.eof || last === undefined) return names
      offset = last.offset
    }
  } finally {
    fd.unref()
  }
}

function isLink(volume: Distribution, { stat, dict }: DirentPlus): boolean {
  return hasLinktoMode(stat) && dict?.has(volume.linktoKey) === true
}

/** True when it is worth looking: the root, once, with a layout that nobody has confirmed. */
export function wantsAudit(volume: Distribution, inode: Inode, layout: Layout): boolean {
  return (
    inode.isRoot &&
    !volume.rootAudited &&
    volume.self.options['lookup-optimize'] &&
    layout.commitHash !== volume.volumeCommitHash
  )
}
