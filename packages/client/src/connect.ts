/** connect: from the name of a server and a volume to a Volume that can be used. */

import {
  type Ctx,
  type Env,
  Errno,
  type Graph,
  type GraphEvent,
  type Log,
  silentLog,
} from '@ashlar/core'
import {
  FileVolfileSource,
  GraphHost,
  processEnv,
  processInfo,
  ServerVolfileSource,
  type VolfileSource,
} from '@ashlar/host'
import { AbortError, ConnectError } from './errors.ts'
import { Session } from './session.ts'
import { Volume } from './volume.ts'

export interface ConnectOptions {
  /** Host name or address of a server of the pool, or several to be tried in this order. */
  readonly server?: string | readonly string[]
  /** Management port: 24007. */
  readonly port?: number
  readonly volume: string
  /** A volume file to use instead of asking a server. */
  readonly volfile?: string
  /** In whose name files are used: this process's own. */
  readonly uid?: number
  readonly gid?: number
  readonly groups?: readonly number[]
  /** Bits that new files do not get: the process's own. */
  readonly umask?: number
  /** How long to wait for the volume at first. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Nothing is logged without one. */
  readonly log?: Log
  /** `TRANSLATOR.KEY=VALUE`, as of glusterfs(8)'s --xlator-option. */
  readonly xlatorOptions?: readonly string[]
}

const GLUSTERD_PORT = 24_007
const TIMEOUT_MS_DEFAULT = 30_000

/** Rejects with ConnectError when the volume cannot be had within `timeoutMs`, AbortError by `signal`. */
export async function connect(options: ConnectOptions): Promise<Volume> {
  const env = processEnv(options.log ?? silentLog)
  const link = new Link(env, options)
  try {
    return await link.volume()
  } catch (error) {
    await link.close()
    throw error
  }
}

/** The host of the graph and what feeds it, as long as the volume is used. */
class Link {
  readonly #env: Env
  readonly #options: ConnectOptions
  readonly #host: GraphHost
  readonly #source: VolfileSource
  readonly #nextUp = new Map<Graph, () => void>()
  /** Timers of Env keep no process alive: a volume in use does. */
  readonly #alive: NodeJS.Timeout
  #session: Session | undefined
  #up: () => void = () => {}
  #down: (error: Error) => void = () => {}

  constructor(env: Env, options: ConnectOptions) {
    this.#env = env
    this.#options = options
    this.#alive = setInterval(() => undefined, 60_000)
    this.#host = new GraphHost({
      env,
      process: processInfo(env, { name: 'gfapi', volfileId: options.volume }),
      ...(options.xlatorOptions === undefined ? {} : { xlatorOptions: options.xlatorOptions }),
      onEvent: (event, graph) => this.#event(event, graph),
      onSwitch: next => this.#switch(next),
    })
    const { server = 'localhost', port = GLUSTERD_PORT, volume, volfile } = options
    const servers = typeof server === 'string' ? [server] : server
    this.#source =
      volfile === undefined
        ? new ServerVolfileSource({
            env,
            servers: servers.map(host => (host.startsWith('/') ? { path: host } : { host, port })),
            volfileId: volume,
          })
        : new FileVolfileSource(volfile)
  }

  async volume(): Promise<Volume> {
    const { timeoutMs = TIMEOUT_MS_DEFAULT, signal } = this.#options
    const up = new Promise<void>((resolve, reject) => {
      this.#up = resolve
      this.#down = reject
    })
    let met = ''
    const { volume, volfile } = this.#options
    const asked = volfile === undefined ? `volume '${volume}'` : `the bricks of '${volfile}'`
    const late = (): void =>
      this.#down(
        new ConnectError(
          Errno.ETIMEDOUT,
          `no answer from ${asked} within ${timeoutMs / 1000} seconds${met}`,
        ),
      )
    const timer = this.#env.clock.after(timeoutMs, late)
    const aborted = (): void => this.#down(new AbortError(signal?.reason))
    signal?.addEventListener('abort', aborted, { once: true })
    if (signal?.aborted === true) aborted()
    this.#source.start({
      volfile: text => {
        this.#host
          .apply(text)
          .catch((error: Error) =>
            this.#down(new ConnectError(Errno.EINVAL, error.message, { cause: error })),
          )
      },
      failed: (reason, final, errno = Errno.EIO) => {
        met = ` (${reason})`
        if (final) this.#down(new ConnectError(errno, reason))
      },
    })
    try {
      await up
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', aborted)
    }
    const graph = this.#host.graph as Graph
    this.#session = new Session({
      graph,
      env: this.#env,
      ctx: callerOf(this.#env, this.#options),
      umask: this.#options.umask ?? process.umask(),
    })
    return new Volume({ session: this.#session, disconnect: () => this.close() })
  }

  async close(): Promise<void> {
    this.#source.stop()
    await this.#host.stop()
    clearInterval(this.#alive)
  }

  #event(event: GraphEvent, graph: Graph): void {
    if (event.kind === 'child-up') {
      this.#up()
      this.#nextUp.get(graph)?.()
    } else if (event.kind === 'auth-failed') {
      this.#down(new ConnectError(Errno.EACCES, `the volume refused us: ${event.reason}`))
    }
  }

  /** The next graph takes over once it has a brick, or after a while without one. */
  async #switch(next: Graph): Promise<void> {
    const { timeoutMs = TIMEOUT_MS_DEFAULT } = this.#options
    await new Promise<void>(resolve => {
      this.#nextUp.set(next, resolve)
      this.#env.clock.after(timeoutMs, resolve)
    })
    this.#nextUp.delete(next)
    await this.#session?.switchTo(next)
  }
}

/** The caller of all fops of a connection. */
function callerOf(env: Env, options: ConnectOptions): Ctx {
  const uid = options.uid ?? process.getuid?.() ?? 0
  const gid = options.gid ?? process.getgid?.() ?? 0
  const own = options.uid === undefined && options.gid === undefined
  return {
    uid,
    gid,
    groups: options.groups ?? (own ? (process.getgroups?.() ?? [gid]) : [gid]),
    pid: process.pid,
    lkOwner: env.random.bytes(8).latin1Slice(),
    client: '',
    priority: 'client',
  }
}
