/**
 * Volfile ids: what a process asks for by GETSPEC, and the file it gets (glusterd-handshake.c).
 */

import type { PoolStore } from '../store/pool-store.ts'
import type { Volume } from '../volume/volume.ts'

export interface FoundVolfile {
  readonly volume: Volume
  readonly text: string
  /** Served to the volume's own daemons and bricks: no check of the client's op-version. */
  readonly internal: boolean
  /** It is a brick's, which connects to nobody. */
  readonly brick: boolean
}

/** Longest id that is looked at. */
export const VOLFILE_ID_BYTES_MAX = 254

/** Undefined when nothing has the id. `trusted`: the asker is on a server of the pool. */
export function findVolfile(
  store: PoolStore,
  id: string,
  trusted: boolean,
): FoundVolfile | undefined {
  const key = id.replace(/^\/+/, '')
  const daemon = /^(shd|rebalance|gfproxyd|gfproxy-client|client_per_brick)\/(.+)$/.exec(key)
  if (daemon !== null) return daemonVolfile(store, daemon[1] as string, daemon[2] as string)
  if (/^(snapd|gluster|snaps)\//.test(key)) return undefined
  return brickVolfile(store, key) ?? clientVolfile(store, key, trusted)
}

const DAEMON_FILES: Readonly<Record<string, (volume: string) => string>> = {
  shd: volume => `${volume}-shd.vol`,
  rebalance: volume => `${volume}-rebalance.vol`,
  gfproxyd: volume => `${volume}.gfproxyd.vol`,
  'gfproxy-client': volume => `trusted-${volume}.tcp-gfproxy-fuse.vol`,
}

function daemonVolfile(store: PoolStore, kind: string, name: string): FoundVolfile | undefined {
  const volume = store.volume(name)
  const file = DAEMON_FILES[kind]
  return volume === undefined || file === undefined
    ? undefined
    : found(store, volume, file(name), 'daemon')
}

/** `VOL.HOST.PATH-WITH-DASHES`. */
function brickVolfile(store: PoolStore, key: string): FoundVolfile | undefined {
  const dot = key.indexOf('.')
  const volume = dot < 0 ? undefined : store.volume(key.slice(0, dot))
  return volume === undefined ? undefined : found(store, volume, `${key}.vol`, 'brick')
}

/** `VOL`, `VOL.tcp`, `VOL/subdirectory`: only of a volume that is started. */
function clientVolfile(store: PoolStore, key: string, trusted: boolean): FoundVolfile | undefined {
  const name = (key.split('/')[0] as string).replace(/\.(tcp|rdma)$/, '')
  const volume = store.volume(name)
  if (volume === undefined || volume.status !== 'started') return undefined
  return found(store, volume, `${trusted ? 'trusted-' : ''}${name}.tcp-fuse.vol`, 'client')
}

function found(
  store: PoolStore,
  volume: Volume,
  file: string,
  user: 'brick' | 'daemon' | 'client',
): FoundVolfile | undefined {
  const text = store.volfile(volume.name, file)
  return text === undefined
    ? undefined
    : { volume, text, internal: user !== 'client', brick: user === 'brick' }
}
