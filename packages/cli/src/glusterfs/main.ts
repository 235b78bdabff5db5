/**
 * The entry point behind bin/glusterfs and bin/glusterfsd: a mount when a mount point is named, a
 * brick when a brick is. Goes into the background once it works, unless told not to.
 */

import { constants } from 'node:os'
import { type Env, type Log, openLog } from '@ashlar/core'
import {
  BrickProcess,
  HealProcess,
  isBackgroundChild,
  MountProcess,
  processEnv,
  removePidFile,
  runInBackground,
  sayReady,
  writePidFile,
  writeStatedump,
  writeStatedumpText,
} from '@ashlar/host'
import { keepFreedMemory } from '@ashlar/sys'
import { VERSION } from '../version.ts'
import {
  type GlusterfsArguments,
  HEAL_DAEMON,
  isHealDaemon,
  logFileOf,
  parseGlusterfsArguments,
  UsageError,
} from './arguments.ts'

const USAGE = `Usage: glusterfs [options] --volfile-server=SERVER --volfile-id=VOLUME MOUNT-POINT
       glusterfsd [options] --volfile-server=SERVER --volfile-id=ID --brick-name=PATH --brick-port=PORT

  -s, --volfile-server=SERVER     server to fetch the volume file from (may be repeated)
      --volfile-server-port=PORT  its port [24007]
      --volfile-id=KEY            volume, or brick, to fetch
  -f, --volfile=FILE              volume file to use instead
  -l, --log-file=FILE             log file; '-' for standard error
  -L, --log-level=LEVEL           TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL or NONE [INFO]
  -p, --pid-file=FILE             file for the process id
  -S, --socket-file=FILE          control socket
  -N, --no-daemon                 stay in the foreground
      --debug                     stay in the foreground and log everything
      --volfile-max-fetch-attempts=N
                                  give up once each server was tried so often [for a minute]
      --xlator-option=TRANSLATOR.OPTION=VALUE
  -V, --version                   print the version
`

const SHUTDOWN_MS_MAX = 15_000
/** Freed memory that a daemon keeps: some dozens of the largest requests and replies. */
const KEPT_BYTES = 64 * 1024 * 1024
const STATEDUMP_DIRECTORY = process.env['ASHLAR_RUNDIR'] ?? '/var/run/gluster'

