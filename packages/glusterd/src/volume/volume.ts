/**
 * Volume and Brick: the definition of a volume as the store keeps it. Everything else (volfiles,
 * status, `volume info`) is derived from this.
 */

export type VolumeStatus = 'created' | 'started' | 'stopped'
export type TransportKind = 'tcp' | 'rdma' | 'tcp,rdma'

/** What the bricks of one subvolume do for each other; the number is that of the `info` file. */
export const VOLUME_KIND_CODE = {
  distribute: 0,
  stripe: 1,
  replicate: 2,
  'stripe-replicate': 3,
  disperse: 4,
  tier: 5,
} as const
export type VolumeKind = keyof typeof VOLUME_KIND_CODE

export interface Brick {
  hostname: string
  /** Absolute path of the directory. */
  path: string
  /** UUID of the server it is on. */
  peer: string
  realPath: string
  /** TCP port of its last process; 0: none or on another server. */
  port: number
  rdmaPort: number
  decommissioned: boolean
  /** `VOL-client-N`: keeps its number when other bricks go. */
  id: string
  /** Path below the mount point of its file system. */
  mountDirectory: string
  /** statvfs f_fsid on its own server, 0 elsewhere. */
  fsid: string
  /** Lines of the store that we do not interpret. */
  extra: [string, string][]
}

export interface Volume {
  name: string
  /** UUID in text form. */
  id: string
  kind: VolumeKind
  status: VolumeStatus
  /** `sub_count` as stored: 0 or 1 for distribute, else bricks of a subvolume. */
  subCount: number
  replicaCount: number
  stripeCount: number | undefined
  arbiterCount: number
  thinArbiterCount: number
  disperseCount: number
  redundancyCount: number
  /** Generation of the definition, +1 at each change. */
  version: number
  transport: TransportKind
  username: string
  password: string
  opVersion: number
  clientOpVersion: number
  quotaVersion: number
  parentVolume: string
  restoredFromSnapshot: string
  snapshotHardLimit: string
  /** Options that were set, oldest first. */
  options: Map<string, string>
  /** Lines of `info` that we keep but do not interpret (geo-replication sessions, snapshots). */
  extra: [string, string][]
  bricks: Brick[]
}

/** Bricks of one child of the distribute translator. */
export function leafCount(volume: Volume): number {
  if (volume.kind === 'replicate') return volume.replicaCount
  if (volume.kind === 'disperse') return volume.disperseCount
  return 1
}

/** Children of the distribute translator. */
export function distributeCount(volume: Volume): number {
  return Math.floor(volume.bricks.length / leafCount(volume))
}

/** True for the data-less brick of an arbiter set. */
export function isArbiter(volume: Volume, index: number): boolean {
  return volume.arbiterCount > 0 && index % volume.replicaCount === volume.replicaCount - 1
}

/** Path without its leading slash, the others as dashes: how files are named after bricks. */
export function dashed(path: string): string {
  return path.replace(/^\/+/, '').replaceAll('/', '-')
}

/** `HOST.PATH-WITH-DASHES`, the brick's part of volfile names. */
export function brickVolfileName(volume: Volume, brick: Brick): string {
  return `${volume.name}.${brick.hostname}.${dashed(brick.path)}`
}

/** Options of `volume` that hold for every volume of the pool too are looked up here, own first. */
export function optionOf(
  volume: Volume,
  pool: ReadonlyMap<string, string>,
  key: string,
): string | undefined {
  return volume.options.get(key) ?? pool.get(key)
}
