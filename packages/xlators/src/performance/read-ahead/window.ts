/**
 * Window: what has been asked for ahead of one reader, in blocks that follow each other.
 */

import type { ReadReply, Reply } from '@ashlar/core'

export interface Block {
  readonly offset: number
  readonly size: number
  /** In milliseconds. */
  readonly askedAt: number
  readonly reply: Promise<Reply<'readv'>>
}

export class Window {
  /** Where a read must begin to be the next one. */
  expected = 0
  /** Blocks to be kept ahead: grows while reads follow each other. */
  blocksWanted = 0
  /** The file has ended: there is nothing further ahead. */
  ended = false
  blocks: Block[] = []

  reset(): void {
    this.blocksWanted = 0
    this.ended = false
    this.blocks = []
  }

  /** First byte that nobody has asked for, when `from` is the first one wanted. */
  aheadOf(from: number): number {
    const last = this.blocks.at(-1)
    return last === undefined ? from : Math.max(from, last.offset + last.size)
  }

  /** Blocks that hold part of the range, gone from the window when the range covers their end. */
  take(offset: number, end: number): Block[] {
    const taken = this.blocks.filter(
      block => block.offset < end && block.offset + block.size > offset,
    )
    this.blocks = this.blocks.filter(block => block.offset + block.size > end)
    return taken
  }
}

/** A part of a file as it was read: `data` from `offset` on. */
export interface Part {
  readonly offset: number
  readonly reply: ReadReply
}

/** One reply out of parts that follow each other; undefined when they leave a gap. */
export function join(parts: readonly Part[], offset: number, end: number): ReadReply | undefined {
  const pieces: Buffer[] = []
  let at = offset
  for (const part of parts) {
    if (part.offset > at) return undefined
    const piece = part.reply.data.subarray(at - part.offset, end - part.offset)
    pieces.push(piece)
    at += piece.length
    const short = part.reply.eof && at === part.offset + part.reply.data.length
    if (at === end || short) {
      const data = pieces.length === 1 ? piece : Buffer.concat(pieces)
      const { stat } = part.reply
      return { ok: true, data, stat, eof: short }
    }
  }
  return undefined
}
