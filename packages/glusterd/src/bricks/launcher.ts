/**
 * Launcher: how brick processes and the self-heal daemon begin, are found again, and are signalled.
 * They are detached, so that they outlive glusterd.
 */

import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Env } from '@ashlar/core'
import { startInBackground } from '@ashlar/host'

/** A process as glusterd runs it. */
export interface ProcessSpec {
  /** Which executable: what serves a brick, or what runs client graphs. */
  readonly program: 'brick' | 'client'
  /** A word of its command line by which it is known again. */
  readonly sign: string
  readonly pidFile: string
  readonly socket: string
  readonly logFile: string
  /** Arguments of the executable. */
  readonly words: readonly string[]
}

export interface Launcher {
  /** Resolves when the process has put itself into the background; rejects when it has failed. */
  launch(spec: ProcessSpec): Promise<void>
  /** Its pid when it is alive. */
  running(spec: ProcessSpec): number | undefined
  /** Words of the command line of a live process. */
  commandLine(pid: number): readonly string[] | undefined
  /** False when there is no such process. */
  signal(pid: number, signal: NodeJS.Signals): boolean
}

/** A program that has not gone into the background after this is given up. */
const LAUNCH_MS_MAX = 60_000

/** Runs executables with GlusterFS's arguments. */
export class ProcessLauncher implements Launcher {
  readonly #programs: Readonly<Record<ProcessSpec['program'], string>>
  readonly #env: Env

  constructor(programs: Readonly<Record<ProcessSpec['program'], string>>, env: Env) {
    this.#programs = programs
    this.#env = env
  }

  async launch(spec: ProcessSpec): Promise<void> {
    const program = this.#programs[spec.program]
    for (const file of [spec.pidFile, spec.socket, spec.logFile]) {
      mkdirSync(dirname(file), { recursive: true })
    }
    const { child, settled } = startInBackground(program, spec.words, 'ignore')
    let late = false
    const timer = this.#env.clock.after(LAUNCH_MS_MAX, () => {
      late = true
      child.kill('SIGKILL')
    })
    const { status, signal, error } = await settled
    timer.cancel()
    if (late) throw new Error(`${program} did not come up in ${LAUNCH_MS_MAX / 1000} seconds`)
    if (error !== undefined) throw error
    if (status !== 0) throw new Error(`${program} ended with ${signal ?? `status ${status}`}`)
  }

  running(spec: ProcessSpec): number | undefined {
    const pid = pidIn(spec.pidFile)
    if (pid === undefined) return undefined
    const words = this.commandLine(pid)
    // The pid may have been given to somebody else since.
    return words?.includes(spec.sign) === true ? pid : undefined
  }

  commandLine(pid: number): readonly string[] | undefined {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      // A zombie has an empty command line: it does not run any more.
      return words[0] === '' ? undefined : words
    } catch {
      return undefined
    }
  }

  signal(pid: number, signal: NodeJS.Signals): boolean {
    try {
      return process.kill(pid, signal)
    } catch {
      return false
    }
  }
}

/** The number in a pid file. */
export function pidIn(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
    return pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}
