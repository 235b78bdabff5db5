/**
 * Where glusterd keeps its things and on which addresses it listens; every path and port can be
 * moved, so that several run on one machine. Defaults are GlusterFS's.
 */

import { dirname, join } from 'node:path'

export interface Settings {
  /** Definitions of volumes and peers: /var/lib/glusterd. */
  readonly workDirectory: string
  /** Pid files and sockets: /var/run/gluster. */
  readonly runDirectory: string
  /** /var/log/glusterfs. */
  readonly logDirectory: string
  /** TCP port of the handshake and portmap programs. */
  readonly port: number
  /** Address to bind it to; all when undefined. */
  readonly bindAddress: string | undefined
  /** Unix socket of the HTTP API. */
  readonly apiSocket: string
  /** Ports given to bricks. */
  readonly basePort: number
  readonly maxPort: number
  /** Executable that serves a brick. */
  readonly brickProgram: string
  /** Executable of the self-heal daemon. */
  readonly clientProgram: string
  /** Executable that looks at what is to be healed, and resolves split-brains. */
  readonly healProgram: string
  /** Names by which this server is known besides those the system knows. */
  readonly hostnames: readonly string[]
  /** Whose file system counts as the root partition. */
  readonly rootPath: string
}

/** What the command line gives; absent members come from the environment, else are the defaults. */
export type SettingsInput = { readonly [K in keyof Settings]?: Settings[K] | undefined }

/** GlusterFS's management port. */
export const GLUSTERD_PORT = 24_007
export const BASE_PORT = 49_152
export const MAX_PORT = 60_999

export const DEFAULT_WORK_DIRECTORY = '/var/lib/glusterd'
export const DEFAULT_RUN_DIRECTORY = '/var/run/gluster'
export const DEFAULT_LOG_DIRECTORY = '/var/log/glusterfs'
export const API_SOCKET_NAME = 'glusterd-api.sock'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Flags before environment before defaults. `brickProgram` is the default one; the other executables
 * lie beside it.
 */
export function resolveSettings(
  input: SettingsInput,
  environment: Environment,
  brickProgram: string,
): Settings {
  const runDirectory = input.runDirectory ?? environment['ASHLAR_RUNDIR'] ?? DEFAULT_RUN_DIRECTORY
  const port = input.port ?? integer(environment['ASHLAR_PORT']) ?? GLUSTERD_PORT
  return {
    workDirectory: input.workDirectory ?? environment['ASHLAR_WORKDIR'] ?? DEFAULT_WORK_DIRECTORY,
    runDirectory,
    logDirectory: input.logDirectory ?? environment['ASHLAR_LOGDIR'] ?? DEFAULT_LOG_DIRECTORY,
    port,
    bindAddress: input.bindAddress ?? environment['ASHLAR_BIND_ADDRESS'],
    apiSocket:
      input.apiSocket ?? environment['ASHLAR_API_SOCKET'] ?? join(runDirectory, API_SOCKET_NAME),
    basePort: input.basePort ?? integer(environment['ASHLAR_BASE_PORT']) ?? BASE_PORT,
    maxPort: input.maxPort ?? integer(environment['ASHLAR_MAX_PORT']) ?? MAX_PORT,
    brickProgram: input.brickProgram ?? environment['ASHLAR_BRICK_PROGRAM'] ?? brickProgram,
    clientProgram:
      input.clientProgram ??
      environment['ASHLAR_CLIENT_PROGRAM'] ??
      join(dirname(brickProgram), 'glusterfs'),
    healProgram:
      input.healProgram ??
      environment['ASHLAR_HEAL_PROGRAM'] ??
      join(dirname(brickProgram), 'glfsheal'),
    hostnames: input.hostnames ?? environment['ASHLAR_HOSTNAMES']?.split(',') ?? [],
    rootPath: input.rootPath ?? '/',
  }
}

function integer(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}
