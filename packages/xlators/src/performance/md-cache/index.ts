/**
 * performance/md-cache: answers lookups, attributes and extended attributes that a reply has told
 * within the last second (or longer, when bricks send news of changes). Every reply feeds it; above
 * all the attributes of a directory that come along when an entry in it is made or removed, which
 * the kernel asks for next. Facts: xlators/performance/md-cache/src/md-cache.c.
 *
 * Here are the fops and the events of the graph; what is known stands in `knowledge.ts`, what was
 * listed ahead in `look-ahead.ts`. The rule that must not break: both are told of every change, what
 * was listed already before it is sent; and of every inode that bricks say is not there (`lost.ts`).
 */

import {
  type Ctx,
  Dict,
  defineXlator,
  Errno,
  failure,
  Fd,
  type Fop,
  type FopArgs,
  type FopName,
  type GraphEvent,
  type Inode,
  type Loc,
  MODIFYING_FOPS,
  OpenFlag,
  type Reply,
  ROOT_CTX,
  type Subvolume,
  takesLock,
  type Xlator,
} from '@ashlar/core'
import { Knowledge, type Self } from './knowledge.ts'
import { LookAhead } from './look-ahead.ts'
import { isLoc, watchLost } from './lost.ts'
import { CachedNames, mdCacheOptions } from './options.ts'

/** ipc operation by which a client tells bricks which xattrs it caches (`GF_IPC_TARGET_UPCALL`). */
const IPC_UPCALL = 2

