/**
 * Listing: one directory read from all its subvolumes, one after the other. Every subvolume has the
 * directories; a directory is listed from the one its name hashes to, so that it appears once.
 * Linkto files never appear. Only who lists under a lease on the names (core/names-lease.ts) hears of
 * everything that is not shown, by name alone: a name that only one subvolume has, or that is on its
 * way from one to the other, is not free. Facts: `dht_do_readdir`, xlators/cluster/dht/src/dht-common.c.
 */

import {
  type Ctx,
  decodeDirectoryOffset,
  Dict,
  type DirentPlus,
  EMPTY_IATT,
  Errno,
  failure,
  type Failure,
  type FopArgs,
  NAMES_LEASE,
  type ReaddirpReply,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { hasLinktoMode, LINKTO_BYTES_MAX } from './linkto.ts'
import type { AskPiece } from './listing-ahead.ts'
import { asDirectory, type Distribution } from './volume.ts'

const DT_DIR = 4

/** The subvolume an offset belongs to: offsets carry the position of their leaf. */
function childOf(volume: Distribution, offset: bigint): Subvolume | undefined {
  const leaves = volume.self.graph.leaves
  if (offset === 0n) return volume.children[0]
  const leaf = leaves[decodeDirectoryOffset(offset, leaves.length).leaf]
  return volume.children.find(child => leaf !== undefined && child.leaves.includes(leaf))
}

export async function readdirp(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['readdirp'],
): Promise<Reply<'readdirp'>> {
  const xdata = (args.xdata?.clone() ?? new Dict()).setUint(volume.linktoKey, LINKTO_BYTES_MAX)
  const leased = xdata.delete(NAMES_LEASE)
  const first = childOf(volume, args.offset)
  if (first === undefined) return failure(Errno.EINVAL)
  const ask = (from: Subvolume, at: bigint): Promise<Reply<'readdirp'>> =>
    from.readdirp(ctx, { ...args, offset: at, xdata })
  let child: Subvolume = first
  let offset = args.offset
  for (;;) {
    if (!volume.single && volume.childUp[child.index] !== true) {
      const next: Subvolume | undefined = volume.children[child.index + 1]
      if (next === undefined) return { ok: true, entries: [], eof: true }
      child = next
      offset = 0n
      continue
    }
    const reply: Reply<'readdirp'> = await (volume.ahead.take(args.fd, child, {
      offset,
      size: args.size,
    }) ?? ask(child, offset))
    if (!reply.ok) {
      const skipped: Subvolume | undefined = skipAfter(volume, child, reply)
      if (skipped === undefined) return reply
      child = skipped
      offset = 0n
      continue
    }
    const entries: DirentPlus[] = []
    for (const entry of reply.entries) {
      if (isShown(volume, args, child, entry)) entries.push(shown(volume, child, entry))
      else if (leased) entries.push({ ...entry, stat: EMPTY_IATT, dict: undefined })
    }
    const next: Subvolume | undefined = volume.children[child.index + 1]
    const ended = reply.eof || reply.entries.length === 0
    askAhead(volume, args, { child, offset, reply, ended }, ask)
    if (entries.length > 0)
      return {
        ok: true,
        entries,
        eof: ended && next === undefined,
        xdata: reply.xdata,
        askedAt: reply.askedAt,
      }
    if (!ended) {
      offset = reply.entries.at(-1)?.offset ?? offset
    } else if (next === undefined) {
      return { ok: true, entries: [], eof: true, xdata: reply.xdata }
    } else {
      child = next
      offset = 0n
    }
  }
}

/** What will be wanted next: the rest of this subvolume's part, and the beginning of the next one's. */
function askAhead(
  volume: Distribution,
  args: FopArgs['readdirp'],
  at: { child: Subvolume; offset: bigint; reply: ReaddirpReply; ended: boolean },
  ask: AskPiece,
): void {
  const last = at.reply.entries.at(-1)
  if (!at.ended && last !== undefined) {
    volume.ahead.ask(args.fd, at.child, { offset: last.offset, size: args.size }, ask)
  }
  const next = volume.children[at.child.index + 1]
  if (at.offset === 0n && next !== undefined && volume.childUp[next.index] === true) {
    volume.ahead.ask(args.fd, next, { offset: 0n, size: args.size }, ask)
  }
}

/** A brick that goes down while a directory is listed, or lacks it, hides only its own part. */
function skipAfter(volume: Distribution, child: Subvolume, reply: Failure): Subvolume | undefined {
  if (
    reply.errno !== Errno.ENOTCONN &&
    reply.errno !== Errno.ENOENT &&
    reply.errno !== Errno.ESTALE
  )
    return undefined
  return volume.children[child.index + 1]
}

function isShown(
  volume: Distribution,
  args: FopArgs['readdirp'],
  child: Subvolume,
  entry: DirentPlus,
): boolean {
  if (entry.name === '.' || entry.name === '..') return volume.single || child === volume.firstUp()
  if (hasLinktoMode(entry.stat) && entry.dict?.has(volume.linktoKey) === true) return false
  if (volume.single || entry.type !== DT_DIR) return true
  if (volume.self.options['readdir-optimize']) return child === volume.firstUp()
  const hashed = volume.hashedChild(args.fd.inode, entry.name)
  if (hashed !== undefined && volume.childUp[hashed.index] === true) return child === hashed
  return child === volume.firstUp()
}

function shown(volume: Distribution, child: Subvolume, entry: DirentPlus): DirentPlus {
  entry.dict?.delete(volume.linktoKey)
  if (entry.type !== DT_DIR) {
    if (!volume.single && !entry.stat.isEmpty) volume.listed.note(entry.stat.gfid, child)
    return entry
  }
  // What one subvolume knows of a directory is not all (its times least): its reader looks it up.
  if (!volume.single) return { ...entry, stat: EMPTY_IATT }
  if (entry.stat !== EMPTY_IATT) asDirectory(entry.stat)
  return entry
}

export async function readdir(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['readdir'],
): Promise<Reply<'readdir'>> {
  return readdirp(volume, ctx, args)
}
