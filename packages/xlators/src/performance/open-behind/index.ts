/**
 * performance/open-behind: small files opened for reading are open at once. On its brick a file is
 * opened when somebody reads what quick-read does not have any more, locks, or needs the fd in any
 * other way; a file that is closed before is never opened there.
 *
 * An open is answered here only where it is sure to succeed. The caller is root, or owns the file and
 * its mode allows reading (for the rights of others the brick alone knows what ACLs say), by a lookup
 * no older than what the kernel itself would trust. And quick-read has the content: the name may have
 * gone to another file since, and this one may be no more. Of a file that has to be read from its
 * brick that must be known now, as upon ESTALE the kernel looks the name up again for an open, not for
 * a read. (GlusterFS's open-behind answers there, too, and the read fails.) Opens for writing go
 * down: they are followed by a write, and gain nothing.
 *
 * Facts: xlators/performance/open-behind/src/open-behind.c.
 */

import {
  type Ctx,
  defineXlator,
  type Failure,
  type Fd,
  type Fop,
  type FopArgs,
  type GraphEvent,
  type Iatt,
  type Inode,
  NULL_GFID,
  OpenFlag,
  type PlainFop,
  type Reply,
  type Subvolume,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { openBehindOptions } from './options.ts'
import { RecentRights, type Rights } from './recent-rights.ts'

type Self = XlatorSelf<typeof openBehindOptions>

/** How long attributes tell who may open a file. */
const RIGHTS_MS = 1000
const S_IRUSR = 0o400
/** With any of these an open is more than a promise to read. */
const NOT_DELAYED =
  OpenFlag.ACCMODE | OpenFlag.TRUNC | OpenFlag.CREAT | OpenFlag.DIRECT | OpenFlag.DIRECTORY

/** An fd that is open for its user and, so far, nowhere else. */
class Delayed {
  readonly ctx: Ctx
  readonly args: FopArgs['open']
  /** The open that was sent, and what came of it. */
  sent: Promise<Reply<'open'>> | undefined

  constructor(ctx: Ctx, args: FopArgs['open']) {
    // Whoever needs the fd must not fail because the opener has given up waiting.
    this.ctx = ctx.signal === undefined ? ctx : { ...ctx, signal: undefined }
    this.args = args
  }
}

class OpenBehind implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #delayed
  readonly #rights
  /** Fops on their way that take a name from the inode. */
  readonly #leaves
  readonly #listed = new RecentRights(RIGHTS_MS)
  /** When rights were last changed through this client. */
  #changedAt = -Infinity
  #downAt = -Infinity
  #early = 0
  #sent = 0

  constructor(self: Self) {
    this.#self = self
    this.#child = self.child
    this.#delayed = self.contextKey<Delayed>()
    this.#rights = self.contextKey<Rights>()
    this.#leaves = self.contextKey<number>()
  }

  dump(): Readonly<Record<string, unknown>> {
    return { answeredEarly: this.#early, openedLater: this.#sent, listed: this.#listed.count }
  }

  notify(event: GraphEvent): void {
    if (event.kind === 'child-down' || event.kind === 'some-descendent-down')
      this.#downAt = this.#now()
    else if (event.kind === 'cache-invalidation') {
      const inode = this.#self.inodes.find(event.change.gfid)
      this.#listed.delete(event.change.gfid)
      if (inode !== undefined) this.#rights.set(inode, undefined)
    }
    this.#self.notify(event)
  }

  async lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    const reply = await this.#child.lookup(ctx, args)
    if (reply.ok) this.#learn(args.loc.inode, reply.stat, this.#now())
    else this.#rights.set(args.loc.inode, undefined)
    return reply
  }

  async readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    const asked = this.#now()
    const reply = await this.#child.readdirp(ctx, args)
    if (!reply.ok) return reply
    const at = reply.askedAt ?? asked
    // It may tell of what was so before a change of ours.
    if (at <= this.#changedAt) return reply
    for (const { stat } of reply.entries) {
      if (stat.gfid === NULL_GFID) continue
      const inode = this.#self.inodes.find(stat.gfid)
      if (inode !== undefined) this.#learn(inode, stat, at)
      else if (stat.isRegular) this.#listed.set(stat.gfid, { uid: stat.uid, mode: stat.mode, at })
    }
    return reply
  }

  async open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    if (!this.#mayWait(ctx, args)) return this.#child.open(ctx, args)
    this.#early += 1
    const delayed = new Delayed(ctx, args)
    this.#delayed.set(args.fd, delayed)
    if (!this.#self.options['lazy-open']) void this.#send(delayed)
    return { ok: true }
  }

  /** The open and the read go together; nothing is given out before the open is granted. */
  async readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    const delayed = this.#delayed.get(args.fd)
    if (delayed === undefined) return this.#child.readv(ctx, args)
    const { options } = this.#self
    if (options['use-anonymous-fd'] && !options['read-after-open'])
      return this.#child.readv(ctx, args)
    if (delayed.sent !== undefined) {
      const failed = await this.#opened(args.fd)
      return failed ?? this.#child.readv(ctx, args)
    }
    // By its gfid, for a moment: the fd has no number on the brick yet.
    const [failed, reply] = await Promise.all([this.#opened(args.fd), this.#child.readv(ctx, args)])
    return failed ?? reply
  }

  async flush(ctx: Ctx, args: FopArgs['flush']): Promise<Reply<'flush'>> {
    const delayed = this.#delayed.get(args.fd)
    if (delayed === undefined) return this.#child.flush(ctx, args)
    if (delayed.sent === undefined) {
      // Nothing was written or locked through it. But POSIX locks of its owner on the file end with
      // any descriptor: those were taken through another one, which is open.
      const other = this.#openOne(args.fd)
      return other === undefined ? { ok: true } : this.#child.flush(ctx, { ...args, fd: other })
    }
    return (await this.#opened(args.fd)) ?? this.#child.flush(ctx, args)
  }

  /** Closed before anybody needed it: the brick never hears of it. */
  release(fd: Fd): void {
    this.#delayed.set(fd, undefined)
  }

  // What changes who may open the file, or takes its name: those who have it open, have it open.

  unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    return this.#leaving(args.loc.inode, () => this.#child.unlink(ctx, args))
  }

  rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    return this.#leaving(args.newloc.inode, () => this.#child.rename(ctx, args))
  }

  setattr(ctx: Ctx, args: FopArgs['setattr']): Promise<Reply<'setattr'>> {
    return this.#changing(args.loc.inode, () => this.#child.setattr(ctx, args))
  }

  setxattr(ctx: Ctx, args: FopArgs['setxattr']): Promise<Reply<'setxattr'>> {
    return this.#changing(args.loc.inode, () => this.#child.setxattr(ctx, args))
  }

  removexattr(ctx: Ctx, args: FopArgs['removexattr']): Promise<Reply<'removexattr'>> {
    return this.#changing(args.loc.inode, () => this.#child.removexattr(ctx, args))
  }

  async fsetattr(ctx: Ctx, args: FopArgs['fsetattr']): Promise<Reply<'fsetattr'>> {
    const failed = await this.#opened(args.fd)
    if (failed !== undefined) return failed
    return this.#changing(args.fd.inode, () => this.#child.fsetattr(ctx, args))
  }

  async copy_file_range(
    ctx: Ctx,
    args: FopArgs['copy_file_range'],
  ): Promise<Reply<'copy_file_range'>> {
    const failed = (await this.#opened(args.source)) ?? (await this.#opened(args.target))
    return failed ?? this.#child.copy_file_range(ctx, args)
  }

  /** A fop on an fd that must be open. */
  needing<F extends FdFop>(fop: F): Fop<F> {
    const down = this.#child[fop] as (ctx: Ctx, args: FopArgs[F]) => Promise<Reply<F>>
    return (ctx, args) => {
      if (this.#delayed.get(args.fd) === undefined) return down(ctx, args)
      return this.#opened(args.fd).then(failed => failed ?? down(ctx, args))
    }
  }

  /** Another fd of the file that its bricks know of. */
  #openOne(fd: Fd): Fd | undefined {
    for (const other of fd.inode.fds)
      if (other !== fd && !other.anonymous && this.#delayed.get(other) === undefined) return other
    return undefined
  }

  #mayWait(ctx: Ctx, { loc, flags, contentHeld, xdata }: FopArgs['open']): boolean {
    if (this.#self.options['pass-through'] || contentHeld !== true || xdata !== undefined)
      return false
    if ((flags & NOT_DELAYED) !== OpenFlag.RDONLY) return false
    if ((this.#leaves.get(loc.inode) ?? 0) > 0) return false
    const rights = this.#rights.get(loc.inode) ?? this.#listed.get(loc.inode.gfid)
    if (rights === undefined || rights.at <= this.#downAt) return false
    if (this.#now() - rights.at >= RIGHTS_MS) return false
    return ctx.uid === 0 || (ctx.uid === rights.uid && (rights.mode & S_IRUSR) !== 0)
  }

  #now(): number {
    return this.#self.env.clock.monotonic()
  }

  #learn(inode: Inode, stat: Iatt, at: number): void {
    const known = this.#self.inodes.find(stat.gfid) ?? inode
    const rights = stat.isRegular ? { uid: stat.uid, mode: stat.mode, at } : undefined
    this.#listed.delete(stat.gfid)
    this.#rights.set(known, rights)
  }

  #forget(inode: Inode): void {
    this.#changedAt = this.#now()
    this.#listed.delete(inode.gfid)
    this.#rights.set(inode, undefined)
  }

  /** Sends the open, once. */
  #send(delayed: Delayed): Promise<Reply<'open'>> {
    if (delayed.sent === undefined) {
      this.#sent += 1
      const { fd } = delayed.args
      fd.ref()
      delayed.sent = this.#child.open(delayed.ctx, delayed.args).then(reply => {
        // One that failed stays: all who need the fd are told so.
        if (reply.ok) this.#delayed.set(fd, undefined)
        fd.unref()
        return reply
      })
    }
    return delayed.sent
  }

  /** Sees that the fd is open on its brick; the failure when it cannot be. */
  async #opened(fd: Fd): Promise<Failure | undefined> {
    const delayed = this.#delayed.get(fd)
    if (delayed === undefined) return undefined
    const reply = await this.#send(delayed)
    return reply.ok ? undefined : reply
  }

  async #openAll(inode: Inode): Promise<void> {
    if (inode.fds.size === 0) return
    await Promise.all([...inode.fds].map(fd => this.#opened(fd)))
  }

  /** Takes a name from a file, perhaps its last: meanwhile and after, bricks say who may open it. */
  async #leaving<R>(inode: Inode, take: () => Promise<R>): Promise<R> {
    this.#leaves.set(inode, (this.#leaves.get(inode) ?? 0) + 1)
    await this.#openAll(inode)
    const reply = await take()
    this.#leaves.set(inode, (this.#leaves.get(inode) ?? 0) - 1)
    this.#listed.delete(inode.gfid)
    this.#rights.set(inode, undefined)
    return reply
  }

  async #changing<R>(inode: Inode, change: () => Promise<R>): Promise<R> {
    await this.#openAll(inode)
    this.#forget(inode)
    const reply = await change()
    this.#forget(inode)
    return reply
  }
}

/** Fops that go to the brick under the fd's number there. fstat does as well by gfid. */
const NEEDING = [
  'writev',
  'fsync',
  'ftruncate',
  'fsetxattr',
  'fgetxattr',
  'fremovexattr',
  'fxattrop',
  'lk',
  'finodelk',
  'fentrylk',
  'rchecksum',
  'fallocate',
  'discard',
  'zerofill',
  'seek',
] as const satisfies readonly PlainFop[]
type FdFop = (typeof NEEDING)[number]

export const openBehind = defineXlator({
  type: 'performance/open-behind',
  options: openBehindOptions,
  create: self => {
    const xlator = new OpenBehind(self)
    const needing = Object.fromEntries(NEEDING.map(fop => [fop, xlator.needing(fop)]))
    return Object.assign(xlator as Xlator, needing)
  },
})
