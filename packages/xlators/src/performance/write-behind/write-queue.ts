/**
 * WriteQueue: the writes of one inode between their arrival and the brick's answer.
 *
 *   arrive ─▶ open for more ─▶ closed ─▶ blocked by earlier ones? ─▶ in transit ─▶ done
 *                 (merging)                 (overlap, append)
 *
 * A write may be answered before it is done: it is then a promise, and everything that comes later
 * and could notice waits for it (`settle`). What had not been answered when another request came is
 * ordered by nobody: neither here nor on a brick.
 */

import {
  assert,
  type Ctx,
  type Dict,
  EMPTY_IATT,
  Errno,
  type Failure,
  failure,
  type Fd,
  type Loan,
  type Reply,
} from '@ashlar/core'

/** End of a range that reaches to the end of the file, wherever that is. */
export const TO_END = Number.MAX_SAFE_INTEGER

/** Sends one write to the layer below. */
export type Send = (
  ctx: Ctx,
  args: { fd: Fd; data: Buffer; offset: number; flags: number; xdata: Dict | undefined },
) => Promise<Reply<'writev'>>

/** Writes of an inode that are not done, when they are promises: beyond it the writer waits. */
const WRITES_MAX = 1024

/** How the writes of all queues are treated; it may change at any time. */
export interface Policy {
  /** Bytes promised at most (one write may overshoot). */
  readonly window: number
  /** Merged writes grow up to this. */
  readonly aggregate: number
  /** A write is sent at once when none is in transit. */
  readonly trickling: boolean
  /** Every write waits for the one before. */
  readonly ordered: boolean
}

export interface NewWrite {
  readonly ctx: Ctx
  readonly fd: Fd
  readonly data: Buffer
  readonly offset: number
  readonly flags: number
  readonly xdata: Dict | undefined
  readonly append: boolean
  readonly loan: Loan | undefined
  /** May be answered before it is done. */
  readonly early: boolean
}

/** Waits until `left` writes are done. */
class Waiter {
  left: number
  readonly resolve: () => void

  constructor(left: number, resolve: () => void) {
    this.left = left
    this.resolve = resolve
  }
}

class Write {
  readonly ctx: Ctx
  readonly fd: Fd
  readonly start: number
  readonly flags: number
  readonly xdata: Dict | undefined
  readonly append: boolean
  readonly early: boolean
  readonly parts: Buffer[]
  /** Kept until the data is on the brick. */
  loans: Loan[] | undefined
  size: number
  /** Takes further data. */
  open: boolean
  sent = false
  /** The brick has spoken, and its word goes to the caller. */
  over = false
  /** Earlier writes that must be done first. */
  blockers = 0
  /** Writes and requests that wait for this one. */
  readonly blocked: Write[] = []
  readonly waiters: Waiter[] = []
  /** Answers the caller; undefined when that has been done. */
  answer: ((reply: Reply<'writev'>) => void) | undefined

  constructor(write: NewWrite, answer: ((reply: Reply<'writev'>) => void) | undefined) {
    this.ctx = write.ctx
    this.fd = write.fd.ref()
    this.start = write.offset
    this.flags = write.flags
    this.xdata = write.xdata
    this.append = write.append
    this.early = write.early
    this.parts = [write.data]
    if (write.loan !== undefined) this.lend(write.loan)
    this.size = write.data.length
    this.open = write.early && write.xdata === undefined
    this.answer = answer
  }

  lend(loan: Loan): void {
    loan.keep()
    if (this.loans === undefined) this.loans = [loan]
    else this.loans.push(loan)
  }

  /** Where it lies by what is known here: an append lies wherever the file ends. */
  conflicts(start: number, end: number): boolean {
    return this.append || (start < this.start + this.size && this.start < end)
  }
}

export class WriteQueue {
  readonly #send: Send
  readonly #policy: Policy
  /** Told when the queue becomes busy or idle. */
  readonly #activity: (queue: WriteQueue, busy: boolean) => void
  /** Not done, in order of arrival. */
  #writes: Write[] = []
  #inTransit = 0
  /** Bytes answered for and not done. */
  #promised = 0
  /** Errors of writes that had been answered: the last one, and how many there were. */
  #error: Failure | undefined
  #errors = 0
  /** How many of them each fd has been told of. */
  readonly #told = new WeakMap<Fd, number>()
  /** When its last write was done, by a count that its translator keeps. */
  idleSince = 0
  /** Somebody has asked for a lock on the inode. */
  locked = false

  constructor(send: Send, policy: Policy, activity: (queue: WriteQueue, busy: boolean) => void) {
    this.#send = send
    this.#policy = policy
    this.#activity = activity
  }

  get idle(): boolean {
    return this.#writes.length === 0
  }

  get promised(): number {
    return this.#promised
  }

  /** Takes a write. The reply comes at once if the window has room for a promise. */
  write(write: NewWrite): Reply<'writev'> | Promise<Reply<'writev'>> {
    const size = write.data.length
    const room = write.early && this.#hasRoom()
    if (room && this.#merge(write)) {
      this.#promised += size
      this.#dispatch()
      return early(size)
    }
    let reply: Reply<'writev'> | Promise<Reply<'writev'>>
    if (room) {
      this.#promised += size
      this.#add(new Write(write, undefined))
      reply = early(size)
    } else {
      reply = new Promise(resolve => {
        this.#add(new Write(write, resolve))
      })
    }
    this.#dispatch()
    return reply
  }