/** Runs the program; resolves with its exit status. `script` is how to start it again. */
export async function runGlusterfs(script: string, words: readonly string[]): Promise<number> {
  let args: GlusterfsArguments
  try {
    args = parseGlusterfsArguments(words)
    if (args.help) return say(process.stdout, USAGE, 0)
    if (args.version) return say(process.stdout, `glusterfs (Ashlar) ${VERSION}\n`, 0)
    checkArguments(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return say(process.stderr, `glusterfs: ${error.message}\n\n${USAGE}`, 1)
  }
  if (!args.noDaemon && !isBackgroundChild()) return runInBackground(script, words)
  keepFreedMemory(KEPT_BYTES)
  const log = openLog({
    area: 'glusterfs',
    level: args.logLevel,
    file: logFileOf(args),
  })
  const env = processEnv(log)
  if (isHealDaemon(args)) return runHealDaemon(env, args)
  return args.brickName === undefined ? runMount(env, args) : runBrick(env, args, args.brickName)
}

function say(stream: NodeJS.WriteStream, text: string, status: number): number {
  stream.write(text)
  return status
}

function checkArguments(args: GlusterfsArguments): void {
  if (args.volfile === undefined && args.servers.length === 0)
    throw new UsageError('name a server (--volfile-server) or a volume file (--volfile)')
  if (args.volfile === undefined && args.volfileId === undefined)
    throw new UsageError('name a volume (--volfile-id)')
  if (isHealDaemon(args)) return
  if (args.brickName === undefined && args.mountpoint === undefined)
    throw new UsageError('name a mount point, or a brick (--brick-name)')
}

async function runMount(env: Env, args: GlusterfsArguments): Promise<number> {
  const volume = args.volfileId ?? args.volfile ?? ''
  const server = args.servers[0]
  const mount = new MountProcess({
    env,
    volfileServers: args.servers,
    volfileId: volume,
    attempts: args.fetchAttempts,
    volfile: args.volfile,
    mountpoint: args.mountpoint as string,
    source: `${server === undefined || 'path' in server ? 'localhost' : server.host}:/${volume}${args.subdirectory ?? ''}`,
    readOnly: args.readOnly,
    mountFlags: args.mountFlags,
    subdirectory: args.subdirectory,
    bridge: args.bridge,
    xlatorOptions: args.xlatorOptions,
    ...(args.processName === undefined ? {} : { processName: args.processName }),
  })
  try {
    await mount.start()
  } catch (error) {
    return failed(env.log, 'mounting failed', error)
  }
  writePidFile(args.pidFile)
  sayReady(logFileOf(args))
  // A mount that somebody uses does not end when it is detached: this process does.
  let told: () => void = () => {}
  const stopped = new Promise<void>(resolve => {
    told = resolve
  })
  onSignals(
    env,
    () => mount.stop().finally(told),
    () => writeStatedump(env, mount.graph, { directory: STATEDUMP_DIRECTORY, name: 'glusterdump' }),
  )
  await Promise.race([mount.ended, stopped])
  env.clock.after(SHUTDOWN_MS_MAX, () => {
    env.log.warning('unmounted, though bricks have not taken everything')
    process.exit(1)
  })
  await mount.finish()
  removePidFile(args.pidFile)
  env.log.info('unmounted')
  return 0
}

async function runBrick(env: Env, args: GlusterfsArguments, brickName: string): Promise<number> {
  const brick = new BrickProcess({
    env,
    volfileServers: args.servers.filter(server => 'host' in server),
    volfileId: args.volfileId ?? '',
    volfile: args.volfile,
    brickName,
    port: args.brickPort,
    controlSocket: args.controlSocket,
    xlatorOptions: args.xlatorOptions,
  })
  try {
    await brick.start()
  } catch (error) {
    return failed(env.log, 'the brick cannot be served', error)
  }
  writePidFile(args.pidFile)
  sayReady(logFileOf(args))
  onSignals(
    env,
    () => brick.stop(),
    () => writeStatedump(env, brick.graph, { directory: STATEDUMP_DIRECTORY, name: brickName }),
  )
  await brick.stopped
  removePidFile(args.pidFile)
  env.log.info('stopped')
  return 0
}

async function runHealDaemon(env: Env, args: GlusterfsArguments): Promise<number> {
  const daemon = new HealProcess({
    env,
    volfileServers: args.servers.filter(server => 'host' in server),
    volfileId: args.volfileId ?? '',
    pidFile: args.pidFile,
    controlSocket: args.controlSocket,
    xlatorOptions: args.xlatorOptions,
  })
  try {
    await daemon.start()
  } catch (error) {
    return failed(env.log, 'the self-heal daemon cannot start', error)
  }
  sayReady(logFileOf(args))
  onSignals(
    env,
    () => daemon.stop(),
    () =>
      writeStatedumpText(env, daemon.statedump(), {
        directory: STATEDUMP_DIRECTORY,
        name: HEAL_DAEMON,
      }),
  )
  await daemon.stopped
  env.log.info('stopped')
  return 0
}

function failed(log: Log, what: string, error: unknown): number {
  log.critical(what, { reason: (error as Error).message })
  process.stderr.write(`glusterfs: ${what}: ${(error as Error).message}\n`)
  return 1
}

/** Ends on SIGTERM and SIGINT, within a bound; SIGUSR1 writes a statedump. */
function onSignals(env: Env, stop: () => Promise<void>, dump: () => string): void {
  let stopping = false
  const end = (signal: NodeJS.Signals): void => {
    if (stopping) return
    stopping = true
    env.log.info('stopping', { signal })
    env.clock.after(SHUTDOWN_MS_MAX, () => process.exit(128 + constants.signals[signal]))
    stop().catch((error: unknown) => env.log.error('stopping failed', { error: String(error) }))
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  process.on('SIGHUP', () => undefined)
  process.on('SIGUSR1', () => env.log.info('statedump written', { path: dump() }))
}
