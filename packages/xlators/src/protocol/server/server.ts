/**
 * The server translator: the top of a brick's graph. Listens, admits clients, turns their calls
 * into fops, and cleans up behind those that go.
 */

import {
  type Address,
  AssertionError,
  type Ctx,
  type Failure,
  failure,
  Errno,
  type GraphEvent,
  ROOT_CTX,
  type Subvolume,
  type XlatorSelf,
} from '@ashlar/core'
import { type IncomingCall, RpcServer, type ServerConnection } from '@ashlar/transport'
import {
  AcceptStatus,
  type AnyProcedure,
  compoundProgram,
  type CompoundStep,
  fopProgram,
  handshakeProgram,
  type RequestOf,
} from '@ashlar/wire'
import { patienceOf } from '../patience.ts'
import { admit, type AdmissionSettings, welcome } from './admission.ts'
import { refusal } from './authentication.ts'
import { Brick } from './brick.ts'
import { mayWait, runCompound } from './compound.ts'
import { handlerOf } from './fops.ts'
import type { ServerOptions } from './options.ts'
import { isFailure, structureOf } from './replies.ts'
import {
  type PendingCall,
  pendingCall,
  type ServedClient,
  servedClient,
  type ServingXlator,
} from './serving.ts'
import type { Session, Squash } from './session.ts'
import { tell } from './upcalls.ts'

const P = fopProgram.procedures
const H = handshakeProgram.procedures
/** Calls that wait for somebody else and so must not keep later ones (the unlock) from being read. */
const BLOCKING: ReadonlySet<AnyProcedure> = new Set<AnyProcedure>([
  P.LK,
  P.INODELK,
  P.FINODELK,
  P.ENTRYLK,
  P.FENTRYLK,
])
/** Unanswered lock requests of one client; more are answered with ENOLCK. */
const WAITING_LOCKS_MAX = 65_536
/** Procedures that no client calls (protocol-common.h) and that are not fops here. */
const UNSUPPORTED: Failure = Object.freeze(failure(Errno.EOPNOTSUPP))
const IN_FLIGHT_DEFAULT = 256
/** The longest record before SETVOLUME, which is some kilobytes. */
const STRANGER_BYTES_MAX = 256 * 1024

interface Client {
  readonly session: Session
  readonly brick: Brick
}

export class Server implements ServingXlator {
  readonly #self: XlatorSelf<ServerOptions>
  readonly #bricks: ReadonlyMap<string, Brick>
  readonly #down = new Set<string>()
  readonly #clients = new Map<string, Client>()
  readonly #rpc: RpcServer
  #squash: Squash
  #address: Address | undefined

