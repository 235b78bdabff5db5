/**
 * A volume's `info` and brick files: which keys, in which order (xlators/mgmt/glusterd/src
 * glusterd-store.c). Reading a file and writing it again gives the same text.
 */

import {
  type Brick,
  VOLUME_KIND_CODE,
  type Volume,
  type VolumeKind,
  type VolumeStatus,
  type TransportKind,
} from '../volume/volume.ts'
import type { KeyValue } from './key-file.ts'
import { StoreError } from './key-file.ts'

const STATUSES: readonly VolumeStatus[] = ['created', 'started', 'stopped']
const TRANSPORTS: readonly TransportKind[] = ['tcp', 'rdma', 'tcp,rdma']
const KINDS = Object.keys(VOLUME_KIND_CODE) as VolumeKind[]

/** Keys of `info` that are members of Volume; whatever else holds a dot is an option. */
const KNOWN = new Set([
  'type',
  'count',
  'status',
  'sub_count',
  'stripe_count',
  'replica_count',
  'arbiter_count',
  'disperse_count',
  'redundancy_count',
  'version',
  'transport-type',
  'volume-id',
  'username',
  'password',
  'op-version',
  'client-op-version',
  'quota-version',
  'tier-enabled',
  'thin_arbiter_count',
  'parent_volname',
  'restored_from_snap',
  'snap-max-hard-limit',
])
const OPAQUE = /^(slave|secondary)\d+$|^ta-brick-\d+$|^restored_from_snapname|^snap_plugin$/

/** Lines of `info`, in GlusterFS's order. */
export function volumeLines(volume: Volume): KeyValue[] {
  const lines: KeyValue[] = [
    ['type', String(VOLUME_KIND_CODE[volume.kind])],
    ['count', String(volume.bricks.length)],
    ['status', String(STATUSES.indexOf(volume.status))],
    ['sub_count', String(volume.subCount)],
  ]
  if (volume.stripeCount !== undefined) lines.push(['stripe_count', String(volume.stripeCount)])
  lines.push(['replica_count', String(volume.replicaCount)])
  if (volume.arbiterCount > 0) lines.push(['arbiter_count', String(volume.arbiterCount)])
  lines.push(
    ['disperse_count', String(volume.disperseCount)],
    ['redundancy_count', String(volume.redundancyCount)],
    ['version', String(volume.version)],
    ['transport-type', String(TRANSPORTS.indexOf(volume.transport))],
    ['volume-id', volume.id],
    ['username', volume.username],
    ['password', volume.password],
    ['op-version', String(volume.opVersion)],
    ['client-op-version', String(volume.clientOpVersion)],
    ['quota-version', String(volume.quotaVersion)],
    ['tier-enabled', '0'],
  )
  if (volume.thinArbiterCount > 0) {
    lines.push(['thin_arbiter_count', String(volume.thinArbiterCount)])
  }
  lines.push(
    ['parent_volname', volume.parentVolume],
    ['restored_from_snap', volume.restoredFromSnapshot],
    ['snap-max-hard-limit', volume.snapshotHardLimit],
    ...[...volume.options].reverse(),
    ...volume.extra,
  )
  for (const [index, brick] of volume.bricks.entries()) {
    lines.push([`brick-${index}`, brickFileName(brick)])
  }
  return lines
}

/** Name of a brick's file under `bricks/`. */
export function brickFileName(brick: { hostname: string; path: string }): string {
  return `${brick.hostname}:${brick.path.replaceAll('/', '-')}`
}

/** Lines of a brick's file. */
export function brickLines(brick: Brick): KeyValue[] {
  return [
    ['uuid', brick.peer],
    ['hostname', brick.hostname],
    ['path', brick.path],
    ['real_path', brick.realPath],
    ['listen-port', String(brick.port)],
    ['rdma.listen-port', String(brick.rdmaPort)],
    ['decommissioned', brick.decommissioned ? '1' : '0'],
    ['brick-id', brick.id],
    ['mount_dir', brick.mountDirectory],
    ...brick.extra,
    ['brick-fsid', brick.fsid],
  ]
}

