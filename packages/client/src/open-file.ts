/**
 * OpenFile: a file open on the graph in use, and reading and writing at offsets of it. It outlives a
 * change of graph: it is opened again on the next one.
 */

import {
  Dict,
  Errno,
  type Failure,
  failure,
  type Fd,
  type Graph,
  inodeLoc,
  OpenFlag,
  type Reply,
} from '@ashlar/core'
import { isWritable } from './flags.ts'
import { linkInode } from './path-walk.ts'
import type { Session } from './session.ts'

/** Bytes of one request. */
export const PIECE_BYTES = 1024 * 1024
/** Requests of one long read or write on their way at a time. */
const PIECES_MAX = 4
/** Flags that would change a file that is opened again. */
const ONCE_ONLY = OpenFlag.CREAT | OpenFlag.EXCL | OpenFlag.TRUNC

export class OpenFile {
  readonly session: Session
  readonly path: string
  readonly flags: number
  #fd: Fd
  #lost = false
  #closed = false
  #written = false

  constructor(session: Session, fd: Fd, path: string) {
    this.session = session
    this.path = path
    this.flags = fd.flags
    this.#fd = fd
    session.files.add(this)
  }

  get closed(): boolean {
    return this.#closed
  }

  get serial(): number {
    return this.#fd.serial
  }

  /** Runs `work` with the fd of the graph in use, held. */
  use<T>(work: (graph: Graph, fd: Fd) => Promise<T | Failure>): Promise<T | Failure> {
    return this.session.run(async graph => {
      if (this.#closed) return failure(Errno.EBADF)
      if (this.#lost) return failure(Errno.EBADFD)
      const fd = this.#fd.ref()
      try {
        return await work(graph, fd)
      } finally {
        fd.unref()
      }
    })
  }

  /** Fills `target` from `offset`; the count is short at the end of the file. */
  async read(target: Uint8Array, offset: number): Promise<number | Failure> {
    const { ctx } = this.session
    if ((this.flags & OpenFlag.ACCMODE) === OpenFlag.WRONLY) return failure(Errno.EBADF)
    if (this.#fd.inode.isDirectory) return failure(Errno.EISDIR)
    return this.use((graph, fd) =>
      inPieces(target.length, async (start, size) => {
        let done = 0
        while (done < size) {
          const args = { fd, size: size - done, offset: offset + start + done, flags: 0 }
          const reply = await graph.top.readv(ctx, args)
          if (!reply.ok) return reply
          if (reply.data.length === 0) break
          target.set(reply.data.subarray(0, size - done), start + done)
          done += reply.data.length
          if (reply.eof) break
        }
        return Math.min(done, size)
      }),
    )
  }

  /** Writes all of `data` at `offset`, or at the end of a file that is open to be appended to. */
  async write(data: Uint8Array, offset: number): Promise<number | Failure> {
    const { ctx } = this.session
    if (!isWritable(this.flags)) return failure(Errno.EBADF)
    const append = (this.flags & OpenFlag.APPEND) !== 0
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length)
    this.#written = true
    return this.use(async (graph, fd) => {
      let base = offset
      if (append) {
        const now = await graph.top.fstat(ctx, { fd })
        if (!now.ok) return now
        base = now.stat.size
      }
      const piece = async (start: number, size: number): Promise<number | Failure> => {
        // A translator may keep what it was given until it is on the brick: it gets its own copy.
        const copy = Buffer.from(bytes.subarray(start, start + size))
        let done = 0
        while (done < size) {
          const args = { fd, data: copy.subarray(done), offset: base + start + done, flags: 0 }
          const reply = await graph.top.writev(ctx, args)
          if (!reply.ok) return reply
          if (reply.written === 0) return failure(Errno.EIO)
          done += reply.written
        }
        return done
      }
      return inPieces(bytes.length, piece, append ? 1 : PIECES_MAX)
    })
  }

  fstat(): Promise<Reply<'fstat'>> {
    return this.use((graph, fd) => graph.top.fstat(this.session.ctx, { fd }))
  }

  /** Closes, telling the brick first when something was written. A failure of that is the result. */
  async close(): Promise<Failure | undefined> {
    if (this.#closed) return failure(Errno.EBADF)
    let problem: Failure | undefined
    if (this.#written && !this.#lost) {
      const reply = await this.use((graph, fd) => graph.top.flush(this.session.ctx, { fd }))
      if (!reply.ok) problem = reply
    }
    if (this.#closed) return problem
    this.#closed = true
    this.session.files.delete(this)
    this.#fd.unref()
    return problem
  }

  /** Opens the file on `next`. One that is not there is lost: all but closing it fails. */
  async moveTo(next: Graph): Promise<void> {
    const old = this.#fd
    const { ctx } = this.session
    if (isWritable(old.flags)) {
      const xdata = new Dict().setInt('last-fsync', 1)
      await this.session.graph.top.fsync(ctx, { fd: old, datasync: false, xdata })
    }
    const { gfid } = old.inode
    const loc = { ...inodeLoc(next.inodes.find(gfid) ?? next.inodes.create()), gfid }
    const found = await next.top.lookup(ctx, { loc })
    if (!found.ok) {
      this.#lost = true
      return
    }
    const inode = linkInode(next, loc, found.stat)
    const flags = old.flags & ~ONCE_ONLY
    const fd = next.openFd(inode, { flags, pid: ctx.pid })
    const reply = await next.top.open(ctx, { loc: inodeLoc(inode), fd, flags })
    if (reply.ok) {
      this.#fd = fd.bind()
      old.unref()
    } else {
      fd.unref()
      this.#lost = true
    }
    next.inodes.unref(inode)
  }
}

/**
 * Does `length` bytes in pieces, a few at a time. The count ends with the first piece that is short;
 * the first failure is the result when it is before that.
 */
async function inPieces(
  length: number,
  piece: (start: number, size: number) => Promise<number | Failure>,
  atATime = PIECES_MAX,
): Promise<number | Failure> {
  if (length <= PIECE_BYTES) return length === 0 ? 0 : piece(0, length)
  let total = 0
  for (let start = 0; start < length; ) {
    const batch: { size: number; result: Promise<number | Failure> }[] = []
    for (; batch.length < atATime && start < length; start += PIECE_BYTES) {
      const size = Math.min(PIECE_BYTES, length - start)
      batch.push({ size, result: piece(start, size) })
    }
    const results = await Promise.all(batch.map(each => each.result))
    for (const [i, result] of results.entries()) {
      if (typeof result !== 'number') return total > 0 ? total : result
      total += result
      if (result < (batch[i] as { size: number }).size) return total
    }
  }
  return total
}
