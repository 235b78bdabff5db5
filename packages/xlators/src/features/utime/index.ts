/**
 * features/utime: gives every change the time at which its client made it, so that all copies of a
 * file agree on its times. The time travels in the caller's context and from there in the
 * credential of each request (rpc/rpc-lib/src/auth-glusterfs.c); the brick stores it.
 */

import {
  type Ctx,
  defineOptions,
  defineXlator,
  type FopArgs,
  type FopName,
  MdataFlag,
  OpenFlag,
  type Reply,
  SetAttr,
  type Subvolume,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'

const { CTIME, MTIME, ATIME, PAR_CTIME, PAR_MTIME } = MdataFlag
const MADE = ATIME | MTIME | CTIME | PAR_CTIME | PAR_MTIME
const CHANGED = MTIME | CTIME
const NAMED = CTIME | PAR_CTIME | PAR_MTIME

/** Which times a fop touches, of its object and of the directory of its entry. */
const TOUCHES = {
  mknod: MADE,
  mkdir: MADE,
  symlink: MADE,
  create: MADE,
  link: NAMED,
  unlink: NAMED,
  rmdir: NAMED,
  rename: NAMED,
  writev: CHANGED,
  truncate: CHANGED,
  ftruncate: CHANGED,
  fallocate: CHANGED,
  discard: CHANGED,
  zerofill: CHANGED,
  copy_file_range: CHANGED,
  setxattr: CTIME,
  fsetxattr: CTIME,
  removexattr: CTIME,
  fremovexattr: CTIME,
  readv: ATIME,
  readlink: ATIME,
  readdir: ATIME,
  readdirp: ATIME,
} as const satisfies Partial<Record<FopName, number>>

/** Fops that touch the time of last access alone, which `noatime` leaves as it is. */
const READS: ReadonlySet<FopName> = new Set<FopName>(['readv', 'readlink', 'readdir', 'readdirp'])

const options = defineOptions({
  noatime: { kind: 'bool', default: 'on', since: 50000, doc: 'Do not store times of access.' },
})

type Self = XlatorSelf<typeof options>

function stamped(self: Self, ctx: Ctx, flags: number): Ctx {
  // Who has brought a time (heal, geo-replication) knows better.
  if (flags === 0 || ctx.time !== undefined) return ctx
  const { sec, nsec } = self.env.clock.wall()
  return { ...ctx, time: { flags, sec, nsec } }
}

function stamp<F extends keyof typeof TOUCHES>(
  self: Self,
  fop: F,
): (ctx: Ctx, args: FopArgs[F]) => Promise<Reply<F>> {
  const flags = TOUCHES[fop]
  const call = self.child[fop] as (ctx: Ctx, args: FopArgs[F]) => Promise<Reply<F>>
  return (ctx, args) => call(stamped(self, ctx, flags), args)
}

/** A change of attributes touches ctime; times set explicitly are in the request itself. */
function setattrFlags(valid: number): number {
  let flags = 0
  if ((valid & (SetAttr.MODE | SetAttr.UID | SetAttr.GID)) !== 0) flags |= CTIME
  if ((valid & SetAttr.SIZE) !== 0) flags |= CHANGED
  if ((valid & (SetAttr.ATIME | SetAttr.MTIME)) !== 0) flags |= CTIME
  return flags
}

function create(self: Self): Xlator {
  const child: Subvolume = self.child
  const fops: Record<string, unknown> = {
    setattr: (ctx: Ctx, args: FopArgs['setattr']) =>
      child.setattr(stamped(self, ctx, setattrFlags(args.valid)), args),
    open: (ctx: Ctx, args: FopArgs['open']) =>
      child.open((args.flags & OpenFlag.TRUNC) !== 0 ? stamped(self, ctx, CHANGED) : ctx, args),
    fsetattr: (ctx: Ctx, args: FopArgs['fsetattr']) =>
      child.fsetattr(stamped(self, ctx, setattrFlags(args.valid)), args),
  }
  for (const fop of Object.keys(TOUCHES) as (keyof typeof TOUCHES)[]) {
    if (!READS.has(fop) || !self.options.noatime) fops[fop] = stamp(self, fop)
  }
  return fops as Xlator
}

export const utime = defineXlator({ type: 'features/utime', options, create })