/** A brick from the lines of its file. */
export function brickFromLines(lines: readonly KeyValue[], index: number, volume: string): Brick {
  const brick: Brick = {
    hostname: '',
    path: '',
    peer: '',
    realPath: '',
    port: 0,
    rdmaPort: 0,
    decommissioned: false,
    id: `${volume}-client-${index}`,
    mountDirectory: '',
    fsid: '0',
    extra: [],
  }
  const members: Readonly<Record<string, (value: string) => void>> = {
    uuid: value => (brick.peer = value),
    hostname: value => (brick.hostname = value),
    path: value => (brick.path = value),
    real_path: value => (brick.realPath = value),
    'listen-port': value => (brick.port = Number(value)),
    'rdma.listen-port': value => (brick.rdmaPort = Number(value)),
    decommissioned: value => (brick.decommissioned = value === '1'),
    'brick-id': value => (brick.id = value),
    mount_dir: value => (brick.mountDirectory = value),
    'brick-fsid': value => (brick.fsid = value),
  }
  for (const [key, value] of lines) {
    const member = members[key]
    if (member === undefined) brick.extra.push([key, value])
    else member(value)
  }
  if (brick.hostname === '' || brick.path === '') {
    throw new StoreError(`a brick of volume ${volume} has no hostname or path`)
  }
  return brick
}

/** A volume from the lines of its `info`; `readBrick` gives the lines of a file under `bricks/`. */
export function volumeFromLines(
  name: string,
  lines: readonly KeyValue[],
  readBrick: (file: string) => readonly KeyValue[],
): Volume {
  const values = new Map(lines)
  const text = (key: string, fallback: string): string => values.get(key) ?? fallback
  const number = (key: string, fallback = 0): number => {
    const value = Number(values.get(key) ?? fallback)
    if (!Number.isInteger(value)) throw new StoreError(`volume ${name}: bad ${key}`)
    return value
  }
  const kind = KINDS[number('type')]
  const status = STATUSES[number('status')]
  const transport = TRANSPORTS[number('transport-type')]
  const id = values.get('volume-id')
  if (kind === undefined || status === undefined || transport === undefined || id === undefined) {
    throw new StoreError(`volume ${name}: info is damaged`)
  }
  const options: [string, string][] = []
  const extra: [string, string][] = []
  const brickFiles: string[] = []
  for (const [key, value] of lines) {
    if (KNOWN.has(key)) continue
    if (/^brick-\d+$/.test(key)) brickFiles[Number(key.slice(6))] = value
    else if (OPAQUE.test(key)) extra.push([key, value])
    else options.push([key, value])
  }
  return {
    name,
    id,
    kind,
    status,
    subCount: number('sub_count'),
    replicaCount: number('replica_count', 1),
    stripeCount: values.has('stripe_count') ? number('stripe_count') : undefined,
    arbiterCount: number('arbiter_count'),
    thinArbiterCount: number('thin_arbiter_count'),
    disperseCount: number('disperse_count'),
    redundancyCount: number('redundancy_count'),
    version: number('version', 1),
    transport,
    username: text('username', ''),
    password: text('password', ''),
    opVersion: number('op-version', 1),
    clientOpVersion: number('client-op-version', 1),
    quotaVersion: number('quota-version'),
    parentVolume: text('parent_volname', 'N/A'),
    restoredFromSnapshot: text('restored_from_snap', NO_SNAPSHOT),
    snapshotHardLimit: text('snap-max-hard-limit', '256'),
    options: new Map(options.reverse()),
    extra,
    bricks: brickFiles.map((file, index) => brickFromLines(readBrick(file), index, name)),
  }
}

/** The all-zero UUID: not restored from a snapshot. */
export const NO_SNAPSHOT = '00000000-0000-0000-0000-000000000000'
