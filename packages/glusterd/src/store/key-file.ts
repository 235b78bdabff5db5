/**
 * Files of `key=value` lines, GlusterFS's form for everything it stores (reference: store.c).
 * A file is replaced as a whole: written beside itself as FILE.tmp and renamed over the old one.
 */

import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'

export type KeyValue = readonly [string, string]

export class StoreError extends Error {
  override name = 'StoreError'
}

/** Lines split at the first `=`; blank lines are skipped. Throws StoreError for other lines. */
export function parseKeyFile(text: string, file = 'store file'): [string, string][] {
  const entries: [string, string][] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const at = line.indexOf('=')
    if (at <= 0) throw new StoreError(`${file}: '${line}' is not key=value`)
    entries.push([line.slice(0, at), line.slice(at + 1)])
  }
  return entries
}

/** The text of a key file. */
export function printKeyFile(entries: Iterable<KeyValue>): string {
  let text = ''
  for (const [key, value] of entries) text += `${key}=${value}\n`
  return text
}

/** Undefined when the file does not exist. */
export function readKeyFile(file: string): [string, string][] | undefined {
  if (!existsSync(file)) return undefined
  return parseKeyFile(readFileSync(file, 'utf8'), file)
}

/** Replaces `file` so that a crash leaves the old text or the new one, never a part. */
export function replaceFile(file: string, text: string): void {
  const fresh = `${file}.tmp`
  const fd = openSync(fresh, 'w', 0o600)
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(fresh, file)
}
