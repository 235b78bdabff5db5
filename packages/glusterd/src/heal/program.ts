/**
 * HealProgram: a short process that loads a volume's client graph, asks its replicate translators,
 * and ends. It needs no self-heal daemon, and what it meets cannot hurt glusterd.
 */

import { spawn } from 'node:child_process'
import { ManagementError } from '@ashlar/contract'
import type { Env } from '@ashlar/core'
import { GLUSTERD_PORT, type Settings } from '../settings.ts'

/** What the process may be asked. */
export type HealQuestion =
  | { readonly kind: 'info'; readonly paths: boolean }
  | { readonly kind: 'bigger-file' | 'latest-mtime'; readonly file: string }
  | { readonly kind: 'source-brick'; readonly brick: string; readonly file: string | undefined }
  /** The bricks of these ids have nothing: the others are to note it. */
  | { readonly kind: 'mark-empty'; readonly bricks: readonly string[] }

/** Runs a question about a volume; resolves with the JSON that the process has printed. */
export interface HealProgram {
  run(volume: string, question: HealQuestion): Promise<unknown>
}

/** GlusterFS's command line waits ten minutes. */
const RUN_MS_MAX = 600_000
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024

/** Runs the executable of the settings. Rejects with HEAL_FAILED. */
export class ProcessHealProgram implements HealProgram {
  readonly #settings: Settings
  readonly #env: Env

  constructor(settings: Settings, env: Env) {
    this.#settings = settings
    this.#env = env
  }

  run(volume: string, question: HealQuestion): Promise<unknown> {
    const { healProgram, port, bindAddress, logDirectory } = this.#settings
    const words = [volume, ...questionWords(question), '--json']
    words.push('--volfile-server', bindAddress ?? 'localhost')
    if (port !== GLUSTERD_PORT) words.push('--volfile-server-port', String(port))
    words.push('--log-file', `${logDirectory}/glfsheal-${volume}.log`)
    return new Promise((resolve, reject) => {
      const failed = (message: string): void => reject(new ManagementError('HEAL_FAILED', message))
      const child = spawn(healProgram, words, { stdio: ['ignore', 'pipe', 'pipe'] })
      const timer = this.#env.clock.after(RUN_MS_MAX, () => child.kill('SIGKILL'))
      let output = ''
      let errors = ''
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString()
        if (output.length > OUTPUT_BYTES_MAX) child.kill('SIGKILL')
      })
      child.stderr.on('data', (chunk: Buffer) => {
        errors = `${errors}${chunk.toString()}`.slice(-1000)
      })
      child.once('error', error => {
        timer.cancel()
        failed(error.message)
      })
      child.once('close', (code, signal) => {
        timer.cancel()
        if (code !== 0) return failed(errors.trim() || `${healProgram} ended: ${signal ?? code}`)
        try {
          resolve(JSON.parse(output))
        } catch {
          failed(`${healProgram} gave no answer`)
        }
      })
    })
  }
}

function questionWords(question: HealQuestion): string[] {
  switch (question.kind) {
    case 'info':
      return question.paths ? ['info'] : ['info', '--no-paths']
    case 'mark-empty':
      return ['mark-empty', ...question.bricks]
    case 'source-brick':
      return [
        'source-brick',
        question.brick,
        ...(question.file === undefined ? [] : [question.file]),
      ]
    default:
      return [question.kind, question.file]
  }
}
