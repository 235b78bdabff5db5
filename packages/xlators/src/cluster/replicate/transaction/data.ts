/**
 * Data operations: writes, and everything else that changes what is in a file, as the file's lock
 * runs them. An arbiter, which keeps no data, gets a token of each.
 */

import {
  type ChangeReply,
  type ContextKey,
  type Ctx,
  type Failure,
  type FopArgs,
  type Inode,
  OpenFlag,
  type Reply,
  ROOT_CTX,
  type Step,
  type WriteReply,
} from '@ashlar/core'
import type { Copies } from '../copies.ts'
import { internalCtx, type ReplicaSet } from '../replica-set.ts'
import type { RangeClaim } from './claims.ts'
import { FileLock } from './file-lock.ts'

/** What an arbiter is given in place of data: one byte, of which it keeps none. */
const ARBITER_DATA = Buffer.from([0xff])
const WHOLE: RangeClaim = { start: 0, end: Number.POSITIVE_INFINITY }

export class DataTransactions {
  readonly #set: ReplicaSet
  readonly #copies: Copies
  readonly #locks: ContextKey<FileLock>

  constructor(set: ReplicaSet, copies: Copies, locks: ContextKey<FileLock>) {
    this.#set = set
    this.#copies = copies
    this.#locks = locks
  }

  /** The lock of a file, if this process has one. */
  lockOf(inode: Inode): FileLock | undefined {
    return this.#locks.get(inode)
  }

  #obtain(inode: Inode): FileLock {
    return this.#locks.obtain(inode, () => {
      const owner = internalCtx(ROOT_CTX, this.#set.nextOwner())
      return new FileLock(this.#set, this.#copies, inode, owner)
    })
  }

  async writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    const { arbiter } = this.#set
    const { length } = args.data
    const flags = args.fd.flags | args.flags
    const appends = (flags & OpenFlag.APPEND) !== 0
    const step: Step = { fop: 'writev', args }
    const token: Step = { fop: 'writev', args: { ...args, data: ARBITER_DATA, loan: undefined } }
    const reply = await this.#obtain(args.fd.inode).run<WriteReply>(ctx, {
      // Appends must come to all bricks in one order, whatever offsets they name.
      range: appends ? WHOLE : { start: args.offset, end: args.offset + length },
      step: index => (index === arbiter ? token : step),
      done: (each, index) => (index === arbiter ? length : each.written),
      unstable: (flags & (OpenFlag.SYNC | OpenFlag.DSYNC)) === 0,
      once: appends,
    })
    return reply
  }

  truncate(ctx: Ctx, args: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    return this.#change(ctx, args.loc.inode, fromOffset(args.offset), { fop: 'truncate', args })
  }

  ftruncate(ctx: Ctx, args: FopArgs['ftruncate']): Promise<Reply<'ftruncate'>> {
    return this.#change(ctx, args.fd.inode, fromOffset(args.offset), { fop: 'ftruncate', args })
  }

  fallocate(ctx: Ctx, args: FopArgs['fallocate']): Promise<Reply<'fallocate'>> {
    return this.#change(ctx, args.fd.inode, rangeOf(args), { fop: 'fallocate', args })
  }

  discard(ctx: Ctx, args: FopArgs['discard']): Promise<Reply<'discard'>> {
    return this.#change(ctx, args.fd.inode, rangeOf(args), { fop: 'discard', args })
  }

  zerofill(ctx: Ctx, args: FopArgs['zerofill']): Promise<Reply<'zerofill'>> {
    return this.#change(ctx, args.fd.inode, rangeOf(args), { fop: 'zerofill', args })
  }

  #change(ctx: Ctx, inode: Inode, range: RangeClaim, step: Step): Promise<ChangeReply | Failure> {
    return this.#obtain(inode).run<ChangeReply>(ctx, {
      range,
      step: () => step,
      done: () => 0,
      unstable: true,
      once: false,
    })
  }
}

function fromOffset(start: number): RangeClaim {
  return { start, end: Number.POSITIVE_INFINITY }
}

function rangeOf(args: { offset: number; length: number }): RangeClaim {
  return { start: args.offset, end: args.offset + args.length }
}
