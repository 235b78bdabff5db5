/** Processes of a test: run to their end, found by their pid files, killed by their pid. */

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'

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
