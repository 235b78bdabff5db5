/**
 * ReplicaSet: what all parts of cluster/replicate share — the bricks and which of them are up, their
 * keys in the changelog, quorum, and the identity by which this process takes locks.
 */

import {
  type Ctx,
  Dict,
  type Env,
  Errno,
  failure,
  type Failure,
  type OptionValues,
  ROOT_CTX,
  type Subvolume,
  type XlatorSelf,
} from '@ashlar/core'
import { type BrickChangelog, CHANGELOG_BYTES, readChangelog } from './changelog.ts'
import { majority } from './direction.ts'
import { Latencies } from './latencies.ts'
import {
  everybody,
  has,
  indices,
  type Members,
  NOBODY,
  only,
  size,
  where,
  without,
} from './members.ts'
import type { ReplicateOptions } from './options.ts'
import { IdleSweep } from './transaction/idle-sweep.ts'
import { Leaving } from './transaction/leaving.ts'

export type Self = XlatorSelf<ReplicateOptions>

/** By child: how often it had been lost. */
export type Losses = readonly number[]

/** What clients of a set without quorum answer, as GlusterFS's do. */
export const NO_QUORUM: Failure = Object.freeze(failure(Errno.ENOTCONN))

export class ReplicaSet {
  readonly self: Self
  readonly children: readonly Subvolume[]
  /** Number of bricks. */
  readonly count: number
  readonly all: Members
  /** By child: `trusted.afr.vol-client-0`. */
  readonly pendingKeys: readonly string[]
  readonly dirtyKey: string
  /** Position of the brick that keeps no data; -1 without one. */
  readonly arbiter: number
  /** Bricks that are connected. */
  up: Members = NOBODY
  /** By brick: a compound is one round trip there. */
  readonly compounds: boolean[] = []
  /** Grows whenever a brick comes or goes: what was learnt of copies before is not to be trusted. */
  generation = 0
  /** Grows only when a brick comes: it has none of the locks that the others have given. */
  arrivals = 0
  /** By child: how often it was lost; its locks of ours, and what it had not synced, went each time. */
  readonly #losses: number[]
  readonly latencies: Latencies
  /** Locks that are kept a moment after their use. */
  readonly idle: IdleSweep
  /** Files whose locks are being given back. */
  readonly leaving = new Leaving(this)
  #owners = 0

  constructor(self: Self) {
    this.self = self
    this.children = self.children
    this.count = self.children.length
    this.all = everybody(this.count)
    this.#losses = this.children.map(() => 0)
    this.latencies = new Latencies(this.count)
    const keys = self.options['afr-pending-xattr']
    this.pendingKeys = this.children.map(
      (child, i) => `trusted.afr.${keys[i] === undefined ? child.name : keys[i]}`,
    )
    this.dirtyKey = self.options['afr-dirty-xattr']
    this.arbiter = self.options['arbiter-count'] > 0 ? this.count - 1 : -1
    this.idle = new IdleSweep(self.env.clock, () => self.options['post-op-delay-secs'] * 1000)
  }

  get name(): string {
    return this.self.name
  }

  get env(): Env {
    return this.self.env
  }

  get options(): OptionValues<ReplicateOptions> {
    return this.self.options
  }

  /** Bricks that hold data: all but an arbiter. */
  get dataBricks(): Members {
    return this.arbiter < 0 ? this.all : without(this.all, only(this.arbiter))
  }

  child(index: number): Subvolume {
    return this.children[index] as Subvolume
  }

  isUp(index: number): boolean {
    return has(this.up, index)
  }

  /**
   * A volume that says nothing has a quorum when it has more than two bricks: glusterd writes none into
   * volfiles (afr.c `fix_quorum_options`).
   */
  get #quorumType(): string {
    return this.options['quorum-type'] ?? (this.count > 2 ? 'auto' : 'none')
  }

  /** How many bricks must take part; 0 when the volume asks for none. */
  get quorum(): number {
    switch (this.#quorumType) {
      case 'auto':
        return majority(this.count)
      case 'fixed':
        return this.options['quorum-count']
      default:
        return 0
    }
  }

  /** A brick has come. */
  gained(index: number): void {
    this.up |= only(index)
    this.generation += 1
    this.arrivals += 1
  }

  /** A brick's connection is gone. */
  lost(index: number): void {
    this.up = without(this.up, only(index))
    this.generation += 1
    this.#losses[index] = (this.#losses[index] as number) + 1
  }

  /** A moment, for `lostSince`. */
  get losses(): Losses {
    return [...this.#losses]
  }

  /** Bricks whose connection has been lost since then, though they may be back. */
  lostSince(losses: Losses): Members {
    return where(this.count, index => this.#losses[index] !== losses[index])
  }

  /** Enough bricks for an operation to count: at least one, and the quorum if the volume has one. */
  hasQuorum(members: Members): boolean {
    const present = size(members)
    if (present === 0) return false
    const needed = this.quorum
    if (needed === 0 || present >= needed) return true
    // Half of an even set is enough when the first brick is in it.
    return this.#quorumType === 'auto' && present * 2 === this.count && has(members, 0)
  }

  /** A lock owner that nobody else of this process has. */
  nextOwner(): string {
    this.#owners += 1
    const owner = Buffer.alloc(8)
    owner.writeUIntLE(this.#owners, 0, 6)
    owner[6] = 0x52 // keeps them apart from the kernel's owners and distribute's
    owner[7] = this.self.graph.id & 0xff
    return owner.latin1Slice()
  }

  /** xdata that asks lookups and stats for the whole changelog. */
  askChangelog(xdata?: Dict): Dict {
    const dict = xdata?.clone() ?? new Dict()
    for (const key of this.pendingKeys) dict.setUint(key, CHANGELOG_BYTES)
    return dict.setUint(this.dirtyKey, CHANGELOG_BYTES)
  }

  /** The changelog in an answer's xdata or xattrop dict. */
  changelog(xattrs: Dict | undefined): BrickChangelog {
    return readChangelog(xattrs, this.pendingKeys, this.dirtyKey)
  }

  /** `call` on each of `members` at once; the replies by child, undefined for the others. */
  async onAll<R>(
    members: Members,
    call: (child: Subvolume, index: number) => Promise<R>,
  ): Promise<(R | undefined)[]> {
    const replies: (R | undefined)[] = Array.from({ length: this.count }, () => undefined)
    await Promise.all(
      indices(members).map(async index => {
        replies[index] = await call(this.child(index), index)
      }),
    )
    return replies
  }

  /** As `onAll`, for a small question that every brick answers alike: what it takes is noted. */
  askAll<R extends { readonly ok: boolean }>(
    members: Members,
    call: (child: Subvolume) => Promise<R>,
  ): Promise<(R | undefined)[]> {
    const { clock } = this.env
    const began = clock.monotonic()
    return this.onAll(members, async (child, index) => {
      const reply = await call(child)
      if (reply.ok) this.latencies.note(index, clock.monotonic() - began)
      return reply
    })
  }
}

/** The members whose reply is a success. */
export function succeeded(replies: readonly ({ readonly ok: boolean } | undefined)[]): Members {
  let members = NOBODY
  for (const [index, reply] of replies.entries()) if (reply?.ok === true) members |= only(index)
  return members
}

/** The caller of work that replicate does on its own behalf: root, with a lock owner of its own. */
export function internalCtx(ctx: Ctx, lkOwner: string): Ctx {
  return { ...ROOT_CTX, pid: ctx.pid, priority: ctx.priority, client: ctx.client, lkOwner }
}
