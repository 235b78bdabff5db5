/** Running other programs: each must succeed, and says what it said when it does not. */

import { spawnSync } from 'node:child_process'

/** Runs a command and returns its output. Throws with its error text when it fails. */
export function run(
  command: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): string {
  const result = spawnSync(command, words, { encoding: 'utf8', env })
  if (result.error !== undefined) throw result.error
  if (result.status !== 0) {
    throw new Error(
      `${command} ${words.join(' ')} ended with ${result.status}: ${result.stderr}${result.stdout}`,
    )
  }
  return result.stdout
}

/** Waits until `condition` holds, asked again after `everyMs`; throws after `seconds`. */
export async function until(
  what: string,
  seconds: number,
  condition: () => boolean,
  everyMs = 50,
): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} seconds`)
    await new Promise(resolve => setTimeout(resolve, everyMs))
  }
}
