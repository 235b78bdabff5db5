/**
 * FileStore: the definition in GlusterFS's own layout under its working directory, so that an
 * existing server's state is adopted in place and can be handed back (glusterd-store.c).
 */

import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Env, gfidText } from '@ashlar/core'
import { MAX_OP_VERSION } from '../options/change.ts'
import { GROUP_PROFILES } from '../options/groups.ts'
import { volumeVolfiles } from '../volgen/files.ts'
import { brickVolfileName, leafCount, type Volume } from '../volume/volume.ts'
import { infoChecksum } from './checksum.ts'
import { printKeyFile, readKeyFile, replaceFile, StoreError } from './key-file.ts'
import type { Peer, PoolStore } from './pool-store.ts'
import {
  brickFileName,
  brickLines,
  NO_SNAPSHOT,
  volumeFromLines,
  volumeLines,
} from './volume-file.ts'

const DIRECTORIES = [
  'vols',
  'snaps',
  'peers',
  'bitd',
  'scrub',
  'glustershd',
  'quotad',
  'groups',
  'hooks/1',
  'ss_brick',
  'trash',
]
const HOOKED = ['create', 'delete', 'start', 'stop', 'set', 'reset', 'add-brick', 'remove-brick']
const OPTIONS_VERSION = 'global-option-version'

export class FileStore implements PoolStore {
  readonly serverId: string
  readonly opVersion: number
  readonly #directory: string
  readonly #volumes = new Map<string, Volume>()
  readonly #peers: readonly Peer[]
  #options: Map<string, string>

