/**
 * HealJob: the identity under which one heal works (caller, lock owner, lock domains), the inode it
 * works on, and the words in which a heal says how it ended.
 */

import {
  type Ctx,
  Errno,
  type Fd,
  type Gfid,
  type Iatt,
  type Inode,
  inodeLoc,
  type Loc,
  type OpTime,
  ROOT_CTX,
  SpecialPid,
} from '@ashlar/core'
import type { ReplicaSet } from '../replica-set.ts'

/** How a heal ended. */
export type Outcome =
  /** Nothing was to be done. */
  { readonly kind: 'clean' } | { readonly kind: 'healed' } | Unhealed

/** What is to be healed stays as it is, for a reason that people can read. */
export interface Unhealed {
  readonly kind: 'failed'
  readonly errno: Errno
  readonly reason: string
  /** No copy is known to be right, and none was chosen. */
  readonly splitBrain: boolean
}

export const CLEAN: Outcome = { kind: 'clean' }
export const HEALED: Outcome = { kind: 'healed' }

export function unhealed(errno: Errno, reason: string, splitBrain = false): Unhealed {
  return { kind: 'failed', errno, reason, splitBrain }
}

/** Heals touch no times by themselves: they copy those of the source. */
export function untouched(like?: Iatt): OpTime {
  // A second of zero would mean that nothing was said.
  return { flags: 0, sec: Math.max(1, like?.ctime ?? 1), nsec: like?.ctimeNsec ?? 0 }
}

export class HealJob {
  readonly set: ReplicaSet
  readonly ctx: Ctx
  /** Domain of the locks that transactions take, too. */
  readonly domain: string
  /** Domain in which heals meet each other only. */
  readonly healDomain: string
  readonly inode: Inode

  /** The inode is held by the job until `end`. */
  constructor(set: ReplicaSet, gfid: Gfid, type = 0) {
    const { inodes } = set.self
    this.set = set
    this.domain = set.name
    this.healDomain = `${set.name}:self-heal`
    this.ctx = {
      ...ROOT_CTX,
      pid: SpecialPid.SELF_HEALD,
      priority: 'heal',
      lkOwner: set.nextOwner(),
      time: untouched(),
    }
    this.inode = inodes.ref(inodes.link(inodes.create(), { gfid, type }))
  }

  end(): void {
    this.set.self.inodes.unref(this.inode)
  }

  get loc(): Loc {
    return inodeLoc(this.inode)
  }

  /** An fd by gfid: nothing is to be opened or closed on the bricks. */
  fd(flags: number): Fd {
    return this.set.self.anonymousFd(this.inode, flags)
  }

  brick(index: number): string {
    return this.set.child(index).name
  }
}
