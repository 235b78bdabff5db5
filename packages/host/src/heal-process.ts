/**
 * A server's self-heal daemon (glustershd): the graphs of all its volumes that heal. glusterd starts
 * it with one volume and attaches and detaches the others over the control socket; it outlives
 * glusterd, and ends when its last volume goes.
 */

import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type AnyXlatorDefinition,
  Dict,
  type Env,
  Errno,
  type Log,
  type TcpAddress,
  type Volfile,
} from '@ashlar/core'
import { type IncomingCall, RpcServer } from '@ashlar/transport'
import { brickProgram } from '@ashlar/wire'
import { pendingCall } from '@ashlar/xlators'
import { healOperation } from './heal-operations.ts'
import { HealVolume } from './heal-volume.ts'
import { dumpText } from './statedump.ts'
import { statusOperation } from './status-operations.ts'

export interface HealProcessOptions {
  readonly env: Env
  readonly volfileServers: readonly TcpAddress[]
  /** `shd/VOLUME`, the first volume. */
  readonly volfileId: string
  readonly pidFile?: string | undefined
  readonly controlSocket?: string | undefined
  readonly xlatorOptions: readonly string[]
  /** Which translators graphs are built from; those that we have when absent. */
  readonly definitions?: (volfile: Volfile, log: Log) => ReadonlyMap<string, AnyXlatorDefinition>
}

type Call = IncomingCall<{ name: string; input: Dict | Buffer | undefined; dict: Dict | undefined }>

/** What takes the calls of the control socket. */
const DAEMON = 'glustershd'

const { NULL, TERMINATE, XLATOR_OP, NODE_STATUS, SVC_ATTACH, SVC_DETACH } = brickProgram.procedures

export class HealProcess {
  readonly #options: HealProcessOptions
  readonly #volumes = new Map<string, HealVolume>()
  readonly #control: RpcServer
  #stopped: Promise<void> | undefined
  #onStopped: () => void = () => {}
  /** Resolves when the daemon was told to end, or has no volume left. */
  readonly stopped: Promise<void>

  constructor(options: HealProcessOptions) {
    this.#options = options
    this.stopped = new Promise(resolve => {
      this.#onStopped = resolve
    })
    this.#control = new RpcServer({
      env: options.env,
      programs: [{ program: brickProgram, handle: call => this.#operate(call as Call) }],
    })
  }

  /** Resolves when the first volume is looked after. Rejects when it cannot be. */
  async start(): Promise<void> {
    const { controlSocket, volfileId, pidFile } = this.#options
    if (controlSocket !== undefined) {
      mkdirSync(dirname(controlSocket), { recursive: true })
      rmSync(controlSocket, { force: true })
      await this.#control.listen({ path: controlSocket })
    }
    await this.#attach(volfileId, pidFile)
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#end()
    return this.#stopped
  }

  get volumes(): readonly HealVolume[] {
    return [...this.#volumes.values()]
  }

  statedump(): string {
    return this.volumes.map(volume => dumpText(volume.graph)).join('\n')
  }

  async #end(): Promise<void> {
    await Promise.all(this.volumes.map(volume => volume.stop()))
    this.#volumes.clear()
    await this.#control.close()
    const { controlSocket } = this.#options
    if (controlSocket !== undefined) rmSync(controlSocket, { force: true })
    this.#onStopped()
  }

  async #attach(volfileId: string, pidFile: string | undefined): Promise<void> {
    if (this.#volumes.has(volfileId)) return
    const { env, volfileServers, xlatorOptions, definitions } = this.#options
    const volume = new HealVolume({
      env,
      volfileServers,
      volfileId,
      pidFile,
      xlatorOptions,
      ...(definitions === undefined ? {} : { definitions }),
    })
    this.#volumes.set(volfileId, volume)
    try {
      await volume.start()
    } catch (error) {
      this.#volumes.delete(volfileId)
      await volume.stop()
      throw error
    }
    env.log.info('volume attached', { volume: volume.name })
  }

  async #detach(volfileId: string): Promise<void> {
    const volume = this.#volumes.get(volfileId)
    if (volume === undefined) return
    this.#volumes.delete(volfileId)
    await volume.stop()
    this.#options.env.log.info('volume detached', { volume: volume.name })
  }

  #operate(call: Call): void {
    if (call.row === NULL) return call.reply(undefined)
    this.#perform(call).then(
      output => call.reply({ ret: 0, errno: 0, output, errstr: '' }),
      (error: unknown) => {
        const { message } = error as Error
        this.#options.env.log.warning('an operation failed', { row: call.row.name, error: message })
        call.reply({ ret: -1, errno: Errno.EINVAL, output: new Dict(), errstr: message })
      },
    )
  }

  async #perform(call: Call): Promise<Dict> {
    const { row, args } = call
    switch (row) {
      case TERMINATE:
        this.#endSoon()
        return new Dict()
      case SVC_ATTACH:
        // The volfile that comes along is not needed: the volume asks for it, and hears of changes.
        await this.#attach(args.name, args.dict?.getString('pidfile'))
        return new Dict()
      case SVC_DETACH:
        await this.#detach(args.name)
        if (this.#volumes.size === 0) this.#endSoon()
        return new Dict()
      case NODE_STATUS: {
        const command = args.input instanceof Dict ? args.input.getNumber('cmd') : undefined
        return command === undefined ? this.#served() : this.#status(call, command)
      }
      case XLATOR_OP: {
        const input = args.input instanceof Dict ? args.input : new Dict()
        const healers = this.volumes.flatMap(volume => volume.healers)
        const output = await healOperation(healers, input)
        if (output === undefined) throw new Error('Invalid heal-op')
        return output
      }
      default:
        throw new Error(`${row.name} is not supported`)
    }
  }

  /** After the answer has been sent. */
  #endSoon(): void {
    const { env } = this.#options
    env.clock.after(0, () => {
      this.stop().catch((error: unknown) =>
        env.log.error('stopping failed', { error: String(error) }),
      )
    })
  }

  /** Of a volume, and of the process; the question itself is not among the calls. */
  #status(question: Call, command: number): Dict {
    const volume = this.#volumes.get(question.args.name)
    if (volume === undefined) throw new Error(`${question.args.name} is not looked after`)
    const calls = [...this.#control.connections]
      .flatMap(({ unanswered }) => [...unanswered])
      .filter(call => call !== question)
      .map(call => pendingCall(call, DAEMON))
    const output = statusOperation(command, { inodes: volume.graph?.inodes, clients: [], calls })
    if (output === undefined) throw new Error('Invalid cmd')
    return output
  }

  #served(): Dict {
    const output = new Dict().setInt('count', this.#volumes.size)
    for (const [n, volume] of this.volumes.entries()) output.setString(`volume-${n}`, volume.name)
    return output
  }
}
