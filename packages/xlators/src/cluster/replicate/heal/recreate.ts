/**
 * Making on one brick what another has under a name, and removing what should not be there. What is
 * new on the brick is empty: before it is made its other copies note that everything of it is to be
 * healed, so that the index leads the healer to it.
 * Source: xlators/cluster/afr/src/afr-self-heal-entry.c, afr-self-heal-common.c.
 */

import {
  type Ctx,
  Dict,
  entryLoc,
  Errno,
  failure,
  type Failure,
  type Iatt,
  type Inode,
  inodeLoc,
  type Loc,
  S_IFMT,
  type Subvolume,
} from '@ashlar/core'
import type { Counters } from '../changelog.ts'
import { has, type Members, only, where } from '../members.ts'
import { Aside } from './aside.ts'
import { type Copies, isAbsent, isCopy, statOf } from './copies.ts'
import { type HealJob, untouched } from './job.ts'
import { moveHere } from './moved-directory.ts'
import type { NameAction } from './name-plan.ts'
import { blameStep } from './undo.ts'

/** rmdir: the whole tree. */
const RECURSIVE = 1
const TARGET_BYTES = 4096

/** Carries out what was planned for a name of the job's directory. */
export class NameWorker {
  readonly #job: HealJob
  readonly #aside: Aside | undefined

  constructor(job: HealJob) {
    this.#job = job
    this.#aside = Aside.of(job.set, job.ctx)
  }

  end(): void {
    this.#aside?.end()
  }

  async perform(name: string, copies: Copies, action: NameAction): Promise<Failure | undefined> {
    if (action.kind === 'create') return this.#create(name, copies, action)
    const removed = await this.#remove(name, copies, action.on)
    if (removed !== undefined || action.kind === 'remove') return removed
    return this.#create(name, copies, action)
  }

  #loc(name: string): Loc {
    return entryLoc(this.#job.inode, name, this.#job.set.self.inodes.create())
  }

