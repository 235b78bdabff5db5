/**
 * RpcClient: calls to one server over one connection that is made anew whenever it breaks.
 *
 * Calls are never queued for a connection and never sent twice: without a connection, or when it
 * breaks, a call fails with ENOTCONN. So does a call that the server's RPC layer refuses, as
 * GlusterFS has it (rpc/rpc-lib/src/rpc-clnt.c).
 */

import {
  type Address,
  addressText,
  BufferPool,
  type Env,
  Errno,
  type Failure,
  failure,
  type Patience,
  type Timer,
} from '@ashlar/core'
import {
  AcceptStatus,
  type Credential,
  decodeCall,
  decodeMessageStart,
  decodeReply,
  dumpProgram,
  encodeCallHead,
  MANAGEMENT_CREDENTIAL,
  MessageType,
  type Procedure,
  type Program,
  type Reader,
  WireError,
} from '@ashlar/wire'
import { type ConnectionEvents, type Recyclable, RpcConnection } from './connection.ts'

/** Memory of large replies that is kept for the next ones. */
const SPARE_RECORDS_MAX = 4
/**
 * First wait before a new attempt; doubled after each, up to the longest unless one is given. Who was
 * there a moment ago is probably being started again: then the longest is shorter.
 */
const RETRY_FIRST_MS = 50
const RETRY_MAX_MS = 3000
const RETRY_SOON_MS = 1000
const SOON_MS = 60_000
/** An attempt to connect that is neither taken nor refused ends after so long. */
const CONNECT_TIMEOUT_MS = 10_000
/** A call fails when it was not answered for so long (GlusterFS: frame-timeout). */
const FRAME_TIMEOUT_MS = 1800 * 1000
/** Parts of a ping-timeout in which silence is counted. */
const PING_TICKS = 16
/** Silence of so many sends a ping. */
const PING_AFTER_TICKS = 4
/**
 * Silence of so many ends the connection. The part in which it began is not counted, and one is left
 * for what follows: nobody above waits longer than the ping-timeout.
 */
const PING_SILENT_TICKS = PING_TICKS - 2
/** How often unanswered calls are looked at when there are no pings. */
const SWEEP_MS = 10_000

/** The failure of every call without a connection. */
export const NOT_CONNECTED: Failure = Object.freeze(failure(Errno.ENOTCONN))

/** True for what `call` gives in place of a reply. */
export function isFailure<R extends object>(reply: R | Failure): reply is Failure {
  return (reply as Failure).ok === false
}

export interface RpcClientOptions {
  readonly env: Env
  /** Whom it talks to, for the log. */
  readonly name: string
  /** Asked before each attempt to connect. */
  readonly address: () => Address
  /** A connection is there: shake hands. */
  readonly connected: () => void
  /**
   * It is gone and every outstanding call has failed, or an attempt reached nobody. Not called after
   * `stop` and `reconnect`, whose caller knows.
   */
  readonly disconnected?: (reason: string) => void
  /** A call from the server. Decode the arguments before returning. */
  readonly callback?: (program: number, procedure: number, reader: Reader) => void
  /** 0 = no pings. */
  readonly pingTimeoutMs?: number
  readonly frameTimeoutMs?: number
  readonly connectTimeoutMs?: number
  /** Longest wait before a new attempt. */
  readonly retryMaxMs?: number
  /** When a server that has vanished is missed though no ping is outstanding. */
  readonly patience?: () => Patience
}

class Pending {
  readonly row: Procedure<never, unknown>
  readonly resolve: (reply: never) => void
  readonly started: number

  constructor(row: Procedure<never, unknown>, resolve: (reply: never) => void, started: number) {
    this.row = row
    this.resolve = resolve
    this.started = started
  }
}

export class RpcClient {
  readonly #options: RpcClientOptions
  readonly #pending = new Map<number, Pending>()
  readonly #pool = new BufferPool(SPARE_RECORDS_MAX)
  #connection: RpcConnection | undefined
  #open = false
  #running = false
  #xid = 0
  #retryMs = RETRY_FIRST_MS
  /** Since when there is no good connection. */
  #aloneSince: number | undefined
  #retry: Timer | undefined
  #connecting: Timer | undefined
  #pingTimeoutMs: number
  #tick: Timer | undefined
  /** Sum of ticks: the coarse clock by which calls grow old. */
  #elapsed = 0
  #seen = 0
  #queued = 0
  #silentTicks = 0

