/**
 * Knowledge: what md-cache has been told of inodes, by replies and by news from bricks, and which
 * extended attributes somebody wants to know. Who sends a request says so here:
 *
 *   it changes nothing      `tickets` before, `seen` or `found` after
 *   it changes attributes   `begin` before, `end` after
 *   it gives a name         `made` after
 *   it takes one            `leave` before, `moved` or `gone` after
 *
 * The rule that must not break: nothing is answered that is older than the timeout, than a brick's
 * going away, or than a change that this client has made or heard of.
 */

import {
  type CacheInvalidation,
  type ContextKey,
  Dict,
  type DictValue,
  type DirentPlus,
  EMPTY_IATT,
  Errno,
  failure,
  type Gfid,
  type Iatt,
  type Inode,
  type Loc,
  type LookupReply,
  NULL_GFID,
  type Reply,
  UpcallFlag,
  type XlatorSelf,
} from '@ashlar/core'
import { ATTRIBUTES_MS_MAX, type Listed } from './look-ahead.ts'
import { Metadata, sameContent } from './metadata.ts'
import type { mdCacheOptions } from './options.ts'

export type Self = XlatorSelf<typeof mdCacheOptions>

/** Names that are asked along with each lookup, once somebody has asked for them: so many at most. */
const WANTED_MAX = 32
const LOST = UpcallFlag.NLINK | UpcallFlag.RENAME | UpcallFlag.FORGET | UpcallFlag.INVAL_ATTR
const ATTRIBUTES =
  UpcallFlag.MODE |
  UpcallFlag.OWN |
  UpcallFlag.SIZE |
  UpcallFlag.TIMES |
  UpcallFlag.ATIME |
  UpcallFlag.PERM
const XATTRS = UpcallFlag.XATTR | UpcallFlag.XATTR_RM

/** Taken before a request is sent; its reply counts for what has not changed since. */
interface Tickets {
  readonly stat: number
  readonly xattrs: number
}

type Changed = { ok: true; prestat: Iatt; poststat: Iatt } | { ok: false }
type Made = { ok: true; stat: Iatt; postparent: Iatt } | { ok: false }
type Gone = { ok: true; postparent: Iatt } | { ok: false }

export class Knowledge {
  readonly #self: Self
  readonly #key: ContextKey<Metadata>
  /** Xattrs that somebody has asked for. */
  readonly #wanted = new Set<string>()
  /** What was learnt before a brick went away counts no more. */
  #downAt = -Infinity

  constructor(self: Self) {
    this.#self = self
    this.#key = self.contextKey<Metadata>()
  }

  /** What is known of one inode: nothing, at first. */
  of(inode: Inode): Metadata {
    return this.#key.get(inode) ?? this.#key.obtain(inode, () => new Metadata())
  }

  /** A brick has gone away. */
  down(): void {
    this.#downAt = this.#now()
  }

  // Answers.

