/**
 * The processes of a started volume: who is online, on which port, and on request what is below
 * them and who is connected.
 */

import {
  type BrickStatusView,
  type DaemonStatusView,
  ManagementError,
  type StatusDetail,
  type VolumeProcesses,
} from '@ashlar/contract'
import type { Env } from '@ashlar/core'
import { askProcess } from '../bricks/operations.ts'
import type { BrickSupervisor } from '../bricks/supervisor.ts'
import { canHeal, healIsEnabled } from '../heal/spec.ts'
import type { HealSupervisor } from '../heal/supervisor.ts'
import type { PoolStore } from '../store/pool-store.ts'
import { brickFilesystem } from './filesystem.ts'
import {
  type ProcessDetail,
  type ProcessState,
  processState,
  statusQuestion,
} from './process-state.ts'
import type { Brick, Volume } from './volume.ts'

export interface StatusQuery {
  readonly detail?: StatusDetail | undefined
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

/** Throws ManagementError when the query names what the volume does not have. */
export async function volumeProcesses(
  volume: Volume,
  query: StatusQuery,
  parts: StatusParts,
): Promise<VolumeProcesses> {
  if (query.daemon !== undefined) {
    refuseWithoutDaemon(volume)
    const daemons = daemonsOf(volume, parts)
    const told = await Promise.all(daemons.map(each => withState(volume, each, query, parts)))
    return { volume: volume.name, bricks: [], daemons: told }
  }
  const wanted = volume.bricks.filter(
    brick => query.brick === undefined || query.brick === `${brick.hostname}:${brick.path}`,
  )
  if (wanted.length === 0) {
    throw new ManagementError('BRICK_NOT_FOUND', `No brick ${query.brick} in volume ${volume.name}`)
  }
  const bricks = await Promise.all(wanted.map(brick => one(volume, brick, query, parts)))
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

/** The daemon with what is asked of it. A daemon that cannot tell is no answer to such a question. */
async function withState(
  volume: Volume,
  daemon: DaemonStatusView,
  { detail }: StatusQuery,
  { healer }: StatusParts,
): Promise<DaemonStatusView> {
  if (detail !== 'memory' && detail !== 'inodes' && detail !== 'calls') return daemon
  const answer = await healer.state(volume, statusQuestion(detail, volume.name))
  if (answer?.ret !== 0) {
    throw new ManagementError('HEAL_UNAVAILABLE', 'Unable to obtain volume status information.')
  }
  return { ...daemon, ...processState(detail, answer.output) }
}

async function one(
  volume: Volume,
  brick: Brick,
  { detail }: StatusQuery,
  parts: StatusParts,
): Promise<BrickStatusView> {
  const { online, port, pid } = parts.bricks.state(volume, brick)
  const view: BrickStatusView = {
    host: brick.hostname,
    path: brick.path,
    peer: brick.peer,
    online,
    port: online ? (port ?? null) : null,
    pid: online ? (pid ?? null) : null,
  }
  if (detail === 'filesystem') {
    const filesystem = brickFilesystem(brick.path)
    if (filesystem !== undefined) view.filesystem = filesystem
    return view
  }
  if (detail === undefined || !online) return view
  return { ...view, ...(await stateOf(volume, brick, detail, parts)) }
}

/** Undefined when it does not answer. */
async function stateOf(
  volume: Volume,
  brick: Brick,
  detail: ProcessDetail,
  { bricks, env }: StatusParts,
): Promise<ProcessState | undefined> {
  const input = statusQuestion(detail, volume.name).setString('brick-name', brick.path)
  const { socket } = bricks.spec(volume, brick)
  const answer = await askProcess(env, socket, 'STATUS', { name: brick.path, input })
  return answer?.ret === 0 ? processState(detail, answer.output) : undefined
}
