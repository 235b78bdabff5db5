/**
 * testing/link: stands where protocol/client and protocol/server stand, without a network. What
 * passes is what a wire carries: objects by gfid, entries by their directory's gfid and a name. It
 * folds its leaf's position into directory offsets, and can be cut: then every fop fails with
 * ENOTCONN, as of a brick that is down, until it is mended.
 */

import {
  type Ctx,
  decodeDirectoryOffset,
  defineXlator,
  encodeDirectoryOffset,
  Errno,
  failure,
  FOP_NAMES,
  type FopArgs,
  type FopName,
  inodeLoc,
  type InodeTable,
  type Loc,
  NULL_GFID,
  type Reply,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'

type AnyFop = (ctx: Ctx, args: FopArgs[FopName]) => Promise<Reply<FopName>>

/** What a test does to a link; `linkOf` finds it. */
export interface BreakableLink {
  readonly up: boolean
  cut(): void
  mend(): void
  /** What each call waits for before it arrives; set by a test. */
  before: (fop: FopName) => Promise<void> | undefined
  /** Calls of each fop since the link was made. */
  readonly calls: ReadonlyMap<FopName, number>
}

const links = new WeakMap<Xlator, BreakableLink>()

/** The switch of a translator of this type; undefined for others. */
export function linkOf(xlator: Xlator | undefined): BreakableLink | undefined {
  return xlator === undefined ? undefined : links.get(xlator)
}

/** Fops that act on a name, not on the object behind it. */
const ENTRY_FOPS: ReadonlySet<FopName> = new Set<FopName>([
  'lookup',
  'mknod',
  'mkdir',
  'symlink',
  'create',
  'unlink',
  'rmdir',
])

function objectLoc(table: InodeTable, loc: Loc): Loc {
  const gfid = loc.gfid === NULL_GFID ? loc.inode.gfid : loc.gfid
  return gfid === NULL_GFID ? loc : inodeLoc(table.obtain(gfid))
}

function entryLoc(table: InodeTable, loc: Loc): Loc {
  if (loc.name === '') return objectLoc(table, loc)
  const inode = table.create()
  return { ...loc, gfid: inode.gfid, inode, parent: table.obtain(loc.pargfid) }
}

/** The arguments as the other end of a wire would make them. */
function carried(table: InodeTable, fop: FopName, args: FopArgs[FopName]): FopArgs[FopName] {
  if ('newloc' in args) {
    const oldloc = fop === 'link' ? objectLoc(table, args.oldloc) : entryLoc(table, args.oldloc)
    return { ...args, oldloc, newloc: entryLoc(table, args.newloc) }
  }
  if (!('loc' in args)) return args
  const { loc } = args
  return { ...args, loc: ENTRY_FOPS.has(fop) ? entryLoc(table, loc) : objectLoc(table, loc) }
}

function create(self: XlatorSelf): Xlator {
  let up = true
  const calls = new Map<FopName, number>()
  const { leaves } = self.graph
  const leaf = leaves.indexOf(self.child.leaves[0] as string)
  const fops: Record<string, unknown> = {}
  const link: BreakableLink = {
    get up() {
      return up
    },
    cut() {
      up = false
      self.notify({ kind: 'child-down' })
    },
    mend() {
      up = true
      self.notify({ kind: 'child-up' })
    },
    before: () => undefined,
    calls,
  }
  for (const fop of FOP_NAMES) {
    const child = self.child[fop] as AnyFop
    fops[fop] = async (ctx: Ctx, args: FopArgs[FopName]): Promise<Reply<FopName>> => {
      calls.set(fop, (calls.get(fop) ?? 0) + 1)
      // A request may be on its way when the link is cut: neither it nor its answer arrives.
      if (!up) return failure(Errno.ENOTCONN)
      const waiting = link.before(fop)
      if (waiting !== undefined) await waiting
      const reply = await child(ctx, carried(self.inodes, fop, args))
      return up ? reply : failure(Errno.ENOTCONN)
    }
  }
  const list = async <F extends 'readdir' | 'readdirp'>(
    fop: F,
    ctx: Ctx,
    args: FopArgs[F],
  ): Promise<Reply<F>> => {
    if (!up) return failure(Errno.ENOTCONN)
    const offset = decodeDirectoryOffset(args.offset, leaves.length).cookie
    const reply = await self.child[fop](ctx, { ...args, offset })
    if (!reply.ok) return reply
    const entries = reply.entries.map(entry => ({
      ...entry,
      offset: encodeDirectoryOffset(entry.offset, leaf, leaves.length),
    }))
    return { ...reply, entries } as unknown as Reply<F>
  }
  const xlator: Xlator = {
    ...fops,
    readdir: (ctx, args) => list('readdir', ctx, args),
    readdirp: (ctx, args) => list('readdirp', ctx, args),
  }
  links.set(xlator, link)
  return xlator
}

export const breakableLink = defineXlator({ type: 'testing/link', options: {}, create })