  /** The attributes, while they are fresh. */
  fresh(inode: Inode): Iatt | undefined {
    const metadata = this.#key.get(inode)
    return metadata?.statSince(this.#since(this.#now()))
  }

  /** A lookup's answer, when inode, name and all xattrs that are asked for are known. */
  answer(loc: Loc, xdata: Dict | undefined): Reply<'lookup'> | undefined {
    const { inode, parent } = loc
    if (!inode.linked || loc.name === '' || parent === undefined) return undefined
    const metadata = this.#key.get(inode)
    if (metadata === undefined) return undefined
    const since = this.namesSince(parent)
    const stat = metadata.statSince(since)
    if (stat === undefined || !metadata.isNamed(parent.gfid, loc.name, since)) return undefined
    let found: Dict | undefined
    for (const key of xdata?.keys() ?? []) {
      if (key === 'gfid-req') continue
      if (!metadata.knowsXattr(key, since)) return undefined
      const value = metadata.xattr(key)
      if (value !== undefined) found = (found ?? new Dict()).set(key, value)
    }
    const postparent = this.#key.get(parent)?.statSince(since) ?? EMPTY_IATT
    return { ok: true, stat, postparent, xdata: found }
  }

  /** A lookup's answer from an entry listed later than `since`, which is remembered, too. */
  listed(loc: Loc, entry: Listed, since: number): Reply<'lookup'> | undefined {
    const { parent } = loc
    const { gfid } = entry.stat
    if (parent === undefined || (loc.inode.linked && loc.inode.gfid !== gfid)) return undefined
    const inode = this.#inodeOf(loc.inode, gfid)
    if (this.of(inode).changing > 0) return undefined
    // To be believed no longer than what else was listed: bricks may not tell us of changes.
    const timeout = this.#self.options['md-cache-timeout'] * 1000
    const at = entry.at - Math.max(0, timeout - ATTRIBUTES_MS_MAX)
    const metadata = this.seen(inode, entry.stat, this.tickets(inode), at)
    metadata.named(parent.gfid, loc.name, at)
    for (const name of this.#wanted)
      metadata.storeXattr(name, entry.dict?.get(name), at, since, metadata.xattrTicket)
    return {
      ok: true,
      stat: metadata.lastStat ?? entry.stat,
      postparent: this.#key.get(parent)?.statSince(since) ?? EMPTY_IATT,
      xdata: entry.dict,
    }
  }

  /** What was learnt of a directory's names later than this is fresh. */
  namesSince(directory: Inode): number {
    const lockedAt = this.#key.get(directory)?.lockedAt ?? -Infinity
    return Math.max(this.#since(this.#now()), lockedAt)
  }

  // Replies to what changes nothing.

  tickets(inode: Inode): Tickets {
    const metadata = this.of(inode)
    return { stat: metadata.ticket, xattrs: metadata.xattrTicket }
  }

  /** Attributes of a reply that changes nothing: a difference is somebody else's work. */
  seen(inode: Inode, stat: Iatt, before: Tickets, now = this.#now()): Metadata {
    const metadata = this.of(inode)
    const last = metadata.lastStat
    if (
      last !== undefined &&
      metadata.changing === 0 &&
      metadata.ticket === before.stat &&
      stat.isRegular &&
      !sameContent(last, stat)
    )
      this.#foreign(inode)
    metadata.store(stat, now, this.#since(now), before.stat)
    return metadata
  }

  /** A lookup has found something; `before` is of the inode that it was sent with. */
  found(loc: Loc, reply: LookupReply, before: Tickets): void {
    const inode = this.#inodeOf(loc.inode, reply.stat.gfid)
    const now = this.#now()
    const metadata = this.seen(inode, reply.stat, before, now)
    if (loc.name !== '') {
      metadata.named(parentGfid(loc), loc.name, now)
      if (loc.parent !== undefined && !reply.postparent.isEmpty)
        this.#store(loc.parent, reply.postparent, now)
    }
    if (inode === loc.inode || metadata.xattrTicket === before.xattrs)
      for (const name of this.#wanted)
        metadata.storeXattr(name, reply.xdata?.get(name), now, this.#since(now), before.xattrs)
  }

  /** A directory has been listed; `started`: when it was asked for. */
  seenEntries(entries: readonly DirentPlus[], started: number): void {
    const { inodes } = this.#self
    for (const { stat } of entries) {
      const inode = stat.gfid === NULL_GFID ? undefined : inodes.find(stat.gfid)
      // Nobody has taken a ticket for each entry: what is fresher than the request stays.
      if (inode === undefined || this.of(inode).statSince(started) !== undefined) continue
      const metadata = this.of(inode)
      if (metadata.lastStat !== undefined && metadata.changing === 0)
        this.#store(inode, stat, started)
    }
  }

  // Changes of ours.

  /** Returns the ticket for `end`. */
  begin(inode: Inode): number {
    const metadata = this.of(inode)
    metadata.changing += 1
    return metadata.ticket
  }

  end(inode: Inode, reply: Changed, ticket: number): void {
    const metadata = this.of(inode)
    metadata.changing -= 1
    if (!reply.ok) {
      metadata.invalidate()
      return
    }
    const { prestat, poststat } = reply
    const last = metadata.lastStat
    const alone = metadata.changing === 0 && metadata.ticket === ticket
    if (last !== undefined && alone && prestat.isRegular && !sameContent(last, prestat))
      this.#foreign(inode)
    // Of changes that run side by side nobody can tell which attributes are the last.
    if (!alone) metadata.invalidate()
    else {
      const now = this.#now()
      metadata.changed(poststat, now, this.#since(now))
    }
  }

  made(loc: Loc, reply: Made): void {
    if (!reply.ok) {
      this.#forgetParent(loc)
      return
    }
    const now = this.#now()
    if (loc.parent !== undefined) this.#store(loc.parent, reply.postparent, now)
    if (reply.stat.gfid === NULL_GFID) return
    const inode = this.#inodeOf(loc.inode, reply.stat.gfid)
    this.#store(inode, reply.stat, now)
    this.of(inode).named(parentGfid(loc), loc.name, now)
  }

  /** What has this name is about to lose it. */
  leave(loc: Loc): void {
    this.of(loc.inode).leaving += 1
  }

  #left(loc: Loc): void {
    const metadata = this.of(loc.inode)
    metadata.leaving -= 1
    metadata.invalidate()
    metadata.unname()
  }

  moved(oldloc: Loc, newloc: Loc, reply: Reply<'rename'>): void {
    const metadata = this.of(oldloc.inode)
    this.#left(oldloc)
    this.#left(newloc)
    if (!reply.ok) {
      this.#forgetParent(oldloc)
      this.#forgetParent(newloc)
      return
    }
    const now = this.#now()
    if (!reply.stat.isEmpty) this.#store(oldloc.inode, reply.stat, now)
    metadata.named(parentGfid(newloc), newloc.name, now)
    if (oldloc.parent !== undefined) this.#store(oldloc.parent, reply.postoldparent, now)
    if (newloc.parent !== undefined) this.#store(newloc.parent, reply.postnewparent, now)
  }

  gone(loc: Loc, reply: Gone): void {
    this.#left(loc)
    if (!reply.ok) this.#forgetParent(loc)
    else if (loc.parent !== undefined) this.#store(loc.parent, reply.postparent, this.#now())
  }

  /** A lock has been granted: others may have changed the file, and names beside it. */
  locked(inode: Inode): void {
    this.of(inode).invalidate()
    const now = this.#now()
    for (const { parent } of inode.dentries) this.of(parent).lockedAt = now
  }

  /**
   * Bricks do not have the inode: some name on the path to it leads elsewhere by now. Each of them is
   * asked for anew.
   */
  lost(inode: Inode): void {
    const metadata = this.#key.get(inode)
    metadata?.invalidate()
    metadata?.invalidateXattrs()
    const path = new Set([inode])
    for (const each of path) {
      this.#key.get(each)?.unname()
      for (const { parent } of each.dentries) path.add(parent)
    }
  }

  // Extended attributes.

  get wanted(): ReadonlySet<string> {
    return this.#wanted
  }

  wantNone(): void {
    this.#wanted.clear()
  }

  /** True when lookups ask for all that `xdata` asks for. */
  wants(xdata: Dict | undefined): boolean {
    for (const key of xdata?.keys() ?? [])
      if (key !== 'gfid-req' && !this.#wanted.has(key)) return false
    return true
  }

  /** What is asked for, with all that is wanted. */
  asking(xdata: Dict | undefined): Dict {
    const asking = xdata?.clone() ?? new Dict()
    for (const name of this.#wanted) if (!asking.has(name)) asking.setUint(name, 0)
    return asking
  }

  xattr(inode: Inode, name: string): Reply<'getxattr'> | undefined {
    const metadata = this.#key.get(inode)
    if (metadata?.knowsXattr(name, this.#since(this.#now())) !== true) return undefined
    const value = metadata.xattr(name)
    return value === undefined
      ? failure(Errno.ENODATA)
      : { ok: true, dict: new Dict().set(name, value) }
  }

  /** Has a brick asked for an xattr, which is wanted from now on. */
  async learn(
    inode: Inode,
    name: string,
    ask: () => Promise<Reply<'getxattr'>>,
  ): Promise<Reply<'getxattr'>> {
    if (this.#wanted.size < WANTED_MAX) this.#wanted.add(name)
    const metadata = this.of(inode)
    const ticket = metadata.xattrTicket
    const reply = await ask()
    const now = this.#now()
    const keep = (value: DictValue | undefined): void =>
      metadata.storeXattr(name, value, now, this.#since(now), ticket)
    if (reply.ok) keep(reply.dict.get(name))
    else if (reply.errno === Errno.ENODATA) keep(undefined)
    return reply
  }

  /** Also the ctime has changed, and with an ACL the mode. */
  xattrsChanged(inode: Inode): void {
    const metadata = this.of(inode)
    metadata.invalidateXattrs()
    metadata.invalidate()
  }

  // News from bricks.

  news(change: CacheInvalidation): void {
    const inode = this.#self.inodes.find(change.gfid)
    const { flags } = change
    if ((flags & UpcallFlag.PARENT_TIMES) !== 0)
      for (const stat of [change.parentStat, change.oldParentStat]) this.#told(stat)
    const metadata = inode === undefined ? undefined : this.#key.get(inode)
    if (metadata === undefined) return
    if ((flags & (LOST | UpcallFlag.EXPLICIT_LOOKUP)) !== 0) metadata.unname()
    if ((flags & LOST) !== 0) {
      metadata.invalidate()
      metadata.invalidateXattrs()
      return
    }
    if ((flags & ATTRIBUTES) !== 0) {
      metadata.invalidate()
      this.#told(change.stat)
    }
    if ((flags & XATTRS) !== 0) metadata.invalidateXattrs()
  }

  /** Attributes as a brick sends them of its own accord. */
  #told(stat: Iatt): void {
    const inode = stat.isEmpty ? undefined : this.#self.inodes.find(stat.gfid)
    if (inode === undefined) return
    this.of(inode).invalidate()
    // A directory has further copies, which tell their own part.
    if (!stat.isDirectory) this.#store(inode, stat, this.#now())
  }

  // Within.

  #now(): number {
    return this.#self.env.clock.monotonic()
  }

  /** What was learnt later than this is fresh. */
  #since(now: number): number {
    const { options } = this.#self
    if (options['pass-through']) return Infinity
    return Math.max(this.#downAt, now - options['md-cache-timeout'] * 1000)
  }

  /** The inode a reply is about: a temporary one when the table does not have it yet. */
  #inodeOf(inode: Inode, gfid: Gfid): Inode {
    return inode.gfid === gfid ? inode : (this.#self.inodes.find(gfid) ?? inode)
  }

  #store(inode: Inode, stat: Iatt, now: number): void {
    const metadata = this.of(inode)
    metadata.store(stat, now, this.#since(now), metadata.ticket)
  }

  #forgetParent(loc: Loc): void {
    if (loc.parent !== undefined) this.of(loc.parent).invalidate()
  }

  /** Somebody else has changed the file: caches above are to know. */
  #foreign(inode: Inode): void {
    if (inode.linked && this.#self.options['global-cache-invalidation'])
      this.#self.notify({ kind: 'inode-invalidate', inode })
  }
}

function parentGfid(loc: Loc): Gfid {
  return loc.parent?.gfid ?? loc.pargfid
}
