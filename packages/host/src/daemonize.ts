/**
 * Daemonize: a process that goes into the background once it works. The parent starts the same
 * program again, detached, waits until that one says it is ready (or ends), and ends as it did.
 * A daemon that starts others is such a parent itself, which saves one process.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import * as sys from '@ashlar/sys'

/** Set in the child: the descriptor on which to say that it is ready. */
const READY_FD_VARIABLE = 'ASHLAR_READY_FD'
const READY_FD = 3

/** True in the process that a parent waits for. */
export function isBackgroundChild(): boolean {
  return process.env[READY_FD_VARIABLE] !== undefined
}

/** Runs this program again in the background. Resolves with the exit status for the parent. */
export async function runInBackground(script: string, words: readonly string[]): Promise<number> {
  const all = [...process.execArgv, script, ...words]
  const { settled } = startInBackground(process.execPath, all, 'inherit')
  const { status } = await settled
  return status ?? 1
}

/** How a start into the background went. */
export interface Settled {
  /** 0: it works. null: it was killed, or could not be run. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  /** Why it could not be run. */
  readonly error?: Error
}

/**
 * Starts a program of ours that works in the background, as the parent that waits for it; another one
 * goes there by itself, and ends here with status 0. `errors`: where it may write until it is ready.
 */
export function startInBackground(
  program: string,
  words: readonly string[],
  errors: 'inherit' | 'ignore',
): { readonly child: ChildProcess; readonly settled: Promise<Settled> } {
  const child = spawn(program, words, {
    detached: true,
    stdio: ['ignore', 'ignore', errors, 'pipe'],
    env: { ...process.env, [READY_FD_VARIABLE]: String(READY_FD) },
  })
  const settled = new Promise<Settled>(resolve => {
    const pipe = child.stdio[READY_FD] as Readable | undefined
    const settle = (how: Settled): void => {
      pipe?.destroy()
      child.unref()
      resolve(how)
    }
    pipe?.on('data', () => settle({ status: 0, signal: null }))
    pipe?.on('error', () => undefined)
    child.once('error', error => settle({ status: null, signal: null, error }))
    child.once('exit', (status, signal) => settle({ status, signal }))
  })
  return { child, settled }
}

const STANDARD_ERROR = 2

/**
 * Standard error goes to `file` from now on: whoever reads the pipe that it was sees its end, and
 * what a crash has to say is kept.
 */
export function redirectErrors(file: string): void {
  const fd = openSync(file, 'a')
  sys.dup2(fd, STANDARD_ERROR)
  closeSync(fd)
}

/**
 * Tells the waiting parent, if there is one, that all is well, and lets go of its terminal: errors
 * go to `errorFile`.
 */
export function sayReady(errorFile: string): void {
  const fd = process.env[READY_FD_VARIABLE]
  if (fd === undefined) return
  delete process.env[READY_FD_VARIABLE]
  redirectErrors(errorFile === '-' ? '/dev/null' : errorFile)
  try {
    writeSync(Number(fd), 'ready\n')
    closeSync(Number(fd))
  } catch {
    // The parent has gone: nobody waits.
  }
}
