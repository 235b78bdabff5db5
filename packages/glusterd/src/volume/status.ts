/**
 * The processes of a started volume: who is online, on which port, and on request what is below
 * them and who is connected.
 */

import {
  type BrickClient,
  type BrickStatusView,
  ManagementError,
  type VolumeProcesses,
} from '@ashlar/contract'
import { Dict, type Env } from '@ashlar/core'
import { askBrick } from '../bricks/operations.ts'
import type { BrickSupervisor } from '../bricks/supervisor.ts'
import { brickFilesystem } from './filesystem.ts'
import type { Brick, Volume } from './volume.ts'

export interface StatusQuery {
  readonly detail?: 'filesystem' | 'clients' | undefined
  /** `HOST:/PATH`. */
  readonly brick?: string | undefined
}

/** cli/src: GF_CLI_STATUS_CLIENTS. */
const STATUS_CLIENTS = 0x2

/** Throws ManagementError when the query names a brick that the volume does not have. */
export async function brickProcesses(
  volume: Volume,
  query: StatusQuery,
  supervisor: BrickSupervisor,
  env: Env,
): Promise<VolumeProcesses> {
  const wanted = volume.bricks.filter(
    brick => query.brick === undefined || query.brick === `${brick.hostname}:${brick.path}`,
  )
  if (wanted.length === 0) {
    throw new ManagementError('BRICK_NOT_FOUND', `No brick ${query.brick} in volume ${volume.name}`)
  }
  const bricks = await Promise.all(wanted.map(brick => one(volume, brick, query, supervisor, env)))
  return { volume: volume.name, bricks }
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
  const answer = await askBrick(env, socket, 'STATUS', brick.path, input)
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
