/**
 * mount.glusterfs: what mount(8) runs for `mount -t glusterfs SERVER:/VOLUME DIR -o OPTIONS`.
 * Turns mount options into glusterfs's flags. Facts: xlators/mount/fuse/utils/mount.glusterfs.in.
 */

import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { mounts } from '@ashlar/sys'
import { logFileOf, parseGlusterfsArguments, UsageError } from './arguments.ts'

const USAGE = `Usage: mount.glusterfs SERVER:/VOLUME[/SUBDIR] MOUNT-POINT [-o OPTION[,OPTION…]]
`

/** Options that carry over as `--key=value`. */
const VALUED = new Set([
  'log-level',
  'log-file',
  'volfile-server-port',
  'volfile-max-fetch-attempts',
  'direct-io-mode',
  'attribute-timeout',
  'entry-timeout',
  'negative-timeout',
  'gid-timeout',
  'background-qlen',
  'congestion-threshold',
  'fopen-keep-cache',
  'use-readdirp',
  'lru-limit',
  'invalidate-limit',
  'kernel-writeback-cache',
  'attr-times-granularity',
  'auto-invalidation',
  'xlator-option',
  'process-name',
  'subdir-mount',
  'oom-score-adj',
  'event-history',
  'reader-thread-count',
  'fuse-flush-handle-interrupt',
  'fuse-setlk-handle-interrupt',
  'volume-id',
  'no-root-squash',
  'inode-table-size',
  'pid-file',
  'client-pid',
])
/** Options that carry over as `--key`. */
const FLAGS = new Set([
  'acl',
  'selinux',
  'capability',
  'worm',
  'enable-ino32',
  'aux-gfid-mount',
  'thin-client',
  'resolve-gids',
  'global-timer-wheel',
])
/** GlusterFS's older spellings. */
const ALIASES: Readonly<Record<string, string>> = {
  loglevel: 'log-level',
  logfile: 'log-file',
  'server-port': 'volfile-server-port',
  'fetch-attempts': 'volfile-max-fetch-attempts',
}
/** What the kernel is told at the mount itself: as `--fuse-mountopts`. */
const KERNEL_FLAGS = new Set([
  'noexec',
  'nosuid',
  'nodev',
  'sync',
  'dirsync',
  'noatime',
  'nodiratime',
  'relatime',
  'strictatime',
])
/** What mount(8) and fstab say that concerns only them. */
const IGNORED = new Set([
  'rw',
  'defaults',
  '_netdev',
  'auto',
  'noauto',
  'user',
  'nouser',
  'users',
  'exec',
  'suid',
  'dev',
  'async',
  'atime',
  'diratime',
  'norelatime',
  'nostrictatime',
  'lazyatime',
  'nolazyatime',
  'mand',
  'nomand',
  'silent',
  'iversion',
  'noiversion',
  'owner',
  'group',
  'nofail',
  'allow_other',
  'context',
  'fscontext',
  'defcontext',
  'rootcontext',
  'mem-accounting',
  'log-server',
  'log-port',
  'transport',
  'halo-enabled',
  'loud',
])

export interface MountRequest {
  readonly servers: readonly string[]
  readonly volume: string
  readonly mountpoint: string
  readonly flags: readonly string[]
}

/** Throws UsageError. Words as mount(8) gives them: SOURCE DIR [-o …] [-n] [-s] [-v] [-r] [-w]. */
export function parseMountWords(words: readonly string[]): MountRequest {
  const places: string[] = []
  const options: string[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string
    if (word === '-o') options.push(...(words[++i] ?? '').split(','))
    else if (word.startsWith('-o')) options.push(...word.slice(2).split(','))
    else if (word === '-r') options.push('ro')
    else if (word === '-t') i += 1
    else if (!word.startsWith('-')) places.push(word)
  }
  const [source, mountpoint] = places
  if (source === undefined || mountpoint === undefined || places.length > 2)
    throw new UsageError('name a volume and a mount point')
  const match = /^(.+?):\/?([^/]+)(\/.*)?$/.exec(source)
  if (match === null) throw new UsageError(`'${source}' is not of the form SERVER:/VOLUME`)
  const [, server, volume, subdirectory] = match as unknown as [
    string,
    string,
    string,
    string | undefined,
  ]
  return build({ server, volume, subdirectory, mountpoint, options })
}

function build(parts: {
  server: string
  volume: string
  subdirectory: string | undefined
  mountpoint: string
  options: readonly string[]
}): MountRequest {
  const flags: string[] = []
  const kernel: string[] = []
  const servers = parts.server.split(',')
  const rest = parts.subdirectory?.replace(/\/+$/, '')
  if (rest !== undefined && rest !== '') flags.push(`--subdir-mount=${rest}`)
  for (const option of parts.options) {
    if (option === '') continue
    const at = option.indexOf('=')
    const word = at === -1 ? option : option.slice(0, at)
    const value = at === -1 ? undefined : option.slice(at + 1)
    const key = ALIASES[word] ?? word
    if (key === 'ro') flags.push('--read-only')
    else if (KERNEL_FLAGS.has(key)) kernel.push(key)
    else if (key === 'fuse-mountopts') kernel.push(...(value ?? '').split(':'))
    else if (key === 'backup-volfile-servers' || key === 'backupvolfile-server')
      servers.push(...(value ?? '').split(':'))
    else if (VALUED.has(key)) flags.push(`--${key}=${value ?? 'on'}`)
    else if (FLAGS.has(key)) flags.push(`--${key}`)
    else if (!IGNORED.has(key) && !key.startsWith('x-') && !key.startsWith('comment'))
      throw new UsageError(`the mount option '${option}' is not known`)
  }
  if (kernel.length > 0) flags.push(`--fuse-mountopts=${kernel.join(',')}`)
  return {
    servers: servers.filter(name => name !== ''),
    volume: parts.volume,
    mountpoint: resolve(parts.mountpoint),
    flags,
  }
}

/** Runs glusterfs for a mount; returns the exit status of mount(8)'s helper. */
export function runMountHelper(glusterfs: string, words: readonly string[]): number {
  let flags: string[]
  let logFile: string
  try {
    const request = parseMountWords(words)
    flags = [
      ...request.servers.map(server => `--volfile-server=${server}`),
      `--volfile-id=${request.volume}`,
      ...request.flags,
      request.mountpoint,
    ]
    logFile = logFileOf(parseGlusterfsArguments(flags))
    checkMountpoint(request.mountpoint)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`mount.glusterfs: ${error.message}\n${USAGE}`)
    return 1
  }
  const result = spawnSync(process.execPath, [glusterfs, ...flags], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (result.status === 0) return 0
  process.stderr.write(`Mount failed. Its log is ${logFile}\n`)
  return 1
}

function checkMountpoint(path: string): void {
  try {
    if (!statSync(path).isDirectory())
      throw new UsageError(`the mount point ${path} is not a directory`)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(
      `the mount point ${path} cannot be used: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    )
  }
  const mounted = mounts().some(each => each.path === path && each.type === 'fuse.glusterfs')
  if (mounted) throw new UsageError(`${path} is a mounted volume already`)
}
