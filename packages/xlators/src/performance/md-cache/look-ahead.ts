/**
 * LookAhead: who looks up one name of a directory after the other will ask for others, too. The
 * directory is then listed with attributes behind the reader's back, in large pieces that bricks read
 * side by side, and lookups are answered from that: a scan by name (`stat`, `rsync`, `git status`,
 * `rm`) goes at the speed of a listing.
 *
 *   name that was listed      its attributes, once, while they are as young as md-cache allows, and
 *                             no older than `ATTRIBUTES_MS_MAX`
 *   name that was not listed  "not there", while the bricks' lease on the names of the directory lasts
 *                             (core/names-lease.ts) and all of them were listed: making many files
 *                             (`tar x`, `cp -r`) saves asking for each before
 *   anything else             a brick is asked
 *
 * What this client has changed since the listing began, or has heard of otherwise, is not answered
 * from it.
 */

import {
  type Clock,
  type ContextKey,
  type Ctx,
  Dict,
  type DirentPlus,
  type Fd,
  type Gfid,
  type Iatt,
  type Inode,
  inodeLoc,
  leaseOf,
  type Loc,
  NAMES_LEASE,
  NAMES_LEASE_MS,
  nameByteLength,
  NULL_GFID,
  type Reply,
  ROOT_CTX,
  type Subvolume,
  type Timer,
} from '@ashlar/core'

/** Lookups in a row that bricks had to answer, before the rest is listed. */
const RUN = 8
/** Longest time between two of them, in milliseconds. */
const STEP_MS_MAX = 250
/** Bytes of entries asked for at a time, as GlusterFS counts them. */
const PIECE_BYTES = 128 * 1024
/** Entries that are listed for each lookup of the run: more than these may be of no use. */
const ENTRIES_PER_LOOKUP = 64
const ENTRIES_MAX = 20_000
/** Of what was listed, a part of this must have been of use: else the directory has a rest. */
const USED_PART = 1 / 4
const REST_FIRST_MS = 5000
const REST_MAX_MS = 600_000
/**
 * How old attributes may be when they are told. Where md-cache believes its own for longer than that,
 * it is because bricks tell of changes; of files that were only listed they need not.
 */
export const ATTRIBUTES_MS_MAX = 1000
/** Files changed while attributes are known; more drop what was listed. */
const CHANGES_MAX = 100_000
/** How much earlier than bricks we take a lease to end: clocks and timers are not all alike. */
const LEASE_MARGIN_MS = 50
/** Longest name that a brick has (limits.h NAME_MAX). */
const NAME_BYTES_MAX = 255
/** Directories of which the names are known; the one known for longest makes room. */
const DIRECTORIES_MAX = 256
/** Names of them together. */
const NAMES_MAX = 200_000

/** An entry with its attributes, as it was at `at` (monotonic) or later. */
export interface Listed {
  readonly stat: Iatt
  readonly dict: Dict | undefined
  readonly at: number
}

/** What was listed of one directory. */
class Listing {
  readonly inode: Inode
  readonly began: number
  /** With attributes, each to be told once. */
  readonly entries = new Map<string, Listed>()
  /** All names, and those that this client has given since. */
  readonly names = new Set<string>()
  /** Names of which something newer is known than what is listed. */
  readonly newerNames = new Set<string>()
  listed = 0
  used = 0
  /** Names asked of a brick that had been told from here. */
  again = 0
  /** Entries that are to be listed, for now. */
  limit: number
  /** Goes on with a listing that has come to its limit. */
  resume: (() => void) | undefined
  /** It is not under way any more. */
  ended = false
  /** It is of no use any more. */
  dropped = false
  /** All names have been listed under the lease. */
  complete = false
  lease: string | undefined
  /** It has no lease, or has had to return it. */
  shared = false
  leasedUntil = Number.NEGATIVE_INFINITY
  renewing = false
  expiry: Timer | undefined

  constructor(inode: Inode, began: number, limit: number) {
    this.inode = inode
    this.began = began
    this.limit = limit
  }
}

/** It was of use, and names that it has told are asked for again: somebody reads the directory anew. */
function isSpent({ ended, used, listed, again }: Listing): boolean {
  return ended && again >= RUN && used >= listed * USED_PART
}

