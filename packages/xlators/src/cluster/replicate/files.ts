/**
 * Open files and directories: opened on all bricks that are up, read from a good one, flushed and
 * synced on all.
 */

import {
  type ContextKey,
  type Ctx,
  Dict,
  Errno,
  type Failure,
  failure,
  type Fd,
  type FopArgs,
  type Inode,
  inodeLoc,
  jointNamesLease,
  NAMES_LEASE,
  OpenFlag,
  type Reply,
  type StatfsReply,
} from '@ashlar/core'
import type { Copies } from './copies.ts'
import { first, has, type Members, NOBODY, only } from './members.ts'
import { NO_QUORUM, type ReplicaSet, succeeded } from './replica-set.ts'
import type { DataTransactions } from './transaction/data.ts'
import { judge, whose, worstOf } from './transaction/outcome.ts'

/** What is kept of an open directory. */
interface OpenState {
  /** Bricks on which it is open. */
  opened: Members
  /** The brick that the listing under way is read from; -1 before it begins. */
  listing: number
}

export class Files {
  readonly #set: ReplicaSet
  readonly #copies: Copies
  readonly #data: DataTransactions
  readonly #open: ContextKey<OpenState>
  readonly #locked: ContextKey<boolean>

  constructor(
    set: ReplicaSet,
    copies: Copies,
    data: DataTransactions,
    keys: { open: ContextKey<OpenState>; locked: ContextKey<boolean> },
  ) {
    this.#set = set
    this.#copies = copies
    this.#data = data
    this.#open = keys.open
    this.#locked = keys.locked
  }

