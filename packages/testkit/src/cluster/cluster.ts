/**
 * Cluster: our own glusterd, bricks and mounts as real processes, with all their state in a folder
 * of their own and on ports that nobody has. Whatever a test has left is taken down by `dispose`,
 * process by process.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { lookup } from 'node:dns/promises'
import { createServer } from 'node:net'
import { hostname, networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Mount, type MountOptions, mountsBelow, unmountPath } from './mount.ts'
import { endAll, isAlive, type Outcome, pidIn, processesOf, run, succeed } from './processes.ts'
import { until } from './until.ts'

/** The executables of this checkout. */
export const BIN = fileURLToPath(new URL('../../../../bin', import.meta.url))

const START_MS_MAX = 30_000
const END_MS_MAX = 20_000

export class Cluster implements AsyncDisposable {
  readonly path: string
  readonly host: string
  readonly port: number
  readonly env: NodeJS.ProcessEnv
  readonly #mounts: Mount[] = []
  #glusterd: ChildProcess | undefined
  #names = 0

  private constructor(options: { path: string; host: string; port: number }) {
    this.path = options.path
    this.host = options.host
    this.port = options.port
    this.env = {
      ...process.env,
      PATH: `${BIN}:${process.env['PATH'] ?? ''}`,
      ASHLAR_WORKDIR: join(this.path, 'glusterd'),
      ASHLAR_RUNDIR: join(this.path, 'run'),
      ASHLAR_LOGDIR: join(this.path, 'log'),
      ASHLAR_API_SOCKET: join(this.path, 'run/api.sock'),
      ASHLAR_PORT: String(this.port),
    }
  }

