/**
 * A listing in progress: entries fetched from the graph in large pieces and handed to the kernel
 * in the small ones it asks for, so that a listing costs few round trips. While the kernel works
 * through one piece the next is on its way.
 */

import type { Ctx, Dirent, DirentPlus, Failure, Fd, Graph } from '@ashlar/core'

/** Bytes of entries asked of the graph at a time, as GlusterFS counts them. */
const PIECE_BYTES = 128 * 1024
/** How long entries that were fetched ahead may be served: about as long as attributes are. */
const PIECE_MS_MAX = 1000

export interface Piece {
  readonly entries: readonly (Dirent | DirentPlus)[]
  /** With attributes. */
  readonly plus: boolean
  /** The cookie that the first entry follows. */
  readonly from: bigint
  /** Nothing follows the last entry. */
  readonly eof: boolean
  readonly fetchedAt: number
}

export class DirectoryStream {
  #piece: Piece | undefined
  /** Entry of the piece at which the kernel stands, and the cookie before it. */
  #index = 0
  #cookie = 0n
  #ahead: { from: bigint; plus: boolean; piece: Promise<Piece | Failure> } | undefined

  /** Entries that follow `cookie`: a position in the piece at hand, which is fetched if need be. */
  async at(source: PieceSource, cookie: bigint): Promise<Piece | Failure> {
    const { now, plus } = source
    const fresh =
      this.#piece !== undefined &&
      now - this.#piece.fetchedAt < PIECE_MS_MAX &&
      (this.#piece.plus || !plus)
    if (fresh && this.#cookie === cookie && cookie !== 0n) {
      const piece = this.#piece as Piece
      if (this.#index < piece.entries.length || piece.eof) return piece
    }
    const piece = await this.#next(source, cookie)
    if ('ok' in piece) return piece
    this.#piece = piece
    this.#index = 0
    this.#cookie = cookie
    return piece
  }

  /** Index of the first entry of the piece that the kernel has not had. */
  get index(): number {
    return this.#index
  }

  /** The kernel has taken the entries before `index`; the last of them had `cookie`. */
  advance(source: PieceSource, index: number, cookie: bigint): void {
    this.#index = index
    this.#cookie = cookie
    const piece = this.#piece as Piece
    const last = piece.entries.at(-1)
    if (piece.eof || last === undefined || this.#ahead?.from === last.offset) return
    this.#ahead = {
      from: last.offset,
      plus: source.plus,
      piece: fetchPiece(source, last.offset),
    }
  }

  async #next(source: PieceSource, cookie: bigint): Promise<Piece | Failure> {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead?.from === cookie && (ahead.plus || !source.plus) && cookie !== 0n) {
      const piece = await ahead.piece
      if (!('ok' in piece) && source.now - piece.fetchedAt < PIECE_MS_MAX) return piece
    }
    return await fetchPiece(source, cookie)
  }
}

/** Where a listing gets its entries from. */
export interface PieceSource {
  readonly graph: Graph
  readonly fd: Fd
  readonly ctx: Ctx
  readonly plus: boolean
  readonly now: number
}

async function fetchPiece(source: PieceSource, from: bigint): Promise<Piece | Failure> {
  const { graph, ctx, plus, now } = source
  const fd = source.fd.ref()
  const args = { fd, size: PIECE_BYTES, offset: from }
  const reply = plus ? await graph.top.readdirp(ctx, args) : await graph.top.readdir(ctx, args)
  fd.unref()
  if (!reply.ok) return reply
  const { entries } = reply
  return { entries, plus, from, eof: reply.eof || entries.length === 0, fetchedAt: now }
}
