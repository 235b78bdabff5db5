/**
 * Arguments of glusterfs and glusterfsd: GlusterFS's own flags, so that scripts, mount(8) and
 * glusterd of either side can start ours. Facts: glusterfsd/src/glusterfsd.c.
 */

import { parseArgs } from 'node:util'
import { type LogLevel, parseLogLevel, type TcpAddress, type UnixAddress } from '@ashlar/core'
import type { BridgeOptions } from '@ashlar/fuse'
import * as sys from '@ashlar/sys'

/** Arguments that cannot be used, with what is wrong. */
export class UsageError extends Error {
  override name = 'UsageError'
}

export const GLUSTERD_PORT = 24_007

export interface GlusterfsArguments {
  readonly mountpoint: string | undefined
  readonly servers: readonly (TcpAddress | UnixAddress)[]
  readonly volfileId: string | undefined
  /** How often each server is tried for the volume file. */
  readonly fetchAttempts: number | undefined
  readonly volfile: string | undefined
  readonly brickName: string | undefined
  readonly brickPort: number
  readonly pidFile: string | undefined
  readonly controlSocket: string | undefined
  readonly logFile: string | undefined
  readonly logLevel: LogLevel
  readonly noDaemon: boolean
  readonly debug: boolean
  readonly version: boolean
  readonly help: boolean
  readonly processName: string | undefined
  readonly readOnly: boolean
  /** MS_* for the mount. */
  readonly mountFlags: number
  readonly subdirectory: string | undefined
  readonly xlatorOptions: readonly string[]
  readonly bridge: BridgeOptions
}

const FLAG = { type: 'boolean' } as const
const TEXT = { type: 'string' } as const
const TEXTS = { type: 'string', multiple: true } as const

/** Ours, and those of GlusterFS that change nothing here (accepted, so that no script breaks). */
const OPTIONS = {
  'volfile-server': { ...TEXTS, short: 's' },
  'volfile-server-port': TEXT,
  'volfile-server-transport': TEXT,
  'volfile-max-fetch-attempts': TEXT,
  'volfile-id': TEXT,
  volfile: { ...TEXT, short: 'f' },
  'log-file': { ...TEXT, short: 'l' },
  'log-level': { ...TEXT, short: 'L' },
  logger: TEXT,
  'log-format': TEXT,
  'log-buf-size': TEXT,
  'log-flush-timeout': TEXT,
  'pid-file': { ...TEXT, short: 'p' },
  'socket-file': { ...TEXT, short: 'S' },
  'no-daemon': { ...FLAG, short: 'N' },
  debug: FLAG,
  version: { ...FLAG, short: 'V' },
  help: { ...FLAG, short: '?' },
  'brick-name': TEXT,
  'brick-port': TEXT,
  'process-name': TEXT,
  'client-pid': TEXT,
  'xlator-option': TEXTS,
  'volume-name': TEXT,
  'read-only': FLAG,
  acl: FLAG,
  selinux: FLAG,
  capability: FLAG,
  worm: FLAG,
  'mac-compat': TEXT,
  'attribute-timeout': TEXT,
  'entry-timeout': TEXT,
  'negative-timeout': TEXT,
  'direct-io-mode': TEXT,
  'fopen-keep-cache': TEXT,
  'auto-invalidation': TEXT,
  'kernel-writeback-cache': TEXT,
  'attr-times-granularity': TEXT,
  'use-readdirp': TEXT,
  'gid-timeout': TEXT,
  'resolve-gids': FLAG,
  'background-qlen': TEXT,
  'congestion-threshold': TEXT,
  'lru-limit': TEXT,
  'invalidate-limit': TEXT,
  'inode-table-size': TEXT,
  'reader-thread-count': TEXT,
  'event-history': TEXT,
  'fuse-mountopts': TEXT,
  'fuse-flush-handle-interrupt': TEXT,
  'fuse-setlk-handle-interrupt': TEXT,
  'fuse-dev-eperm-ratelimit-ns': TEXT,
  'enable-ino32': TEXT,
  'subdir-mount': TEXT,
  'volume-id': TEXT,
  'aux-gfid-mount': FLAG,
  'thin-client': FLAG,
  'no-root-squash': TEXT,
  'oom-score-adj': TEXT,
  'uid-map-root': TEXT,
  'dump-fuse': TEXT,
  'use-event-history': TEXT,
  'localtime-logging': FLAG,
  'global-timer-wheel': FLAG,
  'print-exports': TEXT,
  'io-engine': TEXT,
} as const

