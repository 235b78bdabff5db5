/**
 * The log: one structured logger for every process, behind which stands pino.
 *
 * Lines read as GlusterFS's do (`[time] LEVEL [area] message {key=value}`), or as JSON.
 */

import { mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { Writable } from 'node:stream'
import { pino } from 'pino'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'critical' | 'none'
export type LogFields = Readonly<Record<string, string | number | boolean | bigint | undefined>>

export interface Log {
  trace(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warning(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  critical(message: string, fields?: LogFields): void
  /** A logger whose lines carry `area`: a translator's or a connection's name. */
  child(area: string): Log
  setLevel(level: LogLevel): void
}

const PINO_LEVEL: Readonly<Record<LogLevel, string>> = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'fatal',
  none: 'silent',
}
/** The letter by which GlusterFS marks a level. */
const LETTER: Readonly<Record<number, string>> = {
  10: 'T',
  20: 'D',
  30: 'I',
  40: 'W',
  50: 'E',
  60: 'C',
}

/** GlusterFS's words for levels (TRACE … NONE) in any case; undefined for others. */
export function parseLogLevel(word: string): LogLevel | undefined {
  const level = word.toLowerCase()
  return level in PINO_LEVEL ? (level as LogLevel) : undefined
}

interface Line {
  level: number
  time: number
  area: string
  msg: string
  [field: string]: unknown
}

function formatLine(json: string): string {
  const { level, time, area, msg, ...fields } = JSON.parse(json) as Line
  const stamp = new Date(time).toISOString().replace('T', ' ').replace('Z', '000 +0000')
  const rest = Object.entries(fields)
    .map(([key, value]) => `{${key}=${String(value)}}`)
    .join(', ')
  return `[${stamp}] ${LETTER[level] ?? '?'} [${area}] ${msg}${rest === '' ? '' : ` ${rest}`}\n`
}

export interface LogOptions {
  readonly area: string
  readonly level: LogLevel
  /** File to append to; '-' or absent: standard error. */
  readonly file?: string | undefined
  readonly json?: boolean
}

interface Sink {
  write(text: string): unknown
}

/** Lines are in the file when `write` returns: the last one of a process that ends tells why. */
function fileSink(fd: number): Sink {
  return {
    write(text) {
      try {
        writeSync(fd, text)
      } catch {
        // A full disk must not end the process; the line is lost.
      }
    },
  }
}

/** Opens a log. The directory of `file` is made when it is missing; throws when that fails. */
export function openLog(options: LogOptions): Log {
  let sink: Sink = process.stderr
  if (options.file !== undefined && options.file !== '-') {
    mkdirSync(dirname(options.file), { recursive: true })
    sink = fileSink(openSync(options.file, 'a'))
  }
  const output =
    options.json === true
      ? sink
      : new Writable({
          decodeStrings: false,
          write(chunk: string, _encoding, done) {
            sink.write(formatLine(String(chunk)))
            done()
          },
        })
  const base = pino({ level: PINO_LEVEL[options.level], base: null }, output)
  const all = new Set<pino.Logger>()
  return wrap(base, options.area, all)
}

function wrap(logger: pino.Logger, area: string, all: Set<pino.Logger>): Log {
  const own = logger.child({ area })
  all.add(own)
  return {
    trace: (message, fields) => own.trace(fields ?? {}, message),
    debug: (message, fields) => own.debug(fields ?? {}, message),
    info: (message, fields) => own.info(fields ?? {}, message),
    warning: (message, fields) => own.warn(fields ?? {}, message),
    error: (message, fields) => own.error(fields ?? {}, message),
    critical: (message, fields) => own.fatal(fields ?? {}, message),
    child: name => wrap(logger, name, all),
    setLevel: level => {
      for (const each of all) each.level = PINO_LEVEL[level]
    },
  }
}

/** A log that keeps nothing: for tests and short-lived library users. */
export const silentLog: Log = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warning: () => {},
  error: () => {},
  critical: () => {},
  child: () => silentLog,
  setLevel: () => {},
}