  /** The inode of a copy, for as long as `action` takes. */
  async #holding<R>(stat: Iatt, action: (inode: Inode) => Promise<R>): Promise<R> {
    const { inodes } = this.#job.set.self
    const inode = inodes.ref(inodes.link(inodes.create(), { gfid: stat.gfid, type: stat.type }))
    try {
      return await action(inode)
    } finally {
      inodes.unref(inode)
    }
  }

  // Removing

  async #remove(name: string, copies: Copies, on: number): Promise<Failure | undefined> {
    const { set, ctx, inode: directory } = this.#job
    const child = set.child(on)
    const stat = statOf(copies, on)
    // A file that keeps another name here needs no place to wait in.
    const last = stat.isDirectory || stat.nlink <= 1
    if (last && (await this.#livesElsewhere(stat, on))) {
      const put = await this.#aside?.put(child, directory, name, stat.gfid)
      // It may have got its new name in the meantime.
      if (this.#aside !== undefined) return put?.errno === Errno.ENOENT ? undefined : put
      // It was moved, and is to be moved here too, by the heal of where it is now.
      if (stat.isDirectory) return failure(Errno.EAGAIN)
    }
    const loc = this.#loc(name)
    const reply = stat.isDirectory
      ? await child.rmdir(ctx, { loc, xflags: RECURSIVE })
      : await child.unlink(ctx, { loc, xflags: 0 })
    return reply.ok || reply.errno === Errno.ENOENT ? undefined : reply
  }

  /** Another brick has it, under whatever name: it was moved, and will be wanted here. */
  async #livesElsewhere(stat: Iatt, on: number): Promise<boolean> {
    const { set, ctx } = this.#job
    return this.#holding(stat, async inode => {
      const others = set.all & ~only(on)
      const replies = await set.onAll(others, child => child.lookup(ctx, { loc: inodeLoc(inode) }))
      return replies.some((reply, index) => has(others, index) && reply?.ok === true)
    })
  }

  // Making

  async #create(
    name: string,
    copies: Copies,
    { on, from }: { readonly on: number; readonly from: number },
  ): Promise<Failure | undefined> {
    const { set, ctx } = this.#job
    const stat = statOf(copies, from)
    const child = set.child(on)
    return this.#holding(stat, async inode => {
      const there = await child.lookup(ctx, { loc: inodeLoc(inode) })
      if (!there.ok && !isAbsent(there)) return there
      if (there.ok) return this.#name(name, child, inode, stat)
      const blamed = await this.#markNew(inode, copies, from, on)
      return blamed ?? this.#make(name, child, set.child(from), inode, stat)
    })
  }

  /** The brick has the object under another name, or has put it aside. */
  async #name(
    name: string,
    child: Subvolume,
    inode: Inode,
    stat: Iatt,
  ): Promise<Failure | undefined> {
    const { inode: directory } = this.#job
    if (this.#aside !== undefined && (await this.#aside.take(child, inode.gfid, directory, name)))
      return undefined
    if (!stat.isDirectory) return this.#link(name, child, inode)
    return moveHere(this.#job, child, inode, name)
  }

  async #link(name: string, child: Subvolume, inode: Inode): Promise<Failure | undefined> {
    const { ctx } = this.#job
    const newloc = entryLoc(this.#job.inode, name, inode)
    const reply = await child.link(ctx, { oldloc: inodeLoc(inode), newloc, xdata: internal() })
    return reply.ok || reply.errno === Errno.EEXIST ? undefined : reply
  }

  /** The other copies blame the brick for all of what it is about to get. */
  async #markNew(
    inode: Inode,
    copies: Copies,
    from: number,
    on: number,
  ): Promise<Failure | undefined> {
    const { set, ctx } = this.#job
    const stat = statOf(copies, from)
    const wanted = newEntryMarks(stat, set.options['granular-entry-heal'])
    const holders = where(copies.length, index => {
      const copy = copies[index]
      return isCopy(copy) && copy.stat.gfid === stat.gfid
    })
    const marked = (index: number): boolean => {
      const copy = copies[index]
      const counters = isCopy(copy) ? copy.log.pending[on] : undefined
      return wanted.every((value, kind) => value === 0 || (counters?.[kind] ?? 0) > 0)
    }
    const unmarked: Members = where(
      copies.length,
      index => has(holders, index) && index !== on && !marked(index),
    )
    const replies = await set.onAll(unmarked, child =>
      child.compound(ctx, { steps: [blameStep(set, inode, only(on), wanted)] }),
    )
    for (const reply of replies) {
      const last = reply?.ok === true ? reply.replies.at(-1) : reply
      if (last !== undefined && !last.ok) return last
    }
    return undefined
  }

  async #make(
    name: string,
    child: Subvolume,
    from: Subvolume,
    inode: Inode,
    stat: Iatt,
  ): Promise<Failure | undefined> {
    const ctx: Ctx = { ...this.#job.ctx, uid: stat.uid, gid: stat.gid, time: untouched(stat) }
    const loc = this.#loc(name)
    const xdata = internal().setGfid('gfid-req', stat.gfid)
    if (stat.isDirectory) {
      const reply = await child.mkdir(ctx, { loc, mode: stat.mode & ~S_IFMT, umask: 0, xdata })
      return reply.ok ? undefined : reply
    }
    if (stat.isSymlink) {
      const read = await from.readlink(this.#job.ctx, { loc: inodeLoc(inode), size: TARGET_BYTES })
      if (!read.ok) return read
      const reply = await child.symlink(ctx, { loc, target: read.target, umask: 0, xdata })
      return reply.ok ? undefined : reply
    }
    const reply = await child.mknod(ctx, { loc, mode: stat.mode, rdev: stat.rdev, umask: 0, xdata })
    if (!reply.ok) return reply
    return reply.stat.gfid === stat.gfid ? undefined : failure(Errno.EIO)
  }
}

function internal(): Dict {
  return new Dict().setString('glusterfs-internal-fop', 'yes')
}

/** What of a new object is to be healed: all that it can have. */
export function newEntryMarks(stat: Iatt, granular: boolean): Counters {
  // Of a directory the counter of data says that all its names are to be looked at.
  if (stat.isDirectory) return [granular ? 1 : 0, 1, 1]
  return stat.isRegular ? [1, 1, 0] : [0, 1, 0]
}
