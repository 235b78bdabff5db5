/**
 * The `gluster` command: entry point behind bin/gluster.
 */

import { runInteractive } from './interactive.ts'
import { parseLine } from './global-options.ts'
import { runLine } from './run.ts'
import { processTerminal } from './terminal.ts'

/** Resolves with the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const terminal = processTerminal()
  const { words, immediate, problem } = parseLine(argv)
  if (words.length > 0 || immediate !== undefined || problem !== undefined) {
    return runLine(argv, terminal, process.env)
  }
  return runInteractive(terminal, process.env, process.stdin.isTTY === true)
}
