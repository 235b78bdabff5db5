/**
 * RpcServer: serves programs on any number of listeners.
 *
 * Each connection is read as long as it behaves: garbage closes it, too many unanswered calls or
 * too much unread output stop the reading until things have gone down. DUMP and PING are built in
 * and answered before anything else is asked, so that a slow disk never looks like a dead server.
 */

import {
  type Address,
  assert,
  BufferPool,
  type Env,
  type Listener,
  type Patience,
  type Stream,
} from '@ashlar/core'
import {
  AcceptStatus,
  type AnyProcedure,
  callbackProgram,
  type Credential,
  decodeCall,
  decodeMessageStart,
  dumpProgram,
  encodeCallHead,
  encodeProgramMismatch,
  encodeReply,
  encodeRpcMismatch,
  MessageType,
  NULL_CREDENTIAL,
  type Procedure,
  type Program,
  type Reader,
  RECORD_BYTES_DEFAULT,
  RPC_VERSION,
  WireError,
} from '@ashlar/wire'
import { type Recyclable, RpcConnection } from './connection.ts'
import { Unanswered } from './unanswered.ts'

const CONNECTIONS_MAX = 16_384
/** Unanswered calls of one connection at which it is no longer read (those that may block aside). */
const IN_FLIGHT_MAX = 256
/** Unsent bytes of one connection at which it is no longer read. */
const QUEUED_BYTES_MAX = 16 * 1024 * 1024

/** A program and who answers it. */
export interface ServedProgram {
  readonly program: Program
  /** Answers by `call.reply` or `call.refuse`, exactly once, now or later. */
  readonly handle: (call: IncomingCall) => void
  /** True for calls that may stay unanswered for long and are not counted as in flight. */
  readonly blocking?: (row: AnyProcedure, args: unknown) => boolean
}

export interface RpcServerOptions {
  readonly env: Env
  readonly programs: readonly ServedProgram[]
  readonly connected?: (connection: ServerConnection) => void
  readonly disconnected?: (connection: ServerConnection, reason: string) => void
  readonly connectionsMax?: number
  readonly inFlightMax?: number
  readonly recordBytesMax?: number
  /** Those of clients that have not been `trusted` yet: what strangers make us keep is bounded by it. */
  readonly strangerBytesMax?: number
  /** When a client that has vanished is missed. */
  readonly patience?: () => Patience
}

/** A client's connection as programs see it. `session` is theirs to use. */
export class ServerConnection {
  readonly id: number
  readonly remote: Address
  readonly local: Address
  session: unknown = undefined
  /** Calls that were taken and are not answered, the oldest first; those that may block with them. */
  readonly unanswered = new Unanswered<IncomingCall>()
  readonly #rpc: RpcConnection
  readonly #inFlightMax: number
  readonly #recordBytesMax: number
  #xid = 0
  #inFlight = 0
  #paused = false
  #open = true

  constructor(id: number, stream: Stream, rpc: RpcConnection, options: RpcServerOptions) {
    this.id = id
    this.remote = stream.remote
    this.local = stream.local
    this.#rpc = rpc
    this.#inFlightMax = options.inFlightMax ?? IN_FLIGHT_MAX
    this.#recordBytesMax = options.recordBytesMax ?? RECORD_BYTES_DEFAULT
  }

