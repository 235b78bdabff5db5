/**
 * A brick's process (glusterfsd): the graph of one brick, its registration with glusterd, and the
 * control socket on which glusterd speaks to it (glusterfsd/src/glusterfsd-mgmt.c).
 */

import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { Dict, type Env, Errno, type TcpAddress } from '@ashlar/core'
import { RpcServer } from '@ashlar/transport'
import { brickProgram } from '@ashlar/wire'
import { servingOf } from '@ashlar/xlators'
import { GraphHost } from './graph-host.ts'
import { processInfo } from './process-environment.ts'
import { dumpText } from './statedump.ts'
import { statusOperation } from './status-operations.ts'
import { FileVolfileSource, ServerVolfileSource, type VolfileSource } from './volfile-source.ts'

export interface BrickProcessOptions {
  readonly env: Env
  readonly volfileServers: readonly TcpAddress[]
  readonly volfileId: string
  /** A volfile to use instead of glusterd's. */
  readonly volfile?: string | undefined
  readonly brickName: string
  readonly port: number
  readonly controlSocket?: string | undefined
  readonly xlatorOptions: readonly string[]
  /** Inodes kept beyond those in use (network.inode-lru-limit). */
  readonly lruLimit?: number
}

const LRU_LIMIT_DEFAULT = 16_384

export class BrickProcess {
  readonly #options: BrickProcessOptions
  readonly #host: GraphHost
  readonly #source: VolfileSource
  readonly #control: RpcServer
  #stopped = false
  #onStopped: () => void = () => {}
  /** Resolves when the brick was told to end. */
  readonly stopped: Promise<void>

  constructor(options: BrickProcessOptions) {
    this.#options = options
    const { env } = options
    this.stopped = new Promise(resolve => {
      this.#onStopped = resolve
    })
    const glusterdUuid = options.xlatorOptions
      .map(setting => /^[^.]+\.glusterd-uuid=(.*)$/.exec(setting)?.[1])
      .find(uuid => uuid !== undefined)
    this.#host = new GraphHost({
      env,
      process: processInfo(env, { name: 'brick', volfileId: options.volfileId, glusterdUuid }),
      xlatorOptions: options.xlatorOptions,
      lruLimit: options.lruLimit ?? LRU_LIMIT_DEFAULT,
    })
    this.#source =
      options.volfile === undefined
        ? new ServerVolfileSource({
            env,
            servers: options.volfileServers,
            volfileId: options.volfileId,
            brickName: options.brickName,
            connected: () => this.#register(),
          })
        : new FileVolfileSource(options.volfile)
    this.#control = new RpcServer({
      env,
      programs: [{ program: brickProgram, handle: call => this.#operate(call as BrickCall) }],
    })
  }

  /** Resolves when the brick serves; rejects when it cannot. */
  async start(): Promise<void> {
    const { controlSocket } = this.#options
    if (controlSocket !== undefined) {
      mkdirSync(dirname(controlSocket), { recursive: true })
      rmSync(controlSocket, { force: true })
      await this.#control.listen({ path: controlSocket })
    }
    await new Promise<void>((resolve, reject) => {
      this.#source.start({
        volfile: text => {
          this.#host.apply(text).then(() => {
            this.#register()
            resolve()
          }, reject)
        },
        failed: (reason, final) => {
          this.#options.env.log.warning('no volfile', { reason })
          if (final) reject(new Error(reason))
        },
      })
    })
  }

  /** Ends the brick: tells glusterd, stops the graph. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    if (this.#source instanceof ServerVolfileSource) {
      await Promise.race([
        this.#source.signOut(this.#options.brickName, this.#options.port),
        this.#second(),
      ])
    }
    this.#source.stop()
    await this.#host.stop()
    await this.#control.close()
    if (this.#options.controlSocket !== undefined)
      rmSync(this.#options.controlSocket, { force: true })
    this.#onStopped()
  }

  statedump(): string {
    return dumpText(this.#host.graph)
  }

  get graph(): GraphHost['graph'] {
    return this.#host.graph
  }

  /** glusterd learns our port when the graph serves, and again whenever it was away. */
  #register(): void {
    if (
      !(this.#source instanceof ServerVolfileSource) ||
      this.#host.graph === undefined ||
      this.#stopped
    )
      return
    this.#source.signIn(this.#options.brickName, this.#options.port).then(
      done => {
        if (!done)
          this.#options.env.log.warning('glusterd did not take the registration of the brick')
      },
      () => undefined,
    )
  }

  #second(): Promise<void> {
    return new Promise(resolve => {
      this.#options.env.clock.after(1000, resolve)
    })
  }

  #operate(call: BrickCall): void {
    const { procedures } = brickProgram
    if (call.row === procedures.TERMINATE) {
      call.reply({ ret: 0, errno: 0, output: new Dict(), errstr: '' })
      this.stop().catch((error: unknown) =>
        this.#options.env.log.error('stopping failed', { error: String(error) }),
      )
      return
    }
    if (call.row === procedures.STATUS) {
      const output = this.#status(call.args.input)
      if (output === undefined) {
        call.reply({ ret: -1, errno: Errno.EINVAL, output: new Dict(), errstr: 'Invalid cmd' })
      } else {
        call.reply({ ret: 0, errno: 0, output, errstr: '' })
      }
      return
    }
    if (call.row === procedures.NULL) {
      call.reply(undefined)
      return
    }
    call.reply({
      ret: -1,
      errno: Errno.EOPNOTSUPP,
      output: new Dict(),
      errstr: `${call.row.name} is not supported`,
    })
  }

  /** Undefined when it is not asked for anything that there is. */
  #status(input: Dict | undefined): Dict | undefined {
    const { graph } = this.#host
    const [server] = [...(graph?.xlators() ?? [])].flatMap(({ xlator }) => servingOf(xlator) ?? [])
    return statusOperation(input?.getNumber('cmd') ?? 0, {
      inodes: graph?.inodes,
      clients: server?.servedClients() ?? [],
      calls: server?.pendingCalls() ?? [],
    })
  }
}

interface BrickCall {
  readonly row: { readonly name: string }
  readonly args: { readonly input: Dict | undefined }
  reply(value: unknown): void
}
