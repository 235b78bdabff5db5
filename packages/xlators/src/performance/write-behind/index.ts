/**
 * performance/write-behind: answers writes before the bricks have them, keeps several in transit and
 * puts small ones together. What comes after a write and could notice that it is not done waits for
 * it. Errors that come too late for their write come out at the next write, fsync or flush of every
 * fd that was open then. Facts: xlators/performance/write-behind/src/write-behind.c.
 */

import {
  type Ctx,
  defineXlator,
  EMPTY_IATT,
  type FopArgs,
  type Inode,
  LOCK_INFO,
  NULL_GFID,
  OpenFlag,
  type Reply,
  type Subvolume,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { writeBehindOptions } from './options.ts'
import { type Policy, TO_END, WriteQueue } from './write-queue.ts'

type Self = XlatorSelf<typeof writeBehindOptions>

/** The kernel's largest request: smaller writes are put together up to it at least. */
const AGGREGATE_BYTES_MIN = 1024 * 1024
/** How long the end of the graph waits for what has been promised. */
const STOP_MS = 10_000

/**
 * The option is meant for requests of 128 KiB, the kernel's largest with GlusterFS. Ours are of 1 MiB:
 * the window holds as many of them, or the brick would wait between two.
 */
const REQUEST_SCALE = 8

class WriteBehind implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #queues
  readonly #policy: { -readonly [K in keyof Policy]: Policy[K] }
  readonly #busy = new Set<WriteQueue>()
  /** Counts the times a queue had writes or had none, to tell what came after a request was sent. */
  #changes = 0
  #whenIdle: (() => void) | undefined

  constructor(self: Self) {
    this.#self = self
    this.#child = self.child
    this.#queues = self.contextKey<WriteQueue>()
    this.#policy = { window: 0, aggregate: 0, trickling: true, ordered: false }
    this.reconfigure()
  }

  reconfigure(): void {
    const { options } = this.#self
    this.#policy.window = options['cache-size'] * REQUEST_SCALE
    this.#policy.aggregate = Math.max(options['aggregate-size'], AGGREGATE_BYTES_MIN)
    this.#policy.trickling = options['trickling-writes']
    this.#policy.ordered = options['strict-write-ordering']
  }

  async stop(): Promise<void> {
    if (this.#busy.size === 0) return
    const { clock } = this.#self.env
    await new Promise<void>(resolve => {
      const timer = clock.after(STOP_MS, resolve)
      this.#whenIdle = () => {
        timer.cancel()
        resolve()
      }
      for (const queue of this.#busy) void queue.settle(0, TO_END)
    })
  }

  dump(): Readonly<Record<string, unknown>> {
    let promised = 0
    for (const queue of this.#busy) promised += queue.promised
    return { filesWithWrites: this.#busy.size, bytesPromised: promised, ...this.#policy }
  }

  async writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    const { fd, data, offset, flags, xdata, loan } = args
    if (data.length === 0) return this.#child.writev(ctx, args)
    const queue = this.#queueOf(fd.inode)
    const error = queue.takeError(fd)
    if (error !== undefined) return error
    const early = this.#mayAnswerEarly(fd.flags | flags)
    const append = ((fd.flags | flags) & OpenFlag.APPEND) !== 0
    return queue.write({ ctx, fd, data, offset, flags, xdata, loan, append, early })
  }

  async flush(ctx: Ctx, args: FopArgs['flush']): Promise<Reply<'flush'>> {
    const queue = this.#queues.get(args.fd.inode)
    const writes = queue?.settle(0, TO_END)
    if (queue?.locked === true || !this.#self.options['flush-behind']) {
      if (writes !== undefined) await writes
      const reply = await this.#child.flush(ctx, args)
      return queue?.takeError(args.fd) ?? reply
    }
    // Without locks a flush has nothing to order: it need not wait for the data, nor anybody for it.
    this.#flushBehind(writes === undefined ? { ...ctx, lazy: true } : ctx, args)
    if (writes !== undefined) await writes
    return queue?.takeError(args.fd) ?? { ok: true }
  }

  async fsync(ctx: Ctx, args: FopArgs['fsync']): Promise<Reply<'fsync'>> {
    const queue = this.#queues.get(args.fd.inode)
    const writes = queue?.settle(0, TO_END)
    if (writes !== undefined) await writes
    const reply = await this.#child.fsync(ctx, args)
    return queue?.takeError(args.fd) ?? reply
  }

  async open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    const queue = this.#queues.get(args.loc.inode)
    if (queue === undefined) return this.#child.open(ctx, args)
    queue.opened(args.fd)
    if ((args.flags & OpenFlag.TRUNC) !== 0) await queue.settle(0, TO_END)
    return this.#child.open(ctx, args)
  }

  async readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    const { fd, offset, size } = args
    const writes = this.#queues.get(fd.inode)?.settle(offset, offset + size)
    if (writes !== undefined) await writes
    return this.#child.readv(ctx, args)
  }

  async lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    await this.#settled(args.loc.inode)
    return this.#child.lookup(ctx, args)
  }

  async stat(ctx: Ctx, args: FopArgs['stat']): Promise<Reply<'stat'>> {
    await this.#settled(args.loc.inode)
    return this.#child.stat(ctx, args)
  }

  async fstat(ctx: Ctx, args: FopArgs['fstat']): Promise<Reply<'fstat'>> {
    await this.#settled(args.fd.inode)
    return this.#child.fstat(ctx, args)
  }

  async truncate(ctx: Ctx, args: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    await this.#settled(args.loc.inode)
    return this.#child.truncate(ctx, args)
  }

  async ftruncate(ctx: Ctx, args: FopArgs['ftruncate']): Promise<Reply<'ftruncate'>> {
    await this.#settled(args.fd.inode)
    return this.#child.ftruncate(ctx, args)
  }

  async setattr(ctx: Ctx, args: FopArgs['setattr']): Promise<Reply<'setattr'>> {
    await this.#settled(args.loc.inode)
    return this.#child.setattr(ctx, args)
  }

  async fsetattr(ctx: Ctx, args: FopArgs['fsetattr']): Promise<Reply<'fsetattr'>> {
    await this.#settled(args.fd.inode)
    return this.#child.fsetattr(ctx, args)
  }

  async fallocate(ctx: Ctx, args: FopArgs['fallocate']): Promise<Reply<'fallocate'>> {
    await this.#settled(args.fd.inode)
    return this.#child.fallocate(ctx, args)
  }

  async discard(ctx: Ctx, args: FopArgs['discard']): Promise<Reply<'discard'>> {
    await this.#settled(args.fd.inode)
    return this.#child.discard(ctx, args)
  }

  async zerofill(ctx: Ctx, args: FopArgs['zerofill']): Promise<Reply<'zerofill'>> {
    await this.#settled(args.fd.inode)
    return this.#child.zerofill(ctx, args)
  }

  async seek(ctx: Ctx, args: FopArgs['seek']): Promise<Reply<'seek'>> {
    await this.#settled(args.fd.inode)
    return this.#child.seek(ctx, args)
  }

  async rchecksum(ctx: Ctx, args: FopArgs['rchecksum']): Promise<Reply<'rchecksum'>> {
    await this.#settled(args.fd.inode)
    return this.#child.rchecksum(ctx, args)
  }

  async copy_file_range(
    ctx: Ctx,
    args: FopArgs['copy_file_range'],
  ): Promise<Reply<'copy_file_range'>> {
    await this.#settled(args.source.inode)
    await this.#settled(args.target.inode)
    return this.#child.copy_file_range(ctx, args)
  }

  async link(ctx: Ctx, args: FopArgs['link']): Promise<Reply<'link'>> {
    await this.#settled(args.oldloc.inode)
    return this.#child.link(ctx, args)
  }

  async rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    await this.#settled(args.oldloc.inode)
    return this.#child.rename(ctx, args)
  }

  /** Who gets the lock after us must find our data; and who locks must be told when it ends. */
  async lk(ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
    this.#queueOf(args.fd.inode).locked = true
    await this.#settled(args.fd.inode)
    return this.#child.lk(ctx, args)
  }

  async fsetxattr(ctx: Ctx, args: FopArgs['fsetxattr']): Promise<Reply<'fsetxattr'>> {
    if (args.dict.has(LOCK_INFO)) this.#queueOf(args.fd.inode).locked = true
    await this.#settled(args.fd.inode)
    return this.#child.fsetxattr(ctx, args)
  }

  async setxattr(ctx: Ctx, args: FopArgs['setxattr']): Promise<Reply<'setxattr'>> {
    await this.#settled(args.loc.inode)
    return this.#child.setxattr(ctx, args)
  }

  /** Entries whose data is on its way, or came while the listing was made, have no attributes. */
  async readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    const started = this.#changes
    const idle = this.#busy.size === 0
    const reply = await this.#child.readdirp(ctx, args)
    if (!reply.ok || (idle && this.#changes === started)) return reply
    const { inodes } = this.#self
    const entries = reply.entries.map(entry => {
      const inode = entry.stat.gfid === NULL_GFID ? undefined : inodes.find(entry.stat.gfid)
      const queue = inode === undefined ? undefined : this.#queues.get(inode)
      if (queue === undefined || (queue.idle && queue.idleSince <= started)) return entry
      return { ...entry, stat: EMPTY_IATT }
    })
    return { ...reply, entries }
  }

  #queueOf(inode: Inode): WriteQueue {
    const queue = this.#queues.get(inode)
    if (queue !== undefined) return queue
    const made = new WriteQueue(this.#child.writev, this.#policy, this.#activity)
    this.#queues.set(inode, made)
    return made
  }

  readonly #activity = (queue: WriteQueue, busy: boolean): void => {
    this.#changes += 1
    if (busy) {
      this.#busy.add(queue)
      return
    }
    queue.idleSince = this.#changes
    this.#busy.delete(queue)
    if (this.#busy.size === 0) this.#whenIdle?.()
  }

  #settled(inode: Inode): Promise<void> | undefined {
    return this.#queues.get(inode)?.settle(0, TO_END)
  }

  #mayAnswerEarly(flags: number): boolean {
    const { options } = this.#self
    if (options['pass-through']) return false
    // O_SYNC includes the bit of O_DSYNC.
    if ((flags & OpenFlag.DSYNC) !== 0) return false
    return !options['strict-O_DIRECT'] || (flags & OpenFlag.DIRECT) === 0
  }

  #flushBehind(ctx: Ctx, args: FopArgs['flush']): void {
    const fd = args.fd.ref()
    this.#child.flush(ctx, args).then(
      () => fd.unref(),
      (bug: unknown) => {
        fd.unref()
        this.#self.env.log.error('a flush failed by a mistake', { error: String(bug) })
      },
    )
  }
}

export const writeBehind = defineXlator({
  type: 'performance/write-behind',
  options: writeBehindOptions,
  create: self => new WriteBehind(self),
})
