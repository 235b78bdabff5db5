/**
 * performance/quick-read: has the content of a small file sent along when its name is looked up, and
 * reads from that. With open-behind below, reading a small file is then one round trip.
 *
 * Content costs the brick a read and the network its bytes, so it is asked for only while files that
 * are looked up are read, too: a listing of attributes soon goes without. While many small files are
 * read, bricks of ours send contents along with listings as well.
 *
 * Facts: xlators/performance/quick-read/src/quick-read.c.
 */

import {
  type Ctx,
  Dict,
  defineXlator,
  EMPTY_IATT,
  type FopArgs,
  type GraphEvent,
  type Iatt,
  type Inode,
  LISTED_CONTENT,
  NULL_GFID,
  OpenFlag,
  type Reply,
  type Subvolume,
  takesLock,
  UpcallFlag,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { contentChanges } from '../content-changes.ts'
import { ListedContents } from './listed-contents.ts'
import { quickReadOptions } from './options.ts'
import { ReadingShare } from './reading-share.ts'
import { SmallFile, SmallFiles } from './small-files.ts'

type Self = XlatorSelf<typeof quickReadOptions>

/** The key by which content is asked for and comes; the value asked is the most bytes wanted. */
const CONTENT = 'glusterfs.content'
/** A reply with this says that copies differ: nothing of the file is kept. */
const BAD_INODE = 'glusterfs.bad-inode'
const CHANGED = UpcallFlag.SIZE | UpcallFlag.TIMES | UpcallFlag.FORGET | UpcallFlag.INVAL_ATTR

/** How long content must still be good when a file is opened, for its reader to come in time. */
const READING_MS = 200

/** Lookups with content that nobody reads, until content is not asked for any more. */
const PATIENCE = 64
/** How many of them one read of a small file makes good. */
const READ_WEIGHT = 2
/** Contents of listings that may wait to be read; with more no others are asked for. */
const LISTED_MAX = 4096

class QuickRead implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #key
  readonly #files: SmallFiles
  readonly #listed = new ListedContents()
  readonly #share = new ReadingShare()
  #expiring = false
  /** From 0, content is not asked for, to PATIENCE. */
  #interest = PATIENCE / 2
  #downAt = -Infinity
  #hits = 0
  #misses = 0

  constructor(self: Self) {
    this.#self = self
    this.#child = self.child
    const changes = contentChanges(self.child, (inode, change) => this.#changing(inode, change))
    Object.assign(this, changes, {
      open: (ctx: Ctx, args: FopArgs['open']) => changes.open(ctx, this.#opening(args)),
    })
    this.#key = self.contextKey<SmallFile>()
    this.#files = new SmallFiles(self.options['cache-size'])
  }

  reconfigure(): void {
    this.#files.limit = this.#self.options['cache-size']
  }

  dump(): Readonly<Record<string, unknown>> {
    const { bytes, limit, count } = this.#files
    const listed = this.#listed.count
    return {
      bytes,
      limit,
      count,
      listed,
      hits: this.#hits,
      misses: this.#misses,
      interest: this.#interest,
      share: this.#share.share,
    }
  }

  forget(inode: Inode): void {
    const file = this.#key.get(inode)
    if (file !== undefined) this.#files.drop(file)
  }

  notify(event: GraphEvent): void {
    if (event.kind === 'child-down' || event.kind === 'some-descendent-down')
      this.#downAt = this.#now()
    else if (event.kind === 'cache-invalidation' && (event.change.flags & CHANGED) !== 0) {
      this.#listed.changed(event.change.gfid)
      const inode = this.#self.inodes.find(event.change.gfid)
      if (inode !== undefined) this.#prune(inode)
    }
    this.#self.notify(event)
  }

  async lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    const { loc, xdata } = args
    if (this.#self.options['pass-through'] || loc.inode.isDirectory)
      return this.#child.lookup(ctx, args)
    if (loc.name !== '') this.#share.lookedUp()
    const known = this.#key.get(loc.inode)
    const asks = loc.name !== '' && known?.content === undefined && this.#interest > 0
    const generation = known?.generation ?? 0
    const reply = await this.#child.lookup(ctx, asks ? { loc, xdata: this.#asking(xdata) } : args)
    if (!reply.ok) {
      this.#prune(loc.inode)
      return reply
    }
    const { stat } = reply
    if (!stat.isRegular) return reply
    const inode = this.#self.inodes.find(stat.gfid) ?? loc.inode
    const content = asks ? reply.xdata?.getBytes(CONTENT) : undefined
    if (asks && stat.size <= this.#self.options['max-file-size']) this.#interest -= 1
    if (reply.xdata?.has(BAD_INODE) === true) this.#prune(inode)
    else if (content?.length === stat.size) this.#take(inode, { stat, content, generation })
    else this.#validate(inode, stat)
    return reply
  }

  async readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    const reply = await this.#list(ctx, args)
    if (!reply.ok || this.#files.count === 0) return reply
    for (const { stat } of reply.entries) {
      const inode = stat.gfid === NULL_GFID ? undefined : this.#self.inodes.find(stat.gfid)
      if (inode !== undefined && !stat.isEmpty) this.#validate(inode, stat)
    }
    return reply
  }

  /** A listing, with the contents of small files while such are read. */
  async #list(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    const limit = this.#self.options['max-file-size']
    const asks = this.#share.isWorth && this.#listed.count < LISTED_MAX && limit > 0
    if (!asks || this.#self.options['pass-through']) return this.#child.readdirp(ctx, args)
    const xdata = (args.xdata?.clone() ?? new Dict()).setUint(LISTED_CONTENT, limit)
    let reply: Reply<'readdirp'> | undefined
    await this.#listed.during(
      async () => (reply = await this.#child.readdirp(ctx, { ...args, xdata })),
      this.#now(),
    )
    this.#expire()
    return reply as Reply<'readdirp'>
  }

  /** What listings have brought does not stay when nobody reads it. */
  #expire(): void {
    if (this.#expiring || this.#listed.count === 0) return
    this.#expiring = true
    const timeout = this.#self.options['cache-timeout'] * 1000
    this.#self.env.clock.after(timeout, () => {
      this.#expiring = false
      this.#share.expired(this.#listed.expire(this.#now() - timeout))
      this.#expire()
    })
  }

  /** The content of a file that a listing has brought becomes that of a file like others. */
  #come(inode: Inode): SmallFile | undefined {
    if (this.#listed.count === 0) return undefined
    const oldest = this.#now() - this.#self.options['cache-timeout'] * 1000
    const listed = this.#listed.take(inode.gfid, Math.max(oldest, this.#downAt))
    if (listed === undefined) return undefined
    const file = this.#key.obtain(inode, () => new SmallFile())
    if (file.changing > 0) return undefined
    this.#share.took()
    this.#files.keep(file, listed.content)
    file.describe(listed.stat)
    file.validatedAt = listed.at
    return file
  }

  /** A file whose content is here, and good. */
  #held(inode: Inode): SmallFile | undefined {
    const known = this.#key.get(inode)
    const file = known?.content === undefined ? this.#come(inode) : known
    return file !== undefined && this.#isFresh(file) ? file : undefined
  }

  /** Below us it matters whether anybody will ask the brick for the file. */
  #opening(args: FopArgs['open']): FopArgs['open'] {
    if ((args.flags & OpenFlag.ACCMODE) !== OpenFlag.RDONLY) return args
    const file = this.#held(args.loc.inode)
    const held = file !== undefined && this.#isFresh(file, READING_MS)
    return held ? { ...args, contentHeld: true } : args
  }

  async readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    const { fd, offset, size, flags, xdata } = args
    if (xdata === undefined && ((fd.flags | flags) & OpenFlag.DIRECT) === 0) {
      const file = this.#held(fd.inode)
      const content = file?.content
      if (file !== undefined && content !== undefined && offset < content.length) {
        this.#files.used(file)
        this.#hits += 1
        if (offset === 0) this.#interested()
        const data = content.subarray(offset, offset + size)
        // What the attributes are now is not for us to say.
        return { ok: true, data, stat: EMPTY_IATT, eof: offset + data.length === content.length }
      }
    }
    const reply = await this.#child.readv(ctx, args)
    if (reply.ok && offset === 0 && reply.eof && this.#isSmall(reply.data.length)) {
      this.#misses += 1
      this.#interested()
    }
    return reply
  }

  async create(ctx: Ctx, args: FopArgs['create']): Promise<Reply<'create'>> {
    const reply = await this.#child.create(ctx, args)
    // It may have opened, and cut, a file that was there.
    const inode = reply.ok ? this.#self.inodes.find(reply.stat.gfid) : undefined
    if (inode !== undefined) this.#prune(inode)
    return reply
  }

  /** Who gets a lock sees what was written under it before: nothing older is kept. */
  async lk(ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
    const reply = await this.#child.lk(ctx, args)
    if (reply.ok && takesLock(args)) this.#prune(args.fd.inode)
    return reply
  }

  #now(): number {
    return this.#self.env.clock.monotonic()
  }

  #isSmall(size: number): boolean {
    return size <= this.#self.options['max-file-size']
  }

  #interested(): void {
    this.#interest = Math.min(PATIENCE, this.#interest + READ_WEIGHT)
    this.#share.read()
  }

  #asking(xdata: Dict | undefined): Dict {
    return (xdata?.clone() ?? new Dict()).setUint(CONTENT, this.#self.options['max-file-size'])
  }

  /** Its content is good, and will be for so many milliseconds. */
  #isFresh(file: SmallFile, forMs = 0): boolean {
    if (file.content === undefined || file.changing > 0 || file.validatedAt <= this.#downAt)
      return false
    const { options } = this.#self
    if (options['quick-read-cache-invalidation']) return true
    return this.#now() + forMs - file.validatedAt < options['cache-timeout'] * 1000
  }

  /** Content has come with a lookup that was asked in `generation`. */
  #take(inode: Inode, come: { stat: Iatt; content: Buffer; generation: number }): void {
    const file = this.#key.obtain(inode, () => new SmallFile())
    if (file.changing > 0 || file.generation !== come.generation) return
    this.#files.keep(file, come.content)
    file.describe(come.stat)
    file.validatedAt = this.#now()
  }

  /** Attributes have come: what is kept is good for a while, or not any more. */
  #validate(inode: Inode, stat: Iatt): void {
    this.#listed.compare(stat)
    const file = this.#key.get(inode)
    if (file?.content === undefined) return
    if (file.isOf(stat, this.#self.options['ctime-invalidation'])) file.validatedAt = this.#now()
    else this.#files.drop(file)
  }

  #prune(inode: Inode): void {
    this.#listed.changed(inode.gfid)
    const file = this.#key.get(inode)
    if (file === undefined) return
    file.generation += 1
    this.#files.drop(file)
  }

  /** Runs a change of a file's data; what comes meanwhile is not kept. */
  async #changing<R>(inode: Inode, change: () => Promise<R>): Promise<R> {
    const file = this.#key.obtain(inode, () => new SmallFile())
    file.changing += 1
    this.#prune(inode)
    const reply = await change()
    file.changing -= 1
    this.#prune(inode)
    return reply
  }
}

export const quickRead = defineXlator({
  type: 'performance/quick-read',
  options: quickReadOptions,
  create: self => new QuickRead(self),
})
