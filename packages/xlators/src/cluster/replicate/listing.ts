/**
 * Listing: a directory is read from one brick whose copy is good. Attributes that come along are
 * shown only where that brick's copy of the entry is known to be good, or nothing is to be healed.
 */

import {
  type Ctx,
  type Dirent,
  type DirentPlus,
  EMPTY_IATT,
  Errno,
  type FopArgs,
  type Reply,
} from '@ashlar/core'
import type { Copies } from './copies.ts'
import type { Files } from './files.ts'
import { isHidden } from './lookup.ts'
import { has } from './members.ts'
import type { ReplicaSet } from './replica-set.ts'

export interface ListingParts {
  readonly set: ReplicaSet
  readonly copies: Copies
  readonly files: Files
}

/** Answers that come from another brick as well, if nothing has been listed yet. */
const OTHER_BRICK: ReadonlySet<Errno> = new Set([
  Errno.ENOTCONN,
  Errno.ENOENT,
  Errno.ESTALE,
  Errno.EIO,
  Errno.EBADF,
  Errno.EBADFD,
])

async function list<R extends Reply<'readdir'> | Reply<'readdirp'>>(
  parts: ListingParts,
  ctx: Ctx,
  args: FopArgs['readdir'],
  ask: (index: number) => Promise<R>,
): Promise<{ reply: R; index: number } | { reply: R & { readonly ok: false }; index: -1 }> {
  const { set, files } = parts
  for (let attempt = 0; ; attempt++) {
    const index = await files.listingBrick(ctx, args.fd, args.offset)
    if (typeof index !== 'number') return { reply: index as never, index: -1 }
    const reply = await ask(index)
    const again = !reply.ok && OTHER_BRICK.has(reply.errno) && args.offset === 0n
    if (!again || attempt >= set.count) return { reply, index }
    files.listingFailed(args.fd)
  }
}

export async function readdir(
  parts: ListingParts,
  ctx: Ctx,
  args: FopArgs['readdir'],
): Promise<Reply<'readdir'>> {
  const { reply } = await list<Reply<'readdir'>>(parts, ctx, args, index =>
    parts.set.child(index).readdir(ctx, args),
  )
  if (!reply.ok || !args.fd.inode.isRoot) return reply
  return { ...reply, entries: reply.entries.filter(entry => isShown(entry, ctx)) }
}

export async function readdirp(
  parts: ListingParts,
  ctx: Ctx,
  args: FopArgs['readdirp'],
): Promise<Reply<'readdirp'>> {
  const { set } = parts
  // While all agree, nobody has anything against anybody's entries: they need not be asked one by one.
  const agreed = parts.copies.agreement.holds()
  const { reply, index } = await list<Reply<'readdirp'>>(parts, ctx, args, from =>
    set.child(from).readdirp(ctx, args),
  )
  if (!reply.ok) return reply
  const entries = reply.entries
    .filter(entry => !args.fd.inode.isRoot || isShown(entry, ctx))
    .map(entry => (agreed && index !== set.arbiter ? entry : trusted(parts, entry, index)))
  return { ...reply, entries }
}

/**
 * The brick that lists a directory need not be one whose copy of each entry is good: what is not
 * known to be good must be looked up by its reader. That this brick holds nothing against anybody says
 * nothing: others may accuse it, as of a file that a heal has just made there and not filled yet.
 */
function trusted({ set, copies }: ListingParts, entry: DirentPlus, index: number): DirentPlus {
  const { stat } = entry
  if (stat === EMPTY_IATT || stat.isEmpty) return entry
  const inode = set.self.inodes.find(stat.gfid)
  const state = inode === undefined ? undefined : copies.known(inode)
  const good =
    index !== set.arbiter &&
    state !== undefined &&
    has(state.metadata, index) &&
    (stat.isDirectory || has(state.data, index))
  return good ? entry : { ...entry, stat: EMPTY_IATT }
}

function isShown(entry: Dirent, ctx: Ctx): boolean {
  return !isHidden(entry.name, ctx)
}
