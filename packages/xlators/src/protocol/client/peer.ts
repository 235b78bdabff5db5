/**
 * Peer: the connection to one brick from the first packet to the state in which fops may be sent,
 * again and again (xlators/protocol/client/src/client-handshake.c).
 *
 *     connect ─▶ DUMP ─▶ glusterd? PORTBYBRICK, connect to the brick's port ─┐
 *        ▲         └──▶ brick: SETVOLUME ─▶ reopen fds, locks ─▶ ready       │
 *        └───────────── back-off ◀─ any failure ◀────────────────────────────┘
 */

import { type Address, type Dict, Errno, SpecialPid, type XlatorSelf } from '@ashlar/core'
import { isFailure, RpcClient } from '@ashlar/transport'
import {
  AuthFlavor,
  compoundProgram,
  type Credential,
  DUMP_ID,
  dumpProgram,
  fopProgram,
  handshakeProgram,
  MANAGEMENT_CREDENTIAL,
  portmapProgram,
  type Reader,
} from '@ashlar/wire'
import { patienceOf } from '../patience.ts'
import { type ClientOptions, GLUSTERD_PORT } from './options.ts'
import { introduction } from './introduction.ts'

/** The credential of SETVOLUME and of work of our own on a brick. */
export const BRICK_CREDENTIAL: Credential = {
  ...MANAGEMENT_CREDENTIAL,
  flavor: AuthFlavor.GLUSTERFS_V3,
}

/**
 * Longest wait of a self-heal daemon before it tries again: heals begin when it has found the brick.
 * There is one of them for each server; mounts, of which there are many, try less often.
 */
const HEALER_RETRY_MAX_MS = 250

export interface PeerEvents {
  /** Admitted: open files again and so on; fops may be sent when it resolves. */
  readonly admitted: () => Promise<void>
  /** The connection is gone, and with it everything the brick held for us. */
  readonly lost: () => void
  readonly up: () => void
  readonly down: () => void
  /** The brick does not admit us, as it is set up now. */
  readonly refused: (reason: string) => void
  readonly callback: (program: number, procedure: number, reader: Reader) => void
}

export class Peer {
  readonly rpc: RpcClient
  readonly #self: XlatorSelf<ClientOptions>
  readonly #events: PeerEvents
  /** What glusterd told; good for one attempt. */
  #brickPort: number | undefined
  #atBrickPort = false
  #ready = false
  #compounds = false
  #admitted = false
  #announced: 'up' | 'down' | undefined
  /** Counts connections: a handshake goes on only while its own one lasts. */
  #connections = 0
  #introductions = 0

  constructor(self: XlatorSelf<ClientOptions>, events: PeerEvents) {
    this.#self = self
    this.#events = events
    this.rpc = new RpcClient({
      env: self.env,
      name: self.name,
      address: () => this.#nextAddress(),
      connected: () => this.#connected(),
      disconnected: () => this.#disconnected(),
      callback: (program, procedure, reader) => events.callback(program, procedure, reader),
      pingTimeoutMs: self.options['ping-timeout'] * 1000,
      frameTimeoutMs: self.options['frame-timeout'] * 1000,
      patience: () => patienceOf(self.options),
      ...(self.graph.process.clientPid === SpecialPid.SELF_HEALD
        ? { retryMaxMs: HEALER_RETRY_MAX_MS }
        : {}),
    })
  }

  /** Fops may be sent. */
  get ready(): boolean {
    return this.#ready
  }

  /** The brick runs compounds. */
  get compounds(): boolean {
    return this.#compounds
  }

  reconfigure(): void {
    this.rpc.setPingTimeout(this.#self.options['ping-timeout'] * 1000)
    this.rpc.patienceChanged()
  }

  #nextAddress(): Address {
    const { options } = this.#self
    const path = options['transport.socket.connect-path']
    if (path !== undefined) return { path }
    const host = options['remote-host'] as string
    const fixed = options['remote-port']
    const port = fixed ?? this.#brickPort
    this.#brickPort = undefined
    this.#atBrickPort = port !== undefined
    return { host, port: port ?? GLUSTERD_PORT }
  }

