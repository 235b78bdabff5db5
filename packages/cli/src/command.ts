/**
 * Command: what a row of the grammar does, and what it is given for it.
 */

import type { ApiClient } from './api-client.ts'
import type { GlobalOptions } from './global-options.ts'
import { confirm, type Terminal } from './terminal.ts'

export interface CommandInput {
  /** Words behind the fixed ones. */
  readonly words: readonly string[]
  readonly options: GlobalOptions
  readonly terminal: Terminal
  readonly api: ApiClient
}

/** Resolves with the exit status. Throws UsageError for words that do not fit. */
export type Command = (input: CommandInput) => Promise<number>

/** The words do not fit the command: its form is shown, after `message` if there is one. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** Asks, unless the mode is `script`. */
export function sure(input: CommandInput, question: string): boolean {
  return input.options.script || confirm(input.terminal, question)
}
