/**
 * The prompt of `gluster` without words: a line, a command, until `quit`, `exit` or the end of the
 * input. Without a terminal it is a script and ends at the first command that fails.
 */

import type { GlobalOptions } from './global-options.ts'
import { runLine } from './run.ts'
import type { Terminal } from './terminal.ts'

const BANNER = "Welcome to gluster prompt, type 'help' to see the available commands."
const PROMPT = 'gluster> '

/** Resolves with the exit status of the last command. */
export async function runInteractive(
  terminal: Terminal,
  environment: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): Promise<number> {
  if (isTerminal) terminal.out(BANNER)
  else terminal.err(BANNER)
  const forced: Partial<GlobalOptions> = isTerminal ? {} : { script: true }
  let status = 0
  for (;;) {
    if (isTerminal) terminal.print(PROMPT)
    const line = terminal.readLine()
    if (line === undefined) {
      if (isTerminal) terminal.print('\n')
      return status
    }
    const words = splitWords(line)
    if (words.length === 0) continue
    if (words.length === 1 && (words[0] === 'quit' || words[0] === 'exit')) return status
    status = await runLine(words, terminal, environment, forced)
    if (status !== 0 && !isTerminal) return status
  }
}

/** Words between blanks; quotation marks hold blanks together. */
export function splitWords(line: string): string[] {
  const words: string[] = []
  for (const match of line.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)) {
    words.push(
      match[0].replace(/"([^"]*)"|'([^']*)'/g, (_, a?: string, b?: string) => a ?? b ?? ''),
    )
  }
  return words
}
