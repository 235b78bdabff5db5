/**
 * What is settled under the locks of a rename, before its first change: the source is still what and
 * where it was, the caller may make the rename at all, and what has the new name now.
 *
 * Each lookup goes with the locks of its subvolume when no lock on another one protects what it sees.
 */

import {
  callFop,
  type Ctx,
  EMPTY_IATT,
  Errno,
  failure,
  isExclusive,
  type Failure,
  type FopArgs,
  type Loc,
  type LookupReply,
  type RenameReply,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { parentLoc } from './directories.ts'
import { lookupXdata } from './directory-view.ts'
import type { HeldLocks, Work } from './held-locks.ts'
import { isLinkto } from './linkto.ts'
import { lookup } from './lookup.ts'
import { type Distribution, internalCtx } from './volume.ts'

type RenameArgs = FopArgs['rename']

/** Where both names hash, and where their data lies. */
export interface Places {
  readonly sourceCached: Subvolume
  readonly sourceHashed: Subvolume
  readonly targetCached: Subvolume | undefined
  readonly targetHashed: Subvolume
  /** The source's: linkto files are its too, or a sticky directory would not let them move. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** Nothing at all has the new name where it hashes. */
  readonly free?: boolean
}

/** The questions of one rename, asked early or late. */
export class Questions {
  readonly #ctx: Ctx
  readonly #source: Work
  readonly #target: Work
  readonly #rights: readonly Work[]
  /** The target's name with an inode of its own: looking it up changes nothing that is known. */
  readonly target: Loc
  /** What may be asked together with the locks. */
  readonly early: readonly Work[]

  constructor(volume: Distribution, ctx: Ctx, args: RenameArgs, places: Places) {
    this.#ctx = ctx
    this.target = newInodeLoc(args.newloc)
    const root = internalCtx(ctx)
    const xdata = lookupXdata(volume, undefined)
    const { sourceCached, sourceHashed, targetHashed } = places
    const there = places.targetCached ?? targetHashed
    this.#source = {
      on: sourceCached,
      step: { fop: 'lookup', args: { loc: args.oldloc, xdata }, ctx: root },
    }
    this.#target = {
      on: there,
      step: { fop: 'lookup', args: { loc: this.target, xdata }, ctx: root },
    }
    this.#rights = isFree(ctx)
      ? []
      : [access(sourceHashed, args.oldloc), access(targetHashed, args.newloc)]
    // Names that are free fail: nothing stands behind the target's lookup.
    this.early = [
      ...this.#rights,
      ...(sourceCached === sourceHashed ? [this.#source] : []),
      ...(there === targetHashed ? [this.#target] : []),
    ]
  }

  /** The answers; what was not answered with the locks is asked now. */
  async answers(locks: HeldLocks): Promise<{
    source: Reply<'lookup'>
    there: Reply<'lookup'>
    forbidden: Failure | undefined
  }> {
    const rights = await Promise.all(this.#rights.map(work => this.#answer(locks, work, 'access')))
    const [source, there] = await Promise.all([
      this.#answer(locks, this.#source, 'lookup'),
      this.#answer(locks, this.#target, 'lookup'),
    ])
    return { source, there, forbidden: rights.find(reply => !reply.ok) as Failure | undefined }
  }

  async #answer<F extends 'lookup' | 'access'>(
    locks: HeldLocks,
    work: Work,
    fop: F,
  ): Promise<Reply<F>> {
    const early = locks.reply(work, fop)
    if (early !== undefined) return early
    const { on, step } = work
    return callFop(on, fop, step.ctx ?? this.#ctx, step.args as FopArgs[F])
  }
}

/** Root and the processes of the pool may do anything. */
function isFree(ctx: Ctx): boolean {
  return ctx.uid === 0 || ctx.pid < 0
}

const WRITE_AND_ENTER = 3

/** Bricks judge the rights to both directories. */
function access(on: Subvolume, entry: Loc): Work {
  return { on, step: { fop: 'access', args: { loc: parentLoc(entry), mask: WRITE_AND_ENTER } } }
}

/** The places as they are, or what the rename comes to without being made. */
export async function settle(
  volume: Distribution,
  ctx: Ctx,
  args: RenameArgs,
  places: Places,
  asked: { questions: Questions; locks: HeldLocks },
): Promise<Places | { same: LookupReply } | Failure> {
  const { target } = asked.questions
  const { source, there, forbidden } = await asked.questions.answers(asked.locks)
  if (!source.ok) return source
  if (isLinkto(volume, source.stat, source.xdata)) return failure(Errno.EBUSY)
  if (source.stat.gfid !== args.oldloc.gfid) return failure(Errno.ESTALE)
  const { uid, gid } = source.stat
  const settled: Places = { ...places, owner: { uid, gid } }
  if (forbidden !== undefined) return forbidden
  if (isGuarded(ctx, source) || (there.ok && isGuarded(ctx, there))) return failure(Errno.EPERM)
  if (!there.ok) {
    if (there.errno !== Errno.ENOENT) return there
    const free = places.targetCached === undefined || places.targetCached === places.targetHashed
    return { ...settled, targetCached: undefined, free }
  }
  if (there.stat.isDirectory) return failure(isExclusive(args) ? Errno.EEXIST : Errno.EISDIR)
  const root = internalCtx(ctx)
  if (there.stat.gfid === args.oldloc.gfid && (await isSameFile(volume, root, target, args))) {
    return { same: source }
  }
  if (!isLinkto(volume, there.stat, there.xdata)) {
    return { ...settled, targetCached: places.targetCached ?? places.targetHashed }
  }
  return followTarget(volume, root, target, settled)
}

/**
 * True when the new name is another name of the file itself, and not a linkto file that an earlier
 * rename has left behind.
 */
async function isSameFile(
  volume: Distribution,
  ctx: Ctx,
  target: Loc,
  args: RenameArgs,
): Promise<boolean> {
  const reply = await lookup(volume, ctx, {
    loc: { ...target, inode: target.inode.table.create() },
  })
  return reply.ok && reply.stat.gfid === args.oldloc.gfid
}

/** Two names of one file: nothing is to be done, and both stay. */
export function unchanged(source: LookupReply): RenameReply {
  return {
    ok: true,
    stat: source.stat,
    preoldparent: EMPTY_IATT.clone(),
    postoldparent: EMPTY_IATT.clone(),
    prenewparent: EMPTY_IATT.clone(),
    postnewparent: EMPTY_IATT.clone(),
  }
}

const S_ISVTX = 0o1000

/**
 * A name in a sticky directory that is neither the caller's file nor in the caller's directory. It
 * is judged here, as a rename takes several steps, some of them by ourselves.
 */
function isGuarded(ctx: Ctx, found: LookupReply): boolean {
  if (isFree(ctx)) return false
  const { stat, postparent } = found
  return (postparent.mode & S_ISVTX) !== 0 && postparent.uid !== ctx.uid && stat.uid !== ctx.uid
}

/** The target's name leads to a linkto file: its data is wherever a whole lookup finds it. */
async function followTarget(
  volume: Distribution,
  ctx: Ctx,
  target: Loc,
  places: Places,
): Promise<Places | Failure> {
  const reply = await lookup(volume, ctx, { loc: target })
  if (!reply.ok)
    return reply.errno === Errno.ENOENT ? { ...places, targetCached: undefined } : reply
  return { ...places, targetCached: volume.states.get(target.inode)?.cached }
}

/** The name with an inode of its own. */
function newInodeLoc(loc: Loc): Loc {
  const inode = loc.inode.table.create()
  return { ...loc, gfid: inode.gfid, inode }
}
