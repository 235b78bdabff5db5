/**
 * VolfileSource: where a process has its volfile from, and hears when it changes: glusterd (the
 * management connection, open for the life of the process), or a file.
 */

import { readFileSync } from 'node:fs'
import {
  addressText,
  Dict,
  type Env,
  type Errno,
  errnoFromName,
  errnoText,
  type TcpAddress,
  type UnixAddress,
} from '@ashlar/core'
import { isFailure, RpcClient } from '@ashlar/transport'
import { callbackProgram, handshakeProgram, portmapProgram } from '@ashlar/wire'

/** Op-versions that we can serve: GlusterFS 3.x to 11.x. */
const OP_VERSION_MIN = 1
const OP_VERSION_MAX = 110_000

export interface VolfileListener {
  /** The volfile, at first and whenever its text has changed. */
  volfile(text: string): void
  /** There is none: for good (`final`), or until the server can be reached. */
  failed(reason: string, final: boolean, errno?: Errno): void
}

export interface VolfileSource {
  start(listener: VolfileListener): void
  stop(): void
}

/** A file, read once. */
export class FileVolfileSource implements VolfileSource {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  start(listener: VolfileListener): void {
    try {
      listener.volfile(readFileSync(this.#path, 'utf8'))
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException
      listener.failed(`${this.#path} cannot be read: ${message}`, true, errnoFromName(code))
    }
  }

  stop(): void {}
}

export interface ServerSourceOptions {
  readonly env: Env
  /** Servers to ask, in this order, over again. */
  readonly servers: readonly (TcpAddress | UnixAddress)[]
  /** Each is tried so often for the first volfile; without it, until one answers. */
  readonly attempts?: number | undefined
  /** `VOLUME` for clients, `VOLUME.HOST.PATH` for bricks. */
  readonly volfileId: string
  readonly brickName?: string | undefined
  /** Called at each new connection, after the volfile was asked for. */
  readonly connected?: () => void
}

export class ServerVolfileSource implements VolfileSource {
  readonly #options: ServerSourceOptions
  readonly #client: RpcClient
  #listener: VolfileListener | undefined
  /** Index of the server that is tried or connected. */
  #server = -1
  #answered = false
  #tries = 0
  #text: string | undefined
  /** The loss of the connection is news once. */
  #told = false
  #asking = false
  #askAgain = false

  constructor(options: ServerSourceOptions) {
    this.#options = options
    this.#client = new RpcClient({
      env: options.env,
      name: 'glusterd',
      address: () => this.#nextServer(),
      connected: () => {
        this.#client.settled()
        this.#answered = true
        this.#told = false
        this.#asking = false
        this.#ask()
        options.connected?.()
      },
      disconnected: reason => {
        this.#asking = false
        this.#unreached(reason)
      },
      callback: (program, procedure) => {
        if (
          program === callbackProgram.number &&
          procedure === callbackProgram.procedures.FETCHSPEC.num
        )
          this.#ask()
      },
    })
  }

  start(listener: VolfileListener): void {
    this.#listener = listener
    this.#client.start()
  }

  stop(): void {
    this.#client.stop()
  }

  /** Tells glusterd which port serves a brick. */
  async signIn(brick: string, port: number): Promise<boolean> {
    const reply = await this.#client.call(portmapProgram, portmapProgram.procedures.SIGNIN, {
      brick,
      port,
      pid: process.pid,
    })
    return !isFailure(reply) && reply.ret === 0
  }

  async signOut(brick: string, port: number): Promise<void> {
    await this.#client.call(portmapProgram, portmapProgram.procedures.SIGNOUT, {
      brick,
      port,
      rdmaPort: 0,
    })
  }

  /** One that has answered is tried again first. */
  #nextServer(): TcpAddress | UnixAddress {
    const { servers } = this.#options
    if (!this.#answered) this.#server = (this.#server + 1) % servers.length
    this.#answered = false
    this.#tries += 1
    return servers[this.#server] as TcpAddress | UnixAddress
  }

  #unreached(reason: string): void {
    const { attempts, servers } = this.#options
    const final =
      attempts !== undefined && this.#text === undefined && this.#tries >= attempts * servers.length
    if (this.#told && !final) return
    this.#told = true
    this.#listener?.failed(`${this.#serverText()} is not reached: ${reason}`, final)
  }

  #ask(): void {
    if (this.#asking) {
      this.#askAgain = true
      return
    }
    this.#asking = true
    this.#fetch().then(
      () => {
        this.#asking = false
        if (this.#askAgain) {
          this.#askAgain = false
          this.#ask()
        }
      },
      (error: unknown) => {
        this.#asking = false
        this.#listener?.failed(String(error), false)
      },
    )
  }

  async #fetch(): Promise<void> {
    const { volfileId, brickName } = this.#options
    const xdata = new Dict()
      .setInt('min-op-version', OP_VERSION_MIN)
      .setInt('max-op-version', OP_VERSION_MAX)
    if (brickName !== undefined) xdata.setString('brick_name', brickName)
    const reply = await this.#client.call(handshakeProgram, handshakeProgram.procedures.GETSPEC, {
      flags: 1,
      key: volfileId,
      xdata,
    })
    if (isFailure(reply)) return // the connection broke: `disconnected` has told
    if (reply.ret < 0) {
      this.#listener?.failed(
        `no volfile for '${volfileId}' from ${this.#serverText()}: ${errnoText(reply.errno)}`,
        this.#text === undefined,
        reply.errno,
      )
      return
    }
    if (reply.spec === this.#text) return
    this.#text = reply.spec
    this.#listener?.volfile(reply.spec)
  }

  #serverText(): string {
    const { address } = this.#client
    return address === undefined ? 'glusterd' : addressText(address)
  }
}
