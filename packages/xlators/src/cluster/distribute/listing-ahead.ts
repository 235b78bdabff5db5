/**
 * ListingAhead: pieces of a listing asked for before they are needed, so that all subvolumes read
 * their parts while the reader is still at the first, and a brick its next piece while the reader
 * takes the last.
 *
 * A piece holds attributes; after any change through this client they may be older than what the
 * reader knows already. Such a piece is thrown away, and the fd reads ahead no more: who changes a
 * directory while listing it would only throw away again.
 */

import type { Clock, ContextKey, Fd, Reply, Subvolume } from '@ashlar/core'

/** Pieces older than this are asked for anew: others change files, too. */
const AGE_MS_MAX = 500

interface Piece {
  readonly child: Subvolume
  readonly offset: bigint
  readonly size: number
  readonly reply: Promise<Reply<'readdirp'>>
  readonly askedAt: number
  /** Changes made through this client when it was asked for. */
  readonly changes: number
}

interface FdState {
  pieces: Piece[]
  off: boolean
}

export type AskPiece = (child: Subvolume, offset: bigint) => Promise<Reply<'readdirp'>>

export class ListingAhead {
  /** Counts every change through this client, when it begins and when it ends. */
  changes = 0
  readonly #clock: Clock
  readonly #fds: ContextKey<FdState>

  constructor(clock: Clock, fds: ContextKey<FdState>) {
    this.#clock = clock
    this.#fds = fds
  }

  /** Asks for a piece that will be wanted soon. */
  ask(fd: Fd, child: Subvolume, piece: { offset: bigint; size: number }, ask: AskPiece): void {
    const state = this.#fds.obtain(fd, () => ({ pieces: [], off: false }))
    if (
      state.off ||
      state.pieces.some(known => known.child === child && known.offset === piece.offset)
    )
      return
    state.pieces.push({
      child,
      ...piece,
      reply: ask(child, piece.offset),
      askedAt: this.#clock.monotonic(),
      changes: this.changes,
    })
  }

  /** A piece that was asked for and still holds. */
  take(
    fd: Fd,
    child: Subvolume,
    piece: { offset: bigint; size: number },
  ): Promise<Reply<'readdirp'>> | undefined {
    const state = this.#fds.get(fd)
    if (state === undefined || state.pieces.length === 0) return undefined
    const found = state.pieces.find(known => known.child === child && known.offset === piece.offset)
    // The reader went elsewhere on this subvolume: what was asked for is of no use.
    state.pieces = state.pieces.filter(known => known.child !== child)
    if (found === undefined || found.size !== piece.size) return undefined
    if (found.changes !== this.changes) {
      state.off = true
      state.pieces = []
      return undefined
    }
    const { askedAt, reply } = found
    if (this.#clock.monotonic() - askedAt > AGE_MS_MAX) return undefined
    return reply.then(told => (told.ok ? { ...told, askedAt } : told))
  }
}
