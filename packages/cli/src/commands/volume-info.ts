/**
 * `volume info` and `volume list`.
 */

import type { VolumeView } from '@ashlar/contract'
import { RefusedError, segment } from '../api-client.ts'
import { type Command, type CommandInput, UsageError } from '../command.ts'
import { NO_SUCH_VOLUME, reporting, show, SUCCESS } from '../failure.ts'
import { cliOutput, element, type XmlElement } from '../xml.ts'

const STATUS_CODES = { created: 0, started: 1, stopped: 2 } as const
const TRANSPORT_CODES = { tcp: 0, rdma: 1, 'tcp,rdma': 2 } as const
/** Words and numbers of types: of a single subvolume, and of several. */
const TYPES = {
  distribute: { single: ['Distribute', 0], several: ['Distribute', 0] },
  stripe: { single: ['Stripe', 1], several: ['Distributed-Stripe', 6] },
  replicate: { single: ['Replicate', 2], several: ['Distributed-Replicate', 7] },
  'stripe-replicate': {
    single: ['Striped-Replicate', 3],
    several: ['Distributed-Striped-Replicate', 8],
  },
  disperse: { single: ['Disperse', 4], several: ['Distributed-Disperse', 9] },
  tier: { single: ['Tier', 5], several: ['Tier', 5] },
} as const

function typeOf(volume: VolumeView): readonly [string, number] {
  return TYPES[volume.kind][volume.distributeCount > 1 ? 'several' : 'single']
}

function statusWord(volume: VolumeView): string {
  return volume.status.replace(/^./, letter => letter.toUpperCase())
}

function brickCounts(volume: VolumeView): string {
  const total = volume.bricks.length
  const { distributeCount, replicaCount, disperseCount, redundancyCount } = volume
  if (volume.kind === 'disperse') {
    const data = disperseCount - redundancyCount
    return `${distributeCount} x (${data} + ${redundancyCount}) = ${total}`
  }
  if (volume.kind !== 'replicate') return String(total)
  if (volume.arbiterCount > 0) return `${distributeCount} x (${replicaCount - 1} + 1) = ${total}`
  return `${distributeCount} x ${replicaCount} = ${total}`
}

/** The block of one volume. */
export function infoLines(volume: VolumeView): string[] {
  return [
    ' ',
    `Volume Name: ${volume.name}`,
    `Type: ${typeOf(volume)[0]}`,
    `Volume ID: ${volume.id}`,
    `Status: ${statusWord(volume)}`,
    `Snapshot Count: ${volume.snapshotCount}`,
    `Number of Bricks: ${brickCounts(volume)}`,
    `Transport-type: ${volume.transport}`,
    'Bricks:',
    ...volume.bricks.map(
      ({ host, path, arbiter }, n) =>
        `Brick${n + 1}: ${host}:${path}${arbiter ? ' (arbiter)' : ''}`,
    ),
    ...(volume.options.length > 0 ? ['Options Reconfigured:'] : []),
    ...volume.options.map(({ key, value }) => `${key}: ${value}`),
  ]
}

function infoElement(volume: VolumeView): XmlElement {
  const [typeText, type] = typeOf(volume)
  return element('volume', [
    element('name', volume.name),
    element('id', volume.id),
    element('status', STATUS_CODES[volume.status]),
    element('statusStr', statusWord(volume)),
    element('snapshotCount', volume.snapshotCount),
    element('brickCount', volume.bricks.length),
    element('distCount', volume.distributeCount),
    element('replicaCount', volume.replicaCount),
    element('arbiterCount', volume.arbiterCount),
    element('disperseCount', volume.disperseCount),
    element('redundancyCount', volume.redundancyCount),
    element('type', type),
    element('typeStr', typeText),
    element('transport', TRANSPORT_CODES[volume.transport]),
    element('bricks', volume.bricks.map(brickElement)),
    element('optCount', volume.options.length),
    element(
      'options',
      volume.options.map(({ key, value }) =>
        element('option', [element('name', key), element('value', value)]),
      ),
    ),
  ])
}

function brickElement({ host, path, peer, arbiter }: VolumeView['bricks'][number]): XmlElement {
  const name = `${host}:${path}`
  return {
    name: 'brick',
    attributes: { uuid: peer },
    lead: name,
    content: [
      element('name', name),
      element('hostUuid', peer),
      element('isArbiter', arbiter ? 1 : 0),
    ],
  }
}

function volumesElement(volumes: readonly VolumeView[]): XmlElement {
  return element('volInfo', [
    element('volumes', [...volumes.map(infoElement), element('count', volumes.length)]),
  ])
}

export const volumeInfo: Command = async input => {
  const [name] = input.words
  if (input.words.length > 1) throw new UsageError('')
  if (name !== undefined && name !== 'all') return infoOfOne(input, name)
  const volumes = await input.api.get<VolumeView[]>('/volumes')
  return show(input, {
    json: { volumes },
    xml: () => cliOutput(SUCCESS, [volumesElement(volumes)]),
    text: () => {
      if (volumes.length === 0) input.terminal.err('No volumes present')
      for (const volume of volumes) input.terminal.out(infoLines(volume).join('\n'))
    },
  })
}

function infoOfOne(input: CommandInput, name: string): Promise<number> {
  return reporting(input, { text: message => message }, async () => {
    try {
      const volume = await input.api.get<VolumeView>(`/volumes/${segment(name)}`)
      return show(input, {
        json: { volumes: [volume] },
        xml: () => cliOutput(SUCCESS, [volumesElement([volume])]),
        text: () => input.terminal.out(infoLines(volume).join('\n')),
      })
    } catch (error) {
      const missing = error instanceof RefusedError && error.body.code === 'VOLUME_NOT_FOUND'
      if (!missing || input.options.format !== 'xml') throw error
      const result = { ret: -1, errno: NO_SUCH_VOLUME, message: 'Volume does not exist' }
      input.terminal.out(cliOutput(result, [volumesElement([])]))
      return 0
    }
  })
}

/** Further words are passed over, as GlusterFS does. */
export const volumeList: Command = async input => {
  const names = (await input.api.get<VolumeView[]>('/volumes')).map(volume => volume.name)
  return show(input, {
    json: { volumes: names },
    xml: () =>
      cliOutput(SUCCESS, [
        element('volList', [
          element('count', names.length),
          ...names.map(name => element('volume', name)),
        ]),
      ]),
    text: () => {
      if (names.length === 0) input.terminal.err('No volumes present in cluster')
      for (const name of names) input.terminal.out(name)
    },
  })
}