/** How a directory is used. */
class Usage {
  run = 0
  /** Those of the run that were there. */
  found = 0
  lastAt = Number.NEGATIVE_INFINITY
  listing: Listing | undefined
  restUntil = Number.NEGATIVE_INFINITY
  restMs = REST_FIRST_MS
  /** Others make names here: no lease is asked for until then. */
  sharedUntil = Number.NEGATIVE_INFINITY
  sharedMs = REST_FIRST_MS
}

export interface LookAheadParts {
  readonly clock: Clock
  readonly child: Subvolume
  readonly usages: ContextKey<Usage>
  openFd(inode: Inode): Fd
  /** Extended attributes that lookups ask for. */
  asking(): Dict | undefined
  /** Milliseconds for which attributes are good; 0: nothing is to be kept. */
  timeout(): number
}

export class LookAhead {
  readonly #parts: LookAheadParts
  /** Listings that know names, by directory, the newest last. */
  readonly #listings = new Map<Gfid, Listing>()
  /** Those of them that have attributes. */
  readonly #attributed = new Set<Listing>()
  /** Files changed while there were attributes, and when. */
  readonly #changed = new Map<Gfid, number>()
  #names = 0

  constructor(parts: LookAheadParts) {
    this.#parts = parts
  }

  /** Bricks had to be asked for this name; `found`: something has it. */
  asked(ctx: Ctx, { parent, name }: Loc, found: boolean): void {
    if (parent === undefined || name === '') return
    const usage = this.#parts.usages.obtain(parent, () => new Usage())
    const now = this.#parts.clock.monotonic()
    if (now - usage.lastAt < STEP_MS_MAX) usage.run += 1
    else {
      usage.run = 1
      usage.found = 0
    }
    usage.lastAt = now
    if (found) usage.found += 1
    const listing = this.#listings.get(parent.gfid)
    if (listing?.ended === false) this.#extend(listing, usage)
    else if (usage.run >= RUN) this.#begin(ctx, parent, usage, now)
  }

  /** Bricks have answered for this name, `undefined`: nothing has it. What was listed of it is older. */
  answered(loc: Loc, stat: Iatt | undefined): void {
    const listing = this.#listingOf(loc)
    if (listing === undefined) return
    const { name } = loc
    // A file that was listed, and is neither still to be told nor newer than the listing.
    const told = listing.names.has(name) && !listing.entries.has(name)
    if (told && stat?.isDirectory === false && !listing.newerNames.has(name)) listing.again += 1
    this.#overtake(listing, name)
    if (stat !== undefined) this.#know(listing, name)
  }

