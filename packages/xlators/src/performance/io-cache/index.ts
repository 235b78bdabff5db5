/**
 * performance/io-cache: keeps what was read from files, so that it need not be read from bricks
 * again while the file stays as it is. Off unless a volume's `performance.io-cache` is on. Facts:
 * xlators/performance/io-cache/src.
 */

import {
  type Ctx,
  defineXlator,
  EMPTY_IATT,
  type Failure,
  type Fd,
  type FopArgs,
  globRegExp,
  type GraphEvent,
  type Inode,
  OpenFlag,
  type ReadReply,
  type Reply,
  type Subvolume,
  takesLock,
  UpcallFlag,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { contentChanges } from '../content-changes.ts'
import { FileCache } from './file-cache.ts'
import { ioCacheOptions } from './options.ts'
import { FilePages, PAGE_BYTES, PageStore } from './page-store.ts'

type Self = XlatorSelf<typeof ioCacheOptions>

/** Most bytes asked of the brick at once. */
const FETCH_BYTES_MAX = 1024 * 1024
const CHANGED = UpcallFlag.SIZE | UpcallFlag.TIMES | UpcallFlag.FORGET | UpcallFlag.INVAL_ATTR

interface Priority {
  readonly pattern: RegExp
  readonly value: number
}

class IoCache implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #key
  readonly #store: PageStore
  #priorities: readonly Priority[]
  #downAt = -Infinity
  #hits = 0
  #misses = 0

  constructor(self: Self) {
    this.#self = self
    this.#child = self.child
    Object.assign(
      this,
      contentChanges(self.child, (inode, change) => this.#changing(inode, change)),
    )
    this.#key = self.contextKey<FileCache>()
    this.#store = new PageStore(self.options['cache-size'])
    this.#priorities = parsePriorities(self.options.priority)
  }

  reconfigure(): void {
    this.#store.limit = this.#self.options['cache-size']
    this.#priorities = parsePriorities(this.#self.options.priority)
  }

  dump(): Readonly<Record<string, unknown>> {
    const { bytes, limit } = this.#store
    return { bytes, limit, hits: this.#hits, misses: this.#misses }
  }

  forget(inode: Inode): void {
    this.#key.get(inode)?.forget()
  }

  notify(event: GraphEvent): void {
    if (event.kind === 'child-down' || event.kind === 'some-descendent-down')
      this.#downAt = this.#now()
    else if (event.kind === 'cache-invalidation' && (event.change.flags & CHANGED) !== 0) {
      const inode = this.#self.inodes.find(event.change.gfid)
      if (inode !== undefined) this.#key.get(inode)?.forget()
    }
    this.#self.notify(event)
  }

  async readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    const { fd, offset, size } = args
    if (!this.#serves(args)) return this.#child.readv(ctx, args)
    const cache = this.#cacheOf(fd.inode)
    const problem = await this.#validated(ctx, cache, fd)
    if (problem !== undefined) return problem
    const held = this.#assemble(cache, offset, size)
    if (held !== undefined) {
      this.#hits += 1
      return held
    }
    this.#misses += 1
    if (!cache.quiet || !cache.deservesPages(offset, size)) return this.#child.readv(ctx, args)
    return this.#fetch(ctx, args, cache)
  }

  async create(ctx: Ctx, args: FopArgs['create']): Promise<Reply<'create'>> {
    const reply = await this.#child.create(ctx, args)
    // It may have opened, and cut, a file that was there.
    const inode = reply.ok ? this.#self.inodes.find(reply.stat.gfid) : undefined
    if (inode !== undefined) this.#key.get(inode)?.forget()
    return reply
  }

  /** Who gets a lock sees what was written under it before: nothing older is kept. */
  async lk(ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
    const reply = await this.#child.lk(ctx, args)
    if (reply.ok && takesLock(args)) this.#key.get(args.fd.inode)?.forget()
    return reply
  }

  #now(): number {
    return this.#self.env.clock.monotonic()
  }

  #serves({ fd, flags, size, xdata }: FopArgs['readv']): boolean {
    if (this.#self.options['pass-through'] || xdata !== undefined || size === 0) return false
    return ((fd.flags | flags) & OpenFlag.DIRECT) === 0
  }

  #cacheOf(inode: Inode): FileCache {
    return this.#key.obtain(inode, () => {
      const pages = new FilePages(this.#priorityOf(inode))
      return new FileCache(this.#store, pages)
    })
  }

  #priorityOf(inode: Inode): number {
    if (this.#priorities.length === 0) return 0
    for (const { name } of inode.dentries)
      for (const { pattern, value } of this.#priorities) if (pattern.test(name)) return value
    return 0
  }

  /** Runs a change of a file's data; what is read meanwhile is not kept. */
  async #changing<R>(inode: Inode, change: () => Promise<R>): Promise<R> {
    const cache = this.#key.get(inode)
    if (cache === undefined) return change()
    cache.begin()
    const reply = await change()
    cache.end()
    return reply
  }

  /** Asks whether the file has changed when that has not been asked for a while. */
  async #validated(ctx: Ctx, cache: FileCache, fd: Fd): Promise<Failure | undefined> {
    if (cache.pages.byIndex.size === 0) return undefined
    const now = this.#now()
    const timeout = this.#self.options['cache-timeout'] * 1000
    if (cache.isFresh(now, Math.min(timeout, now - this.#downAt))) return undefined
    cache.validation ??= this.#ask(ctx, cache, fd)
    await cache.validation
    return undefined
  }

  /** A file that cannot be asked about is not known: the read itself will tell why. */
  async #ask(ctx: Ctx, cache: FileCache, fd: Fd): Promise<void> {
    const { generation } = cache
    const reply = await this.#child.fstat(ctx, { fd })
    cache.validation = undefined
    if (!reply.ok || cache.generation !== generation || !cache.quiet) cache.forget()
    else if (!cache.validate(reply.stat, this.#now())) cache.forget()
  }

  /** The reply from pages that are held, or undefined when one is missing. */
  #assemble(cache: FileCache, offset: number, size: number): ReadReply | undefined {
    if (cache.pages.byIndex.size === 0) return undefined
    const end = Math.min(offset + size, cache.size)
    if (offset >= end) return undefined
    const parts: Buffer[] = []
    for (let at = offset; at < end; ) {
      const extent = cache.pages.at(at)
      if (extent === undefined) return undefined
      const from = at - extent.start
      const to = Math.min(extent.data.length, end - extent.start)
      if (to <= from) return undefined
      parts.push(extent.data.subarray(from, to))
      this.#store.touch(extent)
      at = extent.start + to
    }
    const data = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, end - offset)
    // What the attributes are now is not for us to say.
    return { ok: true, data, stat: EMPTY_IATT, eof: end === cache.size }
  }

  /** Fetches the whole pages under a read, once for all who want them. */
  async #fetch(ctx: Ctx, args: FopArgs['readv'], cache: FileCache): Promise<Reply<'readv'>> {
    const { fd, offset, size, flags } = args
    const start = offset - (offset % PAGE_BYTES)
    const end = Math.ceil((offset + size) / PAGE_BYTES) * PAGE_BYTES
    if (end - start > FETCH_BYTES_MAX + PAGE_BYTES) return this.#child.readv(ctx, args)
    const { generation } = cache
    const index = start / PAGE_BYTES
    let request = cache.fetching.get(index)
    if (request === undefined) {
      request = this.#request(ctx, cache, { fd, size: end - start, offset: start, flags })
      cache.fetching.set(index, request)
    }
    const reply = await request
    if (!reply.ok) return reply
    const from = offset - start
    // Somebody else's shorter request, or one that a change has overtaken, is not the answer.
    const enough = reply.data.length >= from + size || reply.eof
    if (cache.generation !== generation || !enough) return this.#child.readv(ctx, args)
    const data = reply.data.subarray(from, from + size)
    return { ...reply, data, eof: reply.eof && from + size >= reply.data.length }
  }

  async #request(ctx: Ctx, cache: FileCache, args: FopArgs['readv']): Promise<ReadReply | Failure> {
    const { generation } = cache
    const answer = await this.#child.readv(ctx, args)
    cache.fetching.delete(args.offset / PAGE_BYTES)
    // What is kept, or read by several, is not the memory's owner's to use again.
    const reply = answer.ok && answer.done !== undefined ? { ...answer, done: undefined } : answer
    if (!reply.ok || reply.stat.isEmpty) return reply
    if (cache.generation !== generation || !cache.quiet) return reply
    const { size } = reply.stat
    const short = reply.data.length < args.size
    if (short && args.offset + reply.data.length < size) return reply
    if (cache.validate(reply.stat, this.#now()) && this.#isKept(size))
      this.#store.add(cache.pages, args.offset, reply.data)
    return short ? { ...reply, eof: true } : reply
  }

  #isKept(size: number): boolean {
    const { options } = this.#self
    const max = options['max-file-size']
    return size >= options['min-file-size'] && (max === 0 || size <= max)
  }
}

/** `*.html:1,abc*:20`; what is not understood is left out. */
function parsePriorities(text: string): Priority[] {
  const priorities: Priority[] = []
  for (const item of text.split(',')) {
    const colon = item.lastIndexOf(':')
    const value = Number(item.slice(colon + 1))
    if (colon > 0 && Number.isInteger(value))
      priorities.push({ pattern: globRegExp(item.slice(0, colon).trim()), value })
  }
  return priorities
}

export const ioCache = defineXlator({
  type: 'performance/io-cache',
  options: ioCacheOptions,
  create: self => new IoCache(self),
})