  constructor(self: XlatorSelf<ServerOptions>) {
    this.#self = self
    this.#bricks = new Map(self.children.map(child => [child.name, new Brick(self, child)]))
    this.#squash = this.#squashNow()
    const limit = self.options['rpc.outstanding-rpc-limit']
    this.#rpc = new RpcServer({
      env: self.env,
      programs: [
        {
          program: fopProgram,
          handle: call => this.#fop(call),
          blocking: row => BLOCKING.has(row),
        },
        {
          program: compoundProgram,
          handle: call => this.#compound(call as IncomingCall<readonly CompoundStep[]>),
          blocking: (_row, steps) => mayWait(steps as readonly CompoundStep[]),
        },
        { program: handshakeProgram, handle: call => this.#handshake(call) },
      ],
      disconnected: connection => this.#disconnected(connection),
      patience: () => patienceOf(self.options),
      inFlightMax: limit === 0 ? IN_FLIGHT_DEFAULT : limit,
      strangerBytesMax: STRANGER_BYTES_MAX,
    })
  }

  /** Where it listens; undefined before `start`. */
  get address(): Address | undefined {
    return this.#address
  }

  async start(): Promise<void> {
    this.#address = await this.#rpc.listen(this.#listenAddress())
  }

  async stop(): Promise<void> {
    await this.#rpc.close()
  }

  reconfigure(): void {
    this.#squash = this.#squashNow()
    this.#rpc.patienceChanged()
    const settings = this.#settings()
    for (const { session, brick } of this.#clients.values()) {
      if (refusal(brick.child.name, session.applicant, settings) === undefined) continue
      session.connection.close('the client is not allowed any more')
    }
  }

  notify(event: GraphEvent, from: Subvolume): void {
    switch (event.kind) {
      case 'cache-invalidation':
      case 'names-recall':
      case 'inodelk-contention':
      case 'entrylk-contention': {
        const client = event.client === undefined ? undefined : this.#clients.get(event.client)
        if (client !== undefined) tell(client.session, event)
        return
      }
      case 'child-down':
        this.#down.add(from.name)
        this.#tellAll(event, from)
        break
      case 'child-up':
        if (this.#down.delete(from.name)) this.#tellAll(event, from)
        break
      default:
    }
    this.#self.notify(event)
  }

  dump(): Readonly<Record<string, unknown>> {
    return {
      address: this.#address,
      clients: [...this.#clients.values()].map(({ session, brick }) => ({
        client: session.client,
        brick: brick.child.name,
        remote: session.connection.remote,
        process: session.processName,
        version: session.version,
        opVersion: session.opVersion,
        fds: session.fds.size,
        waitingLocks: session.waiting,
        inFlight: session.connection.inFlight,
      })),
    }
  }

  *servedClients(): IterableIterator<ServedClient> {
    for (const { session } of this.#clients.values()) yield servedClient(session)
  }

  *pendingCalls(): IterableIterator<PendingCall> {
    const { name } = this.#self
    for (const { session, unanswered } of this.#rpc.connections) {
      const brick = (session as Client | undefined)?.brick
      for (const call of unanswered) yield pendingCall(call, name, brick)
    }
  }

  /** Drops every client's connection, as a restart of the network would: they come again. */
  disconnectAll(): void {
    for (const connection of this.#rpc.connections) connection.close('disconnected by hand')
  }

  #listenAddress(): Address {
    const { options } = this.#self
    const path = options['transport.socket.listen-path']
    if (path !== undefined) return { path }
    const port = options['transport.socket.listen-port'] ?? options['listen-port'] ?? 0
    const any = options['transport.address-family'] === 'inet' ? '0.0.0.0' : '::'
    return { host: options['transport.socket.bind-address'] ?? any, port }
  }

  #squashNow(): Squash {
    const { options } = this.#self
    return {
      root: options['root-squash'],
      all: options['all-squash'],
      uid: options.anonuid,
      gid: options.anongid,
    }
  }

  #tellAll(event: GraphEvent, from: Subvolume): void {
    for (const { session, brick } of this.#clients.values()) {
      if (brick.child.name === from.name) tell(session, event)
    }
  }

  #fop(call: IncomingCall): void {
    const client = this.#clientOf(call)
    if (client === undefined) return
    const handler = handlerOf(call.row)
    if (handler === undefined) {
      call.reply(call.row === P.NULL ? call.row.reply.zero : structureOf(call.row, UNSUPPORTED))
      return
    }
    const { session, brick } = client
    const run = (ctx: Ctx): Promise<object> =>
      handler({ brick, session, ctx, args: call.args as never })
    this.#run(call, session, BLOCKING.has(call.row), run)
  }

  #compound(call: IncomingCall<readonly CompoundStep[]>): void {
    const client = this.#clientOf(call)
    if (client === undefined) return
    const { session, brick } = client
    const { args: steps } = call
    const run = async (ctx: Ctx): Promise<object> => {
      const reply = await runCompound({ brick, session, ctx, squash: this.#squash, steps })
      // Locks may have been granted to a client that has gone meanwhile.
      if (session.closed) this.#dropLocks(session)
      return reply
    }
    this.#run(call, session, mayWait(steps), run)
  }

  /** Whose call it is. Refuses the call when nobody has been admitted on its connection. */
  #clientOf(call: IncomingCall): Client | undefined {
    const client = call.connection.session as Client | undefined
    if (client === undefined) call.refuse(AcceptStatus.GARBAGE_ARGS)
    return client
  }

  /** Runs a call and answers it. `waits`: it may stay unanswered until somebody unlocks. */
  #run(
    call: IncomingCall,
    session: Session,
    waits: boolean,
    run: (ctx: Ctx) => Promise<object>,
  ): void {
    if (waits && ++session.waiting > WAITING_LOCKS_MAX) {
      session.waiting -= 1
      call.reply(structureOf(call.row, failure(Errno.ENOLCK)))
      return
    }
    if (!waits) session.begun()
    run(session.ctx(call.credential, this.#squash)).then(
      result => {
        if (waits) this.#waited(session, result)
        else session.ended()
        call.reply(structureOf(call.row, result))
      },
      (bug: unknown) => {
        if (!waits) session.ended()
        this.#bug(call, bug)
      },
    )
  }

  /** A lock request has been answered. */
  #waited(session: Session, result: object): void {
    session.waiting -= 1
    // It was granted to a client that has gone meanwhile.
    if (session.closed && !isFailure(result)) this.#dropLocks(session)
  }

  /** A translator threw. Broken invariants end the process, anything else the call. */
  #bug(call: IncomingCall, bug: unknown): void {
    if (bug instanceof AssertionError) throw bug
    this.#self.env.log.critical('a fop failed with an exception', {
      fop: call.row.name,
      error: bug instanceof Error ? (bug.stack ?? bug.message) : String(bug),
    })
    call.reply(structureOf(call.row, failure(Errno.EIO)))
  }

  #handshake(call: IncomingCall): void {
    switch (call.row) {
      case H.SETVOLUME:
        this.#setvolume(call).catch((bug: unknown) => this.#bug(call, bug))
        break
      case H.SET_LK_VER: {
        const args = call.args as RequestOf<typeof H.SET_LK_VER>
        call.reply({ ret: 0, errno: 0, version: args.version })
        break
      }
      case H.PING:
        call.reply(H.PING.reply.zero)
        break
      case H.NULL:
        call.reply(undefined)
        break
      default:
        // Volfiles are glusterd's business.
        call.reply({ ...(call.row.reply.zero as object), ret: -1, errno: Errno.ENOSYS })
    }
  }

  async #setvolume(call: IncomingCall): Promise<void> {
    const { connection } = call
    const { dict } = call.args as RequestOf<typeof H.SETVOLUME>
    const { env, graph } = this.#self
    if (dict === undefined || connection.session !== undefined) {
      call.reply({ ret: -1, errno: Errno.EINVAL, dict: undefined })
      return
    }
    const result = await admit(connection, dict, this.#settings())
    if ('errno' in result) {
      env.log.info('a client is refused', { reason: result.reason, errno: result.errno })
      const reply = welcome(graph.process.uuid, graph.volumeId).setString('ERROR', result.reason)
      call.reply({ ret: -1, errno: result.errno, dict: reply.setInt('child_up', 0) })
      return
    }
    const taken = (): boolean => !connection.open || connection.session !== undefined
    const { client } = result.session
    // The same client on a new connection: the old one is dead, its end was only not noticed.
    for (let before; !taken() && (before = this.#clients.get(client)) !== undefined; ) {
      const { session } = before
      this.#leave(before)
      await new Promise<void>(done => session.whenAtRest(done))
    }
    if (taken()) {
      call.reply({ ret: -1, errno: Errno.EINVAL, dict: undefined })
      return
    }
    connection.session = result
    connection.trusted()
    this.#clients.set(client, result)
    env.log.info('a client is admitted', { client, brick: result.brick.child.name })
    call.reply({ ret: 0, errno: 0, dict: welcome(graph.process.uuid, graph.volumeId) })
  }

  #settings(): AdmissionSettings {
    const { texts, options, graph } = this.#self
    return {
      texts,
      allowInsecure: options['rpc-auth-allow-insecure'],
      strict: options['strict-auth-accept'],
      bricks: this.#bricks,
      volumeId: graph.volumeId,
      childUp: brick => !this.#down.has(brick.name),
    }
  }

  #disconnected(connection: ServerConnection): void {
    const client = connection.session as Client | undefined
    if (client !== undefined) this.#leave(client)
  }

  /** Everything of the client goes: its fds are flushed and released, its locks dropped. */
  #leave(client: Client): void {
    const { session, brick } = client
    if (session.closed) return
    session.closed = true
    session.connection.session = undefined
    this.#self.env.log.info('a client has gone', { client: session.client })
    session.whenAtRest(() => {
      if (this.#clients.get(session.client) === client) this.#clients.delete(session.client)
      const ctx = { ...ROOT_CTX, client: session.client }
      for (const fd of session.fds.clear()) {
        brick.child
          .flush(ctx, { fd })
          .catch((bug: unknown) => {
            this.#self.env.log.critical('a flush failed with an exception', { error: String(bug) })
          })
          .finally(() => fd.unref())
      }
    })
    this.#dropLocks(session)
  }

  /**
   * What the client has begun is done under its locks: a write that a slow disk has not finished
   * would else come after a heal, or after what the next holder of the lock has written.
   */
  #dropLocks(session: Session): void {
    session.whenAtRest(() => this.#self.clientGone(session.client))
  }
}