  /** What a listing later than `since` has told of a name. */
  take(loc: Loc, since: number): Listed | undefined {
    if (this.#attributed.size === 0) return undefined
    const listing = this.#listingOf(loc)
    const entry = listing?.entries.get(loc.name)
    if (listing === undefined || entry === undefined) return undefined
    const youngest = this.#parts.clock.monotonic() - ATTRIBUTES_MS_MAX
    if (entry.at <= since || entry.at <= youngest || listing.newerNames.has(loc.name))
      return undefined
    if ((this.#changed.get(entry.stat.gfid) ?? Number.NEGATIVE_INFINITY) >= listing.began)
      return undefined
    listing.entries.delete(loc.name)
    listing.used += 1
    return entry
  }

  /** True when nothing has this name. */
  isFree(loc: Loc): boolean {
    const { name } = loc
    const listing = this.#listingOf(loc)
    if (listing === undefined || !listing.complete || listing.names.has(name)) return false
    // Why such a name is not there is for the brick to say.
    if (name.length * 3 > NAME_BYTES_MAX && nameByteLength(name) > NAME_BYTES_MAX) return false
    const left = listing.leasedUntil - this.#parts.clock.monotonic()
    if (left < NAMES_LEASE_MS / 2) this.#renew(listing)
    if (left <= 0) return false
    listing.used += 1
    return true
  }

  get idle(): boolean {
    return this.#listings.size === 0
  }

  /** This client changes the file, or somebody is known to have changed it. */
  changed(gfid: Gfid): void {
    if (gfid === NULL_GFID || this.#attributed.size === 0) return
    this.#changed.set(gfid, this.#parts.clock.monotonic())
    if (this.#changed.size <= CHANGES_MAX) return
    for (const listing of this.#attributed) this.#drop(listing)
  }

  /** Bricks do not know the inode any more. */
  lost(gfid: Gfid): void {
    this.changed(gfid)
    const listing = this.#listings.get(gfid)
    if (listing !== undefined) this.#drop(listing)
  }

  /** This client gives the name to something, or takes it away. */
  renamed(loc: Loc): void {
    const listing = this.#listingOf(loc)
    if (listing === undefined) return
    // What had the name loses it: its other names, if it has some, tell of one link less.
    const before = listing.entries.get(loc.name)
    if (before !== undefined) this.changed(before.stat.gfid)
    this.#overtake(listing, loc.name)
    this.#know(listing, loc.name)
  }

  /** Another client is about to give a name in the directory to something. */
  recalled(directory: Gfid): void {
    const listing = this.#listings.get(directory)
    if (listing === undefined) return
    const usage = this.#parts.usages.obtain(listing.inode, () => new Usage())
    usage.sharedUntil = this.#parts.clock.monotonic() + usage.sharedMs
    usage.sharedMs = Math.min(usage.sharedMs * 2, REST_MAX_MS)
    // Attributes of what is there are as good as they were.
    if (this.#attributed.has(listing)) this.#unlease(listing)
    else this.#drop(listing)
  }

  /** Nothing that was listed counts any more. */
  clear(): void {
    for (const listing of this.#listings.values()) this.#drop(listing)
  }

  dump(): Readonly<Record<string, number>> {
    let entries = 0
    for (const listing of this.#attributed) entries += listing.entries.size
    return {
      listings: this.#listings.size,
      names: this.#names,
      entries,
      changed: this.#changed.size,
    }
  }

  #listingOf({ parent, pargfid, name }: Loc): Listing | undefined {
    return name === '' ? undefined : this.#listings.get(parent?.gfid ?? pargfid)
  }

  #overtake(listing: Listing, name: string): void {
    if (!this.#attributed.has(listing)) return
    listing.entries.delete(name)
    listing.newerNames.add(name)
  }

  #begin(ctx: Ctx, inode: Inode, usage: Usage, now: number): void {
    if (now < usage.restUntil || this.#parts.timeout() <= 0) return
    const before = this.#listings.get(inode.gfid)
    // One that is under way, or has not told much of what it knows, may still be of use.
    if (before !== undefined && this.#attributed.has(before) && !isSpent(before)) return
    this.#judge(usage, now)
    if (now < usage.restUntil) return
    if (before !== undefined) this.#drop(before)
    const listing = new Listing(inode, now, usage.run * ENTRIES_PER_LOOKUP)
    listing.shared = now < usage.sharedUntil
    usage.listing = listing
    this.#listings.set(inode.gfid, listing)
    this.#attributed.add(listing)
    if (this.#listings.size > DIRECTORIES_MAX) this.#dropOldest()
    this.#list(ctx, listing, usage.found >= usage.run / 2).then(
      () => this.#ended(listing),
      () => this.#drop(listing),
    )
  }

  /** Lookups that a brick had to answer go on: more of the listing may be of use. */
  #extend(listing: Listing, usage: Usage): void {
    listing.limit = Math.min(usage.run * ENTRIES_PER_LOOKUP, ENTRIES_MAX)
    if (listing.listed < listing.limit) listing.resume?.()
  }

  /** Waits until the listing is to go on; false: it is not. */
  async #extended(listing: Listing): Promise<boolean> {
    if (listing.listed < listing.limit) return true
    if (listing.listed >= ENTRIES_MAX) return false
    return new Promise(resolve => {
      const timer = this.#parts.clock.after(STEP_MS_MAX, () => {
        listing.resume = undefined
        resolve(false)
      })
      listing.resume = () => {
        listing.resume = undefined
        timer.cancel()
        resolve(!listing.dropped)
      }
    })
  }

  /** Was the last listing worth it? */
  #judge(usage: Usage, now: number): void {
    const { listing } = usage
    usage.listing = undefined
    if (listing === undefined) return
    if (listing.used >= listing.listed * USED_PART) {
      usage.restMs = REST_FIRST_MS
      return
    }
    usage.restUntil = now + usage.restMs
    usage.restMs = Math.min(usage.restMs * 2, REST_MAX_MS)
  }

  /** Lists the directory; without a lease on its names only if `attributes` are of use. */
  async #list({ uid, gid, groups }: Ctx, listing: Listing, attributes: boolean): Promise<void> {
    const { child, clock } = this.#parts
    // What else comes along, contents, is for the caller's eyes.
    const caller: Ctx = { ...ROOT_CTX, uid, gid, groups }
    // Whoever may search the directory may know of its names: the kernel sees to that.
    const fd = this.#parts.openFd(listing.inode)
    try {
      if (!(await this.#open(listing, fd)).ok) return
      if (listing.lease === undefined && !attributes) return
      let offset = 0n
      while (!listing.dropped) {
        const asked = clock.monotonic()
        const xdata = this.#parts.asking() ?? new Dict()
        // Of the names that are shown to nobody a lease wants to hear as well.
        if (listing.lease !== undefined) xdata.setString(NAMES_LEASE, listing.lease)
        const reply = await child.readdirp(caller, { fd, size: PIECE_BYTES, offset, xdata })
        if (!reply.ok || listing.dropped) return
        const at = reply.askedAt ?? asked
        for (const entry of reply.entries) this.#take(listing, entry, at)
        const last = reply.entries.at(-1)
        if (reply.eof || last === undefined) {
          listing.complete = listing.lease !== undefined
          return
        }
        if (!(await this.#extended(listing))) return
        offset = last.offset
      }
    } finally {
      fd.unref()
    }
  }

  /** Opens the directory and asks for a lease on its names. */
  async #open(listing: Listing, fd: Fd): Promise<Reply<'opendir'>> {
    const { child, clock } = this.#parts
    const asked = clock.monotonic()
    const xdata = listing.shared ? undefined : new Dict().setString(NAMES_LEASE, 'wanted')
    const reply = await child.opendir(ROOT_CTX, { loc: inodeLoc(listing.inode), fd, xdata })
    if (!reply.ok) return reply
    fd.bind()
    if (listing.shared) return reply
    const lease = leaseOf(reply)
    // Broken meanwhile: names may have come that were not listed.
    if (listing.lease !== undefined && lease !== listing.lease) this.#drop(listing)
    listing.lease = lease
    if (lease !== undefined) listing.leasedUntil = asked + NAMES_LEASE_MS - LEASE_MARGIN_MS
    return reply
  }

  #renew(listing: Listing): void {
    if (listing.renewing || listing.dropped) return
    listing.renewing = true
    const fd = this.#parts.openFd(listing.inode)
    this.#open(listing, fd).then(
      reply => {
        listing.renewing = false
        if (!reply.ok) this.#drop(listing)
        fd.unref()
      },
      () => {
        this.#drop(listing)
        fd.unref()
      },
    )
  }

  #take(listing: Listing, { name, stat, dict }: DirentPlus, at: number): void {
    listing.listed += 1
    this.#know(listing, name)
    if (listing.newerNames.has(name)) return
    // A directory's attributes come from all of its copies: its reader looks it up.
    if (stat.isEmpty || stat.gfid === NULL_GFID || stat.isDirectory) return
    listing.entries.set(name, { stat, dict, at })
  }

  #know(listing: Listing, name: string): void {
    if (listing.dropped || listing.names.has(name)) return
    listing.names.add(name)
    this.#names += 1
    while (this.#names > NAMES_MAX && this.#listings.size > 0) this.#dropOldest()
  }

  #unlease(listing: Listing): void {
    listing.shared = true
    listing.complete = false
    listing.lease = undefined
    listing.leasedUntil = Number.NEGATIVE_INFINITY
  }

  /** The attributes grow old; the names may still be of use. */
  #ended(listing: Listing): void {
    listing.ended = true
    if (listing.dropped) return
    const kept = Math.min(this.#parts.timeout(), ATTRIBUTES_MS_MAX)
    listing.expiry = this.#parts.clock.after(kept, () => {
      this.#forgetAttributes(listing)
      if (!listing.complete) this.#drop(listing)
    })
  }

  #forgetAttributes(listing: Listing): void {
    this.#attributed.delete(listing)
    if (this.#attributed.size === 0) this.#changed.clear()
    listing.entries.clear()
    listing.newerNames.clear()
  }

  #dropOldest(): void {
    for (const listing of this.#listings.values()) {
      this.#drop(listing)
      return
    }
  }

  #drop(listing: Listing): void {
    if (listing.dropped) return
    listing.dropped = true
    listing.ended = true
    listing.complete = false
    listing.expiry?.cancel()
    listing.resume?.()
    this.#forgetAttributes(listing)
    const { gfid } = listing.inode
    if (this.#listings.get(gfid) === listing) this.#listings.delete(gfid)
    this.#names -= listing.names.size
    listing.names.clear()
  }
}
