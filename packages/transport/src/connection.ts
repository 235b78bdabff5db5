/**
 * RpcConnection: one stream as a sequence of RPC records, both ways.
 *
 * What is written during one turn of the event loop leaves together. Bytes that are no records end
 * the connection; nothing else does from here.
 */

import type { BufferPool, Clock, Stream, StreamHandler } from '@ashlar/core'
import { Reader, RecordAssembler, WireError, Writer } from '@ashlar/wire'

/** So much unsent data is handed to the system at once instead of at the end of the turn. */
const FLUSH_BYTES = 512 * 1024
/** How long a lazy record waits for one that is not. */
const LAZY_MS = 1

export interface ConnectionEvents {
  opened?(): void
  /**
   * A record: decode it before returning. Throwing WireError ends the connection. `memory`: what an
   * owned record lies in, for the pool when nothing of it is used any more.
   */
  record(reader: Reader, memory: Buffer | undefined): void
  drained?(): void
  closed(reason: string): void
}

/**
 * A reply with a payload. `done` gives its memory to later ones: of a reply that was received, its reader
 * calls it; of one that is sent, the server, once all of it has been handed to the system.
 */
export interface Recyclable {
  done?: (() => void) | undefined
}

export class RpcConnection implements StreamHandler {
  /** Encode between `writer.beginRecord()` and `send()`. */
  readonly writer = new Writer()
  readonly #events: ConnectionEvents
  readonly #reader = new Reader()
  readonly #assembler: RecordAssembler
  #stream: Stream | undefined
  readonly #clock: Clock | undefined
  #flushing = false
  #lazy = false
  #closed = false
  #reason: string | undefined
  /** To be called when what is written, or has been handed to the stream, is sent. */
  #unsent: (() => void)[] = []
  #leaving: (() => void)[] = []
  /** Grows with everything that arrives: the peer's sign of life, to compare. */
  activity = 0
  /** Since the connection was made. */
  bytesReceived = 0
  bytesSent = 0

  /** Without a clock no record is lazy. */
  constructor(
    events: ConnectionEvents,
    options: { recordBytesMax?: number | undefined; pool?: BufferPool; clock?: Clock } = {},
  ) {
    const { recordBytesMax, pool, clock } = options
    this.#events = events
    this.#clock = clock
    this.#assembler = new RecordAssembler(
      (buffer, start, end, owned) => {
        // A connection that was given up in the midst of a batch hears no more.
        if (this.#reason !== undefined) return
        this.#events.record(
          this.#reader.reset(buffer, start, end, owned),
          owned ? buffer : undefined,
        )
        this.#reader.release()
      },
      recordBytesMax,
      pool,
    )
  }

  /** Longer records end the connection. */
  set recordBytesMax(bytes: number) {
    this.#assembler.limit = bytes
  }

  attach(stream: Stream): this {
    this.#stream = stream
    return this
  }

  get stream(): Stream | undefined {
    return this.#stream
  }

  /** Bytes encoded or written that the system has not taken. */
  get queued(): number {
    return this.writer.length + (this.#stream?.queued ?? 0)
  }

  /**
   * Ends the record that is being written and sees that it leaves soon: with this turn of the event
   * loop, or, when it is `lazy`, together with the next one. `sent` is called when the system has it;
   * never, when the connection ends before.
   */
  send(lazy = false, sent?: () => void): void {
    this.writer.endRecord()
    if (sent !== undefined) this.#unsent.push(sent)
    if (this.writer.length >= FLUSH_BYTES) {
      this.flush()
    } else if (lazy && this.#clock !== undefined) {
      if (this.#lazy || this.#flushing) return
      this.#lazy = true
      this.#clock.after(LAZY_MS, this.#flushLazy)
    } else if (!this.#flushing) {
      this.#flushing = true
      process.nextTick(this.#flushNow)
    }
  }

  readonly #flushNow = (): void => {
    this.#flushing = false
    this.flush()
  }

  readonly #flushLazy = (): void => {
    this.#lazy = false
    this.flush()
  }

  flush(): void {
    if (this.writer.length === 0 || this.#stream === undefined) return
    this.bytesSent += this.writer.length
    if (this.#unsent.length > 0) this.#leaving.push(...this.#unsent.splice(0))
    this.#stream.write(this.writer.take())
  }

  /** Sends what is written and ends the connection. */
  close(reason: string): void {
    if (this.#closed) return
    this.#reason ??= reason
    this.flush()
    this.#stream?.close()
  }

  opened(): void {
    this.activity += 1
    this.#events.opened?.()
  }

  target(): Buffer | undefined {
    return this.#assembler.target()
  }

  received(buffer: Buffer, length: number): void {
    this.activity += 1
    this.bytesReceived += length
    if (this.#reason !== undefined) return
    try {
      this.#assembler.received(buffer, length)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.close(`garbage was received: ${error.message}`)
    }
  }

  drained(): void {
    this.writer.rewind()
    if (this.#leaving.length > 0) for (const sent of this.#leaving.splice(0)) sent()
    this.#events.drained?.()
  }

  closed(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#unsent = []
    this.#leaving = []
    this.#events.closed(this.#reason ?? reason)
  }
}
