/** Dir: a directory being read, entry by entry, as node:fs's Dir. */

import {
  type DirentPlus,
  Errno,
  type Failure,
  failure,
  type Fd,
  type Graph,
  inodeLoc,
} from '@ashlar/core'
import { FsError } from './errors.ts'
import type { Place } from './path-walk.ts'
import type { Session } from './session.ts'
import { Dirent, entryType } from './stats.ts'

/** Bytes of entries asked for at a time, as GlusterFS counts them. */
const PIECE_BYTES = 128 * 1024

/** An open directory of one graph, and where its listing stands. */
export class Listing {
  readonly #session: Session
  readonly #fd: Fd
  #offset = 0n
  #end = false
  readonly graph: Graph

  private constructor(session: Session, graph: Graph, fd: Fd) {
    this.#session = session
    this.graph = graph
    this.#fd = fd
  }

  static async open(session: Session, graph: Graph, place: Place): Promise<Listing | Failure> {
    const { inode } = place
    if (inode === undefined) return failure(Errno.ENOENT)
    if (!inode.isDirectory) return failure(Errno.ENOTDIR)
    const fd = graph.openFd(inode, { flags: 0, pid: session.ctx.pid })
    const reply = await graph.top.opendir(session.ctx, { loc: inodeLoc(inode), fd })
    if (!reply.ok) {
      fd.unref()
      return reply
    }
    return new Listing(session, graph, fd.bind())
  }

  /** The next entries; none at the end. */
  async next(): Promise<readonly DirentPlus[] | Failure> {
    while (!this.#end) {
      const reply = await this.graph.top.readdirp(this.#session.ctx, {
        fd: this.#fd,
        size: PIECE_BYTES,
        offset: this.#offset,
      })
      if (!reply.ok) return reply
      const last = reply.entries.at(-1)
      if (last !== undefined) this.#offset = last.offset
      this.#end = reply.eof || last === undefined
      const entries = reply.entries.filter(entry => entry.name !== '.' && entry.name !== '..')
      if (entries.length > 0) return entries
    }
    return []
  }

  close(): void {
    this.#fd.unref()
  }
}

export class Dir implements AsyncIterable<Dirent>, AsyncDisposable {
  readonly path: string
  readonly #session: Session
  readonly #listing: Listing
  #entries: readonly DirentPlus[] = []
  #index = 0
  #closed = false

  constructor(session: Session, listing: Listing, path: string) {
    this.#session = session
    this.#listing = listing
    this.path = path
  }

  /** The next entry; null at the end. */
  async read(): Promise<Dirent | null> {
    const failed = (errno: Errno): FsError =>
      new FsError(errno, { syscall: 'readdir', path: this.path })
    if (this.#closed) throw failed(Errno.EBADF)
    if (this.#index >= this.#entries.length) {
      const entries = await this.#session.run(async graph =>
        // Positions in a listing mean nothing to another graph.
        graph === this.#listing.graph ? await this.#listing.next() : failure(Errno.EBADFD),
      )
      if ('ok' in entries) throw failed(entries.errno)
      this.#entries = entries
      this.#index = 0
    }
    const entry = this.#entries[this.#index]
    if (entry === undefined) return null
    this.#index += 1
    return new Dirent(entry.name, this.path, entryType(entry))
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      this.#listing.close()
    }
    return Promise.resolve()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Dirent, undefined> {
    try {
      for (;;) {
        const entry = await this.read()
        if (entry === null) return undefined
        yield entry
      }
    } finally {
      await this.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
