/**
 * SocketBrick: one brick in this process, served by protocol/server on a TCP socket of its own, and
 * the clients that connect to it through protocol/client. Nothing between them is pretended; bricks
 * of a replica set are `BrickSet`'s.
 */

import {
  type AnyXlatorDefinition,
  type Env,
  gfidText,
  systemRandom,
  type TcpAddress,
  type Xlator,
} from '@ashlar/core'
import { tcpNetwork } from '@ashlar/transport'
import { xlators } from '@ashlar/xlators'
import { until } from './cluster/until.ts'
import { good, TestVolume, type TestVolumeOptions } from './test-volume.ts'

const UP_MS = 8000
/** Name of the brick's topmost translator: what clients ask for, and keys of `auth` contain. */
const BRICK = '/b'
const SERVER = xlators.get('protocol/server') as AnyXlatorDefinition
const CLIENT = xlators.get('protocol/client') as AnyXlatorDefinition

type OptionTexts = Readonly<Record<string, string>>

/** A translator, with its options where it has any. In its graph it has the end of its type as name. */
export type Layer = AnyXlatorDefinition | readonly [AnyXlatorDefinition, OptionTexts]

export interface SocketBrickOptions {
  /** From the storage up; the last is called `/b`. protocol/server lies above them, as `server`. */
  readonly layers: readonly Layer[]
  /** Of protocol/server, instead of a free port of 127.0.0.1 where everybody is admitted. */
  readonly options?: OptionTexts
  /** Instead of the real clock, randomness and network, and of no log; for the brick alone. */
  readonly env?: Partial<Env>
}

export interface SocketClientOptions {
  /** From the bottom up, above protocol/client, which is called `client`. */
  readonly layers?: readonly Layer[]
  /** Of protocol/client, beside those that name the brick. */
  readonly options?: OptionTexts
  /** Likewise, for the client. */
  readonly env?: Partial<Env>
  /** The directory of the brick that it has as its root. */
  readonly subdirectory?: string | undefined
}

/** A client as its brick knows it (`dump` of protocol/server). */
export interface BrickClient {
  /** Its `process-uuid`. */
  readonly client: string
  /** Files it has open. */
  readonly fds: number
  /** Locks it has asked for and not been granted yet. */
  readonly waitingLocks: number
  /** Requests of it that are not answered yet. */
  readonly inFlight: number
}

interface Server extends Xlator {
  readonly address: TcpAddress
  disconnectAll(): void
}

export class SocketBrick {
  /** The brick's own graph; to stop it alone is to have the brick end before its clients. */
  readonly volume: TestVolume
  /** Where it listens, or did before it ended. */
  readonly address: TcpAddress
  readonly #server: Server
  readonly #clients: TestVolume[] = []

  private constructor(volume: TestVolume) {
    this.volume = volume
    this.#server = volume.graph.xlator('server') as Server
    this.address = this.#server.address
  }

  /** Resolves once the brick listens; rejects when it cannot. */
  static async start({ layers, options, env }: SocketBrickOptions): Promise<SocketBrick> {
    const serving = {
      'transport.socket.bind-address': '127.0.0.1',
      [`auth.addr.${BRICK}.allow`]: '*',
      ...options,
    }
    const top = layers.length - 1
    const stack = layers.map((layer, i) => placed(layer, i === top ? BRICK : undefined))
    return new SocketBrick(
      await TestVolume.start({
        ...graphOf([...stack, placed([SERVER, serving])]),
        env: { network: tcpNetwork(), ...env },
        brick: true,
      }),
    )
  }

  /** Starts a client, and does not wait for the brick to admit it, or to be there. */
  async connect({
    layers = [],
    options,
    env,
    subdirectory,
  }: SocketClientOptions = {}): Promise<TestVolume> {
    const { host, port } = this.address
    const remote = { 'remote-host': host, 'remote-port': `${port}`, 'remote-subvolume': BRICK }
    const volume = await TestVolume.start({
      ...graphOf([
        placed([CLIENT, { ...remote, ...options }]),
        ...layers.map(each => placed(each)),
      ]),
      env: { network: tcpNetwork(), ...env },
      uuid: gfidText(systemRandom().uuid()),
      subdirectory,
    })
    this.#clients.push(volume)
    return volume
  }

  /**
   * Starts a client and looks its root up. Rejects when it does not have the brick within 8 s, or the
   * lookup fails.
   */
  async mount(client: SocketClientOptions = {}): Promise<TestVolume> {
    const volume = await this.connect(client)
    await until('the brick', UP_MS, () => volume.events.some(each => each.kind === 'child-up'))
    good(await volume.lookup('/'))
    return volume
  }

  /** Who is admitted now, the earliest first. */
  clients(): readonly BrickClient[] {
    return this.#server.dump?.()['clients'] as readonly BrickClient[]
  }

  /** Breaks all connections; the brick keeps its files, and clients come again. */
  disconnectAll(): void {
    this.#server.disconnectAll()
  }

  /** Ends the clients, then the brick, as far as they have not ended before. */
  async stop(): Promise<void> {
    for (const volume of this.#clients) await volume.stop()
    await this.volume.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

interface PlacedLayer {
  readonly name: string
  readonly definition: AnyXlatorDefinition
  readonly options: OptionTexts
}

function placed(layer: Layer, name?: string): PlacedLayer {
  const [definition, options] = 'type' in layer ? [layer, {}] : layer
  const ownName = definition.type.slice(definition.type.indexOf('/') + 1)
  return { name: name ?? ownName, definition, options }
}

/** A graph of layers on top of each other, the lowest first. */
function graphOf(
  stack: readonly PlacedLayer[],
): Pick<TestVolumeOptions, 'volfile' | 'definitions'> {
  const volumes = stack.map(({ name, definition, options }, i) => [
    `volume ${name}`,
    `  type ${definition.type}`,
    ...Object.entries(options).map(([key, value]) => `  option ${key} ${value}`),
    ...(i === 0 ? [] : [`  subvolumes ${stack[i - 1]?.name}`]),
    'end-volume',
  ])
  return {
    volfile: volumes.flat().join('\n'),
    definitions: stack.map(each => each.definition),
  }
}
