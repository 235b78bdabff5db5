/**
 * PoolStore: where the pool's definition lives. One server keeps it in files; a pool of several
 * will keep it in etcd behind the same interface.
 */

import type { Volume } from '../volume/volume.ts'

/** Another server of the pool. */
export interface Peer {
  readonly uuid: string
  /** Primary name first. */
  readonly hostnames: readonly string[]
  /** 0–10 as glusterd numbers them; 3: in the pool. */
  readonly state: number
}

export interface PoolStore {
  /** UUID of this server. */
  readonly serverId: string
  /** Op-version at which the pool runs. */
  readonly opVersion: number
  /** A volume as it is defined now; callers change a copy and save it. */
  volume(name: string): Volume | undefined
  /** All volumes in order of their names. */
  volumes(): readonly Volume[]
  peers(): readonly Peer[]
  /** Options of the pool as a whole. */
  poolOptions(): ReadonlyMap<string, string>
  setPoolOptions(options: ReadonlyMap<string, string>): Promise<void>
  /** Makes the definition and its volfiles durable. True when a volfile has changed. */
  saveVolume(volume: Volume): Promise<boolean>
  /** Remembers the ports of this server's bricks: no new generation of the definition. */
  savePorts(volume: Volume): Promise<void>
  removeVolume(volume: Volume): Promise<void>
  /** Text of a volfile in the volume's directory; undefined when there is none. */
  volfile(volume: string, file: string): string | undefined
}
