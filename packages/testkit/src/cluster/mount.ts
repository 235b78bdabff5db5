/** Mount: a volume mounted by a real process, ours or GlusterFS's. */

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { mounts } from '@ashlar/sys'
import { isAlive, pidIn, run, signal, succeed } from './processes.ts'
import { until } from './until.ts'

const END_MS_MAX = 20_000

export interface MountOptions {
  /** Further words for glusterfs(8). */
  readonly words?: readonly string[]
  readonly readOnly?: boolean
}

export interface MountParts extends MountOptions {
  readonly program: string
  readonly env: NodeJS.ProcessEnv
  readonly host: string
  readonly port: number
  readonly volume: string
  readonly path: string
  /** Where its log and pid files go: this with `.log` and `.pid`. */
  readonly files: string
}

export class Mount {
  readonly path: string
  readonly log: string
  readonly #parts: MountParts
  readonly #pidFile: string

  constructor(parts: MountParts) {
    this.#parts = parts
    this.path = parts.path
    this.log = `${parts.files}.log`
    this.#pidFile = `${parts.files}.pid`
  }

  get pid(): number | undefined {
    return pidIn(this.#pidFile)
  }

  async start(): Promise<void> {
    const { program, env, host, port, volume, words = [], readOnly = false } = this.#parts
    mkdirSync(this.path, { recursive: true })
    await succeed(
      program,
      [
        `--volfile-server=${host}`,
        `--volfile-server-port=${port}`,
        `--volfile-id=${volume}`,
        `--log-file=${this.log}`,
        `--pid-file=${this.#pidFile}`,
        ...(readOnly ? ['--read-only'] : []),
        ...words,
        this.path,
      ],
      { env, timeoutMs: 60_000 },
    )
    await until(`${this.path} is mounted`, 10_000, () => isMounted(this.path))
  }

  /** Unmounts and waits until the process is gone. */
  async unmount(): Promise<void> {
    const { pid } = this
    await unmountPath(this.path, false)
    if (pid !== undefined) await until('the mount ends', END_MS_MAX, () => !isAlive(pid))
  }

  /** Kills the process, as a crash would. */
  async kill(): Promise<void> {
    const { pid } = this
    if (pid === undefined) throw new Error('the mount has no process')
    signal(pid, 'SIGKILL')
    await until('the mount is dead', END_MS_MAX, () => !isAlive(pid))
  }

  /** Memory of its process, in bytes. */
  memory(): number {
    return memoryOf(this.pid)
  }
}

/** Resident memory of a process in bytes. */
export function memoryOf(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
}

export function isMounted(path: string): boolean {
  return mounts().some(mounted => mounted.path === path)
}

/** What is mounted in a folder, the innermost first. */
export function mountsBelow(folder: string): string[] {
  return mounts()
    .map(({ path }) => path)
    .filter(path => path.startsWith(`${folder}/`))
    .reverse()
}

/** Rejects with what umount says when it cannot. */
export async function unmountPath(path: string, lazy: boolean): Promise<void> {
  const { status, err } = await run('umount', lazy ? ['-l', path] : [path])
  if (status !== 0 && isMounted(path)) throw new Error(`umount ${path}: ${err}`)
}

/** What stands in the way of mounts here; undefined when nothing does. */
export function mountObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting needs root here'
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse'
  return undefined
}
