/**
 * Daemonize: a process that goes into the background once it works. The parent starts the same
 * program again, detached, waits until that one says it is ready (or ends), and ends as it did.
 */

import { spawn } from 'node:child_process'
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
export function runInBackground(script: string, words: readonly string[]): Promise<number> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [...process.execArgv, script, ...words], {
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      env: { ...process.env, [READY_FD_VARIABLE]: String(READY_FD) },
    })
    let settled = false
    const settle = (status: number): void => {
      if (settled) return
      settled = true
      child.unref()
      resolve(status)
    }
    const pipe = child.stdio[READY_FD] as Readable
    pipe.on('data', () => settle(0))
    pipe.on('error', () => undefined)
    child.once('error', () => settle(1))
    child.once('exit', code => settle(code ?? 1))
  })
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