  /**
   * Waits for the writes that touch [start, end) and are here now. Undefined when there are none:
   * whoever asks goes on without giving up its turn.
   */
  settle(start: number, end: number): Promise<void> | undefined {
    const writes = this.#writes
    let left = 0
    for (const write of writes) if (write.conflicts(start, end)) left += 1
    if (left === 0) return undefined
    return new Promise(resolve => {
      const waiter = new Waiter(left, resolve)
      for (const write of writes) {
        if (!write.conflicts(start, end)) continue
        write.waiters.push(waiter)
        write.open = false
      }
      this.#sendReady()
    })
  }

  /** The error of an earlier write that this fd has not been told of. */
  takeError(fd: Fd): Failure | undefined {
    if (this.#errors === 0) return undefined
    const told = this.#told.get(fd) ?? 0
    if (told === this.#errors) return undefined
    this.#told.set(fd, this.#errors)
    return this.#error
  }

  /** An fd that is opened now has nothing to do with errors of before. */
  opened(fd: Fd): void {
    if (this.#errors > 0) this.#told.set(fd, this.#errors)
  }

  /** Puts a write at the end of the last one, when they adjoin and are of one kind. */
  #merge(write: NewWrite): boolean {
    const last = this.#writes.at(-1)
    if (last === undefined || !last.open || write.xdata !== undefined) return false
    const size = write.data.length
    const fits =
      last.fd === write.fd &&
      last.start + last.size === write.offset &&
      last.flags === write.flags &&
      last.ctx.lkOwner === write.ctx.lkOwner &&
      last.ctx.uid === write.ctx.uid &&
      last.ctx.gid === write.ctx.gid &&
      last.size + size <= this.#policy.aggregate
    if (!fits) return false
    if (!last.append && this.#writes.length > 1) {
      const end = write.offset + size
      for (const other of this.#writes)
        if (other !== last && other.conflicts(write.offset, end)) return false
    }
    last.parts.push(write.data)
    if (write.loan !== undefined) last.lend(write.loan)
    last.size += size
    return true
  }

  #add(write: Write): void {
    const writes = this.#writes
    const before = writes.at(-1)
    if (before === undefined) this.#activity(this, true)
    else before.open = false
    const end = write.start + write.size
    for (const other of writes) {
      if (this.#policy.ordered || write.append || other.conflicts(write.start, end)) {
        other.blocked.push(write)
        write.blockers += 1
      }
    }
    writes.push(write)
  }

  /** Decides whether the last write goes on waiting for more data, and sends what may be sent. */
  #dispatch(): void {
    const last = this.#writes.at(-1)
    if (last?.open === true) {
      const full = last.size >= this.#policy.aggregate
      const nothingElse = this.#policy.trickling && this.#inTransit === 0
      if (full || (nothingElse && last.blockers === 0)) last.open = false
    }
    this.#sendReady()
  }

  #sendReady(): void {
    for (const write of this.#writes)
      if (!write.sent && !write.open && write.blockers === 0) this.#transmit(write)
  }

  #transmit(write: Write): void {
    const { parts } = write
    const data = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, write.size)
    parts.length = 0
    write.sent = true
    this.#inTransit += 1
    this.#deliver(write, data).then(
      reply => this.#done(write, reply),
      // A mistake of ours below; the data is not written, and somebody must hear of it.
      () => this.#done(write, failure(Errno.EIO)),
    )
  }

  /** A brick may take less than it was given: the rest is sent again. */
  async #deliver(write: Write, data: Buffer): Promise<Reply<'writev'>> {
    const { ctx, fd, flags, xdata } = write
    let at = 0
    for (;;) {
      const rest = at === 0 ? data : data.subarray(at)
      const reply = await this.#send(ctx, {
        fd,
        data: rest,
        offset: write.start + at,
        flags,
        xdata,
      })
      const promised = write.answer === undefined
      write.over = !promised
      if (!reply.ok) return at > 0 && !promised ? early(at) : reply
      at += reply.written
      if (at >= data.length) return at === reply.written ? reply : { ...reply, written: at }
      if (!promised) return { ...reply, written: at }
      if (reply.written <= 0) return failure(Errno.EIO)
    }
  }

  #done(write: Write, reply: Reply<'writev'>): void {
    this.#inTransit -= 1
    const at = this.#writes.indexOf(write)
    assert(at !== -1, 'a write is done once')
    this.#writes.splice(at, 1)
    const { answer } = write
    if (answer === undefined) {
      this.#promised -= write.size
      if (!reply.ok) {
        this.#error = reply
        this.#errors += 1
      }
    } else {
      write.answer = undefined
      answer(reply)
    }
    // After a failure a broken connection may still be reading the memory.
    if (write.loans !== undefined && reply.ok) for (const loan of write.loans) loan.release()
    for (const blocked of write.blocked) blocked.blockers -= 1
    for (const waiter of write.waiters) {
      waiter.left -= 1
      if (waiter.left === 0) waiter.resolve()
    }
    // Whatever held it back: when nothing is in transit there is no use in waiting.
    const last = this.#writes.at(-1)
    if (last !== undefined && this.#inTransit === 0 && last.blockers === 0) last.open = false
    this.#sendReady()
    this.#openWindow()
    if (this.#writes.length === 0) this.#activity(this, false)
    write.fd.unref()
  }

  /** Room in the window: the oldest writes that wait for their answer get it. */
  #openWindow(): void {
    for (const write of this.#writes) {
      if (!write.early || write.over || write.answer === undefined) continue
      if (!this.#hasRoom()) return
      const { answer } = write
      write.answer = undefined
      this.#promised += write.size
      answer(early(write.size))
    }
  }

  #hasRoom(): boolean {
    return this.#promised <= this.#policy.window && this.#writes.length < WRITES_MAX
  }
}

/** The answer to a write that is not done: nothing is known of the attributes. */
function early(written: number): Reply<'writev'> {
  return { ok: true, prestat: EMPTY_IATT, poststat: EMPTY_IATT, written }
}
