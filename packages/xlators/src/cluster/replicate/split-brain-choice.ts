/**
 * Split-brains seen and ended through a mount: a user chooses the copy that is read meanwhile, by the
 * name of its brick's translator, and at last the one that stays. Commands come as xattrs that nobody
 * stores. Source: xlators/cluster/afr/src/afr-inode-write.c (`afr_handle_special_xattr`).
 *
 *   setfattr -n replica.split-brain-choice         -v gv0-client-1  FILE     or `none`
 *   setfattr -n replica.split-brain-choice-timeout -v MINUTES       MOUNT
 *   setfattr -n replica.split-brain-heal-finalize  -v gv0-client-1  FILE
 */

import {
  type ContextKey,
  type Ctx,
  type Dict,
  EMPTY_IATT,
  Errno,
  failure,
  type Failure,
  type Inode,
  type Reply,
  type Timer,
  UpcallFlag,
} from '@ashlar/core'
import type { Resolution, Resolved } from './healer.ts'
import type { ReplicaSet } from './replica-set.ts'
import { splitKinds } from './split-brain-status.ts'

/** libglusterfs glusterfs.h: GF_AFR_SBRAIN_CHOICE, GF_AFR_SPB_CHOICE_TIMEOUT, GF_AFR_SBRAIN_RESOLVE. */
const CHOICE = 'replica.split-brain-choice'
const CHOICE_TIMEOUT = 'replica.split-brain-choice-timeout'
const FINALIZE = 'replica.split-brain-heal-finalize'
const NO_CHOICE = 'none'

const MINUTE_MS = 60_000
const TIMEOUT_MS = 5 * MINUTE_MS
/** A timer takes no longer ones: 2³¹ ms. */
const TIMEOUT_MINUTES_MAX = 35_000

/** What may be another one; with its names, as only a lookup shows a file that may not be read. */
const OTHER_COPY =
  UpcallFlag.SIZE | UpcallFlag.TIMES | UpcallFlag.MODE | UpcallFlag.OWN | UpcallFlag.EXPLICIT_LOOKUP

/** The copy of an inode that is read though it is not known to be good. */
export interface Choice {
  readonly index: number
  readonly timer: Timer
}

/** Ends a split-brain of one inode by a resolution. */
export type Resolve = (resolution: Resolution, inode: Inode) => Promise<Resolved | undefined>

export class SplitBrainChoices {
  readonly #set: ReplicaSet
  readonly #key: ContextKey<Choice>
  readonly #chosen = new Set<Inode>()
  #timeoutMs = TIMEOUT_MS

  constructor(set: ReplicaSet, key: ContextKey<Choice>) {
    this.#set = set
    this.#key = key
  }

  /** The copy that is to be read. */
  of(inode: Inode): number | undefined {
    return this.#key.get(inode)?.index
  }

  /**
   * Does what the xattrs to be set command; undefined: they are xattrs as any. EPERM for others than
   * root, EINVAL for what is no brick with data, no number of minutes, or a file not in split-brain.
   */
  async command(
    ctx: Ctx,
    inode: Inode,
    dict: Dict,
    resolve: Resolve,
  ): Promise<Reply<'setxattr'> | undefined> {
    const name = [CHOICE, CHOICE_TIMEOUT, FINALIZE].find(key => dict.has(key))
    if (name === undefined) return undefined
    if (ctx.uid !== 0) return failure(Errno.EPERM)
    const value = textOf(dict, name)
    if (name === CHOICE_TIMEOUT) return this.#limit(value)
    if (name === CHOICE) return (await this.#choose(inode, value)) ?? { ok: true }
    return (await this.#finalize(inode, value, resolve)) ?? { ok: true }
  }

  stop(): void {
    for (const inode of [...this.#chosen]) this.#drop(inode)
  }

  #limit(value: string): Reply<'setxattr'> {
    const minutes = /^\d+$/.test(value) ? Number(value) : Number.NaN
    if (!(minutes <= TIMEOUT_MINUTES_MAX)) return failure(Errno.EINVAL)
    this.#timeoutMs = minutes * MINUTE_MS
    return { ok: true }
  }

  async #choose(inode: Inode, value: string): Promise<Failure | undefined> {
    const index = this.#indexOf(value)
    if (index === undefined && value !== NO_CHOICE) return failure(Errno.EINVAL)
    const split = await splitKinds(this.#set, inode)
    if ('ok' in split) return split
    if (!split.data && !split.metadata) return failure(Errno.EINVAL)
    this.#drop(inode)
    if (index !== undefined) this.#keep(inode, index)
    this.#invalidate(inode)
    return undefined
  }

  async #finalize(inode: Inode, value: string, resolve: Resolve): Promise<Failure | undefined> {
    const index = this.#indexOf(value)
    if (index === undefined) return failure(Errno.EINVAL)
    // Not even if it cannot be healed is a copy to be read on that somebody has chosen before.
    this.#drop(inode)
    const brick = this.#set.child(index).name
    const resolved = await resolve({ policy: 'source-brick', brick }, inode)
    this.#invalidate(inode)
    if (resolved?.outcome === 'healed') return undefined
    return failure(resolved?.errno ?? Errno.EINVAL)
  }

  /** An arbiter has nothing to be read. */
  #indexOf(brick: string): number | undefined {
    const { children, arbiter } = this.#set
    const index = children.findIndex(child => child.name === brick)
    return index < 0 || index === arbiter ? undefined : index
  }

  #keep(inode: Inode, index: number): void {
    const { env, inodes } = this.#set.self
    const timer = env.clock.after(this.#timeoutMs, () => {
      this.#drop(inode)
      this.#invalidate(inode)
    })
    inodes.ref(inode)
    this.#chosen.add(inode)
    this.#key.set(inode, { index, timer })
  }

  #drop(inode: Inode): void {
    const choice = this.#key.get(inode)
    if (choice === undefined) return
    choice.timer.cancel()
    this.#key.set(inode, undefined)
    this.#chosen.delete(inode)
    this.#set.self.inodes.unref(inode)
  }

  /** Whatever the layers above and the kernel keep of it is another copy's. */
  #invalidate(inode: Inode): void {
    this.#set.self.notify({
      kind: 'cache-invalidation',
      change: {
        gfid: inode.gfid,
        flags: OTHER_COPY,
        expireTime: 0,
        stat: EMPTY_IATT,
        parentStat: EMPTY_IATT,
        oldParentStat: EMPTY_IATT,
      },
    })
  }
}

function textOf(dict: Dict, name: string): string {
  const text = dict.getString(name) ?? ''
  return text.endsWith('\0') ? text.slice(0, -1) : text
}
