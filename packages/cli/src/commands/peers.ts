/**
 * `peer status` and `pool list`.
 */

import type { PeerView, ServerView } from '@ashlar/contract'
import { type Command, UsageError } from '../command.ts'
import { show, SUCCESS } from '../failure.ts'
import { cliOutput, element, type XmlElement } from '../xml.ts'

const STATES = [
  'Establishing Connection',
  'Probe Sent to Peer',
  'Probe Received from Peer',
  'Peer in Cluster',
  'Accepted peer request',
  'Sent and Received peer request',
  'Peer Rejected',
  'Peer detach in progress',
  'Probe Received from peer',
  'Connected to Peer',
  'Peer is connected and Accepted',
]

function stateText(state: number): string {
  return STATES[state] ?? 'Invalid State'
}

function peerElement(peer: PeerView): XmlElement {
  return element('peer', [
    element('uuid', peer.uuid),
    element('hostname', peer.hostnames[0] ?? ''),
    element(
      'hostnames',
      peer.hostnames.map(name => element('hostname', name)),
    ),
    element('connected', peer.connected ? 1 : 0),
    element('state', peer.state),
    element('stateStr', stateText(peer.state)),
  ])
}

export const peerStatus: Command = async input => {
  if (input.words.length > 0) throw new UsageError('')
  const peers = await input.api.get<PeerView[]>('/peers')
  return show(input, {
    json: { peers },
    xml: () => cliOutput(SUCCESS, [element('peerStatus', peers.map(peerElement))]),
    text: () => {
      input.terminal.out(`Number of Peers: ${peers.length}`)
      for (const peer of peers) {
        const [hostname, ...others] = peer.hostnames
        input.terminal.out(`\nHostname: ${hostname}\nUuid: ${peer.uuid}`)
        const link = peer.connected ? 'Connected' : 'Disconnected'
        input.terminal.out(`State: ${stateText(peer.state)} (${link})`)
        if (others.length > 0) input.terminal.out(['Other names:', ...others].join('\n'))
      }
    },
  })
}

export const poolList: Command = async input => {
  if (input.words.length > 0) throw new UsageError('')
  const peers = await input.api.get<PeerView[]>('/peers')
  const server = await input.api.get<ServerView>('/server')
  const rows = peers.map(peer => ({
    uuid: peer.uuid,
    hostname: peer.hostnames[0] ?? '',
    connected: peer.connected,
  }))
  rows.push({ uuid: server.uuid, hostname: 'localhost', connected: true })
  return show(input, {
    json: { servers: rows },
    xml: () => {
      const local = element('peer', [
        element('uuid', server.uuid),
        element('hostname', 'localhost'),
        element('connected', 1),
      ])
      return cliOutput(SUCCESS, [element('peerStatus', [...peers.map(peerElement), local])])
    },
    text: () => {
      const width = Math.max(8, ...rows.map(row => row.hostname.length))
      const head = 'Hostname'.padEnd(width === 8 || width === 9 ? 9 : width)
      input.terminal.out(`UUID${'\t'.repeat(5)}${head}\tState`)
      for (const { uuid, hostname, connected } of rows) {
        const link = connected ? 'Connected ' : 'Disconnected '
        input.terminal.out(`${uuid}\t${hostname.padEnd(width)}\t${link}`)
      }
    },
  })
}
