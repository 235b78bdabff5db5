/**
 * What all three kinds of locks share: who holds one, and how a request waits for one.
 *
 * An owner is a client connection together with the bytes it calls itself by: two mounts never
 * share one. Facts: xlators/features/locks/src/common.c.
 */

import type { Ctx, Errno } from '@ashlar/core'

export interface Holder {
  /** Connection and lk-owner in one, for comparing. */
  readonly owner: string
  readonly client: string
  readonly lkOwner: string
  readonly pid: number
}

/** Connection and lk-owner in one. */
export function ownerOf(client: string, lkOwner: string): string {
  return `${client}\0${lkOwner}`
}

export function holderOf(ctx: Ctx): Holder {
  return {
    owner: ownerOf(ctx.client, ctx.lkOwner),
    client: ctx.client,
    lkOwner: ctx.lkOwner,
    pid: ctx.pid,
  }
}

/** The outcome of a request for a lock: 0 granted, else an errno. */
export type Outcome = Errno

/** A request that waits; settled exactly once. */
export interface Waiter {
  readonly settle: (outcome: Outcome) => void
}

/** Told whom a waiting request is blocked by. */
export type Contention = (held: Holder) => void