type Values = {
  [K in keyof typeof OPTIONS]?: (typeof OPTIONS)[K] extends { multiple: true }
    ? string[]
    : (typeof OPTIONS)[K]['type'] extends 'boolean'
      ? boolean
      : string
}

/** Throws UsageError. `--option value` and `--option=value` are the same. */
export function parseGlusterfsArguments(words: readonly string[]): GlusterfsArguments {
  let parsed: { values: Values; positionals: string[] }
  try {
    parsed = parseArgs({
      args: normalise(words),
      options: OPTIONS,
      allowPositionals: true,
      strict: true,
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const { values, positionals } = parsed
  if (positionals.length > 1)
    throw new UsageError(`one mount point at most: ${positionals.join(' ')}`)
  const port = numberOf('volfile-server-port', values['volfile-server-port']) ?? GLUSTERD_PORT
  const level = values['log-level'] === undefined ? 'info' : parseLogLevel(values['log-level'])
  if (level === undefined)
    throw new UsageError(
      `log-level '${values['log-level']}' is none of TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL, NONE`,
    )
  return {
    mountpoint: positionals[0],
    servers: (values['volfile-server'] ?? []).map(server => serverAddress(server, port)),
    volfileId: values['volfile-id']?.replace(/^\//, ''),
    fetchAttempts: attemptsOf(values['volfile-max-fetch-attempts']),
    volfile: values.volfile,
    brickName: values['brick-name'],
    brickPort: numberOf('brick-port', values['brick-port']) ?? 0,
    pidFile: values['pid-file'],
    controlSocket: values['socket-file'],
    logFile: values['log-file'],
    logLevel: values.debug === true ? 'debug' : level,
    noDaemon: values['no-daemon'] === true || values.debug === true,
    debug: values.debug === true,
    version: values.version === true,
    help: values.help === true,
    processName: values['process-name'],
    readOnly: values['read-only'] === true,
    mountFlags: mountFlags(values['fuse-mountopts'] ?? ''),
    subdirectory: values['subdir-mount'],
    xlatorOptions: (values['xlator-option'] ?? []).map(xlatorOption),
    bridge: bridgeOptions(values),
  }
}

/** GlusterFS's place for logs: the mount point or brick path with dashes. */
export function logFileOf(args: GlusterfsArguments): string {
  if (args.logFile !== undefined) return args.logFile
  const directory = process.env['ASHLAR_LOGDIR'] ?? '/var/log/glusterfs'
  const dashed = (path: string): string => path.replace(/^\/+/, '').replaceAll('/', '-')
  if (isHealDaemon(args)) return `${directory}/glustershd.log`
  if (args.brickName !== undefined) return `${directory}/bricks/${dashed(args.brickName)}.log`
  return `${directory}/${dashed(args.mountpoint ?? '')}.log`
}

/** Name by which glusterd starts its self-heal daemon. */
export const HEAL_DAEMON = 'glustershd'

export function isHealDaemon(args: GlusterfsArguments): boolean {
  return args.processName === HEAL_DAEMON
}

/** 0, GlusterFS's default, sets no bound. */
function attemptsOf(text: string | undefined): number | undefined {
  const attempts = numberOf('volfile-max-fetch-attempts', text)
  if (attempts !== undefined && !Number.isInteger(attempts))
    throw new UsageError(`volfile-max-fetch-attempts '${text}' is not a whole number`)
  return attempts === 0 ? undefined : attempts
}

function xlatorOption(text: string): string {
  if (!/^[^.=]+\.[^=]+=/.test(text))
    throw new UsageError(`xlator-option '${text}' is not of the form TRANSLATOR.OPTION=VALUE`)
  return text
}

const MOUNT_FLAGS: Readonly<Record<string, number>> = {
  noexec: sys.MS_NOEXEC,
  nosuid: sys.MS_NOSUID,
  nodev: sys.MS_NODEV,
  sync: sys.MS_SYNCHRONOUS,
  dirsync: sys.MS_DIRSYNC,
  noatime: sys.MS_NOATIME,
  nodiratime: sys.MS_NODIRATIME,
  relatime: sys.MS_RELATIME,
  strictatime: sys.MS_STRICTATIME,
}

function mountFlags(words: string): number {
  let flags = 0
  for (const word of words.split(',').filter(each => each !== '')) {
    const flag = MOUNT_FLAGS[word]
    if (flag === undefined)
      throw new UsageError(
        `fuse-mountopts '${word}' is none of ${Object.keys(MOUNT_FLAGS).join(', ')}`,
      )
    flags |= flag
  }
  return flags
}

/** GlusterFS's parser takes `--acl=on` for flags, too. */
function normalise(words: readonly string[]): string[] {
  return words.flatMap(word => {
    const match = /^--([a-z-]+)=(.*)$/s.exec(word)
    if (match === null) return [word]
    const option = (OPTIONS as Record<string, { type: string } | undefined>)[match[1] as string]
    if (option?.type !== 'boolean') return [word]
    return isOn(match[2] as string) ? [`--${match[1]}`] : []
  })
}

function serverAddress(server: string, port: number): TcpAddress | UnixAddress {
  return server.startsWith('/') ? { path: server } : { host: server, port }
}

function isOn(text: string): boolean {
  return ['on', 'yes', 'true', 'enable', '1'].includes(text.toLowerCase())
}

function numberOf(key: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value) || value < 0)
    throw new UsageError(`${key} '${text}' is not a number`)
  return value
}

function switchOf(key: string, text: string | undefined): 'on' | 'off' | 'auto' | undefined {
  if (text === undefined) return undefined
  if (text === 'auto') return 'auto'
  if (isOn(text)) return 'on'
  if (['off', 'no', 'false', 'disable', '0'].includes(text.toLowerCase())) return 'off'
  throw new UsageError(`${key} '${text}' is none of on, off, auto`)
}

function bridgeOptions(values: Values): BridgeOptions {
  const { 'client-pid': pid } = values
  const all = {
    attributeTimeout: numberOf('attribute-timeout', values['attribute-timeout']),
    entryTimeout: numberOf('entry-timeout', values['entry-timeout']),
    negativeTimeout: numberOf('negative-timeout', values['negative-timeout']),
    directIoMode: switchOf('direct-io-mode', values['direct-io-mode']),
    fopenKeepCache: switchOf('fopen-keep-cache', values['fopen-keep-cache']),
    autoInvalidation: optional(values['auto-invalidation']),
    kernelWritebackCache: optional(values['kernel-writeback-cache']),
    useReaddirp: optional(values['use-readdirp']),
    acl: values.acl,
    selinux: values.selinux,
    capability: values.capability,
    gidTimeout: numberOf('gid-timeout', values['gid-timeout']),
    backgroundQueueLength: numberOf('background-qlen', values['background-qlen']),
    congestionThreshold: numberOf('congestion-threshold', values['congestion-threshold']),
    lruLimit: numberOf('lru-limit', values['lru-limit']),
    clientPid: pid === undefined ? undefined : Number(pid),
    uidMapRoot: numberOf('uid-map-root', values['uid-map-root']),
    enableIno32: optional(values['enable-ino32']),
  }
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as BridgeOptions
}

function optional(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : isOn(text)
}
