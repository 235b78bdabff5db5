/**
 * features/arbiter: a brick that keeps names and attributes only, so that two full copies and this
 * one cannot disagree without a majority. Operations on data are answered as if they had been done,
 * from the attributes; files stay empty, and nothing can be read.
 * Source: xlators/features/arbiter/src/arbiter.c.
 */

import {
  type Ctx,
  defineXlator,
  Dict,
  Errno,
  failure,
  type FopArgs,
  type Inode,
  inodeLoc,
  type Reply,
  type Subvolume,
  type Xlator,
} from '@ashlar/core'

const WRITE_IS_APPEND = 'glusterfs.write-is-append'
const FD_COUNTS = ['glusterfs.open-fd-count', 'glusterfs.open-active-fd-count']

class Arbiter implements Xlator {
  readonly #child: Subvolume

  constructor(child: Subvolume) {
    this.#child = child
  }

  async readv(): Promise<Reply<'readv'>> {
    return failure(Errno.ENOSYS)
  }

  async seek(): Promise<Reply<'seek'>> {
    return failure(Errno.ENOSYS)
  }

  async writev(ctx: Ctx, { fd, data, xdata }: FopArgs['writev']): Promise<Reply<'writev'>> {
    const reply = await this.#unchanged(ctx, fd.inode)
    if (!reply.ok) return reply
    return { ...reply, written: data.length, xdata: answered(xdata, fd.inode) }
  }

  truncate(ctx: Ctx, { loc }: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    return this.#unchanged(ctx, loc.inode)
  }

  ftruncate(ctx: Ctx, { fd }: FopArgs['ftruncate']): Promise<Reply<'ftruncate'>> {
    return this.#unchanged(ctx, fd.inode)
  }

  fallocate(ctx: Ctx, { fd }: FopArgs['fallocate']): Promise<Reply<'fallocate'>> {
    return this.#unchanged(ctx, fd.inode)
  }

  discard(ctx: Ctx, { fd }: FopArgs['discard']): Promise<Reply<'discard'>> {
    return this.#unchanged(ctx, fd.inode)
  }

  zerofill(ctx: Ctx, { fd }: FopArgs['zerofill']): Promise<Reply<'zerofill'>> {
    return this.#unchanged(ctx, fd.inode)
  }

  /** The file's attributes, as those before and after a change of which nothing is kept. */
  async #unchanged(ctx: Ctx, inode: Inode): Promise<Reply<'truncate'>> {
    const reply = await this.#child.stat(ctx, { loc: inodeLoc(inode) })
    if (!reply.ok) return reply
    return { ok: true, prestat: reply.stat, poststat: reply.stat.clone() }
  }
}

/** What the writer asks: an arbiter has no size to be written beyond, and never says otherwise. */
function answered(xdata: Dict | undefined, inode: Inode): Dict | undefined {
  if (xdata === undefined) return undefined
  const reply = new Dict()
  if (xdata.has(WRITE_IS_APPEND)) reply.setUint(WRITE_IS_APPEND, 1)
  for (const key of FD_COUNTS) if (xdata.has(key)) reply.setUint(key, inode.fdCount)
  return reply.size === 0 ? undefined : reply
}

export const arbiter = defineXlator({
  type: 'features/arbiter',
  options: {},
  create: self => new Arbiter(self.child),
})