  #connected(): void {
    const connection = ++this.#connections
    this.#shakeHands(connection).catch((bug: unknown) => {
      this.#self.env.log.critical('the handshake failed with an exception', { error: String(bug) })
      if (connection === this.#connections) this.#later('an exception')
    })
  }

  /** Also called for attempts that reached nobody. */
  #disconnected(): void {
    this.#connections += 1
    this.#gone()
  }

  #gone(): void {
    this.#admitted = false
    this.#events.lost()
    this.#fallen()
  }

  #fallen(): void {
    this.#ready = false
    if (this.#announced === 'down') return
    this.#announced = 'down'
    this.#events.down()
  }

  /** Gives this connection up; another attempt follows after a while. */
  #later(reason: string): void {
    this.#self.env.log.debug('the brick is not to be had yet', { reason })
    this.#connections += 1
    this.rpc.reconnect('later')
    this.#gone()
  }

  async #shakeHands(connection: number): Promise<void> {
    const current = (): boolean => connection === this.#connections
    const { DUMP } = dumpProgram.procedures
    const dump = await this.rpc.call(dumpProgram, DUMP, { id: DUMP_ID })
    if (!current()) return
    if (isFailure(dump) || dump.ret < 0) return this.#later('no list of programs')
    const has = (program: { number: number; version: number }): boolean =>
      dump.programs.some(each => each.number === program.number && each.version === program.version)
    if (has(portmapProgram) && !this.#atBrickPort) return this.#askForPort(current)
    if (!has(fopProgram)) return this.#later('it does not serve GlusterFS 4.x v1')
    this.#compounds = has(compoundProgram)
    return this.#introduce(current)
  }

  async #askForPort(current: () => boolean): Promise<void> {
    const { PORTBYBRICK } = portmapProgram.procedures
    const brick = this.#self.options['remote-subvolume'] as string
    const answer = await this.rpc.call(portmapProgram, PORTBYBRICK, { brick })
    if (!current()) return
    if (isFailure(answer) || answer.ret < 0 || answer.port <= 0) {
      return this.#later('glusterd knows no port of the brick')
    }
    this.#brickPort = answer.port
    this.#connections += 1
    this.rpc.reconnect('now')
  }

  async #introduce(current: () => boolean): Promise<void> {
    const { SETVOLUME } = handshakeProgram.procedures
    const dict = introduction(this.#self, this.#introductions++)
    const answer = await this.rpc.call(handshakeProgram, SETVOLUME, { dict }, BRICK_CREDENTIAL)
    if (!current()) return
    if (isFailure(answer)) return this.#later('SETVOLUME was not answered')
    if (answer.ret < 0) return this.#turnedAway(answer.errno, answer.dict)
    const childUp = answer.dict?.getNumber('child_up') ?? 1
    await this.#events.admitted()
    if (!current()) return
    this.rpc.settled()
    this.#admitted = true
    if (childUp === 0) this.#fallen()
    else this.raise()
  }

  /** A mount that waits to come up fails by a refusal; one that lives outlasts a change of `auth`. */
  #turnedAway(errno: Errno, dict: Dict | undefined): void {
    const reason = dict?.getString('ERROR') ?? ''
    this.#self.env.log.warning('the brick turned us away', { reason, errno })
    const refusal =
      (errno === Errno.EACCES && reason !== '') ||
      (errno === Errno.ENOENT && this.#self.graph.process.subdirectory !== undefined)
    this.#later(reason)
    if (refusal) this.#events.refused(reason)
  }

  /** The brick's own stack came up (Callback CHILD_UP), or we have just been admitted. */
  raise(): void {
    if (!this.#admitted || this.#announced === 'up') return
    this.#ready = true
    this.#announced = 'up'
    this.#events.up()
  }

  /** The brick's own stack went down (Callback CHILD_DOWN). */
  sink(): void {
    this.#fallen()
  }
}
