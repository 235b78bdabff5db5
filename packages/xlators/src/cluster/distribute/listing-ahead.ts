/**
 * ListingAhead: pieces of a listing asked for before they are needed, so that all subvolumes read
 * their parts while the reader is still at the first, and a brick its next pieces while the reader
 * takes the last.
 *
 * A piece holds attributes; after any change through this client they may be older than what the
 * reader knows already. Such a piece is thrown away, and the fd reads ahead no more: who changes a
 * directory while listing it would only throw away again.
 */

import type { Clock, ContextKey, Fd, Reply, Subvolume } from '@ashlar/core'

/** Pieces older than this are asked for anew: others change files, too. */
const AGE_MS_MAX = 500
/**
 * Pieces of a subvolume that are asked for, or wait for the reader: as many as its brick can make
 * while another one's are read, and no more than is soon thrown away in a large directory.
 */
const PIECES_MAX = 4

export type AskPiece = (child: Subvolume, offset: bigint) => Promise<Reply<'readdirp'>>

interface Piece {
  readonly offset: bigint
  readonly size: number
  readonly reply: Promise<Reply<'readdirp'>>
  /** The reply, once it is there. */
  told?: Reply<'readdirp'>
  readonly askedAt: number
  /** Changes made through this client when it was asked for. */
  readonly changes: number
}

interface FdState {
  /** Of each subvolume without gaps, the next one first. */
  readonly pieces: Map<Subvolume, Piece[]>
  off: boolean
}

export class ListingAhead {
  /** Counts every change through this client, when it begins and when it ends. */
  changes = 0
  readonly #clock: Clock
  readonly #fds: ContextKey<FdState>

  constructor(clock: Clock, fds: ContextKey<FdState>) {
    this.#clock = clock
    this.#fds = fds
  }

  /** Asks for a piece that will be wanted soon, and in its time for those after it. */
  ask(fd: Fd, child: Subvolume, piece: { offset: bigint; size: number }, ask: AskPiece): void {
    const state = this.#fds.obtain(fd, () => ({ pieces: new Map(), off: false }))
    const known = state.pieces.get(child)
    if (known?.some(each => each.offset === piece.offset) === true) {
      this.#goOn(fd, state, child, ask)
    } else {
      state.pieces.set(child, [])
      this.#add(fd, state, child, piece, ask)
    }
  }

  /** A piece that was asked for and still holds. */
  take(
    fd: Fd,
    child: Subvolume,
    piece: { offset: bigint; size: number },
  ): Promise<Reply<'readdirp'>> | undefined {
    const state = this.#fds.get(fd)
    const pieces = state?.pieces.get(child)
    if (state === undefined || pieces === undefined) return undefined
    const at = pieces.findIndex(each => each.offset === piece.offset)
    const found = pieces[at]
    // The reader went elsewhere on this subvolume: what was asked for is of no use.
    if (found === undefined || found.size !== piece.size || !this.#isFresh(found)) {
      state.pieces.delete(child)
      return undefined
    }
    if (found.changes !== this.changes) {
      state.off = true
      state.pieces.clear()
      return undefined
    }
    pieces.splice(0, at + 1)
    const { askedAt, reply } = found
    return reply.then(told => (told.ok ? { ...told, askedAt } : told))
  }

  #isFresh(piece: Piece): boolean {
    return this.#clock.monotonic() - piece.askedAt <= AGE_MS_MAX
  }

  #add(
    fd: Fd,
    state: FdState,
    child: Subvolume,
    piece: { offset: bigint; size: number },
    ask: AskPiece,
  ): void {
    if (state.off || fd.references === 0) return
    const held = fd.ref()
    const added: Piece = {
      ...piece,
      reply: ask(child, piece.offset),
      askedAt: this.#clock.monotonic(),
      changes: this.changes,
    }
    state.pieces.get(child)?.push(added)
    void added.reply.then(told => {
      added.told = told
      if (fd.references > 1) this.#goOn(fd, state, child, ask)
      held.unref()
    })
  }

  /** Asks for what comes after the last piece, when that is known and somebody will take it. */
  #goOn(fd: Fd, state: FdState, child: Subvolume, ask: AskPiece): void {
    const pieces = state.pieces.get(child)
    const last = pieces?.at(-1)
    if (pieces === undefined || last?.told?.ok !== true || pieces.length >= PIECES_MAX) return
    const offset = last.told.entries.at(-1)?.offset
    if (last.told.eof || offset === undefined || !this.#isFresh(last)) return
    this.#add(fd, state, child, { offset, size: last.size }, ask)
  }
}