class MdCache implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #known: Knowledge
  readonly #ahead: LookAhead
  #names: CachedNames

  constructor(self: Self) {
    this.#self = self
    this.#child = watchLost(self.child, inode => this.#lost(inode))
    this.#known = new Knowledge(self)
    this.#names = new CachedNames(self.options)
    this.#ahead = new LookAhead({
      clock: self.env.clock,
      child: this.#child,
      usages: self.contextKey(),
      openFd: inode => self.openFd(inode, { flags: OpenFlag.RDONLY, pid: 0 }),
      asking: () => (this.#known.wanted.size === 0 ? undefined : this.#known.asking(undefined)),
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

  /** Bricks do not know the inode any more: nothing is answered that leads to it. */
  #lost(inode: Inode): void {
    this.#known.lost(inode)
    this.#ahead.lost(inode.gfid)
  }

  stop(): void {
    this.#ahead.clear()
  }

  reconfigure(): void {
    this.#names = new CachedNames(this.#self.options)
    this.#known.wantNone()
    this.#ahead.clear()
    if (this.#self.options['cache-invalidation']) this.#register()
  }

  dump(): Readonly<Record<string, unknown>> {
    return {
      wanted: [...this.#known.wanted],
      timeout: this.#self.options['md-cache-timeout'],
      ahead: this.#ahead.dump(),
    }
  }

  notify(event: GraphEvent): void {
    if (event.kind === 'child-down' || event.kind === 'some-descendent-down') {
      this.#known.down()
      this.#ahead.clear()
    } else if (event.kind === 'names-recall') this.#ahead.recalled(event.gfid)
    else if (event.kind === 'child-up') this.#register()
    else if (event.kind === 'cache-invalidation' && this.#self.options['cache-invalidation']) {
      this.#ahead.changed(event.change.gfid)
      this.#known.news(event.change)
    }
    this.#self.notify(event)
  }

  /** Tells the bricks of which xattrs we want to have news. */
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

  // Lookups and attributes.

  async lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    const { loc, xdata } = args
    const known = this.#known.answer(loc, xdata) ?? this.#listed(loc, xdata)
    if (known !== undefined) return known
    const before = this.#known.tickets(loc.inode)
    const reply = await this.#child.lookup(
      ctx,
      this.#known.wanted.size === 0 ? args : { ...args, xdata: this.#known.asking(xdata) },
    )
    this.#ahead.answered(loc, reply.ok ? reply.stat : undefined)
    if (!reply.ok) {
      if (loc.inode.linked) this.#known.of(loc.inode).invalidate()
      if (reply.errno === Errno.ENOENT) this.#ahead.asked(ctx, loc, false)
      return reply
    }
    if (!reply.stat.isDirectory) this.#ahead.asked(ctx, loc, true)
    this.#known.found(loc, reply, before)
    return reply
  }

  /** A lookup's answer, when the directory has been listed ahead. */
  #listed(loc: Loc, xdata: Dict | undefined): Reply<'lookup'> | undefined {
    const { parent } = loc
    if (this.#ahead.idle || loc.name === '' || parent === undefined) return undefined
    // Names of our own at the root are listed to nobody.
    const hidden = parent.isRoot && loc.name.startsWith('.')
    if (!loc.inode.linked && !hidden && this.#ahead.isFree(loc)) return failure(Errno.ENOENT)
    if (!this.#known.wants(xdata)) return undefined
    const since = this.#known.namesSince(parent)
    const entry = this.#ahead.take(loc, since)
    return entry === undefined ? undefined : this.#known.listed(loc, entry, since)
  }

  async stat(ctx: Ctx, args: FopArgs['stat']): Promise<Reply<'stat'>> {
    const { inode } = args.loc
    const stat = args.xdata === undefined ? this.#known.fresh(inode) : undefined
    if (stat !== undefined) return { ok: true, stat }
    const before = this.#known.tickets(inode)
    const reply = await this.#child.stat(ctx, args)
    if (reply.ok) this.#known.seen(inode, reply.stat, before)
    else this.#known.of(inode).invalidate()
    return reply
  }

  async fstat(ctx: Ctx, args: FopArgs['fstat']): Promise<Reply<'fstat'>> {
    const { inode } = args.fd
    const stat = args.xdata === undefined ? this.#known.fresh(inode) : undefined
    if (stat !== undefined) return { ok: true, stat }
    const before = this.#known.tickets(inode)
    const reply = await this.#child.fstat(ctx, args)
    if (reply.ok) this.#known.seen(inode, reply.stat, before)
    else this.#known.of(inode).invalidate()
    return reply
  }

  readdir(ctx: Ctx, args: FopArgs['readdir']): Promise<Reply<'readdir'>> {
    return this.#self.options['force-readdirp']
      ? this.readdirp(ctx, args)
      : this.#child.readdir(ctx, args)
  }

  async readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    const started = this.#self.env.clock.monotonic()
    const reply = await this.#child.readdirp(ctx, args)
    if (reply.ok) this.#known.seenEntries(reply.entries, started)
    return reply
  }

  // Opening.

  async open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    // O_TRUNC is a change whose attributes the reply does not tell.
    const truncates = (args.flags & OpenFlag.TRUNC) !== 0
    const metadata = this.#known.of(args.loc.inode)
    if (truncates) metadata.changing += 1
    const reply = await this.#child.open(ctx, args)
    if (truncates) metadata.changing -= 1
    if (truncates || !reply.ok) {
      metadata.invalidate()
      this.#ahead.changed(args.loc.inode.gfid)
    }
    return reply
  }

  async opendir(ctx: Ctx, args: FopArgs['opendir']): Promise<Reply<'opendir'>> {
    const reply = await this.#child.opendir(ctx, args)
    if (!reply.ok) this.#known.of(args.loc.inode).invalidate()
    return reply
  }

  async readlink(ctx: Ctx, args: FopArgs['readlink']): Promise<Reply<'readlink'>> {
    const reply = await this.#child.readlink(ctx, args)
    if (!reply.ok) this.#known.of(args.loc.inode).invalidate()
    return reply
  }

  // Data: it changes size and times.

  async readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    const before = this.#known.tickets(args.fd.inode)
    const reply = await this.#child.readv(ctx, args)
    if (reply.ok && !reply.stat.isEmpty) this.#known.seen(args.fd.inode, reply.stat, before)
    return reply
  }

  async writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    const { inode } = args.fd
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.writev(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  async truncate(ctx: Ctx, args: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    const { inode } = args.loc
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.truncate(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  async ftruncate(ctx: Ctx, args: FopArgs['ftruncate']): Promise<Reply<'ftruncate'>> {
    const { inode } = args.fd
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.ftruncate(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  async fallocate(ctx: Ctx, args: FopArgs['fallocate']): Promise<Reply<'fallocate'>> {
    const { inode } = args.fd
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.fallocate(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  async discard(ctx: Ctx, args: FopArgs['discard']): Promise<Reply<'discard'>> {
    const { inode } = args.fd
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.discard(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  async zerofill(ctx: Ctx, args: FopArgs['zerofill']): Promise<Reply<'zerofill'>> {
    const { inode } = args.fd
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.zerofill(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  async copy_file_range(
    ctx: Ctx,
    args: FopArgs['copy_file_range'],
  ): Promise<Reply<'copy_file_range'>> {
    const { inode } = args.target
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.copy_file_range(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  async fsync(ctx: Ctx, args: FopArgs['fsync']): Promise<Reply<'fsync'>> {
    const { inode } = args.fd
    const before = this.#known.tickets(inode)
    const reply = await this.#child.fsync(ctx, args)
    if (reply.ok && !reply.poststat.isEmpty) this.#known.seen(inode, reply.poststat, before)
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
    this.#ahead.changed(inode.gfid)
    this.#known.locked(inode)
    return reply
  }

  async setattr(ctx: Ctx, args: FopArgs['setattr']): Promise<Reply<'setattr'>> {
    const { inode } = args.loc
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.setattr(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  async fsetattr(ctx: Ctx, args: FopArgs['fsetattr']): Promise<Reply<'fsetattr'>> {
    const { inode } = args.fd
    const ticket = this.#known.begin(inode)
    const reply = await this.#child.fsetattr(ctx, args)
    this.#known.end(inode, reply, ticket)
    return reply
  }

  // Entries.

  async create(ctx: Ctx, args: FopArgs['create']): Promise<Reply<'create'>> {
    const reply = await this.#child.create(ctx, args)
    this.#known.made(args.loc, reply)
    return reply
  }

  async mknod(ctx: Ctx, args: FopArgs['mknod']): Promise<Reply<'mknod'>> {
    const reply = await this.#child.mknod(ctx, args)
    this.#known.made(args.loc, reply)
    return reply
  }

  async mkdir(ctx: Ctx, args: FopArgs['mkdir']): Promise<Reply<'mkdir'>> {
    const reply = await this.#child.mkdir(ctx, args)
    this.#known.made(args.loc, reply)
    return reply
  }

  async symlink(ctx: Ctx, args: FopArgs['symlink']): Promise<Reply<'symlink'>> {
    const reply = await this.#child.symlink(ctx, args)
    this.#known.made(args.loc, reply)
    return reply
  }

  async link(ctx: Ctx, args: FopArgs['link']): Promise<Reply<'link'>> {
    this.#known.of(args.oldloc.inode).invalidate()
    const reply = await this.#child.link(ctx, args)
    this.#known.made(args.newloc, reply)
    return reply
  }

  async unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    this.#known.leave(args.loc)
    const reply = await this.#child.unlink(ctx, args)
    this.#known.gone(args.loc, reply)
    return reply
  }

  async rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    this.#known.leave(args.loc)
    const reply = await this.#child.rmdir(ctx, args)
    this.#known.gone(args.loc, reply)
    return reply
  }

  async rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    this.#known.leave(args.oldloc)
    this.#known.leave(args.newloc)
    const reply = await this.#child.rename(ctx, args)
    this.#known.moved(args.oldloc, args.newloc, reply)
    return reply
  }

  // Extended attributes.

  async getxattr(ctx: Ctx, args: FopArgs['getxattr']): Promise<Reply<'getxattr'>> {
    const { name, loc } = args
    if (!this.#names.has(name)) return this.#child.getxattr(ctx, args)
    return (
      this.#known.xattr(loc.inode, name) ??
      this.#known.learn(loc.inode, name, () => this.#child.getxattr(ctx, args))
    )
  }

  async fgetxattr(ctx: Ctx, args: FopArgs['fgetxattr']): Promise<Reply<'fgetxattr'>> {
    const { name, fd } = args
    if (!this.#names.has(name)) return this.#child.fgetxattr(ctx, args)
    return (
      this.#known.xattr(fd.inode, name) ??
      this.#known.learn(fd.inode, name, () => this.#child.fgetxattr(ctx, args))
    )
  }

  async setxattr(ctx: Ctx, args: FopArgs['setxattr']): Promise<Reply<'setxattr'>> {
    const reply = await this.#child.setxattr(ctx, args)
    this.#known.xattrsChanged(args.loc.inode)
    return reply
  }

  async fsetxattr(ctx: Ctx, args: FopArgs['fsetxattr']): Promise<Reply<'fsetxattr'>> {
    const reply = await this.#child.fsetxattr(ctx, args)
    this.#known.xattrsChanged(args.fd.inode)
    return reply
  }

  async removexattr(ctx: Ctx, args: FopArgs['removexattr']): Promise<Reply<'removexattr'>> {
    const reply = await this.#child.removexattr(ctx, args)
    this.#known.xattrsChanged(args.loc.inode)
    return reply
  }

  async fremovexattr(ctx: Ctx, args: FopArgs['fremovexattr']): Promise<Reply<'fremovexattr'>> {
    const reply = await this.#child.fremovexattr(ctx, args)
    this.#known.xattrsChanged(args.fd.inode)
    return reply
  }
}

export const mdCache = defineXlator({
  type: 'performance/md-cache',
  options: mdCacheOptions,
  create: self => new MdCache(self),
})
