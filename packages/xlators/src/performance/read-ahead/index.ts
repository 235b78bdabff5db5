/**
 * performance/read-ahead: asks for what follows while a file is read from front to back, so that the
 * brick works while the reader does. Off unless a volume's `performance.read-ahead` is on: through a
 * mount the kernel reads ahead by itself, a program of the library has nobody else.
 *
 * What was read ahead is given out once, to the reader it was read for, within a second, and not at
 * all when the file has been changed from here or news of a change has come.
 *
 * Facts: xlators/performance/read-ahead/src/read-ahead.c.
 */

import {
  type Ctx,
  defineXlator,
  type FopArgs,
  type GraphEvent,
  type Inode,
  OpenFlag,
  type Reply,
  type Subvolume,
  takesLock,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { contentChanges } from '../content-changes.ts'
import { readAheadOptions } from './options.ts'
import { type Block, join, type Part, Window } from './window.ts'

type Self = XlatorSelf<typeof readAheadOptions>

/** How long what was read ahead may wait for its reader. */
const KEPT_MS = 1000
/**
 * The options are meant for requests of 128 KiB, the largest of GlusterFS's mounts. Ours are of
 * 1 MiB, and a page holds as many of them.
 */
const REQUEST_SCALE = 8

class ReadAhead implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #windows
  /** Changes of an inode that are under way. */
  readonly #changes
  #hits = 0
  #asked = 0

  constructor(self: Self) {
    this.#self = self
    this.#child = self.child
    Object.assign(
      this,
      contentChanges(self.child, (inode, change) => this.#changing(inode, change)),
    )
    this.#windows = self.contextKey<Window>()
    this.#changes = self.contextKey<number>()
  }

  dump(): Readonly<Record<string, unknown>> {
    return { blocksAsked: this.#asked, blocksUsed: this.#hits }
  }

  notify(event: GraphEvent): void {
    if (event.kind === 'cache-invalidation') {
      const inode = this.#self.inodes.find(event.change.gfid)
      if (inode !== undefined) this.#drop(inode)
    }
    this.#self.notify(event)
  }

  async readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    if (!this.#serves(args)) return this.#child.readv(ctx, args)
    const { fd, offset, size } = args
    const end = offset + size
    const window = this.#windows.obtain(fd, () => new Window())
    if (offset !== window.expected) window.reset()
    else window.blocksWanted = Math.min(this.#self.options['page-count'], window.blocksWanted + 1)
    window.expected = end
    const oldest = this.#self.env.clock.monotonic() - KEPT_MS
    if (window.blocks.some(block => block.askedAt < oldest)) window.blocks = []
    const blocks = window.take(offset, end)
    const covered = blocks.at(-1)
    const next = covered === undefined ? offset : covered.offset + covered.size
    const rest =
      next < end ? this.#child.readv(ctx, { ...args, offset: next, size: end - next }) : undefined
    this.#extend(ctx, args, window, end)
    if (blocks.length === 0) {
      const reply = (await rest) as Reply<'readv'>
      if (reply.ok && reply.eof) window.ended = true
      return reply
    }
    this.#hits += blocks.length
    const reply = await this.#joined(blocks, rest && { offset: next, reply: rest }, offset, end)
    // Something of it failed, or the file has become another length meanwhile.
    return reply ?? this.#child.readv(ctx, args)
  }

  /** Who gets a lock sees what was written under it before: nothing older is kept. */
  async lk(ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
    const reply = await this.#child.lk(ctx, args)
    if (reply.ok && takesLock(args)) this.#drop(args.fd.inode)
    return reply
  }

  #serves({ fd, flags, size, xdata }: FopArgs['readv']): boolean {
    if (this.#self.options['pass-through'] || xdata !== undefined || size === 0) return false
    if ((this.#changes.get(fd.inode) ?? 0) > 0) return false
    return ((fd.flags | flags) & OpenFlag.DIRECT) === 0
  }

  /** Asks for blocks until as many are ahead as are wanted. */
  #extend(ctx: Ctx, args: FopArgs['readv'], window: Window, end: number): void {
    const size = this.#self.options['page-size'] * REQUEST_SCALE
    const askedAt = this.#self.env.clock.monotonic()
    while (!window.ended && window.blocks.length < window.blocksWanted) {
      const offset = window.aheadOf(end)
      this.#asked += 1
      const { fd, flags } = args
      fd.ref()
      const reply = this.#child.readv(ctx, { fd, size, offset, flags }).then(answer => {
        fd.unref()
        if (!answer.ok || answer.eof || answer.data.length < size) window.ended = true
        return answer
      })
      window.blocks.push({ offset, size, askedAt, reply })
    }
  }

  async #joined(
    blocks: readonly Block[],
    rest: { offset: number; reply: Promise<Reply<'readv'>> } | undefined,
    offset: number,
    end: number,
  ): Promise<Reply<'readv'> | undefined> {
    const asked = rest === undefined ? blocks : [...blocks, rest]
    const parts: Part[] = []
    for (const part of asked) {
      const reply = await part.reply
      if (!reply.ok) return undefined
      parts.push({ offset: part.offset, reply })
    }
    return join(parts, offset, end)
  }

  #drop(inode: Inode): void {
    for (const fd of inode.fds) this.#windows.get(fd)?.reset()
  }

  /** Runs a change of a file; what was read ahead before and during it is not given out. */
  async #changing<R>(inode: Inode, change: () => Promise<R>): Promise<R> {
    this.#changes.set(inode, (this.#changes.get(inode) ?? 0) + 1)
    this.#drop(inode)
    const reply = await change()
    this.#changes.set(inode, (this.#changes.get(inode) ?? 1) - 1)
    this.#drop(inode)
    return reply
  }
}

export const readAhead = defineXlator({
  type: 'performance/read-ahead',
  options: readAheadOptions,
  create: self => new ReadAhead(self),
})