  get open(): boolean {
    return this.#open
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get rpc(): RpcConnection {
    return this.#rpc
  }

  /** Calls a procedure of the client, which never answers. */
  callback<Q>(row: Procedure<Q, unknown>, args: Q): void {
    if (!this.#open) return
    const { writer } = this.#rpc
    this.#xid = (this.#xid + 1) >>> 0
    writer.beginRecord()
    encodeCallHead(
      writer,
      this.#xid,
      callbackProgram.number,
      callbackProgram.version,
      row.num,
      NULL_CREDENTIAL,
    )
    row.request.encode(writer, args)
    this.#rpc.send()
  }

  close(reason: string): void {
    this.#rpc.close(reason)
  }

  began(): void {
    this.#inFlight += 1
    if (this.#inFlight >= this.#inFlightMax) this.#pause()
  }

  ended(): void {
    this.#inFlight -= 1
    if (this.#paused) this.relax()
  }

  /** After output was added. */
  strain(): void {
    if (!this.#paused && this.#rpc.queued > QUEUED_BYTES_MAX) this.#pause()
  }

  /** After output has gone or a call was answered. */
  relax(): void {
    if (!this.#paused || !this.#open) return
    if (this.#inFlight > this.#inFlightMax / 2 || this.#rpc.queued > QUEUED_BYTES_MAX / 2) return
    this.#paused = false
    this.#rpc.stream?.resume()
  }

  gone(): void {
    this.#open = false
  }

  /** It is known who the client is: records may be as long as clients need them. */
  trusted(): void {
    this.#rpc.recordBytesMax = this.#recordBytesMax
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#rpc.stream?.pause()
  }
}

/** One call, to be answered exactly once. An answer to a client that has gone is dropped. */
export class IncomingCall<Q = unknown> {
  readonly connection: ServerConnection
  readonly xid: number
  readonly row: AnyProcedure
  readonly credential: Credential
  readonly args: Q
  /** Links of the list of unanswered calls; owned by it. */
  previous: IncomingCall | undefined = undefined
  next: IncomingCall | undefined = undefined
  readonly #counted: boolean
  readonly #whenDone: (() => void) | undefined
  #answered = false

  constructor(
    connection: ServerConnection,
    xid: number,
    row: AnyProcedure,
    credential: Credential,
    args: Q,
    counted: boolean,
    whenDone?: () => void,
  ) {
    this.#whenDone = whenDone
    this.connection = connection
    this.xid = xid
    this.row = row
    this.credential = credential
    this.args = args
    this.#counted = counted
    connection.unanswered.add(this)
    if (counted) connection.began()
  }

  /** Answers with a value of the row's reply; one with a payload may be Recyclable. */
  reply(value: unknown): void {
    this.#finish()
    if (!this.connection.open) return
    const { rpc } = this.connection
    const { writer } = rpc
    writer.beginRecord()
    try {
      encodeReply(writer, this.xid, AcceptStatus.SUCCESS)
      this.row.reply.encode(writer, value)
      const { payload } = this.row
      const last =
        payload === 'reply' || payload === 'both' ? (value as Recyclable).done : undefined
      rpc.send(false, last)
    } catch (error) {
      writer.abortRecord()
      if (!(error instanceof WireError)) throw error
      sendStatus(this.connection, this.xid, AcceptStatus.SYSTEM_ERR)
    }
    this.connection.strain()
  }

  /** Answers without results: the call is refused at the level of RPC. */
  refuse(status: number): void {
    this.#finish()
    if (this.connection.open) sendStatus(this.connection, this.xid, status)
  }

  #finish(): void {
    assert(!this.#answered, `${this.row.name} was answered twice`)
    this.#answered = true
    this.connection.unanswered.remove(this)
    if (this.#counted) this.connection.ended()
    this.#whenDone?.()
  }
}

function sendStatus(connection: ServerConnection, xid: number, status: number): void {
  connection.rpc.writer.beginRecord()
  encodeReply(connection.rpc.writer, xid, status)
  connection.rpc.send()
}

export class RpcServer {
  readonly connections = new Set<ServerConnection>()
  readonly #options: RpcServerOptions
  readonly #programs = new Map<number, ServedProgram[]>()
  readonly #listeners: Listener[] = []
  readonly #pool = new BufferPool()
  #ids = 0

  constructor(options: RpcServerOptions) {
    this.#options = options
    const dump: ServedProgram = { program: dumpProgram, handle: call => this.#dump(call) }
    for (const served of [...options.programs, dump]) {
      const versions = this.#programs.get(served.program.number) ?? []
      versions.push(served)
      this.#programs.set(served.program.number, versions)
    }
  }

  /** Rejects with a Node-style error. Resolves with the address that was bound. */
  async listen(address: Address): Promise<Address> {
    const listener = await this.#options.env.network.listen(address, stream => this.#accept(stream))
    this.#listeners.push(listener)
    return listener.address
  }

  /** `patience` gives something else by now. */
  patienceChanged(): void {
    const patience = this.#options.patience?.()
    if (patience === undefined) return
    for (const { rpc } of this.connections) rpc.stream?.setPatience?.(patience)
  }

  /** Closes listeners and connections. */
  async close(): Promise<void> {
    for (const connection of this.connections) connection.close('the server stops')
    await Promise.all(this.#listeners.splice(0).map(listener => listener.close()))
  }

  #accept(stream: Stream): RpcConnection {
    let reason: string | undefined
    const rpc = new RpcConnection(
      {
        record: (reader, memory) => this.#record(connection, reader, memory),
        drained: () => connection.relax(),
        closed: why => this.#closed(connection, reason ?? why),
      },
      {
        recordBytesMax: this.#options.strangerBytesMax ?? this.#options.recordBytesMax,
        pool: this.#pool,
      },
    )
    rpc.attach(stream)
    const patience = this.#options.patience?.()
    if (patience !== undefined) stream.setPatience?.(patience)
    const connection = new ServerConnection(++this.#ids, stream, rpc, this.#options)
    if (this.connections.size >= (this.#options.connectionsMax ?? CONNECTIONS_MAX)) {
      this.#options.env.log.warning('too many connections, one is refused')
      reason = 'too many connections'
      connection.gone()
      stream.close()
      return rpc
    }
    this.connections.add(connection)
    this.#options.connected?.(connection)
    return rpc
  }

  #closed(connection: ServerConnection, reason: string): void {
    connection.gone()
    if (!this.connections.delete(connection)) return
    this.#options.env.log.debug('a client disconnected', { connection: connection.id, reason })
    this.#options.disconnected?.(connection, reason)
  }

  #record(connection: ServerConnection, reader: Reader, memory: Buffer | undefined): void {
    const { xid, type } = decodeMessageStart(reader)
    // Callbacks are never answered: a reply here is a client's mistake, and harmless.
    if (type !== MessageType.CALL) return
    const call = decodeCall(reader, xid)
    if (call.rpcVersion !== RPC_VERSION) {
      connection.rpc.writer.beginRecord()
      encodeRpcMismatch(connection.rpc.writer, xid)
      connection.rpc.send()
      return
    }
    const versions = this.#programs.get(call.program)
    if (versions === undefined) {
      sendStatus(connection, xid, AcceptStatus.PROG_UNAVAIL)
      return
    }
    const served = versions.find(each => each.program.version === call.version)
    if (served === undefined) {
      const known = versions.map(each => each.program.version)
      connection.rpc.writer.beginRecord()
      encodeProgramMismatch(connection.rpc.writer, xid, Math.min(...known), Math.max(...known))
      connection.rpc.send()
      return
    }
    const row = served.program.byNumber[call.procedure]
    if (row === undefined) {
      sendStatus(connection, xid, AcceptStatus.PROC_UNAVAIL)
      return
    }
    let args: unknown
    try {
      args = row.request.decode(reader)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      sendStatus(connection, xid, AcceptStatus.GARBAGE_ARGS)
      return
    }
    const counted = served.blocking?.(row, args) !== true
    // File data is not used any more once its call is answered: the next takes its place.
    const lent = row.payload === 'request' || row.payload === 'both'
    const recycle = memory !== undefined && lent ? () => this.#pool.give(memory) : undefined
    served.handle(new IncomingCall(connection, xid, row, call.credential, args, counted, recycle))
  }

  #dump(call: IncomingCall): void {
    const { DUMP, PING } = dumpProgram.procedures
    if (call.row === DUMP) {
      const programs = [...this.#programs.values()]
        .flat()
        .map(({ program: { name, number, version } }) => ({ name, number, version }))
      call.reply({ id: 0, ret: 0, errno: 0, programs })
    } else if (call.row === PING) {
      call.reply(PING.reply.zero)
    } else {
      call.reply(undefined)
    }
  }
}
