/**
 * BrickSet: the bricks of one replica set on temporary directories, each with the layers of a real
 * brick and reached over a socket, below a translator under test. A brick can be cut off and mended,
 * changed by itself (as operations did that the others missed), and read as it lies on the disk.
 */

import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import {
  type AnyXlatorDefinition,
  Dict,
  type Env,
  type Gfid,
  gfidText,
  systemClock,
  systemRandom,
  type TcpAddress,
  type Xlator,
  Xattrop,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { tcpNetwork } from '@ashlar/transport'
import { xlators } from '@ashlar/xlators'
import { cutNetwork } from './cut-network.ts'
import { type Meddler, meddler, meddlerOf } from './meddler.ts'
import { until } from './cluster/until.ts'
import { good, TestVolume } from './test-volume.ts'

const UP_MS = 8000

export interface BrickSetOptions {
  readonly count: number
  /** Layers directly above storage/posix of a brick, by its position: types without options. */
  readonly layers?: (index: number) => readonly AnyXlatorDefinition[]
  /** Volume name: children are called `NAME-client-0` … */
  readonly name?: string
  readonly env?: Partial<Env>
}

/** A graph over the bricks: a client of the volume, or its self-heal daemon. */
export interface SetGraph {
  readonly volume: TestVolume
  /** The translator over the bricks. */
  readonly top: Xlator
  /** Breaks its connection to a brick, whose locks and descriptors of it go; resolves when it knows. */
  cut(index: number): Promise<void>
  /** Resolves when it has the brick again. */
  mend(index: number): Promise<void>
  /** What lies between it and a brick. */
  meddler(index: number): Meddler
}

/** An entry of the heal index, and the names noted below `entry-changes`. */
export interface Indices {
  readonly xattrop: readonly string[]
  readonly dirty: readonly string[]
  readonly entryChanges: Readonly<Record<string, readonly string[]>>
}

interface Listening extends Xlator {
  readonly address: TcpAddress
}

export class BrickSet {
  readonly name: string
  /** By brick: its directory. */
  readonly roots: string[] = []
  /** By brick: its own graph, for changes of this brick alone. */
  readonly bricks: TestVolume[] = []
  readonly #options: BrickSetOptions
  readonly #graphs = new Set<TestVolume>()

  readonly #random = systemRandom()

  private constructor(options: BrickSetOptions) {
    this.#options = options
    this.name = options.name ?? 'gv0'
  }

  static async start(options: BrickSetOptions): Promise<BrickSet> {
    const set = new BrickSet(options)
    for (let i = 0; i < options.count; i++) {
      const root = mkdtempSync(`${tmpdir()}/brick-${i}-`)
      chmodSync(root, 0o755)
      set.roots.push(root)
      set.bricks.push(await set.#startBrick(root, i))
    }
    return set
  }

  childName(index: number): string {
    return `${this.name}-client-${index}`
  }

  /** Brick `index` loses everything and is another, empty one. Graphs over the bricks are gone. */
  async replace(index: number): Promise<void> {
    const root = this.roots[index] as string
    await this.leave()
    await this.bricks[index]?.stop()
    for (const name of readdirSync(root)) rmSync(`${root}/${name}`, { recursive: true })
    this.bricks[index] = await this.#startBrick(root, index)
  }

  async stop(): Promise<void> {
    await this.leave()
    for (const brick of this.bricks) await brick.stop()
    for (const root of this.roots) rmSync(root, { recursive: true, force: true })
  }

  /** Builds a graph with `top` over the bricks, and waits until it has reached all of them. */
  async join(
    top: AnyXlatorDefinition,
    options: Readonly<Record<string, string>> = {},
    /** What of the world this graph has otherwise than the bricks. */
    env: Partial<Env> = {},
  ): Promise<SetGraph> {
    const network = cutNetwork(tcpNetwork())
    const children = this.bricks.map((_, i) => {
      const { port } = this.#listening(i)
      return `volume wire-${i}
  type protocol/client
  option remote-host 127.0.0.1
  option remote-port ${port}
  option remote-subvolume index
end-volume
volume ${this.childName(i)}
  type testing/meddler
  subvolumes wire-${i}
end-volume
`
    })
    const texts = Object.entries(options).map(([key, value]) => `  option ${key} ${value}\n`)
    const names = this.bricks.map((_, i) => this.childName(i)).join(' ')
    const volume = new TestVolume({
      volfile: `${children.join('')}volume ${this.name}-replicate-0
  type ${top.type}
${texts.join('')}  subvolumes ${names}
end-volume`,
      uuid: gfidText(this.#random.uuid()),
      definitions: [...xlators.values(), meddler, top],
      env: { clock: systemClock, ...this.#options.env, ...env, network },
    })
    this.#graphs.add(volume)
    await volume.graph.start()
    const ready = (index: number): boolean =>
      volume.graph.xlator(`wire-${index}`)?.dump?.()['ready'] === true
    await until('all bricks are up', UP_MS, () => this.bricks.every((_, i) => ready(i)))
    return {
      volume,
      top: volume.graph.xlator(`${this.name}-replicate-0`) as Xlator,
      meddler: index => meddlerOf(volume.graph.xlator(this.childName(index))) as Meddler,
      cut: async index => {
        network.cut(this.#address(index))
        await until('the brick is gone', UP_MS, () => !ready(index))
      },
      mend: async index => {
        network.mend(this.#address(index))
        await until('the brick is back', UP_MS, () => ready(index))
      },
    }
  }

  #address(index: number): TcpAddress {
    return { host: '127.0.0.1', port: this.#listening(index).port }
  }

  #listening(index: number): TcpAddress {
    return (this.brick(index).graph.xlator('server') as Listening).address
  }

  /** Ends one graph, or all. */
  async leave(graph?: SetGraph): Promise<void> {
    const ending = graph === undefined ? [...this.#graphs] : [graph.volume]
    for (const volume of ending) {
      this.#graphs.delete(volume)
      await volume.stop()
    }
  }

  /** Makes a file of one gfid and content on the bricks (all, unless some are named). */
  async write(
    path: string,
    content: string | Buffer,
    bricks: Iterable<number> = this.bricks.keys(),
    gfid: Gfid = this.#random.uuid(),
  ): Promise<Gfid> {
    for (const index of bricks) {
      const brick = this.brick(index)
      const xdata = new Dict().setGfid('gfid-req', gfid)
      const { reply, fd } = await brick.create(path, { xdata })
      good(reply)
      const data = Buffer.from(content)
      if (data.length > 0)
        good(await brick.top.writev(brick.ctx, { fd, data, offset: 0, flags: 0 }))
      fd.unref()
    }
    return gfid
  }

  /** Makes a directory of one gfid on the bricks. */
  async mkdir(path: string, bricks: Iterable<number> = this.bricks.keys()): Promise<Gfid> {
    const gfid = this.#random.uuid()
    for (const index of bricks)
      good(await this.brick(index).mkdir(path, 0o755, new Dict().setGfid('gfid-req', gfid)))
    return gfid
  }

  /** Changes a file on one brick alone. */
  async overwrite(index: number, path: string, text: string | Buffer, offset = 0): Promise<void> {
    const brick = this.brick(index)
    const fd = await brick.open(path)
    const data = Buffer.from(text)
    good(await brick.top.writev(brick.ctx, { fd, data, offset, flags: 0 }))
    fd.unref()
  }

  /**
   * Brick `index` blames another: its counters of data, metadata and entries are raised, and names
   * of the directory noted. `accused` 'dirty' is nobody.
   */
  async blame(
    index: number,
    path: string,
    accused: number | 'dirty',
    counters: readonly [number, number, number],
    names: readonly (string | undefined)[] = [undefined],
  ): Promise<void> {
    const brick = this.brick(index)
    const key = accused === 'dirty' ? accused : this.childName(accused)
    const bytes = Buffer.alloc(12)
    counters.forEach((value, i) => bytes.writeInt32BE(value, i * 4))
    const loc = await brick.loc(path)
    for (const [i, name] of names.entries()) {
      const dict = new Dict().setBytes(`trusted.afr.${key}`, i === 0 ? bytes : Buffer.alloc(12))
      const xdata = new Dict()
      if (name !== undefined) xdata.setString('glusterfs.xattrop-entry-create', name)
      good(await brick.top.xattrop(brick.ctx, { loc, op: Xattrop.ADD_ARRAY, dict, xdata }))
    }
  }

  brick(index: number): TestVolume {
    return this.bricks[index] as TestVolume
  }

  /** A file's content on each brick. */
  async contents(path: string): Promise<string[]> {
    return Promise.all(this.bricks.map(brick => brick.read(path)))
  }

  #startBrick(root: string, index: number): Promise<TestVolume> {
    const layers = this.#options.layers?.(index) ?? []
    let below = 'posix'
    const extra = layers.map(layer => {
      const text = `volume ${layer.type.replace('/', '-')}
  type ${layer.type}
  subvolumes ${below}
end-volume
`
      below = layer.type.replace('/', '-')
      return text
    })
    return TestVolume.start({
      brick: true,
      env: { network: tcpNetwork(), ...this.#options.env },
      definitions: [...xlators.values(), ...layers],
      volfile: `volume posix
  type storage/posix
  option directory ${root}
  option fips-mode-rchecksum on
end-volume
${extra.join('')}volume locks
  type features/locks
  subvolumes ${below}
end-volume
volume index
  type features/index
  option index-base ${root}/.glusterfs/indices
  option xattrop-pending-watchlist trusted.afr.${this.name}-
  option xattrop-dirty-watchlist trusted.afr.dirty
  subvolumes locks
end-volume
volume server
  type protocol/server
  option listen-port 0
  option transport.socket.bind-address 127.0.0.1
  option auth.addr.index.allow *
  subvolumes index
end-volume`,
    })
  }

  /** An xattr as it lies on the brick's disk; undefined: it has none. */
  xattr(index: number, path: string, name: string): Buffer | undefined {
    const value = sys.lgetxattr(`${this.roots[index]}${path}`, name)
    return typeof value === 'number' ? undefined : value
  }

  /** Names of the xattrs on the brick's disk. */
  xattrNames(index: number, path: string): string[] {
    const names = sys.llistxattr(`${this.roots[index]}${path}`)
    return typeof names === 'number' ? [] : names.toSorted()
  }

  /** What the brick's index holds, base files left out. */
  indices(index: number): Indices {
    const base = `${this.roots[index]}/.glusterfs/indices`
    const names = (kind: string): string[] =>
      readdirSync(`${base}/${kind}`)
        .filter(name => !name.startsWith(`${kind}-`))
        .toSorted()
    const entryChanges: Record<string, readonly string[]> = {}
    for (const directory of names('entry-changes')) {
      if (!statSync(`${base}/entry-changes/${directory}`).isDirectory()) continue
      entryChanges[directory] = readdirSync(`${base}/entry-changes/${directory}`).toSorted()
    }
    return { xattrop: names('xattrop'), dirty: names('dirty'), entryChanges }
  }
}
