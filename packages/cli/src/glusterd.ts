/**
 * The `glusterd` command: entry point behind bin/glusterd. Flags are GlusterFS's, with paths and
 * ports that can be moved.
 */

import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Env, openLog, parseLogLevel, systemClock, systemRandom } from '@ashlar/core'
import { Glusterd, resolveSettings, type Settings } from '@ashlar/glusterd'
import { redirectErrors } from '@ashlar/host'
import { setPatience } from '@ashlar/sys'
import { tcpNetwork } from '@ashlar/transport'
import type { Terminal } from './terminal.ts'
import { processTerminal } from './terminal.ts'

const FLAGS = {
  'no-daemon': { type: 'boolean', short: 'N' },
  'pid-file': { type: 'string', short: 'p' },
  'log-level': { type: 'string', short: 'L' },
  'log-file': { type: 'string', short: 'l' },
  debug: { type: 'boolean' },
  version: { type: 'boolean', short: 'V' },
  help: { type: 'boolean' },
  'working-directory': { type: 'string' },
  'run-directory': { type: 'string' },
  'log-directory': { type: 'string' },
  port: { type: 'string' },
  'bind-address': { type: 'string' },
  'api-socket': { type: 'string' },
  'base-port': { type: 'string' },
  'max-port': { type: 'string' },
  'brick-program': { type: 'string' },
  hostname: { type: 'string', multiple: true },
} as const

const HELP = `Usage: glusterd [option ...]
  -N, --no-daemon             stay in the foreground
  -p, --pid-file FILE         default: RUN-DIRECTORY/../glusterd.pid
  -L, --log-level LEVEL       TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL or NONE
  -l, --log-file FILE         default: LOG-DIRECTORY/glusterd.log; '-' is standard error
      --debug                 foreground, log to standard error, level DEBUG
      --working-directory DIR volumes and peers (ASHLAR_WORKDIR; /var/lib/glusterd)
      --run-directory DIR     pid files and sockets (ASHLAR_RUNDIR; /var/run/gluster)
      --log-directory DIR     logs (ASHLAR_LOGDIR; /var/log/glusterfs)
      --port N                management port (ASHLAR_PORT; 24007)
      --bind-address ADDRESS  address of that port (ASHLAR_BIND_ADDRESS; all)
      --api-socket PATH       HTTP API (ASHLAR_API_SOCKET; RUN-DIRECTORY/glusterd-api.sock)
      --base-port N, --max-port N  ports of bricks (49152 to 60999)
      --brick-program PATH    program that serves a brick (ASHLAR_BRICK_PROGRAM)
      --hostname NAME         another name of this server; may be repeated
  -V, --version
      --help`

type Flags = ReturnType<typeof parseArgs<{ options: typeof FLAGS }>>['values']

/** Set in the process that has been put into the background. */
const DETACHED = 'ASHLAR_GLUSTERD_DETACHED'

/** Resolves with the exit status; a daemon in the foreground resolves when it is told to end. */
export async function main(argv: readonly string[]): Promise<number> {
  const terminal = processTerminal()
  let flags: Flags
  try {
    flags = parseArgs({ args: [...argv], options: FLAGS, strict: true }).values
  } catch (error) {
    terminal.err(`glusterd: ${(error as Error).message}`)
    terminal.err("Try 'glusterd --help'.")
    return 1
  }
  if (flags.help === true) {
    terminal.out(HELP)
    return 0
  }
  if (flags.version === true) {
    terminal.out('glusterfs 10.3\nAshlar 0.1.0, compatible with GlusterFS 10.3.')
    return 0
  }
  const detached = process.env[DETACHED] === '1'
  const foreground = flags['no-daemon'] === true || flags.debug === true
  if (!foreground && !detached) return detach(argv, terminal)
  return serve(flags, terminal)
}

/** Starts this program again in the background and waits until it serves. */
function detach(argv: readonly string[], terminal: Terminal): Promise<number> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [process.argv[1] as string, ...argv], {
      detached: true,
      env: { ...process.env, [DETACHED]: '1' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.once('message', () => {
      child.disconnect()
      child.unref()
      resolve(0)
    })
    child.once('error', error => {
      terminal.err(`glusterd: ${error.message}`)
      resolve(1)
    })
    child.once('exit', code => resolve(code ?? 1))
  })
}

async function serve(flags: Flags, terminal: Terminal): Promise<number> {
  let settings: Settings
  try {
    settings = settingsOf(flags)
  } catch (error) {
    terminal.err(`glusterd: ${(error as Error).message}`)
    return 1
  }
  const logFile = flags.debug === true ? '-' : (flags['log-file'] ?? defaultLog(settings))
  const level = flags.debug === true ? 'debug' : parseLogLevel(flags['log-level'] ?? 'INFO')
  if (level === undefined) {
    terminal.err(`glusterd: '${flags['log-level']}' is not a log level`)
    return 1
  }
  const env: Env = {
    clock: systemClock,
    random: systemRandom(),
    network: tcpNetwork(setPatience),
    log: openLog({ area: 'glusterd', level, file: logFile }),
  }
  const pidFile = flags['pid-file'] ?? join(dirname(settings.runDirectory), 'glusterd.pid')
  let daemon: Glusterd
  try {
    daemon = await Glusterd.start({ settings, env })
    mkdirSync(dirname(pidFile), { recursive: true })
    writeFileSync(pidFile, `${process.pid}\n`)
  } catch (error) {
    const { message } = error as Error
    env.log.critical('cannot start', { reason: message })
    terminal.err(`glusterd: ${message}`)
    return 1
  }
  if (process.env[DETACHED] === '1') redirectErrors(logFile === '-' ? '/dev/null' : logFile)
  process.send?.('ready')
  await new Promise<void>(resolve => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
  await daemon.stop()
  rmSync(pidFile, { force: true })
  return 0
}

function defaultLog(settings: Settings): string {
  return join(settings.logDirectory, 'glusterd.log')
}

function settingsOf(flags: Flags): Settings {
  const brickProgram = fileURLToPath(new URL('../../../bin/glusterfsd', import.meta.url))
  return resolveSettings(
    {
      workDirectory: flags['working-directory'],
      runDirectory: flags['run-directory'],
      logDirectory: flags['log-directory'],
      port: port('port', flags.port),
      bindAddress: flags['bind-address'],
      apiSocket: flags['api-socket'],
      basePort: port('base-port', flags['base-port']),
      maxPort: port('max-port', flags['max-port']),
      brickProgram: flags['brick-program'],
      hostnames: flags.hostname,
    },
    process.env,
    brickProgram,
  )
}

function port(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (Number.isInteger(number) && number >= 0 && number < 65_536) return number
  throw new Error(`--${flag}: '${text}' is not a port`)
}
