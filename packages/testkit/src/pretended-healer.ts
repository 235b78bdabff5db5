/**
 * PretendedHealer: what glusterd sees of a self-heal daemon, its control socket, inside the test's
 * own process: volumes are attached and detached, operations go to healers that the test gives.
 */

import { Dict, Errno, silentLog, systemClock, systemRandom } from '@ashlar/core'
import { healOperation, statusOperation } from '@ashlar/host'
import { type IncomingCall, RpcServer, tcpNetwork } from '@ashlar/transport'
import { brickProgram } from '@ashlar/wire'
import type { Healer } from '@ashlar/xlators'

type Call = IncomingCall<{ name: string; input: unknown; dict: Dict | undefined }>

export class PretendedHealer {
  /** Pid files by volfile id, as they would be written. */
  readonly pidFiles = new Map<string, string>()
  readonly #healers: () => readonly Healer[]
  readonly #socket: string
  readonly #server: RpcServer

  /** `words` is the command line. */
  constructor(
    spec: { readonly socket: string; readonly pidFile: string; readonly words: readonly string[] },
    healers: () => readonly Healer[] = () => [],
  ) {
    this.#socket = spec.socket
    this.#healers = healers
    this.pidFiles.set(spec.words[spec.words.indexOf('--volfile-id') + 1] as string, spec.pidFile)
    const env = {
      clock: systemClock,
      random: systemRandom(),
      network: tcpNetwork(),
      log: silentLog,
    }
    this.#server = new RpcServer({
      env,
      programs: [{ program: brickProgram, handle: call => this.#operate(call as Call) }],
    })
  }

  async listen(): Promise<void> {
    await this.#server.listen({ path: this.#socket })
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  /** Volumes that it has, in the order they came. */
  get volumes(): string[] {
    return [...this.pidFiles.keys()].map(id => id.replace(/^shd\//, ''))
  }

  /** True when this is the pid file of one of its volumes. */
  has(pidFile: string): boolean {
    return [...this.pidFiles.values()].includes(pidFile)
  }

  #operate(call: Call): void {
    this.#answer(call).then(
      output => call.reply({ ret: 0, errno: 0, output, errstr: '' }),
      (error: Error) =>
        call.reply({ ret: -1, errno: Errno.EINVAL, output: new Dict(), errstr: error.message }),
    )
  }

  async #answer(call: Call): Promise<Dict> {
    const { procedures } = brickProgram
    const { name, input, dict } = call.args
    const output = new Dict()
    if (call.row === procedures.SVC_ATTACH) {
      this.pidFiles.set(name, dict?.getString('pidfile') as string)
    } else if (call.row === procedures.SVC_DETACH) {
      this.pidFiles.delete(name)
    } else if (call.row === procedures.NODE_STATUS) {
      const command = input instanceof Dict ? input.getNumber('cmd') : undefined
      if (command !== undefined) return statusOf(name, this.pidFiles.has(name), command)
      output.setInt('count', this.pidFiles.size)
      for (const [n, volume] of this.volumes.entries()) output.setString(`volume-${n}`, volume)
    } else {
      return (await healOperation(this.#healers(), input as Dict)) as Dict
    }
    return output
  }
}

/** The state of this process, as that of the daemon without files and calls. */
function statusOf(volfileId: string, served: boolean, command: number): Dict {
  const nothing = { inodes: undefined, clients: [], calls: [] }
  const output = served ? statusOperation(command, nothing) : undefined
  if (output === undefined) throw new Error(`nothing is known of ${volfileId}`)
  return output
}
