/**
 * The lock calls of transactions: what is asked of one brick, and how locks on all of them are had.
 *
 * First everybody is asked at once, without waiting. When somebody else has one of the locks, all are
 * given back and asked for again one after the other, waiting, in an order that all clients keep, so
 * that no two of them wait for each other. Source: xlators/cluster/afr/src/afr-lk-common.c.
 */

import {
  type Ctx,
  EntrylkCommand,
  EntrylkType,
  Errno,
  type Failure,
  failure,
  type Gfid,
  type Inode,
  type Loc,
  LockCommand,
  LockType,
  NULL_GFID,
  type Step,
  type Subvolume,
} from '@ashlar/core'
import { has, indices, type Members, NOBODY, only, without } from '../members.ts'
import type { Losses, ReplicaSet } from '../replica-set.ts'

/** How a lock is asked for. */
export type LockHow = 'try' | 'wait' | 'unlock'

/** First byte of the range that stands for an inode's metadata (LLONG_MAX − 1, to the end). */
export const METADATA_START = 0x7fff_ffff_ffff_fffen

/** A lock of a transaction. */
export type LockRequest =
  | { readonly kind: 'entry'; readonly loc: Loc; readonly name: string | undefined }
  | { readonly kind: 'data' | 'metadata'; readonly loc: Loc }

/** The answer of a lock call. */
export type LockReply = { readonly ok: true } | Failure

/** The lock call as a step of a compound, in `ctx`'s name. */
export function lockStep(domain: string, ctx: Ctx, request: LockRequest, how: LockHow): Step {
  if (request.kind === 'entry') {
    const command =
      how === 'unlock'
        ? EntrylkCommand.UNLOCK
        : how === 'wait'
          ? EntrylkCommand.LOCK
          : EntrylkCommand.LOCK_NB
    const { loc, name } = request
    return {
      fop: 'entrylk',
      ctx,
      args: { loc, domain, name, command, type: EntrylkType.WRLCK },
    }
  }
  const type = how === 'unlock' ? LockType.UNLCK : LockType.WRLCK
  const start = request.kind === 'metadata' ? METADATA_START : 0n
  return {
    fop: 'inodelk',
    ctx,
    args: {
      loc: request.loc,
      domain,
      command: how === 'wait' ? LockCommand.SETLKW : LockCommand.SETLK,
      flock: { type, whence: 0, start, len: 0n, pid: ctx.pid, lkOwner: ctx.lkOwner },
    },
  }
}

/** Asks one brick for one lock. */
export function callLock(
  child: Subvolume,
  domain: string,
  ctx: Ctx,
  request: LockRequest,
  how: LockHow,
): Promise<LockReply> {
  const step = lockStep(domain, ctx, request, how)
  if (step.fop === 'entrylk') return child.entrylk(ctx, step.args)
  return child.inodelk(ctx, (step as Extract<Step, { fop: 'inodelk' }>).args)
}

/** What asking everybody at once has given. */
export interface Asked {
  readonly granted: Members
  /** Somebody else has it there. */
  readonly taken: Members
  /** Why a brick refused otherwise, by child. */
  readonly failures: readonly (Failure | undefined)[]
}

/** Asks all `members` at once, without waiting. */
export async function askAll(
  set: ReplicaSet,
  members: Members,
  ctx: Ctx,
  request: LockRequest,
): Promise<Asked> {
  const { losses } = set
  const replies = await set.onAll(members, child => callLock(child, set.name, ctx, request, 'try'))
  const asked = sortReplies(replies)
  // A brick that was lost while another one had not answered yet has no lock of ours any more.
  return { ...asked, granted: without(asked.granted, set.lostSince(losses)) }
}

/** Sorts the replies of lock calls. */
export function sortReplies(replies: readonly (LockReply | undefined)[]): Asked {
  let granted = NOBODY
  let taken = NOBODY
  const failures: (Failure | undefined)[] = []
  for (const [index, reply] of replies.entries()) {
    if (reply === undefined) continue
    if (reply.ok) granted |= only(index)
    else if (reply.errno === Errno.EAGAIN) taken |= only(index)
    else failures[index] = reply
  }
  return { granted, taken, failures }
}

/** Gives locks back; nobody waits for the answers. */
export function unlockAll(
  set: ReplicaSet,
  members: Members,
  ctx: Ctx,
  requests: readonly LockRequest[],
): void {
  const lazy: Ctx = { ...ctx, lazy: true }
  for (const index of indices(members)) {
    for (const request of requests) {
      callLock(set.child(index), set.name, lazy, request, 'unlock').catch(() => undefined)
    }
  }
}

/**
 * Takes all `requests`, which are in `lockOrder`, waiting, one after the other on each brick in turn.
 * A brick that fails is left out, and one that was lost while the next one kept us waiting: though it
 * may be back, it has none of our locks, and whoever has them there may wait for those on the others.
 * Gives the bricks on which all are held, or the failure when none is.
 */
export async function waitForAll(
  set: ReplicaSet,
  members: Members,
  ctx: Ctx,
  requests: readonly LockRequest[],
): Promise<Members | Failure> {
  let left = members
  let failed: Failure | undefined
  const held: { index: number; request: LockRequest; losses: Losses }[] = []
  const dropLost = (): void => {
    for (const { index, losses } of held) left &= ~(only(index) & set.lostSince(losses))
  }
  for (const request of requests) {
    for (const index of indices(left)) {
      dropLost()
      if (!has(left, index)) continue
      const reply = await callLock(set.child(index), set.name, ctx, request, 'wait')
      if (reply.ok) held.push({ index, request, losses: set.losses })
      else {
        failed = reply
        left &= ~only(index)
      }
    }
  }
  dropLost()
  const lazy: Ctx = { ...ctx, lazy: true }
  for (const { index, request } of held) {
    if (has(left, index)) continue
    callLock(set.child(index), set.name, lazy, request, 'unlock').catch(() => undefined)
  }
  return left === NOBODY ? (failed ?? failure(Errno.ENOTCONN)) : left
}

/** Order in which all clients take several locks: by gfid, the whole directory first, then by name. */
export function lockOrder(
  one: { readonly loc: Loc; readonly name: string | undefined },
  other: { readonly loc: Loc; readonly name: string | undefined },
): number {
  const first = gfidOfLoc(one.loc)
  const second = gfidOfLoc(other.loc)
  if (first !== second) return first < second ? -1 : 1
  if (one.name === other.name) return 0
  if (one.name === undefined) return -1
  if (other.name === undefined) return 1
  return Buffer.compare(Buffer.from(one.name), Buffer.from(other.name))
}

/** The gfid that a loc acts on. */
export function gfidOfLoc(loc: Loc): Gfid {
  return loc.gfid === NULL_GFID ? loc.inode.gfid : loc.gfid
}

/** A loc of an inode alone; without a path, which no brick needs. */
export function gfidLoc(inode: Inode, gfid: Gfid = inode.gfid): Loc {
  return { gfid, pargfid: NULL_GFID, name: '', path: '', inode, parent: undefined }
}
