/**
 * BrickSpec: everything about a brick's process that follows from the brick: files, names and the
 * command line (`glusterd_volume_start_glusterfs`, glusterd-utils.c).
 */

import { join } from 'node:path'
import { GLUSTERD_PORT, type Settings } from '../settings.ts'
import { type Brick, brickVolfileName, dashed, type Volume } from '../volume/volume.ts'
import type { ProcessSpec } from './launcher.ts'
import type { SocketNamer } from './socket-name.ts'

export interface BrickSpec extends ProcessSpec {
  readonly volume: string
  readonly host: string
  readonly path: string
}

/** The process of `brick` listening on `port`. */
export function brickSpec(
  settings: Settings,
  serverId: string,
  nameSocket: SocketNamer,
  volume: Volume,
  brick: Brick,
  port: number,
): BrickSpec {
  const name = dashed(brick.path)
  const directory = join(settings.runDirectory, 'vols', volume.name)
  const pidFile = join(directory, `${brick.hostname}-${name}.pid`)
  const socket = join(
    settings.runDirectory,
    nameSocket(join(directory, 'run', `${brick.hostname}-${name}`)),
  )
  const logFile = join(settings.logDirectory, 'bricks', `${name}.log`)
  const words = ['-s', brick.hostname]
  // GlusterFS has no other port than its own; ours may have been moved.
  if (settings.port !== GLUSTERD_PORT) words.push('--volfile-server-port', String(settings.port))
  words.push('--volfile-id', brickVolfileName(volume, brick))
  words.push('-p', pidFile)
  words.push('-S', socket)
  words.push('--brick-name', brick.path)
  words.push('-l', logFile)
  words.push('--xlator-option', `*-posix.glusterd-uuid=${serverId}`)
  words.push('--process-name', 'brick')
  words.push('--brick-port', String(port))
  words.push('--xlator-option', `${volume.name}-server.listen-port=${port}`)
  return {
    program: 'brick',
    sign: brick.path,
    volume: volume.name,
    host: brick.hostname,
    path: brick.path,
    pidFile,
    socket,
    logFile,
    words,
  }
}
