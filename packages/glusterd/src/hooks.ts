/**
 * Hook scripts: executables of the operator that run before and after volume operations
 * (xlators/mgmt/glusterd/src/glusterd-hooks.c). Their failure is logged and changes nothing.
 */

import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Env } from '@ashlar/core'

export type HookedOperation =
  | 'create'
  | 'delete'
  | 'start'
  | 'stop'
  | 'set'
  | 'reset'
  | 'add-brick'
  | 'remove-brick'
export type HookPhase = 'pre' | 'post'

/** A script that runs longer is ended: a command must not wait for it for ever. */
const SCRIPT_MS_MAX = 60_000

export class Hooks {
  readonly #directory: string
  readonly #env: Env
  readonly #environment: NodeJS.ProcessEnv
  /** Post scripts run one after another, behind the answer to the user. */
  #queue: Promise<void> = Promise.resolve()

  constructor(paths: { workDirectory: string; runDirectory: string }, env: Env) {
    this.#directory = join(paths.workDirectory, 'hooks/1')
    this.#env = env
    this.#environment = {
      ...process.env,
      GLUSTERD_WORKDIR: paths.workDirectory,
      DEFAULT_VAR_RUN_DIRECTORY: paths.runDirectory,
    }
  }

  /** Runs the `pre` scripts and waits for them. */
  pre(operation: HookedOperation, volume: string, words: readonly string[] = []): Promise<void> {
    return this.#runAll(operation, 'pre', volume, words)
  }

  /** Queues the `post` scripts. */
  post(operation: HookedOperation, volume: string, words: readonly string[] = []): void {
    this.#queue = this.#queue.then(() => this.#runAll(operation, 'post', volume, words))
  }

  /** Resolves when no post script waits any more. */
  idle(): Promise<void> {
    return this.#queue
  }

  async #runAll(
    operation: HookedOperation,
    phase: HookPhase,
    volume: string,
    words: readonly string[],
  ): Promise<void> {
    const directory = join(this.#directory, operation, phase)
    for (const name of scriptsIn(directory)) {
      await this.#run(join(directory, name), [`--volname=${volume}`, ...words])
    }
  }

  #run(script: string, words: readonly string[]): Promise<void> {
    return new Promise(resolve => {
      const child = spawn(script, words, { env: this.#environment, stdio: 'ignore' })
      const timer = this.#env.clock.after(SCRIPT_MS_MAX, () => child.kill('SIGKILL'))
      const done = (result: string): void => {
        timer.cancel()
        if (result !== '0') this.#env.log.warning('hook script failed', { script, result })
        resolve()
      }
      child.once('error', error => done(error.message))
      child.once('exit', (code, signal) => done(String(code ?? signal)))
    })
  }
}

/** Names that begin with S, except what package managers leave behind, in order. */
function scriptsIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter(name => name.startsWith('S') && !/\.rpm(save|new)$/.test(name))
      .sort()
  } catch {
    return []
  }
}
