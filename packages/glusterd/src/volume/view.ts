/**
 * A volume as the API shows it.
 */

import type { OptionValueView, VolumeView } from '@ashlar/contract'
import type { OptionRow } from '../options/row.ts'
import { OPTION_TABLE } from '../options/table.ts'
import { distributeCount, isArbiter, type Volume } from './volume.ts'

/** The definition, with the options of the pool behind the volume's own, newest first. */
export function volumeView(volume: Volume, pool: ReadonlyMap<string, string>): VolumeView {
  return {
    name: volume.name,
    id: volume.id,
    kind: volume.kind,
    status: volume.status,
    transport: volume.transport,
    snapshotCount: 0,
    distributeCount: distributeCount(volume),
    replicaCount: volume.replicaCount,
    arbiterCount: volume.arbiterCount,
    disperseCount: volume.disperseCount,
    redundancyCount: volume.redundancyCount,
    version: volume.version,
    bricks: volume.bricks.map((brick, index) => ({
      host: brick.hostname,
      path: brick.path,
      peer: brick.peer,
      arbiter: isArbiter(volume, index),
    })),
    options: [...[...volume.options].reverse(), ...pool].map(([key, value]) => ({ key, value })),
  }
}

/** What an option is on a volume: set, the table's default, or the translator's. */
export function optionView(
  row: OptionRow,
  options: ReadonlyMap<string, string>,
  volume?: Volume,
): OptionValueView {
  const { key } = row
  const value = options.get(key) ?? row.mapDefault ?? shapeDefault(key, volume)
  if (value !== undefined) return { key, value, isDefault: false }
  return { key, value: row.default ?? null, isDefault: true }
}

/** What translators make of the shape of the volume. GlusterFS tells it of three copies alone. */
function shapeDefault(key: string, volume: Volume | undefined): string | undefined {
  if (key !== 'cluster.quorum-type' || volume?.kind !== 'replicate') return undefined
  return volume.replicaCount > 2 ? 'auto' : undefined
}

/** All rows of `volume get V all`. */
export function allOptionViews(
  options: ReadonlyMap<string, string>,
  volume?: Volume,
): OptionValueView[] {
  return OPTION_TABLE.filter(row => row.unlisted !== true).map(row =>
    optionView(row, options, volume),
  )
}

/** Rows of `volume get all all`: the options of the pool, in GlusterFS's order. */
export function poolOptionViews(
  pool: ReadonlyMap<string, string>,
  opVersion: { current: number; maximum: number },
): OptionValueView[] {
  return POOL_KEYS.map(key => {
    if (key === 'cluster.op-version') {
      return { key, value: String(opVersion.current), isDefault: false }
    }
    if (key === 'cluster.max-op-version') {
      return { key, value: String(opVersion.maximum), isDefault: false }
    }
    const set = pool.get(key)
    if (set !== undefined) return { key, value: set, isDefault: false }
    const row = OPTION_TABLE.find(each => each.key === key)
    return { key, value: row?.mapDefault ?? row?.default ?? null, isDefault: true }
  })
}

const POOL_KEYS: readonly string[] = [
  'cluster.server-quorum-ratio',
  'cluster.enable-shared-storage',
  'cluster.op-version',
  'cluster.max-op-version',
  'cluster.brick-multiplex',
  'cluster.max-bricks-per-process',
  'glusterd.vol_count_per_thread',
  'cluster.localtime-logging',
  'cluster.daemon-log-level',
  'cluster.brick-graceful-cleanup',
]
