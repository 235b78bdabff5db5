/**
 * Where the bricks of a new volume go: which server each host name means, and whether another
 * volume is in the way.
 */

import { type CreateVolumeRequest, ManagementError } from '@ashlar/contract'
import type { Peer, PoolStore } from '../store/pool-store.ts'
import { existsSync } from 'node:fs'
import { filesystemId, mountDirectory } from './brick-directory.ts'
import { dirname } from 'node:path'
import type { LocalHost } from './host.ts'
import type { Brick } from './volume.ts'

/** State of a peer that belongs to the pool. */
const IN_CLUSTER = 3

export interface NewBricks {
  readonly volume: string
  /** Number of the first one's id; the others follow. */
  readonly firstId: number
  readonly bricks: readonly { readonly host: string; readonly path: string }[]
}

/** The bricks in order. Throws ManagementError with GlusterFS's message. */
export async function placeBricks(
  request: NewBricks,
  store: PoolStore,
  host: LocalHost,
): Promise<Brick[]> {
  const bricks: Brick[] = []
  for (const [index, { host: hostname, path }] of request.bricks.entries()) {
    const peer = await peerOf(hostname, store, host)
    if (isTaken(path, peer, store)) {
      throw new ManagementError(
        'BRICK_IN_USE',
        `Brick: ${hostname}:${path} not available. ` +
          'Brick may be containing or be contained by an existing brick.',
      )
    }
    bricks.push({
      hostname,
      path,
      peer,
      realPath: path,
      port: 0,
      rdmaPort: 0,
      decommissioned: false,
      id: `${request.volume}-client-${request.firstId + index}`,
      ...locationOf(path),
      extra: [['snap-status', '0']],
    })
  }
  return bricks
}

/** What a brick's record says of the file system at its path, which need not exist yet. */
export function locationOf(path: string): Pick<Brick, 'mountDirectory' | 'fsid'> {
  const existing = nearestExisting(path)
  return {
    mountDirectory: mountDirectory(existing).replace(/\/$/, '') + path.slice(existing.length),
    fsid: filesystemId(existing),
  }
}

/** The directory itself is made later; its file system is already known. */
function nearestExisting(path: string): string {
  let at = path
  while (!existsSync(at)) at = dirname(at)
  return at
}

async function peerOf(hostname: string, store: PoolStore, host: LocalHost): Promise<string> {
  if (await host.owns(hostname)) return store.serverId
  const peer: Peer | undefined = store.peers().find(each => each.hostnames.includes(hostname))
  if (peer === undefined || peer.state !== IN_CLUSTER) {
    throw new ManagementError('HOST_UNKNOWN', `Host ${hostname} is not in 'Peer in Cluster' state`)
  }
  throw new ManagementError('NOT_AVAILABLE', 'Bricks on other servers are not available yet.')
}

/** True when a brick of that server holds the path or lies below it. */
function isTaken(path: string, peer: string, store: PoolStore): boolean {
  return store.volumes().some(volume =>
    volume.bricks.some(brick => {
      if (brick.peer !== peer) return false
      return `${path}/`.startsWith(`${brick.path}/`) || `${brick.path}/`.startsWith(`${path}/`)
    }),
  )
}

/** The sets that the bricks of a new volume make up; none for a distributed one. */
export function setsOf(request: CreateVolumeRequest, bricks: readonly Brick[]): Brick[][] {
  const width =
    request.replica === undefined ? (request.disperse ?? 0) : request.arbiter ? 3 : request.replica
  return width === 0 ? [] : inSets(bricks, width)
}

/** Groups of `width`, in order. */
export function inSets<T>(items: readonly T[], width: number): T[][] {
  const sets: T[][] = []
  for (let start = 0; start < items.length; start += width) {
    sets.push(items.slice(start, start + width))
  }
  return sets
}

/** Copies on one server are lost together. */
export function refuseOneServer(kind: 'replicate' | 'disperse', sets: readonly Brick[][]): void {
  for (const set of sets) {
    if (new Set(set.map(brick => brick.peer)).size === set.length) continue
    throw new ManagementError(
      'VOLUME_SHAPE_INVALID',
      `Multiple bricks of a ${kind} volume ` +
        'are present on the same server. This setup is not optimal. Bricks should be on ' +
        "different nodes to have best fault tolerant configuration. Use 'force' at the end of " +
        'the command if you want to override this behavior. ',
    )
  }
}
