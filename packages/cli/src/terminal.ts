/**
 * Terminal: where a command's output goes and its questions are answered. Tests put a recording one
 * in its place.
 */

import { readSync, writeSync } from 'node:fs'

export interface Terminal {
  /** A result, with a newline behind it. */
  out(text: string): void
  /** A complaint, with a newline behind it. */
  err(text: string): void
  /** Text without a newline, for questions. */
  print(text: string): void
  /** The next line of input without its newline; undefined at the end of the input. */
  readLine(): string | undefined
}

/** The terminal of this process. Input is read only when it is asked for. */
export function processTerminal(): Terminal {
  return {
    out: text => write(1, `${text}\n`),
    err: text => write(2, `${text}\n`),
    print: text => write(1, text),
    readLine: () => readStandardLine(),
  }
}

/** Pipes take less than everything at a time, and non-blocking ones say so. */
function write(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return
      if (code !== 'EAGAIN') throw error
    }
  }
}

/** Reads a byte at a time: what stands behind the line belongs to whoever reads next. */
function readStandardLine(): string | undefined {
  const byte = Buffer.alloc(1)
  const bytes: number[] = []
  for (;;) {
    let count: number
    try {
      count = readSync(0, byte)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') continue
      count = 0
    }
    if (count === 0) return bytes.length === 0 ? undefined : Buffer.from(bytes).toString()
    if (byte[0] === 0x0a) return Buffer.from(bytes).toString()
    bytes.push(byte[0] as number)
  }
}

/** Asks a yes/no question as GlusterFS's CLI does; anything but a clear yes is a no. */
export function confirm(terminal: Terminal, question: string): boolean {
  terminal.print(`${question} (y/n) `)
  const line = terminal.readLine()
  if (line === undefined) terminal.print('gluster cli read error\n')
  const word = line?.trim().toLowerCase()
  if (word === 'y' || word === 'yes') return true
  if (word !== 'n' && word !== 'no') terminal.print('Invalid input, please enter y/n\n')
  return false
}