  async open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    const set = this.#set
    if (!set.hasQuorum(set.up)) return NO_QUORUM
    // Cutting a file is a change like others: it is done under its lock, not by the open.
    const cuts = (args.flags & OpenFlag.TRUNC) !== 0
    const request = cuts ? { ...args, flags: args.flags & ~OpenFlag.TRUNC } : args
    const replies = await set.onAll(set.up, child => child.open(ctx, request))
    const opened = succeeded(replies)
    if (opened === NOBODY || !set.hasQuorum(opened)) {
      const said = worst(replies)
      // Those that lack it may have missed it, unless they are enough to say that it is gone.
      const gone = whose(replies, set.up, reply => !reply.ok && reply.errno === Errno.ESTALE)
      const isKnown = opened === NOBODY || said.errno !== Errno.ESTALE || set.hasQuorum(gone)
      return isKnown ? said : NO_QUORUM
    }
    if (cuts) {
      const cut = await this.#data.ftruncate(ctx, { fd: args.fd, offset: 0 })
      if (!cut.ok) return cut
    }
    return replies[first(opened)] as Reply<'open'>
  }

  async opendir(ctx: Ctx, args: FopArgs['opendir']): Promise<Reply<'opendir'>> {
    const set = this.#set
    if (!set.hasQuorum(set.up)) return NO_QUORUM
    // While all copies are good one is enough; another one is opened should it be needed.
    const one = only(this.#copies.choose(set.dataBricks, args.fd.inode, ctx))
    const agreed = this.#copies.agreement.holds()
    // A lease on the names is one only if no brick can have another name made without it.
    const leases = agreed && args.xdata?.has(NAMES_LEASE) === true
    const asked = agreed && !leases ? one : set.up
    const replies = await set.onAll(asked, child => child.opendir(ctx, args))
    const opened = succeeded(replies)
    if (opened === NOBODY) return worst(replies)
    this.#open.set(args.fd, { opened, listing: -1 })
    const lease = leases && asked === set.all ? jointNamesLease(replies) : undefined
    // Names made without one of the bricks before they granted it are missing on that one. Who makes
    // such a name from now on blames that brick, and breaks the lease by that.
    if (lease !== undefined && !(await this.#copies.agreement.confirmed())) return { ok: true }
    return lease === undefined
      ? { ok: true }
      : { ok: true, xdata: new Dict().setString(NAMES_LEASE, lease) }
  }

  /** The brick to list a directory from: at its beginning a good one, then always the same. */
  async listingBrick(ctx: Ctx, fd: Fd, offset: bigint): Promise<number | Failure> {
    const set = this.#set
    const state = this.#open.get(fd)
    if (offset !== 0n && state !== undefined && state.listing >= 0) {
      return set.isUp(state.listing) ? state.listing : failure(Errno.ENOTCONN)
    }
    if (!set.hasQuorum(set.up)) return NO_QUORUM
    const copies = await this.#copies.state(ctx, fd.inode)
    if ('ok' in copies) return copies
    for (const index of this.#copies.order(copies, fd.inode, ctx, 'metadata')) {
      if (await this.#openOn(ctx, fd, index)) {
        const now = this.#open.get(fd)
        if (now !== undefined) now.listing = index
        return index
      }
    }
    return failure(Errno.EIO)
  }

  /** Another brick takes over a listing that has just begun. */
  listingFailed(fd: Fd): void {
    const state = this.#open.get(fd)
    if (state !== undefined) state.listing = -1
    this.#copies.forget(fd.inode)
  }

  async #openOn(ctx: Ctx, fd: Fd, index: number): Promise<boolean> {
    const set = this.#set
    const state = this.#open.get(fd)
    if (!set.isUp(index)) return false
    if (state !== undefined && has(state.opened, index)) return true
    const reply = await set.child(index).opendir(ctx, { loc: inodeLoc(fd.inode), fd })
    if (!reply.ok) return false
    if (state === undefined) {
      this.#open.set(fd, { opened: only(index), listing: index })
    } else state.opened |= only(index)
    return true
  }

  /** A program has locked the file through this client. */
  locked(inode: Inode): void {
    this.#locked.set(inode, true)
  }

  /** Closing a file matters to bricks only for the locks that end with it. */
  async flush(ctx: Ctx, args: FopArgs['flush']): Promise<Reply<'flush'>> {
    if (this.#locked.get(args.fd.inode) !== true) return { ok: true }
    const set = this.#set
    const replies = await set.onAll(set.up, child => child.flush(ctx, args))
    const done = succeeded(replies)
    return done !== NOBODY && set.hasQuorum(done) ? { ok: true } : worst(replies)
  }

  async fsync(ctx: Ctx, args: FopArgs['fsync']): Promise<Reply<'fsync'>> {
    const set = this.#set
    if (!set.hasQuorum(set.up)) return NO_QUORUM
    const members = set.up
    const synced = this.#data.lockOf(args.fd.inode)?.syncing()
    const replies = await set.onAll(members, child => child.fsync(ctx, args))
    const judged = judge(replies, members)
    if (judged.kind === 'refused') return judged.failure
    if (!set.hasQuorum(judged.done)) return judged.failure ?? NO_QUORUM
    if (judged.failed === NOBODY) synced?.()
    const data = judged.done & set.dataBricks
    if (data === NOBODY) return NO_QUORUM
    const known = this.#copies.known(args.fd.inode)
    const good = known === undefined ? data : data & known.data
    return replies[
      this.#copies.choose(good === NOBODY ? data : good, args.fd.inode, ctx)
    ] as Reply<'fsync'>
  }

  async fsyncdir(ctx: Ctx, args: FopArgs['fsyncdir']): Promise<Reply<'fsyncdir'>> {
    const set = this.#set
    const replies = await set.onAll(set.up, child => child.fsyncdir(ctx, args))
    const done = succeeded(replies)
    return done !== NOBODY && set.hasQuorum(done) ? { ok: true } : worst(replies)
  }

  /** The space of the fullest brick: what is written goes to all. */
  async statfs(ctx: Ctx, args: FopArgs['statfs']): Promise<Reply<'statfs'>> {
    const set = this.#set
    const replies = await set.onAll(set.up & set.dataBricks, child => child.statfs(ctx, args))
    let least: StatfsReply | undefined
    for (const reply of replies) {
      if (reply?.ok !== true) continue
      if (least === undefined || available(reply) < available(least)) least = reply
    }
    return least ?? worst(replies)
  }
}

function available({ statfs }: StatfsReply): number {
  return statfs.bavail * statfs.frsize
}

function worst(replies: readonly ({ readonly ok: boolean } | undefined)[]): Failure {
  const failures = replies.filter((reply): reply is Failure => reply?.ok === false)
  return failures.length === 0 ? NO_QUORUM : worstOf(failures)
}
