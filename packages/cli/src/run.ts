/**
 * One command line from its words to its exit status.
 */

import { apiClient, ConnectionError, defaultSocket, TimeoutError } from './api-client.ts'
import { UsageError } from './command.ts'
import { type GlobalOptions, type Immediate, parseLine } from './global-options.ts'
import { matchLine } from './grammar.ts'
import { GRAMMAR } from './table.ts'
import type { Terminal } from './terminal.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** What GlusterFS's CLI says when it does not understand. */
const USAGE = [
  '',
  ' Usage: gluster [options] <help> <peer> <pool> <volume>',
  ' Options:',
  ' --help  Shows the help information',
  ' --version  Shows the version',
  ' --print-logdir  Shows the log directory',
  ' --print-statedumpdir Shows the state dump directory',
  '',
].join('\n')

/** Exit status of an option that is not known. */
const BAD_OPTION = 255

/** The release of GlusterFS that this one stands in for comes first: scripts look for it. */
const VERSION_TEXT = [
  'glusterfs 10.3',
  'Ashlar 0.1.0, compatible with GlusterFS 10.3.',
  'Licensed under the Apache License 2.0; it comes with ABSOLUTELY NO WARRANTY.',
].join('\n')

/** Runs a command line as the shell gives it, without the program's name. */
export async function runLine(
  argv: readonly string[],
  terminal: Terminal,
  environment: Environment,
  forced: Partial<GlobalOptions> = {},
): Promise<number> {
  const line = parseLine(argv)
  if (line.problem !== undefined) {
    const { text, usage, status } = line.problem
    if (status === undefined) terminal.out(text)
    else terminal.err(text)
    if (usage) terminal.out(USAGE)
    return status ?? (usage ? BAD_OPTION : 1)
  }
  if (line.immediate !== undefined) return immediately(line.immediate, terminal, environment)
  return runWords(line.words, { ...line.options, ...forced }, terminal, environment)
}

async function immediately(
  what: Immediate,
  terminal: Terminal,
  environment: Environment,
): Promise<number> {
  switch (what) {
    case 'version':
      terminal.out(VERSION_TEXT)
      return 0
    case 'logdir':
      terminal.out(environment['ASHLAR_LOGDIR'] ?? '/var/log/glusterfs')
      return 0
    case 'statedumpdir':
      terminal.out(environment['ASHLAR_RUNDIR'] ?? '/var/run/gluster')
      return 0
    case 'help':
      return runLine(['help'], terminal, environment)
  }
}

async function runWords(
  words: readonly string[],
  options: GlobalOptions,
  terminal: Terminal,
  environment: Environment,
): Promise<number> {
  const match = matchLine(GRAMMAR, words)
  if (match.kind !== 'found') {
    terminal.out(
      match.kind === 'unknown'
        ? `unrecognized word: ${match.word} (position ${match.position})`
        : 'unrecognized command',
    )
    terminal.out(USAGE)
    return 1
  }
  const { row, rest } = match
  if (row.run === undefined) {
    terminal.err(`gluster ${row.words}: not available yet in this release of Ashlar`)
    return 1
  }
  const socket = options.socket ?? defaultSocket(environment)
  const seconds = options.timeoutSeconds ?? row.timeoutSeconds
  const timeoutMs = seconds === undefined ? undefined : seconds * 1000
  const api = apiClient(socket, timeoutMs)
  try {
    return await row.run({ words: rest, options, terminal, api })
  } catch (error) {
    if (error instanceof UsageError) {
      if (error.message !== '') terminal.err(error.message)
      terminal.err(`\nUsage:\n${row.pattern}\n`)
      return 1
    }
    if (error instanceof ConnectionError) {
      terminal.out('Connection failed. Please check if gluster daemon is operational.')
      return 1
    }
    if (error instanceof TimeoutError) {
      terminal.out('Error : Request timed out')
      return 1
    }
    throw error
  }
}
