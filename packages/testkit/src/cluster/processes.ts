/** Processes of a test: run to their end, found by their pid files, killed by their pid. */

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { until } from './until.ts'

export interface Outcome {
  readonly status: number
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly input?: string
  readonly timeoutMs?: number
}

const TIMEOUT_MS_DEFAULT = 120_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

/** Runs a program to its end, whatever its status; one that takes too long is killed (status -1). */
export function run(
  program: string,
  words: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const { env = process.env, cwd, input, timeoutMs = TIMEOUT_MS_DEFAULT } = options
  return new Promise(resolve => {
    const child = execFile(
      program,
      words,
      {
        env,
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_BYTES_MAX,
        ...(cwd === undefined ? {} : { cwd }),
      },
      (error, out, err) => {
        const code = error === null ? 0 : error.code
        const status = typeof code === 'number' ? code : -1
        resolve({ status, out, err: status === -1 ? `${err}${error?.message ?? ''}` : err })
      },
    )
    // A program may end without having read what it was given.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/** As `run`, and rejects with everything it said when its status is not 0. */
export async function succeed(
  program: string,
  words: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const { status, out, err } = await run(program, words, options)
  if (status === 0) return out
  throw new Error(`${program} ${words.join(' ')}: status ${status}\n${out}${err}`)
}

/** The pid in a file; undefined when there is none. */
export function pidIn(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
    return pid > 1 ? pid : undefined
  } catch {
    return undefined
  }
}

/** True while the process runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Signals a process that may be gone. */
export function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(pid, name)
  } catch {
    // It has ended by itself.
  }
}

/**
 * Processes that have the folder in their command line or their environment, ours left out: daemons
 * with their state there, whether or not they got to writing a pid file, and programs at work in it.
 */
export function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(pid => pid > 1 && pid !== process.pid && isAlive(pid) && mentions(pid, folder))
}

function mentions(pid: number, folder: string): boolean {
  return ['cmdline', 'environ'].some(file => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(folder)
    } catch {
      return false
    }
  })
}

/** Ends processes: asks them to, and kills those that do not in time. Rejects if some live on. */
export async function endAll(find: () => readonly number[], ms: number): Promise<void> {
  for (const pid of find()) {
    signal(pid, 'SIGTERM')
    // One that a test has stopped hears of it only then.
    signal(pid, 'SIGCONT')
  }
  try {
    await until('processes end', ms, () => find().length === 0)
  } catch {
    for (const pid of find()) signal(pid, 'SIGKILL')
    await until('processes that were killed end', ms, () => find().length === 0)
  }
}