  constructor(options: RpcClientOptions) {
    this.#options = options
    this.#pingTimeoutMs = options.pingTimeoutMs ?? 0
  }

  get connected(): boolean {
    return this.#open
  }

  get outstanding(): number {
    return this.#pending.size
  }

  /** The address of the current connection or attempt. */
  get address(): Address | undefined {
    return this.#connection?.stream?.remote
  }

  setPingTimeout(ms: number): void {
    this.#pingTimeoutMs = ms
    this.#tick?.cancel()
    this.#tick = undefined
    this.#silentTicks = 0
    if (this.#pending.size > 0) this.#armTick()
  }

  start(): void {
    if (this.#running) return
    this.#running = true
    this.#connect()
  }

  /** Ends the connection for good; outstanding calls fail. */
  stop(): void {
    this.#running = false
    this.#retry?.cancel()
    this.#retry = undefined
    this.#drop('stopped')
  }

  /** The connection is good: the next break is followed by a quick attempt again. */
  settled(): void {
    this.#retryMs = RETRY_FIRST_MS
    this.#aloneSince = undefined
  }

  /** Leaves the connection for a new one: at once (another address), or after the usual wait. */
  reconnect(when: 'now' | 'later'): void {
    this.#drop('reconnecting')
    this.#retry?.cancel()
    this.#retry = undefined
    if (!this.#running) return
    if (when === 'now') this.#connect()
    else this.#retryLater()
  }

  /**
   * Calls a procedure. The payload, if the row has one, must stay unchanged until the answer. A
   * `lazy` call may wait a moment for another one to travel with.
   */
  call<Q, R extends object>(
    program: Program,
    row: Procedure<Q, R>,
    args: Q,
    credential: Credential = MANAGEMENT_CREDENTIAL,
    lazy = false,
  ): Promise<R | Failure> {
    const connection = this.#connection
    if (!this.#open || connection === undefined) return Promise.resolve(NOT_CONNECTED)
    const xid = this.#nextXid()
    try {
      encode(connection, xid, program, row, args, credential, lazy)
    } catch (error) {
      return Promise.resolve(refused(connection, error))
    }
    if (this.#tick === undefined) this.#armTick()
    return new Promise<R | Failure>(resolve => {
      this.#pending.set(xid, new Pending(row as never, resolve as never, this.#elapsed))
    })
  }

  /** Sends a call whose reply nobody waits for, with the next one if it is `lazy`. */
  cast<Q>(
    program: Program,
    row: Procedure<Q, object>,
    args: Q,
    credential: Credential,
    lazy = false,
  ): void {
    const connection = this.#connection
    if (!this.#open || connection === undefined) return
    try {
      encode(connection, this.#nextXid(), program, row, args, credential, lazy)
    } catch (error) {
      refused(connection, error)
    }
  }

  /** `patience` gives something else by now. */
  patienceChanged(): void {
    const patience = this.#options.patience?.()
    if (patience !== undefined) this.#connection?.stream?.setPatience?.(patience)
  }

  #nextXid(): number {
    this.#xid = (this.#xid + 1) >>> 0
    return this.#xid
  }

  #connect(): void {
    this.#retry = undefined
    const events: ConnectionEvents = {
      opened: () => {
        if (this.#connection !== connection) return
        this.#connecting?.cancel()
        this.#open = true
        this.#silentTicks = 0
        this.patienceChanged()
        this.#options.connected()
      },
      record: (reader, memory) => this.#record(reader, memory),
      closed: reason => {
        if (this.#connection === connection) this.#lost(reason)
      },
    }
    const { clock } = this.#options.env
    const connection: RpcConnection = new RpcConnection(events, { clock, pool: this.#pool })
    this.#connection = connection
    this.#connecting = clock.after(this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS, () => {
      connection.close('nobody answers')
      if (this.#connection === connection) this.#lost('nobody answers')
    })
    connection.attach(this.#options.env.network.connect(this.#options.address(), connection))
  }

  #retryLater(): void {
    if (this.#retry !== undefined) return
    this.#retry = this.#options.env.clock.after(this.#retryMs, () => this.#connect())
    const now = this.#options.env.clock.monotonic()
    this.#aloneSince ??= now
    const longest = now - this.#aloneSince < SOON_MS ? RETRY_SOON_MS : RETRY_MAX_MS
    this.#retryMs = Math.min(this.#retryMs * 2, this.#options.retryMaxMs ?? longest)
  }

  /** The connection broke by itself. */
  #lost(reason: string): void {
    const remote = this.address
    this.#options.env.log.debug('connection lost', {
      name: this.#options.name,
      address: remote === undefined ? '' : addressText(remote),
      reason,
    })
    this.#drop(reason)
    if (this.#running) this.#retryLater()
    this.#options.disconnected?.(reason)
  }

  #drop(reason: string): void {
    const connection = this.#connection
    this.#connection = undefined
    this.#open = false
    this.#connecting?.cancel()
    connection?.close(reason)
    this.#tick?.cancel()
    this.#tick = undefined
    const failed = [...this.#pending.values()]
    this.#pending.clear()
    for (const pending of failed) pending.resolve(NOT_CONNECTED as never)
  }

  #record(reader: Reader, memory: Buffer | undefined): void {
    const { xid, type } = decodeMessageStart(reader)
    if (type === MessageType.CALL) {
      const call = decodeCall(reader, xid)
      this.#options.callback?.(call.program, call.procedure, reader)
      return
    }
    const pending = this.#pending.get(xid)
    if (pending === undefined) return // of a `cast`, or of a call that was given up
    const header = decodeReply(reader, xid)
    if (header.denied || header.status !== AcceptStatus.SUCCESS) {
      this.#options.env.log.warning('a call was refused by the RPC layer', {
        name: this.#options.name,
        procedure: pending.row.name,
        status: header.status,
      })
      this.#pending.delete(xid)
      pending.resolve(NOT_CONNECTED as never)
      return
    }
    const reply = pending.row.reply.decode(reader)
    const { payload } = pending.row
    if (memory !== undefined && (payload === 'reply' || payload === 'both'))
      (reply as Recyclable).done = () => this.#pool.give(memory)
    this.#pending.delete(xid)
    pending.resolve(reply as never)
  }

  #armTick(): void {
    const ms = this.#pingTimeoutMs > 0 ? this.#pingTimeoutMs / PING_TICKS : SWEEP_MS
    this.#tick = this.#options.env.clock.after(ms, () => this.#onTick(ms))
  }

  /** Runs while calls are outstanding: notices silence and calls that are too old. */
  #onTick(ms: number): void {
    this.#tick = undefined
    this.#elapsed += ms
    const connection = this.#connection
    if (connection === undefined || this.#pending.size === 0) {
      this.#silentTicks = 0
      return
    }
    // A peer that takes what we send is alive, though it has not answered yet.
    const silent = connection.activity === this.#seen && connection.queued >= this.#queued
    this.#seen = connection.activity
    this.#queued = connection.queued
    this.#silentTicks = silent ? this.#silentTicks + 1 : 0
    if (this.#pingTimeoutMs > 0) {
      if (this.#silentTicks >= PING_SILENT_TICKS) {
        this.#options.env.log.warning('no answer for the ping-timeout, disconnecting', {
          name: this.#options.name,
          seconds: this.#pingTimeoutMs / 1000,
        })
        connection.close('ping-timeout')
        this.#lost('ping-timeout')
        return
      }
      if (this.#silentTicks === PING_AFTER_TICKS) {
        this.cast(dumpProgram, dumpProgram.procedures.PING, undefined, MANAGEMENT_CREDENTIAL)
      }
    }
    this.#failOld()
    if (this.#pending.size > 0) this.#armTick()
  }

  #failOld(): void {
    const limit = this.#options.frameTimeoutMs ?? FRAME_TIMEOUT_MS
    for (const [xid, pending] of this.#pending) {
      if (this.#elapsed - pending.started < limit) break
      this.#pending.delete(xid)
      this.#options.env.log.error('a call was not answered in time', {
        name: this.#options.name,
        procedure: pending.row.name,
        seconds: limit / 1000,
      })
      pending.resolve(NOT_CONNECTED as never)
    }
  }
}

function encode<Q, R>(
  connection: RpcConnection,
  xid: number,
  program: Program,
  row: Procedure<Q, R>,
  args: Q,
  credential: Credential,
  lazy: boolean,
): void {
  const { writer } = connection
  writer.beginRecord()
  encodeCallHead(writer, xid, program.number, program.version, row.num, credential)
  row.request.encode(writer, args)
  connection.send(lazy)
}

/** A call that has no form on the wire (a lock owner or a record that is too long). */
function refused(connection: RpcConnection, error: unknown): Failure {
  connection.writer.abortRecord()
  if (!(error instanceof WireError)) throw error
  return failure(Errno.EINVAL)
}