  /** A cluster of one server, its glusterd started. */
  static async start(): Promise<Cluster> {
    const path = mkdtempSync(join(tmpdir(), 'ashlar-e2e-'))
    const cluster = new Cluster({ path, host: await ownHost(), port: await freeTcpPort() })
    try {
      await cluster.startGlusterd()
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
    return cluster
  }

  get glusterdPid(): number | undefined {
    return this.#glusterd?.pid
  }

  async startGlusterd(): Promise<void> {
    mkdirSync(join(this.path, 'log'), { recursive: true })
    const child = spawn(
      join(BIN, 'glusterd'),
      ['--no-daemon', '--pid-file', join(this.path, 'glusterd.pid')],
      { env: this.env, stdio: ['ignore', 'ignore', 'pipe'], detached: true },
    )
    child.stderr?.pipe(createWriteStream(join(this.path, 'log/glusterd.err'), { flags: 'a' }))
    this.#glusterd = child
    await until('glusterd answers', START_MS_MAX, async () => {
      if (child.exitCode !== null) throw new Error(`glusterd has ended: ${child.exitCode}`)
      return (await this.gluster('volume', 'list')).status === 0
    })
  }

  /** Ends glusterd and waits until it is gone. */
  async stopGlusterd(name: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#glusterd
    this.#glusterd = undefined
    if (child?.pid === undefined || child.exitCode !== null) return
    const { pid } = child
    child.kill(name)
    await until('glusterd ends', END_MS_MAX, () => !isAlive(pid))
  }

  /** Runs a command of ours; questions are answered with yes. */
  gluster(...words: readonly string[]): Promise<Outcome> {
    return run(join(BIN, 'gluster'), ['--mode=script', ...words], { env: this.env })
  }

  /** As `gluster`; rejects when it fails. */
  command(...words: readonly string[]): Promise<string> {
    return succeed(join(BIN, 'gluster'), ['--mode=script', ...words], { env: this.env })
  }

  brickPath(volume: string, index: number): string {
    return join(this.path, 'bricks', `${volume}-${index}`)
  }

  /** A started volume of so many bricks, with options. */
  async volume(
    name: string,
    bricks: number,
    options: Readonly<Record<string, string>> = {},
    /** Words of the command between the name and the bricks: `replica 3`. */
    shape: readonly string[] = [],
  ): Promise<void> {
    mkdirSync(join(this.path, 'bricks'), { recursive: true })
    const places = Array.from(
      { length: bricks },
      (_, i) => `${this.host}:${this.brickPath(name, i + 1)}`,
    )
    await this.command('volume', 'create', name, ...shape, ...places, 'force')
    for (const [key, value] of Object.entries(options))
      await this.command('volume', 'set', name, key, value)
    await this.command('volume', 'start', name)
  }

  /** Pid of a brick's process, counted from 1. */
  brickPid(volume: string, index: number): number | undefined {
    const name = this.brickPath(volume, index).slice(1).replaceAll('/', '-')
    return pidIn(join(this.path, 'run/vols', volume, `${this.host}-${name}.pid`))
  }

  /** Port of a brick, from `volume status`. */
  async brickPort(volume: string, index: number): Promise<number> {
    const xml = await this.command('volume', 'status', volume, '--xml')
    const path = this.brickPath(volume, index)
    const node = xml.slice(xml.indexOf(`<path>${path}</path>`))
    const port = Number(/<port>(\d+)<\/port>/.exec(node)?.[1])
    if (!(port > 0)) throw new Error(`no port of ${path} in ${xml}`)
    return port
  }

  /** Mounts a volume by our client. */
  async mount(volume: string, options: MountOptions = {}): Promise<Mount> {
    this.#names += 1
    const mount = new Mount({
      program: join(BIN, 'glusterfs'),
      env: this.env,
      host: this.host,
      port: this.port,
      volume,
      path: join(this.path, `mnt-${this.#names}`),
      files: join(this.path, `mount-${this.#names}`),
      ...options,
    })
    this.#mounts.push(mount)
    await mount.start()
    return mount
  }

  /** Every process of the cluster that is alive. */
  processes(): number[] {
    const served = ['run/vols', 'run/shd'].flatMap(folder => pidsBelow(join(this.path, folder)))
    const pids = [...this.#mounts.map(mount => mount.pid), ...served, this.glusterdPid]
    return [...new Set(pids)].filter(pid => pid !== undefined && isAlive(pid)) as number[]
  }

  /** Pid of the self-heal daemon when it looks after the volume. */
  healerPid(volume: string): number | undefined {
    const pid = pidIn(join(this.path, 'run/shd', volume, `${volume}-shd.pid`))
    return pid !== undefined && isAlive(pid) ? pid : undefined
  }

  /**
   * Takes everything down and removes it, whatever the test has left: mounts in use, programs on
   * them, daemons that never came up. One thing that fails keeps nothing else from being done.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    const attempt = async (work: () => Promise<void> | void): Promise<void> => {
      try {
        await work()
      } catch (error) {
        failures.push(error)
      }
    }
    for (const path of mountsBelow(this.path)) await attempt(() => unmountPath(path, true))
    await attempt(() => endAll(() => processesOf(this.path), END_MS_MAX))
    await attempt(() => rmSync(this.path, { recursive: true, force: true, maxRetries: 3 }))
    if (failures.length > 0) throw new AggregateError(failures, `${this.path} is not taken down`)
  }
}

/** What the pid files of a folder and its subfolders say. */
function pidsBelow(folder: string): (number | undefined)[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true })
    .map(name => join(folder, String(name)))
    .filter(name => name.endsWith('.pid'))
    .map(pidIn)
}

/** A name or address of this machine that is not loopback by its look: bricks need one. */
export async function ownHost(): Promise<string> {
  const entries = Object.values(networkInterfaces()).flatMap(list => list ?? [])
  try {
    const { address } = await lookup(hostname())
    const reachable = address.startsWith('127.') || entries.some(entry => entry.address === address)
    if (reachable && hostname() !== 'localhost') return hostname()
  } catch {
    // The machine does not know its own name.
  }
  const entry = entries.find(each => each.family === 'IPv4' && !each.internal)
  if (entry === undefined) throw new Error('this machine has no address but loopback')
  return entry.address
}

/** A TCP port that nobody listens on. */
export function freeTcpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '0.0.0.0', () => {
      const address = server.address()
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port)
        else reject(new Error('no port'))
      })
    })
  })
}
