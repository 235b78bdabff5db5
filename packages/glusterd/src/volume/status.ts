/**
 * The processes of a started volume: who is online, on which port, and on request what is below
 * them and who is connected.
 */

import {
  type BrickClient,
  type BrickStatusView,
  type DaemonStatusView,
  ManagementError,
  type VolumeProcesses,
} from '@ashlar/contract'
import { Dict, type Env } from '@ashlar/core'
import { askProcess } from '../bricks/operations.ts'
import type { BrickSupervisor } from '../bricks/supervisor.ts'
import { canHeal, healIsEnabled } from '../heal/spec.ts'
import type { HealSupervisor } from '../heal/supervisor.ts'
import type { PoolStore } from '../store/pool-store.ts'
import { brickFilesystem } from './filesystem.ts'
import type { Brick, Volume } from './volume.ts'

export interface StatusQuery {
  readonly detail?: 'filesystem' | 'clients' | undefined
  /** `HOST:/PATH`. */
  readonly brick?: string | undefined
  /** Only this kind of daemon. */
  readonly daemon?: 'selfHeal' | undefined
}

export interface StatusParts {
  readonly env: Env
  readonly store: PoolStore
  readonly bricks: BrickSupervisor
  readonly healer: HealSupervisor
}

/** cli/src: GF_CLI_STATUS_CLIENTS. */
const STATUS_CLIENTS = 0x2

/** Throws ManagementError when the query names what the volume does not have. */
export async function volumeProcesses(
  volume: Volume,
  query: StatusQuery,
  parts: StatusParts,
): Promise<VolumeProcesses> {
  const { bricks: supervisor, env } = parts
  if (query.daemon !== undefined) {
    refuseWithoutDaemon(volume)
    return { volume: volume.name, bricks: [], daemons: daemonsOf(volume, parts) }
  }
  const wanted = volume.bricks.filter(
    brick => query.brick === undefined || query.brick === `${brick.hostname}:${brick.path}`,
  )
  if (wanted.length === 0) {
    throw new ManagementError('BRICK_NOT_FOUND', `No brick ${query.brick} in volume ${volume.name}`)
  }
  const bricks = await Promise.all(wanted.map(brick => one(volume, brick, query, supervisor, env)))
  const daemons = query.brick === undefined ? daemonsOf(volume, parts) : []
  return { volume: volume.name, bricks, daemons }
}

function refuseWithoutDaemon(volume: Volume): void {
  if (!canHeal(volume)) {
    throw new ManagementError(
      'HEAL_UNAVAILABLE',
      `Volume ${volume.name} is not Self-heal compatible`,
    )
  }
  if (healIsEnabled(volume)) return
  throw new ManagementError(
    'HEAL_UNAVAILABLE',
    `Self-heal Daemon is disabled for volume ${volume.name}`,
  )
}

function daemonsOf(volume: Volume, { healer, store }: StatusParts): DaemonStatusView[] {
  if (!canHeal(volume) || !healIsEnabled(volume)) return []
  const pid = healer.pidFor(volume)
  const peer = store.serverId
  return [
    { kind: 'selfHeal', host: 'localhost', peer, online: pid !== undefined, pid: pid ?? null },
  ]
}

async function one(
  volume: Volume,
  brick: Brick,
  query: StatusQuery,
  supervisor: BrickSupervisor,
  env: Env,
): Promise<BrickStatusView> {
  const { online, port, pid } = supervisor.state(volume, brick)
  const view: BrickStatusView = {
    host: brick.hostname,
    path: brick.path,
    peer: brick.peer,
    online,
    port: online ? (port ?? null) : null,
    pid: online ? (pid ?? null) : null,
  }
  if (query.detail === 'filesystem') {
    const filesystem = brickFilesystem(brick.path)
    if (filesystem !== undefined) view.filesystem = filesystem
  }
  if (query.detail === 'clients' && online) {
    view.clients = await clientsOf(volume, brick, supervisor, env)
  }
  return view
}

async function clientsOf(
  volume: Volume,
  brick: Brick,
  supervisor: BrickSupervisor,
  env: Env,
): Promise<BrickClient[]> {
  const input = new Dict()
    .setInt('cmd', STATUS_CLIENTS)
    .setString('volname', volume.name)
    .setString('brick-name', brick.path)
  const { socket } = supervisor.spec(volume, brick)
  const answer = await askProcess(env, socket, 'STATUS', { name: brick.path, input })
  const output = answer?.output ?? new Dict()
  const count = output.getNumber('clientcount') ?? 0
  return Array.from({ length: count }, (_, n) => ({
    hostname: output.getString(`client${n}.hostname`) ?? '',
    bytesRead: output.getNumber(`client${n}.bytesread`) ?? 0,
    bytesWritten: output.getNumber(`client${n}.byteswrite`) ?? 0,
    opVersion: output.getNumber(`client${n}.opversion`) ?? 0,
    name: output.getString(`client${n}.name`) ?? '',
  }))
}