  /** Reads the whole state; makes what is missing. Throws StoreError when the state is damaged. */
  constructor(directory: string, env: Env) {
    this.#directory = directory
    for (const name of DIRECTORIES) mkdirSync(join(directory, name), { recursive: true })
    for (const operation of HOOKED) {
      for (const phase of ['pre', 'post']) {
        mkdirSync(join(directory, 'hooks/1', operation, phase), { recursive: true })
      }
    }
    this.#writeGroups()
    const identity = this.#identity(env)
    this.serverId = identity.uuid
    this.opVersion = identity.opVersion
    this.#peers = this.#readPeers()
    const options = new Map(readKeyFile(join(directory, 'options')) ?? [])
    this.#options = options
    this.#emptyTrash()
    for (const name of readdirSync(join(directory, 'vols'))) {
      const volume = this.#readVolume(name)
      if (volume === undefined) env.log.warning('volume directory without info', { name })
      else this.#volumes.set(name, volume)
    }
    for (const volume of this.#volumes.values()) this.#writeVolfiles(volume)
  }

  volume(name: string): Volume | undefined {
    return this.#volumes.get(name)
  }

  volumes(): readonly Volume[] {
    return [...this.#volumes.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  peers(): readonly Peer[] {
    return this.#peers
  }

  poolOptions(): ReadonlyMap<string, string> {
    const options = new Map(this.#options)
    options.delete(OPTIONS_VERSION)
    return options
  }

  setPoolOptions(options: ReadonlyMap<string, string>): Promise<void> {
    const version = Number(this.#options.get(OPTIONS_VERSION) ?? 0) + 1
    this.#options = new Map([...options, [OPTIONS_VERSION, String(version)]])
    replaceFile(join(this.#directory, 'options'), printKeyFile(this.#options))
    return Promise.resolve()
  }

  saveVolume(volume: Volume): Promise<boolean> {
    const directory = this.#volumeDirectory(volume.name)
    mkdirSync(join(directory, 'bricks'), { recursive: true })
    this.#writeBricks(volume)
    const info = printKeyFile(volumeLines(volume))
    replaceFile(join(directory, 'info'), info)
    replaceFile(join(directory, 'cksum'), `info=${infoChecksum(info)}\n`)
    if (!existsSync(join(directory, 'node_state.info'))) {
      replaceFile(join(directory, 'node_state.info'), printKeyFile(IDLE_STATE))
    }
    const changed = this.#writeVolfiles(volume)
    this.#removeGone(volume)
    this.#volumes.set(volume.name, volume)
    return Promise.resolve(changed)
  }

  savePorts(volume: Volume): Promise<void> {
    this.#writeBricks(volume)
    return Promise.resolve()
  }

  removeVolume(volume: Volume): Promise<void> {
    this.#volumes.delete(volume.name)
    const grave = join(this.#directory, 'trash', `${volume.id}.deleted`)
    rmSync(grave, { recursive: true, force: true })
    renameSync(this.#volumeDirectory(volume.name), grave)
    rmSync(grave, { recursive: true, force: true })
    return Promise.resolve()
  }

  volfile(volume: string, file: string): string | undefined {
    if (file.includes('/') || !this.#volumes.has(volume)) return undefined
    const path = join(this.#volumeDirectory(volume), file)
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined
  }

  #volumeDirectory(name: string): string {
    return join(this.#directory, 'vols', name)
  }

  #identity(env: Env): { uuid: string; opVersion: number } {
    const file = join(this.#directory, 'glusterd.info')
    const known = new Map(readKeyFile(file) ?? [])
    const stored = known.get('UUID')
    // A store without op-version is either new (no UUID) or of GlusterFS 3.3.
    const fallback = stored === undefined ? MAX_OP_VERSION : 1
    const opVersion = Number(known.get('operating-version') ?? fallback)
    if (!(opVersion >= 1 && opVersion <= MAX_OP_VERSION)) {
      throw new StoreError(
        `${file}: op-version ${opVersion} is not served here (1 to ${MAX_OP_VERSION})`,
      )
    }
    const uuid =
      stored === undefined || stored === NO_SNAPSHOT ? gfidText(env.random.uuid()) : stored
    known.set('UUID', uuid)
    known.set('operating-version', String(opVersion))
    const text = printKeyFile(known)
    if (!existsSync(file) || readFileSync(file, 'utf8') !== text) replaceFile(file, text)
    const upgrade = join(this.#directory, 'glusterd.upgrade')
    replaceFile(upgrade, `maximum-operating-version=${MAX_OP_VERSION}\n`)
    return { uuid, opVersion }
  }

  #readPeers(): Peer[] {
    const directory = join(this.#directory, 'peers')
    const peers: Peer[] = []
    for (const name of readdirSync(directory)) {
      const lines = readKeyFile(join(directory, name)) ?? []
      const values = new Map(lines)
      const hostnames = lines.filter(([key]) => key.startsWith('hostname')).map(([, host]) => host)
      const uuid = values.get('uuid')
      if (uuid === undefined || hostnames.length === 0) continue
      peers.push({ uuid, hostnames, state: Number(values.get('state') ?? 0) })
    }
    return peers
  }

  #readVolume(name: string): Volume | undefined {
    const directory = this.#volumeDirectory(name)
    const lines = readKeyFile(join(directory, 'info'))
    if (lines === undefined) return undefined
    return volumeFromLines(name, lines, file => {
      const brick = readKeyFile(join(directory, 'bricks', file))
      if (brick === undefined) throw new StoreError(`volume ${name}: brick file ${file} is missing`)
      return brick
    })
  }

  #writeBricks(volume: Volume): void {
    const directory = join(this.#volumeDirectory(volume.name), 'bricks')
    for (const brick of volume.bricks) {
      replaceFile(join(directory, brickFileName(brick)), printKeyFile(brickLines(brick)))
    }
  }

  /** Files of bricks that the volume had until now, and of a self-heal daemon that it had. */
  #removeGone(volume: Volume): void {
    const directory = this.#volumeDirectory(volume.name)
    const kept = new Set(volume.bricks.map(brickFileName))
    if (leafCount(volume) === 1) rmSync(join(directory, `${volume.name}-shd.vol`), { force: true })
    for (const brick of this.#volumes.get(volume.name)?.bricks ?? []) {
      if (kept.has(brickFileName(brick))) continue
      rmSync(join(directory, 'bricks', brickFileName(brick)), { force: true })
      rmSync(join(directory, `${brickVolfileName(volume, brick)}.vol`), { force: true })
    }
  }

  #writeVolfiles(volume: Volume): boolean {
    const directory = this.#volumeDirectory(volume.name)
    const place = { workDirectory: this.#directory, peer: this.serverId }
    let changed = false
    for (const [name, text] of volumeVolfiles(volume, place)) {
      const file = join(directory, name)
      if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
      replaceFile(file, text)
      changed = true
    }
    return changed
  }

  /** Profiles that an operator has changed or added are left alone. */
  #writeGroups(): void {
    for (const [name, settings] of Object.entries(GROUP_PROFILES)) {
      const file = join(this.#directory, 'groups', name)
      if (!existsSync(file)) writeFileSync(file, printKeyFile(settings))
    }
  }

  #emptyTrash(): void {
    const directory = join(this.#directory, 'trash')
    for (const name of readdirSync(directory)) {
      if (name.endsWith('.deleted')) rmSync(join(directory, name), { recursive: true, force: true })
    }
  }
}

/** `node_state.info` of a volume that was never rebalanced. */
const IDLE_STATE: readonly (readonly [string, string])[] = [
  ['rebalance_status', '0'],
  ['status', '0'],
  ['rebalance_op', '0'],
  ['rebalance-id', NO_SNAPSHOT],
  ['rebalanced-files', '0'],
  ['size', '0'],
  ['scanned', '0'],
  ['failures', '0'],
  ['skipped', '0'],
  ['run-time', '0.000000'],
]
