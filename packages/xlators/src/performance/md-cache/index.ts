/**
 * performance/md-cache: answers lookups, attributes and extended attributes that a reply has told
 * within the last second (or longer, when bricks send news of changes). Every reply feeds it; above
 * all the attributes of a directory that come along when an entry in it is made or removed, which
 * the kernel asks for next. Facts: xlators/performance/md-cache/src/md-cache.c.
 */

import {
  type Ctx,
  Dict,
  type DictValue,
  defineXlator,
  EMPTY_IATT,
  Errno,
  failure,
  Fd,
  type Fop,
  type FopArgs,
  type FopName,
  type Gfid,
  type GraphEvent,
  type Iatt,
  type Inode,
  type Loc,
  MODIFYING_FOPS,
  NULL_GFID,
  OpenFlag,
  type Reply,
  ROOT_CTX,
  type Subvolume,
  takesLock,
  UpcallFlag,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { ATTRIBUTES_MS_MAX, LookAhead } from './look-ahead.ts'
import { Metadata, sameContent } from './metadata.ts'
import { CachedNames, mdCacheOptions } from './options.ts'

type Self = XlatorSelf<typeof mdCacheOptions>

/** ipc operation by which a client tells bricks which xattrs it caches (`GF_IPC_TARGET_UPCALL`). */
const IPC_UPCALL = 2
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

type Changed = { ok: true; prestat: Iatt; poststat: Iatt } | { ok: false }
type Made = { ok: true; stat: Iatt; postparent: Iatt } | { ok: false }

class MdCache implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #key
  readonly #ahead: LookAhead
  #names: CachedNames
  /** Xattrs that somebody has asked for. */
  readonly #wanted = new Set<string>()
  /** What was learnt before a brick went away counts no more. */
  #downAt = -Infinity

  constructor(self: Self) {
    this.#self = self
    this.#child = self.child
    this.#key = self.contextKey<Metadata>()
    this.#names = new CachedNames(self.options)
    this.#ahead = new LookAhead({
      clock: self.env.clock,
      child: self.child,
      usages: self.contextKey(),
      openFd: inode => self.openFd(inode, { flags: OpenFlag.RDONLY, pid: 0 }),
      asking: () => (this.#wanted.size === 0 ? undefined : this.#asking(undefined)),
      timeout: () => (self.options['pass-through'] ? 0 : self.options['md-cache-timeout'] * 1000),
    })
    for (const fop of MODIFYING_FOPS) this.#tellAhead(fop)
  }

  /** What was listed ahead must know of changes made meanwhile: of those under way as well. */
  #tellAhead<F extends FopName>(fop: F): void {
    const ahead = this.#ahead
    const change = (this as Xlator)[fop] as Fop<F> | undefined
    if (change === undefined) return
    const told: Fop<F> = async (ctx, args) => {
      if (!ahead.idle) this.#changes(args)
      const reply = await change.call(this, ctx, args)
      if (ahead.idle) return reply
      this.#changes(args)
      // A file that was there, and that the caller did not know.
      if ('stat' in reply) ahead.changed(reply.stat.gfid)
      return reply
    }
    Object.assign(this, { [fop]: told })
  }

  #changes(args: object): void {
    const ahead = this.#ahead
    for (const subject of Object.values(args) as unknown[]) {
      if (subject instanceof Fd) ahead.changed(subject.inode.gfid)
      else if (isLoc(subject)) {
        ahead.changed(subject.inode.gfid)
        if (subject.name !== '') ahead.renamed(subject)
      }
    }
  }

  stop(): void {
    this.#ahead.clear()
  }

  reconfigure(): void {
    this.#names = new CachedNames(this.#self.options)
    this.#wanted.clear()
    this.#ahead.clear()
    if (this.#self.options['cache-invalidation']) this.#register()
  }

  dump(): Readonly<Record<string, unknown>> {
    return {
      wanted: [...this.#wanted],
      timeout: this.#self.options['md-cache-timeout'],
      ahead: this.#ahead.dump(),
    }
  }

  notify(event: GraphEvent): void {
    if (event.kind === 'child-down' || event.kind === 'some-descendent-down') {
      this.#downAt = this.#now()
      this.#ahead.clear()
    } else if (event.kind === 'names-recall') this.#ahead.recalled(event.gfid)
    else if (event.kind === 'child-up') this.#register()
    else if (event.kind === 'cache-invalidation' && this.#self.options['cache-invalidation'])
      this.#news(event.change)
    this.#self.notify(event)
  }

  // Lookups and attributes.

  async lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    const { loc, xdata } = args
    const known = this.#answer(loc, xdata) ?? this.#listed(loc, xdata)
    if (known !== undefined) return known
    const before = this.#tickets(loc.inode)
    const reply = await this.#child.lookup(
      ctx,
      this.#wanted.size === 0 ? args : { ...args, xdata: this.#asking(xdata) },
    )
    this.#ahead.answered(loc, reply.ok)
    if (!reply.ok) {
      if (loc.inode.linked) this.#of(loc.inode).invalidate()
      if (reply.errno === Errno.ENOENT) this.#ahead.asked(ctx, loc, false)
      return reply
    }
    if (!reply.stat.isDirectory) this.#ahead.asked(ctx, loc, true)
    const inode = this.#inodeOf(loc.inode, reply.stat.gfid)
    const now = this.#now()
    const metadata = this.#seen(inode, reply.stat, before, now)
    if (loc.name !== '') {
      metadata.named(parentGfid(loc), loc.name, now)
      if (loc.parent !== undefined && !reply.postparent.isEmpty)
        this.#store(loc.parent, reply.postparent, now)
    }
    if (inode === loc.inode || metadata.xattrTicket === before.xattrs)
      for (const name of this.#wanted)
        metadata.storeXattr(name, reply.xdata?.get(name), now, this.#since(now), before.xattrs)
    return reply
  }

  async stat(ctx: Ctx, args: FopArgs['stat']): Promise<Reply<'stat'>> {
    const { inode } = args.loc
    const stat = args.xdata === undefined ? this.#fresh(inode) : undefined
    if (stat !== undefined) return { ok: true, stat }
    const before = this.#tickets(inode)
    const reply = await this.#child.stat(ctx, args)
    if (reply.ok) this.#seen(inode, reply.stat, before, this.#now())
    else this.#of(inode).invalidate()
    return reply
  }

  async fstat(ctx: Ctx, args: FopArgs['fstat']): Promise<Reply<'fstat'>> {
    const { inode } = args.fd
    const stat = args.xdata === undefined ? this.#fresh(inode) : undefined
    if (stat !== undefined) return { ok: true, stat }
    const before = this.#tickets(inode)
    const reply = await this.#child.fstat(ctx, args)
    if (reply.ok) this.#seen(inode, reply.stat, before, this.#now())
    else this.#of(inode).invalidate()
    return reply
  }

  readdir(ctx: Ctx, args: FopArgs['readdir']): Promise<Reply<'readdir'>> {
    return this.#self.options['force-readdirp']
      ? this.readdirp(ctx, args)
      : this.#child.readdir(ctx, args)
  }

  async readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    const started = this.#now()
    const reply = await this.#child.readdirp(ctx, args)
    if (!reply.ok) return reply
    const { inodes } = this.#self
    for (const { stat } of reply.entries) {
      const inode = stat.gfid === NULL_GFID ? undefined : inodes.find(stat.gfid)
      // Nobody has taken a ticket for each entry: what is fresher than the request stays.
      if (inode === undefined || this.#of(inode).statSince(started) !== undefined) continue
      const metadata = this.#of(inode)
      if (metadata.lastStat !== undefined && metadata.changing === 0)
        this.#store(inode, stat, started)
    }
    return reply
  }

  // Opening: the first to hear that somebody else has removed a file.

  async open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    // O_TRUNC is a change whose attributes the reply does not tell.
    const truncates = (args.flags & OpenFlag.TRUNC) !== 0
    const metadata = this.#of(args.loc.inode)
    if (truncates) metadata.changing += 1
    const reply = await this.#child.open(ctx, args)
    if (truncates) metadata.changing -= 1
    if (truncates) this.#ahead.changed(args.loc.inode.gfid)
    if (truncates || !reply.ok) metadata.invalidate()
    return reply
  }

  async opendir(ctx: Ctx, args: FopArgs['opendir']): Promise<Reply<'opendir'>> {
    const reply = await this.#child.opendir(ctx, args)
    if (!reply.ok) this.#of(args.loc.inode).invalidate()
    return reply
  }

  async readlink(ctx: Ctx, args: FopArgs['readlink']): Promise<Reply<'readlink'>> {
    const reply = await this.#child.readlink(ctx, args)
    if (!reply.ok) this.#of(args.loc.inode).invalidate()
    return reply
  }

  // Data: it changes size and times.

  async readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    const before = this.#tickets(args.fd.inode)
    const reply = await this.#child.readv(ctx, args)
    if (reply.ok && !reply.stat.isEmpty) this.#seen(args.fd.inode, reply.stat, before, this.#now())
    return reply
  }

  async writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    const { inode } = args.fd
    const ticket = this.#begin(inode)
    const reply = await this.#child.writev(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  async truncate(ctx: Ctx, args: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    const { inode } = args.loc
    const ticket = this.#begin(inode)
    const reply = await this.#child.truncate(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  async ftruncate(ctx: Ctx, args: FopArgs['ftruncate']): Promise<Reply<'ftruncate'>> {
    const { inode } = args.fd
    const ticket = this.#begin(inode)
    const reply = await this.#child.ftruncate(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  async fallocate(ctx: Ctx, args: FopArgs['fallocate']): Promise<Reply<'fallocate'>> {
    const { inode } = args.fd
    const ticket = this.#begin(inode)
    const reply = await this.#child.fallocate(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  async discard(ctx: Ctx, args: FopArgs['discard']): Promise<Reply<'discard'>> {
    const { inode } = args.fd
    const ticket = this.#begin(inode)
    const reply = await this.#child.discard(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  async zerofill(ctx: Ctx, args: FopArgs['zerofill']): Promise<Reply<'zerofill'>> {
    const { inode } = args.fd
    const ticket = this.#begin(inode)
    const reply = await this.#child.zerofill(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  async copy_file_range(
    ctx: Ctx,
    args: FopArgs['copy_file_range'],
  ): Promise<Reply<'copy_file_range'>> {
    const { inode } = args.target
    const ticket = this.#begin(inode)
    const reply = await this.#child.copy_file_range(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  async fsync(ctx: Ctx, args: FopArgs['fsync']): Promise<Reply<'fsync'>> {
    const { inode } = args.fd
    const before = this.#tickets(inode)
    const reply = await this.#child.fsync(ctx, args)
    if (reply.ok && !reply.poststat.isEmpty) this.#seen(inode, reply.poststat, before, this.#now())
    return reply
  }

  /**
   * Who gets a lock sees what was done under it before: nothing older is kept of the file, nor of the
   * names beside it (a database's journal comes and goes under the locks of the database).
   */
  async lk(ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
    const reply = await this.#child.lk(ctx, args)
    if (!reply.ok || !takesLock(args)) return reply
    const { inode } = args.fd
    this.#of(inode).invalidate()
    this.#ahead.changed(inode.gfid)
    const now = this.#now()
    for (const { parent } of inode.dentries) this.#of(parent).lockedAt = now
    return reply
  }

  async setattr(ctx: Ctx, args: FopArgs['setattr']): Promise<Reply<'setattr'>> {
    const { inode } = args.loc
    const ticket = this.#begin(inode)
    const reply = await this.#child.setattr(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  async fsetattr(ctx: Ctx, args: FopArgs['fsetattr']): Promise<Reply<'fsetattr'>> {
    const { inode } = args.fd
    const ticket = this.#begin(inode)
    const reply = await this.#child.fsetattr(ctx, args)
    this.#end(inode, reply, ticket)
    return reply
  }

  // Entries.

  async create(ctx: Ctx, args: FopArgs['create']): Promise<Reply<'create'>> {
    const reply = await this.#child.create(ctx, args)
    this.#made(args.loc, reply)
    return reply
  }

  async mknod(ctx: Ctx, args: FopArgs['mknod']): Promise<Reply<'mknod'>> {
    const reply = await this.#child.mknod(ctx, args)
    this.#made(args.loc, reply)
    return reply
  }

  async mkdir(ctx: Ctx, args: FopArgs['mkdir']): Promise<Reply<'mkdir'>> {
    const reply = await this.#child.mkdir(ctx, args)
    this.#made(args.loc, reply)
    return reply
  }

  async symlink(ctx: Ctx, args: FopArgs['symlink']): Promise<Reply<'symlink'>> {
    const reply = await this.#child.symlink(ctx, args)
    this.#made(args.loc, reply)
    return reply
  }

  async link(ctx: Ctx, args: FopArgs['link']): Promise<Reply<'link'>> {
    this.#of(args.oldloc.inode).invalidate()
    const reply = await this.#child.link(ctx, args)
    this.#made(args.newloc, reply)
    return reply
  }

  async unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    const reply = await this.#child.unlink(ctx, args)
    this.#gone(args.loc, reply)
    return reply
  }

  async rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    const reply = await this.#child.rmdir(ctx, args)
    this.#gone(args.loc, reply)
    return reply
  }

  async rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    const { oldloc, newloc } = args
    const moved = this.#of(oldloc.inode)
    const reply = await this.#child.rename(ctx, args)
    moved.invalidate()
    moved.unname()
    const replaced = newloc.inode.linked ? this.#of(newloc.inode) : undefined
    replaced?.invalidate()
    replaced?.unname()
    if (!reply.ok) {
      this.#forgetParent(oldloc)
      this.#forgetParent(newloc)
      return reply
    }
    const now = this.#now()
    if (!reply.stat.isEmpty) this.#store(oldloc.inode, reply.stat, now)
    moved.named(parentGfid(newloc), newloc.name, now)
    if (oldloc.parent !== undefined) this.#store(oldloc.parent, reply.postoldparent, now)
    if (newloc.parent !== undefined) this.#store(newloc.parent, reply.postnewparent, now)
    return reply
  }

  // Extended attributes.

  async getxattr(ctx: Ctx, args: FopArgs['getxattr']): Promise<Reply<'getxattr'>> {
    const { name, loc } = args
    if (!this.#names.has(name)) return this.#child.getxattr(ctx, args)
    return (
      this.#xattr(loc.inode, name) ??
      this.#learn(loc.inode, name, () => this.#child.getxattr(ctx, args))
    )
  }

  async fgetxattr(ctx: Ctx, args: FopArgs['fgetxattr']): Promise<Reply<'fgetxattr'>> {
    const { name, fd } = args
    if (!this.#names.has(name)) return this.#child.fgetxattr(ctx, args)
    return (
      this.#xattr(fd.inode, name) ??
      this.#learn(fd.inode, name, () => this.#child.fgetxattr(ctx, args))
    )
  }

  async setxattr(ctx: Ctx, args: FopArgs['setxattr']): Promise<Reply<'setxattr'>> {
    const reply = await this.#child.setxattr(ctx, args)
    this.#xattrsChanged(args.loc.inode)
    return reply
  }

  async fsetxattr(ctx: Ctx, args: FopArgs['fsetxattr']): Promise<Reply<'fsetxattr'>> {
    const reply = await this.#child.fsetxattr(ctx, args)
    this.#xattrsChanged(args.fd.inode)
    return reply
  }

  async removexattr(ctx: Ctx, args: FopArgs['removexattr']): Promise<Reply<'removexattr'>> {
    const reply = await this.#child.removexattr(ctx, args)
    this.#xattrsChanged(args.loc.inode)
    return reply
  }

  async fremovexattr(ctx: Ctx, args: FopArgs['fremovexattr']): Promise<Reply<'fremovexattr'>> {
    const reply = await this.#child.fremovexattr(ctx, args)
    this.#xattrsChanged(args.fd.inode)
    return reply
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

  #of(inode: Inode): Metadata {
    return this.#key.get(inode) ?? this.#key.obtain(inode, () => new Metadata())
  }

  /** The inode a reply is about: a temporary one when the table does not have it yet. */
  #inodeOf(inode: Inode, gfid: Gfid): Inode {
    return inode.gfid === gfid ? inode : (this.#self.inodes.find(gfid) ?? inode)
  }

  #fresh(inode: Inode): Iatt | undefined {
    const metadata = this.#key.get(inode)
    return metadata?.statSince(this.#since(this.#now()))
  }

  #tickets(inode: Inode): { stat: number; xattrs: number } {
    const metadata = this.#of(inode)
    return { stat: metadata.ticket, xattrs: metadata.xattrTicket }
  }

  #store(inode: Inode, stat: Iatt, now: number): void {
    const metadata = this.#of(inode)
    metadata.store(stat, now, this.#since(now), metadata.ticket)
  }

  /** A lookup's answer, when inode, name and all xattrs that are asked for are known. */
  #answer(loc: Loc, xdata: Dict | undefined): Reply<'lookup'> | undefined {
    const { inode, parent } = loc
    if (!inode.linked || loc.name === '' || parent === undefined) return undefined
    const metadata = this.#key.get(inode)
    if (metadata === undefined) return undefined
    const within = this.#key.get(parent)?.lockedAt ?? -Infinity
    const since = Math.max(this.#since(this.#now()), within)
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

  /** A lookup's answer, when the directory has been listed ahead. */
  #listed(loc: Loc, xdata: Dict | undefined): Reply<'lookup'> | undefined {
    const { parent } = loc
    if (this.#ahead.idle || loc.name === '' || parent === undefined) return undefined
    // Names of our own at the root are listed to nobody.
    const hidden = parent.isRoot && loc.name.startsWith('.')
    if (!loc.inode.linked && !hidden && this.#ahead.isFree(loc)) return failure(Errno.ENOENT)
    for (const key of xdata?.keys() ?? [])
      if (key !== 'gfid-req' && !this.#wanted.has(key)) return undefined
    const now = this.#now()
    const since = Math.max(this.#since(now), this.#key.get(parent)?.lockedAt ?? -Infinity)
    const entry = this.#ahead.take(loc, since)
    if (entry === undefined) return undefined
    const { gfid } = entry.stat
    if (loc.inode.linked && loc.inode.gfid !== gfid) return undefined
    const inode = this.#inodeOf(loc.inode, gfid)
    if (this.#of(inode).changing > 0) return undefined
    // To be believed no longer than what else was listed: bricks may not tell us of changes.
    const timeout = this.#self.options['md-cache-timeout'] * 1000
    const at = entry.at - Math.max(0, timeout - ATTRIBUTES_MS_MAX)
    const metadata = this.#seen(inode, entry.stat, this.#tickets(inode), at)
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

  #asking(xdata: Dict | undefined): Dict {
    const asking = xdata?.clone() ?? new Dict()
    for (const name of this.#wanted) if (!asking.has(name)) asking.setUint(name, 0)
    return asking
  }

  /** Attributes of a reply that changes nothing: a difference is somebody else's work. */
  #seen(inode: Inode, stat: Iatt, before: { stat: number }, now: number): Metadata {
    const metadata = this.#of(inode)
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

  #foreign(inode: Inode): void {
    if (inode.linked && this.#self.options['global-cache-invalidation'])
      this.#self.notify({ kind: 'inode-invalidate', inode })
  }

  #begin(inode: Inode): number {
    const metadata = this.#of(inode)
    metadata.changing += 1
    return metadata.ticket
  }

  #end(inode: Inode, reply: Changed, ticket: number): void {
    const metadata = this.#of(inode)
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
      metadata.store(poststat, now, this.#since(now), ticket)
    }
  }

  #made(loc: Loc, reply: Made): void {
    if (!reply.ok) {
      this.#forgetParent(loc)
      return
    }
    const now = this.#now()
    if (loc.parent !== undefined) this.#store(loc.parent, reply.postparent, now)
    if (reply.stat.gfid === NULL_GFID) return
    const inode = this.#inodeOf(loc.inode, reply.stat.gfid)
    this.#store(inode, reply.stat, now)
    this.#of(inode).named(parentGfid(loc), loc.name, now)
  }

  #gone(loc: Loc, reply: { ok: true; postparent: Iatt } | { ok: false }): void {
    const metadata = this.#of(loc.inode)
    metadata.invalidate()
    metadata.unname()
    if (!reply.ok) this.#forgetParent(loc)
    else if (loc.parent !== undefined) this.#store(loc.parent, reply.postparent, this.#now())
  }

  #forgetParent(loc: Loc): void {
    if (loc.parent !== undefined) this.#of(loc.parent).invalidate()
  }

  #xattr(inode: Inode, name: string): Reply<'getxattr'> | undefined {
    const metadata = this.#key.get(inode)
    if (metadata?.knowsXattr(name, this.#since(this.#now())) !== true) return undefined
    const value = metadata.xattr(name)
    return value === undefined
      ? failure(Errno.ENODATA)
      : { ok: true, dict: new Dict().set(name, value) }
  }

  async #learn(
    inode: Inode,
    name: string,
    ask: () => Promise<Reply<'getxattr'>>,
  ): Promise<Reply<'getxattr'>> {
    if (this.#wanted.size < WANTED_MAX) this.#wanted.add(name)
    const metadata = this.#of(inode)
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
  #xattrsChanged(inode: Inode): void {
    const metadata = this.#of(inode)
    metadata.invalidateXattrs()
    metadata.invalidate()
  }

  #register(): void {
    if (!this.#self.options['cache-invalidation'] || this.#names.names.length === 0) return
    const xdata = new Dict()
    for (const name of this.#names.names) xdata.setString(name, '')
    this.#child.ipc(ROOT_CTX, { op: IPC_UPCALL, xdata }).then(
      reply => {
        if (!reply.ok)
          this.#self.env.log.debug('bricks do not send news of xattrs', { errno: reply.errno })
      },
      (bug: unknown) => {
        this.#self.env.log.error('telling the bricks which xattrs are cached failed', {
          error: String(bug),
        })
      },
    )
  }

  #news(change: Extract<GraphEvent, { kind: 'cache-invalidation' }>['change']): void {
    const { inodes } = this.#self
    const inode = inodes.find(change.gfid)
    const { flags } = change
    this.#ahead.changed(change.gfid)
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
    this.#of(inode).invalidate()
    // A directory has further copies, which tell their own part.
    if (!stat.isDirectory) this.#store(inode, stat, this.#now())
  }
}

function isLoc(value: unknown): value is Loc {
  return typeof value === 'object' && value !== null && 'inode' in value && 'name' in value
}

function parentGfid(loc: Loc): Gfid {
  return loc.parent?.gfid ?? loc.pargfid
}

export const mdCache = defineXlator({
  type: 'performance/md-cache',
  options: mdCacheOptions,
  create: self => new MdCache(self),
})
