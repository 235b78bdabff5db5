/**
 * Where a server's self-heal daemon has its files, and its command line. A volume has a pid file of
 * its own; they all name the one process.
 */

import { join } from 'node:path'
import { parseBoolean } from '@ashlar/core'
import type { ProcessSpec } from '../bricks/launcher.ts'
import type { SocketNamer } from '../bricks/socket-name.ts'
import { GLUSTERD_PORT, type Settings } from '../settings.ts'
import type { Volume } from '../volume/volume.ts'

/** Name of the process, by which it is known again. */
export const HEAL_DAEMON = 'glustershd'

/** Volfile id of the volume in the daemon. */
export function healVolfileId(volume: string): string {
  return `shd/${volume}`
}

export function healPidFile(settings: Settings, volume: string): string {
  return join(settings.runDirectory, 'shd', volume, `${volume}-shd.pid`)
}

/** The daemon when it begins with `volume`: its socket keeps that volume's name. */
export function healSpec(
  settings: Settings,
  serverId: string,
  nameSocket: SocketNamer,
  volume: string,
): ProcessSpec {
  const pidFile = healPidFile(settings, volume)
  const logFile = join(settings.logDirectory, 'glustershd.log')
  const socket = join(
    settings.runDirectory,
    nameSocket(join(settings.runDirectory, 'shd', volume, `run-${serverId}`)),
  )
  const words = ['-s', settings.bindAddress ?? 'localhost']
  if (settings.port !== GLUSTERD_PORT) words.push('--volfile-server-port', String(settings.port))
  words.push('--volfile-id', healVolfileId(volume))
  words.push('-p', pidFile)
  words.push('-l', logFile)
  words.push('-S', socket)
  words.push('--xlator-option', `*replicate*.node-uuid=${serverId}`)
  words.push('--process-name', HEAL_DAEMON)
  words.push('--client-pid=-6')
  return { program: 'client', sign: HEAL_DAEMON, pidFile, socket, logFile, words }
}

/** True for volumes whose bricks hold more than one copy or fragment. */
export function canHeal(volume: Volume): boolean {
  return volume.kind === 'replicate' || volume.kind === 'disperse'
}

/** Key that switches the daemon for the volume. */
export function healSwitch(volume: Volume): string {
  return volume.kind === 'disperse' ? 'cluster.disperse-self-heal-daemon' : SWITCH
}

const SWITCH = 'cluster.self-heal-daemon'

/** What the switch is; on unless it was set. */
export function healIsEnabled(volume: Volume): boolean {
  return parseBoolean(volume.options.get(healSwitch(volume)) ?? 'on') === true
}
