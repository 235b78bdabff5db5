/**
 * `volume status` in XML, with GlusterFS's quirks (`inodeSize` holds the file system's name).
 */

import type { BrickStatusView, DaemonStatusView, VolumeProcesses } from '@ashlar/contract'
import { element, type XmlElement } from '../xml.ts'
import { DAEMON_NAME } from './status-text.ts'
import type { StatusWords } from './volume-status.ts'

/** The element of one volume. */
export function statusElement(answer: VolumeProcesses, words: StatusWords): XmlElement {
  const name = element('volName', answer.volume)
  if (words.type === 'tasks') return element('volume', [name, element('tasks')])
  // Daemons have no file system and no clients of their own.
  const daemons = words.type === 'plain' ? answer.daemons : []
  const plain = words.type === 'plain' && words.brick === undefined && words.daemon === undefined
  return element('volume', [
    name,
    element('nodeCount', answer.bricks.length + daemons.length),
    ...answer.bricks.map(brick => nodeElement(brick, words)),
    ...daemons.map(daemonElement),
    plain ? element('tasks') : undefined,
  ])
}

function nodeElement(brick: BrickStatusView, words: StatusWords): XmlElement {
  const port = brick.port === null ? 'N/A' : String(brick.port)
  return element('node', [
    element('hostname', brick.host),
    element('path', brick.path),
    element('peerid', brick.peer),
    element('status', brick.online ? 1 : 0),
    element('port', port),
    element('ports', [element('tcp', port), element('rdma', 'N/A')]),
    element('pid', brick.pid ?? -1),
    ...filesystemElements(brick),
    words.type === 'clients' ? clientsElement(brick) : undefined,
  ])
}

function daemonElement({ host, peer, online, pid }: DaemonStatusView): XmlElement {
  return element('node', [
    element('hostname', DAEMON_NAME),
    element('path', host),
    element('peerid', peer),
    element('status', online ? 1 : 0),
    element('port', 'N/A'),
    element('ports', [element('tcp', 'N/A'), element('rdma', 'N/A')]),
    element('pid', pid ?? -1),
  ])
}

function filesystemElements({ filesystem }: BrickStatusView): XmlElement[] {
  if (filesystem === undefined) return []
  return [
    element('sizeTotal', filesystem.bytesTotal),
    element('sizeFree', filesystem.bytesFree),
    element('device', filesystem.device),
    element('blockSize', filesystem.blockSize),
    element('mntOptions', filesystem.mountOptions),
    element('fsName', filesystem.type),
    element('inodeSize', filesystem.type),
    element('inodesTotal', filesystem.inodesTotal),
    element('inodesFree', filesystem.inodesFree),
  ]
}

function clientsElement({ clients = [] }: BrickStatusView): XmlElement {
  return element('clientsStatus', [
    element('clientCount', clients.length),
    ...clients.map(client =>
      element('client', [
        element('hostname', client.hostname),
        element('bytesRead', client.bytesRead),
        element('bytesWrite', client.bytesWritten),
        element('opVersion', client.opVersion),
      ]),
    ),
  ])
}
