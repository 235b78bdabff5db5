/**
 * Copying a file's data from one brick to others, a window at a time: what is the same is left, what
 * is a hole stays one. The caller holds the lock of the window.
 * Source: xlators/cluster/afr/src/afr-self-heal-data.c.
 */

import { Dict, Errno, type Fd, OpenFlag, type Step } from '@ashlar/core'
import { has, indices, type Members, NOBODY, only, without } from '../members.ts'
import type { HealJob } from './job.ts'

export const BLOCK_BYTES = 128 * 1024
/** seek(2): the next byte of data. */
const SEEK_DATA = 0

/** A heal's copying: who gives, who takes, and who has failed so far. */
export class DataCopy {
  readonly #job: HealJob
  readonly source: number
  /** Size of each copy before it began, by brick. */
  readonly #sizes: readonly number[]
  /** The source has holes. */
  readonly #sparse: boolean
  readonly #compare: boolean
  /** Sinks that have taken everything so far. */
  taking: Members
  /** Why a sink does not take any more, by brick. */
  readonly failures = new Map<number, Errno>()
  readonly #reader: Fd
  readonly #writer: Fd

  constructor(
    job: HealJob,
    how: {
      source: number
      sinks: Members
      sizes: readonly number[]
      sparse: boolean
      /** Ask for checksums first, and copy what differs. */
      compare: boolean
    },
  ) {
    this.#job = job
    this.source = how.source
    this.taking = how.sinks
    this.#sizes = how.sizes
    this.#sparse = how.sparse
    this.#compare = how.compare
    this.#reader = job.fd(OpenFlag.RDONLY)
    this.#writer = job.fd(OpenFlag.RDWR)
  }

  close(): void {
    this.#reader.unref()
    this.#writer.unref()
  }

  fail(sink: number, errno: Errno): void {
    if (!has(this.taking, sink)) return
    this.taking = without(this.taking, only(sink))
    this.failures.set(sink, errno)
  }

  /** Runs steps on sinks that are still taking; who fails does not take any more. */
  async onSinks(sinks: Members, steps: (fd: Fd, index: number) => readonly Step[]): Promise<void> {
    const { set, ctx } = this.#job
    await set.onAll(sinks & this.taking, async (child, index) => {
      const own = steps(this.#writer, index)
      if (own.length === 0) return
      const reply = await child.compound(ctx, { steps: own })
      const last = reply.ok ? reply.replies.at(-1) : reply
      if (last !== undefined && !last.ok) this.fail(index, last.errno)
    })
  }

  /**
   * Where the next data of the source is, at or after `offset`: `end` when none follows. Only where
   * no sink has data of its own: these are to be compared.
   */
  async nextData(offset: number, end: number): Promise<number> {
    if (!this.#sparse) return offset
    if (indices(this.taking).some(sink => (this.#sizes[sink] ?? 0) > offset)) return offset
    const child = this.#job.set.child(this.source)
    const reply = await child.seek(this.#job.ctx, { fd: this.#reader, offset, what: SEEK_DATA })
    if (reply.ok) return Math.min(end, Math.max(offset, reply.offset))
    return reply.errno === Errno.ENXIO ? end : offset
  }

  /** Copies one window. An errno when the source cannot be read. */
  async window(offset: number, length: number): Promise<Errno | undefined> {
    const sinks = await this.#differing(offset, length)
    if (sinks === NOBODY) return undefined
    const { set, ctx } = this.#job
    const reply = await set
      .child(this.source)
      .readv(ctx, { fd: this.#reader, size: length, offset, flags: 0 })
    if (!reply.ok) return reply.errno
    await this.write(sinks, offset, reply.data)
    return undefined
  }

  async write(sinks: Members, offset: number, data: Buffer): Promise<void> {
    const { set, ctx } = this.#job
    await set.onAll(sinks & this.taking, async (child, sink) => {
      for (const piece of this.#pieces(sink, offset, data)) {
        const args = { fd: this.#writer, data: piece.data, offset: piece.offset, flags: 0 }
        const reply = await child.writev(ctx, args)
        if (!reply.ok || reply.written < piece.data.length) {
          this.fail(sink, reply.ok ? Errno.ENOSPC : reply.errno)
          return
        }
      }
    })
  }

  /** Sinks of which this range is not like the source's. */
  async #differing(offset: number, length: number): Promise<Members> {
    const asked = indices(this.taking).filter(sink => (this.#sizes[sink] ?? 0) > offset)
    if (!this.#compare || asked.length === 0) return this.taking
    const { set, ctx } = this.#job
    const xdata = new Dict().setInt('check-zero-filled', 1)
    const members = asked.reduce((all, sink) => all | only(sink), only(this.source))
    const sums = await set.onAll(members, child =>
      child.rchecksum(ctx, { fd: this.#reader, offset, length, xdata }),
    )
    const own = sums[this.source]
    if (own?.ok !== true) return this.taking
    // Zeros on a sink may be a hole where the source has blocks: they are written.
    const zeros = own.xdata?.getNumber('buf-has-zeroes') === 1 && !this.#sparse
    let differing = this.taking
    for (const sink of asked) {
      const sum = sums[sink]
      if (sum?.ok === true && !zeros && sum.weak === own.weak && sum.strong.equals(own.strong))
        differing = without(differing, only(sink))
    }
    return differing
  }

  /** What is to be written: without the blocks of zeros that are holes on the sink already. */
  #pieces(sink: number, offset: number, data: Buffer): { offset: number; data: Buffer }[] {
    const hole = this.#sizes[sink] ?? 0
    if (!this.#sparse || offset + data.length <= hole)
      return data.length === 0 ? [] : [{ offset, data }]
    const pieces: { offset: number; data: Buffer }[] = []
    let start = -1
    for (let at = 0; at < data.length; at += BLOCK_BYTES) {
      const block = data.subarray(at, at + BLOCK_BYTES)
      const skip = offset + at >= hole && isZero(block)
      if (!skip && start < 0) start = at
      if (skip && start >= 0) {
        pieces.push({ offset: offset + start, data: data.subarray(start, at) })
        start = -1
      }
    }
    if (start >= 0) pieces.push({ offset: offset + start, data: data.subarray(start) })
    return pieces
  }
}

const ZEROS = Buffer.alloc(BLOCK_BYTES)

function isZero(data: Buffer): boolean {
  return data.equals(ZEROS.subarray(0, data.length))
}
