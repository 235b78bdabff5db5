/**
 * Extended attributes as users see them: read from a good copy, without those that are replicate's
 * own, and the virtual ones that ask about the bricks.
 */

import {
  type Ctx,
  Dict,
  Errno,
  failure,
  type Failure,
  type Inode,
  LOCK_INFO,
  type Reply,
  valueText,
} from '@ashlar/core'
import type { Copies } from './copies.ts'
import { mergeLockInfo } from './lock-info.ts'
import { type Members, NOBODY } from './members.ts'
import { NO_QUORUM, type ReplicaSet } from './replica-set.ts'
import { SPLIT_BRAIN_STATUS, splitBrainStatus } from './split-brain-status.ts'
import { worstOf } from './transaction/outcome.ts'

const RESERVED_PREFIX = 'trusted.afr.'
const PATHINFO: ReadonlySet<string> = new Set(['trusted.glusterfs.pathinfo', 'glusterfs.pathinfo'])
const NODE_UUIDS: ReadonlySet<string> = new Set(['trusted.glusterfs.list-node-uuids'])
const CLEAR_LOCKS_PREFIX = 'glusterfs.clrlk'

/** What only replicate writes, and users neither see nor touch. */
export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED_PREFIX)
}

type Ask = (index: number) => Promise<Reply<'getxattr'>>

export class Xattrs {
  readonly #set: ReplicaSet
  readonly #copies: Copies

  constructor(set: ReplicaSet, copies: Copies) {
    this.#set = set
    this.#copies = copies
  }

  /** getxattr and fgetxattr; `ask` sends it to one brick. */
  async get(ctx: Ctx, inode: Inode, name: string, ask: Ask): Promise<Reply<'getxattr'>> {
    if (isReserved(name) && ctx.pid >= 0) return failure(Errno.ENODATA)
    if (PATHINFO.has(name)) return this.#joined(name, ask, `(<REPLICATE:${this.#set.name}> `, ')')
    if (NODE_UUIDS.has(name)) return this.#joined(name, ask, '', '')
    if (name === SPLIT_BRAIN_STATUS) return splitBrainStatus(this.#set, inode)
    if (name === LOCK_INFO) return mergeLockInfo(await this.#askAll(ask))
    if (name.startsWith(CLEAR_LOCKS_PREFIX)) return this.#fromAll(ask)
    const reply = await this.#copies.read(ctx, inode, 'metadata', ask)
    if (reply.ok && ctx.pid >= 0) {
      for (const key of [...reply.dict.keys()]) if (isReserved(key)) reply.dict.delete(key)
    }
    return reply
  }

  /** The texts of all bricks, side by side. */
  async #joined(name: string, ask: Ask, before: string, after: string): Promise<Reply<'getxattr'>> {
    const replies = await this.#askAll(ask)
    const texts: string[] = []
    // The last brick comes first, as GlusterFS has it.
    for (const reply of replies.toReversed()) {
      if (reply?.ok !== true) continue
      const entry = reply.dict.get(name)
      const text = entry === undefined ? undefined : valueText(entry)
      if (text !== undefined) texts.push(text)
    }
    if (texts.length === 0) return worst(replies)
    return { ok: true, dict: new Dict().setString(name, `${before}${texts.join(' ')}${after}`) }
  }

  async #fromAll(ask: Ask): Promise<Reply<'getxattr'>> {
    const replies = await this.#askAll(ask)
    const merged = new Dict()
    let some = false
    for (const reply of replies) {
      if (reply?.ok !== true) continue
      some = true
      merged.merge(reply.dict)
    }
    return some ? { ok: true, dict: merged } : worst(replies)
  }

  async #askAll(ask: Ask): Promise<(Reply<'getxattr'> | undefined)[]> {
    const up: Members = this.#set.up
    return up === NOBODY ? [] : this.#set.onAll(up, (_, index) => ask(index))
  }
}

function worst(replies: readonly (Reply<'getxattr'> | undefined)[]): Failure {
  const failures = replies.filter((reply): reply is Failure => reply?.ok === false)
  return failures.length === 0 ? NO_QUORUM : worstOf(failures)
}
