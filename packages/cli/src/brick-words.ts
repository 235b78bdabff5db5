/**
 * Brick words of a command line: `HOST:/ABS/PATH`, checked and cleaned as GlusterFS does.
 */

import { UsageError } from './command.ts'

export interface BrickWord {
  readonly host: string
  readonly path: string
}

const LOOPBACK =
  'Please provide a valid hostname/ip other than localhost, 127.0.0.1 or loopback address ' +
  '(0.0.0.0 to 0.255.255.255).'

/** Throws UsageError with GlusterFS's message at the first bad word. */
export function parseBricks(words: readonly string[]): BrickWord[] {
  const seen = new Set<string>()
  const bricks: BrickWord[] = []
  for (const word of words) {
    const brick = parseBrick(word)
    const text = `${brick.host}:${brick.path}`
    if (seen.has(text)) throw new UsageError(`Found duplicate exports ${text}`)
    seen.add(text)
    bricks.push(brick)
  }
  if (bricks.length === 0) throw new UsageError('No bricks specified')
  return bricks
}

function parseBrick(word: string): BrickWord {
  const at = word.lastIndexOf(':')
  if (at <= 0 || word[at + 1] !== '/') {
    throw new UsageError(`Wrong brick type: ${word}, use <HOSTNAME>:<export-dir-abs-path>`)
  }
  const host = word.slice(0, at)
  if (host === 'localhost' || /^(127\.|0\.)/.test(host) || host === '::1') {
    throw new UsageError(LOOPBACK)
  }
  if (!/^[\w.:-]+$/.test(host)) {
    throw new UsageError(`internet address '${host}' does not conform to standards`)
  }
  const path = word.slice(at + 1).replace(/\/+/g, '/')
  return { host, path: path === '/' ? path : path.replace(/\/$/, '') }
}
