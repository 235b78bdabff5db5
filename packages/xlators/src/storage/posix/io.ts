/**
 * Data: open, read, write, sync. Reads come from memory when the kernel has them there, else from a
 * thread; large writes go to a thread, and all writes do while the disk is slow, so that a stalled
 * disk stalls only who needs it.
 */

import {
  BufferPool,
  type Ctx,
  Dict,
  EMPTY_IATT,
  Errno,
  failure,
  type Failure,
  type FopArgs,
  type Iatt,
  type Inode,
  MdataFlag,
  OpenFlag,
  type Reply,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { BatchSync } from './batch-sync.ts'
import { type Borrowed, type Brick, isRegular, notOpened } from './brick.ts'
import { noRoom } from './create.ts'
import { releaseUnlinked } from './remove.ts'

const WRITE_TOUCH = MdataFlag.MTIME | MdataFlag.CTIME
/** Writes from here on are copied by a thread while the loop takes in the next. */
const THREAD_WRITE_BYTES = 256 * 1024
/** Memory of reads from here on is used again. */
const POOLED_BYTES = 64 * 1024
/** Reads up to here are not measured against the file first. */
const PLAIN_READ_BYTES = 1024 * 1024
/** Reads of a descriptor in a row that found nothing in memory, until it is no longer expected. */
const COLD_READS = 4
/** From then on one read in so many looks there all the same. */
const COLD_READS_PER_TRY = 8
/** Longest read; who wants more asks again. */
const READ_BYTES_MAX = 64 * 1024 * 1024
/** A direct write that took longer than this tells that the disk is slow. */
const SLOW_WRITE_MS = 10
/** How long a disk is held to be slow. */
const SLOW_FOR_MS = 1000
/** Nobody waits for this flush: it may be gathered with others. */
const BATCH_KEY = 'batch-fsync'
/** Asks for a flush of the whole brick; the reply has it, too, as only our bricks understand it. */
const WHOLE_BRICK_KEY = 'ashlar.sync-brick'
const PROTECT_KEY = 'trusted.glusterfs.protect.writes'
const NOT_FOR_BACKEND = OpenFlag.CREAT | OpenFlag.EXCL | OpenFlag.NOCTTY | OpenFlag.DIRECT

export class DataPath {
  readonly #brick: Brick
  readonly #batch: BatchSync
  readonly #pool = new BufferPool()
  #slowUntil = Number.NEGATIVE_INFINITY

  constructor(brick: Brick) {
    this.#brick = brick
    this.#batch = new BatchSync(brick.self.env.clock, brick.handles.rootFd)
  }

  open(ctx: Ctx, args: FopArgs['open']): Reply<'open'> {
    const brick = this.#brick
    const { inode } = args.loc
    const object = brick.object(inode)
    if (typeof object === 'number') return failure(-object)
    if (object.directory && (args.flags & OpenFlag.ACCMODE) !== OpenFlag.RDONLY)
      return failure(Errno.EISDIR)
    if (!object.directory && !isRegular(brick.stat.mode)) return failure(notOpened(brick.stat.mode))
    const flags =
      (args.flags & ~NOT_FOR_BACKEND) | sys.O.CLOEXEC | (object.directory ? 0 : sys.O.NOFOLLOW)
    const fd = sys.openat(sys.AT_FDCWD, object.path, flags)
    if (fd < 0) return failure(-fd)
    brick.fds.set(args.fd, { fd, cookie: 0n, misses: 0 })
    const state = brick.state(inode)
    state.openFds = (state.openFds ?? 0) + 1
    if ((args.flags & OpenFlag.TRUNC) !== 0) brick.touch(ctx, inode, object.path, WRITE_TOUCH)
    return { ok: true }
  }

  release(fd: FopArgs['flush']['fd']): void {
    const brick = this.#brick
    const open = brick.fds.get(fd)
    if (open === undefined) return
    brick.fds.set(fd, undefined)
    sys.close(open.fd)
    const state = brick.state(fd.inode)
    if (state.directory === true) return
    state.openFds = Math.max(0, (state.openFds ?? 0) - 1)
    if (state.openFds > 0) return
    if (state.unlinked === true) releaseUnlinked(brick, fd.inode)
    else brick.storeTimes(fd.inode)
  }

  async readv(_ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    const brick = this.#brick
    const borrowed = brick.borrow(args.fd, sys.O.RDONLY)
    if (typeof borrowed === 'number') return failure(-borrowed)
    try {
      const size = this.#readable(borrowed.fd, args)
      if (size < 0) return failure(-size)
      const memory = this.#memory(size)
      const buffer = memory.length === size ? memory : memory.subarray(0, size)
      const { pace } = brick
      const length = pace.isQuick(size)
        ? pace.measured(() => sys.pread(borrowed.fd, buffer, args.offset))
        : await this.#read(borrowed.fd, buffer, args)
      if (length < 0) return failure(-length)
      const result = sys.fstat(borrowed.fd, brick.stat)
      if (result < 0) return failure(-result)
      const stat = this.#iatt(args.fd.inode)
      return {
        ok: true,
        data: length === size ? buffer : buffer.subarray(0, length),
        stat,
        eof: args.offset + length >= stat.size,
        done: size < POOLED_BYTES ? undefined : () => this.#pool.give(memory),
      }
    } finally {
      borrowed.done()
    }
  }

  #memory(size: number): Buffer {
    return size < POOLED_BYTES ? Buffer.allocUnsafeSlow(size) : this.#pool.take(size)
  }

  /** From memory what is there; in part only: the rest is the disk's. */
  #read(fd: number, buffer: Buffer, args: FopArgs['readv']): number | Promise<number> {
    const known = this.#readMemory(fd, buffer, args)
    const isCold = known === -Errno.EAGAIN || known === -Errno.EOPNOTSUPP
    if (!isCold && (known <= 0 || known === buffer.length)) return known
    const there = Math.max(0, known)
    const more = this.#readDisk(fd, buffer.subarray(there), args.offset + there)
    const sum = (read: number): number => (read < 0 ? (there > 0 ? there : read) : there + read)
    return typeof more === 'number' ? sum(more) : more.then(sum)
  }

  #readDisk(fd: number, buffer: Buffer, offset: number): number | Promise<number> {
    if (!this.#brick.pace.isTried(buffer.length)) return sys.preadAsync(fd, buffer, offset)
    return this.#brick.pace.measured(() => sys.pread(fd, buffer, offset))
  }

  /**
   * What of it is in memory; −EAGAIN: nothing. Where nothing was for a while, as with random reads of a
   * large file, that is mostly taken for granted: the question costs as much as the thread's read.
   */
  #readMemory(fd: number, buffer: Buffer, args: FopArgs['readv']): number {
    const open = this.#brick.fds.get(args.fd)
    const misses = open?.misses ?? 0
    const length =
      misses >= COLD_READS && misses % COLD_READS_PER_TRY !== 0
        ? -Errno.EAGAIN
        : sys.preadv2(fd, buffer, args.offset, sys.RWF_NOWAIT)
    if (open !== undefined) open.misses = length === -Errno.EAGAIN ? misses + 1 : 0
    return length
  }

  /** Bytes to make room for: what is asked, but for large requests no more than there is. Or −errno. */
  #readable(fd: number, args: FopArgs['readv']): number {
    if (args.size <= PLAIN_READ_BYTES) return args.size
    const result = sys.fstat(fd, this.#brick.stat)
    if (result < 0) return result
    const there = Math.max(0, this.#brick.stat.size - args.offset)
    return Math.min(args.size, there, READ_BYTES_MAX)
  }

  async writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    const brick = this.#brick
    if (noRoom(brick, ctx, args.xdata)) return failure(Errno.ENOSPC)
    const borrowed = brick.borrow(args.fd, sys.O.RDWR)
    if (typeof borrowed === 'number') return failure(-borrowed)
    try {
      const { inode } = args.fd
      let result = sys.fstat(borrowed.fd, brick.stat)
      if (result < 0) return failure(-result)
      const refused = this.#refusal(inode, args)
      if (refused !== undefined) return refused
      const prestat = this.#iatt(inode)
      const written = await this.#write(inode, borrowed.fd, args.data, args.offset)
      if (written < 0) return failure(-written)
      if ((args.flags & (OpenFlag.DSYNC | OpenFlag.SYNC)) !== 0) {
        const synced = await sys.fdatasyncAsync(borrowed.fd)
        if (synced < 0) return failure(-synced)
      }
      result = sys.fstat(borrowed.fd, brick.stat)
      if (result < 0) return failure(-result)
      brick.touch(ctx, inode, brick.handles.path(inode.gfid), WRITE_TOUCH)
      return {
        ok: true,
        written,
        prestat,
        poststat: this.#iatt(inode),
        xdata: this.#writeAnswer(args, prestat),
      }
    } finally {
      borrowed.done()
    }
  }

  async #write(inode: Inode, fd: number, data: Buffer, offset: number): Promise<number> {
    const { clock } = this.#brick.self.env
    const start = clock.monotonic()
    if (data.length >= THREAD_WRITE_BYTES || start < this.#slowUntil) {
      return this.#inTurn(inode, () => writeWhole(fd, data, offset))
    }
    const written = sys.pwrite(fd, data, offset)
    if (clock.monotonic() - start > SLOW_WRITE_MS) this.#slowUntil = clock.monotonic() + SLOW_FOR_MS
    return written >= 0 && written < data.length
      ? continueWrite(fd, data, offset, written)
      : written
  }

  /**
   * One write of a file at a time on threads: the kernel lets no more into a file, and a thread that
   * waits for its turn there spins on a core that others need.
   */
  async #inTurn(inode: Inode, write: () => Promise<number>): Promise<number> {
    const state = this.#brick.state(inode)
    const turn = (state.writing ?? Promise.resolve()).then(write)
    state.writing = turn
    const written = await turn
    if (state.writing === turn) delete state.writing
    return written
  }

  /** Rebalance must not write over what a client has written since. */
  #refusal(inode: Inode, args: FopArgs['writev']): Failure | undefined {
    if (args.xdata === undefined) return undefined
    const brick = this.#brick
    const path = brick.handles.path(inode.gfid)
    if (
      args.xdata.has('glusterfs.avoid.overwrite') &&
      typeof brick.xattrs.get(path, PROTECT_KEY) !== 'number'
    ) {
      return failure(Errno.EBUSY)
    }
    if (args.xdata.has(PROTECT_KEY)) brick.xattrs.set(path, PROTECT_KEY, Buffer.from([0]), 0)
    return undefined
  }

  #writeAnswer(args: FopArgs['writev'], prestat: Iatt): Dict | undefined {
    const { xdata } = args
    if (xdata === undefined) return undefined
    const reply = new Dict()
    if (xdata.has('glusterfs.write-is-append')) {
      const appends = args.offset === prestat.size || (args.fd.flags & OpenFlag.APPEND) !== 0
      reply.setUint('glusterfs.write-is-append', appends ? 1 : 0)
    }
    for (const key of ['glusterfs.open-fd-count', 'glusterfs.open-active-fd-count']) {
      if (xdata.has(key)) reply.setUint(key, this.#brick.state(args.fd.inode).openFds ?? 0)
    }
    return reply.size === 0 ? undefined : reply
  }

  flush(_ctx: Ctx, args: FopArgs['flush']): Reply<'flush'> {
    this.#brick.storeTimes(args.fd.inode)
    return { ok: true }
  }

  async fsync(_ctx: Ctx, args: FopArgs['fsync']): Promise<Reply<'fsync'>> {
    const brick = this.#brick
    if (args.xdata?.has(WHOLE_BRICK_KEY) === true) return this.#syncBrick()
    const borrowed = brick.borrow(args.fd, sys.O.RDONLY)
    if (typeof borrowed === 'number') return failure(-borrowed)
    try {
      const { inode } = args.fd
      brick.storeTimes(inode)
      let result = sys.fstat(borrowed.fd, brick.stat)
      if (result < 0) return failure(-result)
      const prestat = this.#iatt(inode)
      const batched = args.xdata?.has(BATCH_KEY) === true
      result = batched
        ? await this.#batch.sync(borrowed.fd)
        : await this.#sync(borrowed, args.datasync)
      if (result < 0) return failure(-result)
      result = sys.fstat(borrowed.fd, brick.stat)
      if (result < 0) return failure(-result)
      return { ok: true, prestat, poststat: this.#iatt(inode) }
    } finally {
      borrowed.done()
    }
  }

  /** Everything that was written to the brick comes to its disk. */
  async #syncBrick(): Promise<Reply<'fsync'>> {
    const result = await sys.syncfsAsync(this.#brick.handles.rootFd)
    if (result < 0) return failure(-result)
    const xdata = new Dict().setInt(WHOLE_BRICK_KEY, 1)
    return { ok: true, prestat: EMPTY_IATT, poststat: EMPTY_IATT, xdata }
  }

  async fsyncdir(_ctx: Ctx, args: FopArgs['fsyncdir']): Promise<Reply<'fsyncdir'>> {
    const borrowed = this.#brick.borrow(args.fd, sys.O.RDONLY | sys.O.DIRECTORY)
    if (typeof borrowed === 'number') return failure(-borrowed)
    try {
      this.#brick.storeTimes(args.fd.inode)
      const result = await this.#sync(borrowed, args.datasync)
      return result < 0 ? failure(-result) : { ok: true }
    } finally {
      borrowed.done()
    }
  }

  #sync(borrowed: Borrowed, datasync: boolean): Promise<number> {
    return datasync ? sys.fdatasyncAsync(borrowed.fd) : sys.fsyncAsync(borrowed.fd)
  }

  #iatt(inode: Inode): Iatt {
    const brick = this.#brick
    const state = brick.state(inode)
    const iatt = brick.iatt(
      inode,
      state.directory === true ? brick.root : brick.handles.path(inode.gfid),
    )
    if (state.unlinked === true) iatt.nlink = 0
    return iatt
  }
}

async function writeWhole(fd: number, data: Buffer, offset: number): Promise<number> {
  const written = await sys.pwriteAsync(fd, data, offset)
  return written >= 0 && written < data.length ? continueWrite(fd, data, offset, written) : written
}

/** A write cut short is carried on; what follows decides between all and an error. */
async function continueWrite(
  fd: number,
  data: Buffer,
  offset: number,
  done: number,
): Promise<number> {
  let written = done
  while (written < data.length) {
    const more = await sys.pwriteAsync(fd, data.subarray(written), offset + written)
    if (more <= 0) return written
    written += more
  }
  return written
}
