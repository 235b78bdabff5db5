/**
 * `volume status` in XML, with GlusterFS's quirks (`inodeSize` holds the file system's name).
 */

import type { BrickStatusView, DaemonStatusView, VolumeProcesses } from '@ashlar/contract'
import { element, type XmlElement } from '../xml.ts'
import { isProcessType } from './process-text.ts'
import { processStateElement } from './process-xml.ts'
import { DAEMON_NAME } from './status-text.ts'
import type { StatusWords } from './status-words.ts'

/** The element of one volume. */
export function statusElement(answer: VolumeProcesses, words: StatusWords): XmlElement {
  const name = element('volName', answer.volume)
  if (words.type === 'tasks') return element('volume', [name, element('tasks')])
  // Daemons have no file system and no clients of their own; the rest they tell when they are named.
  const daemons = words.type === 'plain' || words.daemon !== undefined ? answer.daemons : []
  const plain = words.type === 'plain' && words.brick === undefined && words.daemon === undefined
  return element('volume', [
    name,
    element('nodeCount', answer.bricks.length + daemons.length),
    ...answer.bricks.map(brick => nodeElement(brick, words)),
    ...daemons.map(daemon => daemonElement(daemon, words)),
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
    isProcessType(words.type) ? processStateElement(brick, words.type) : undefined,
  ])
}

function daemonElement(daemon: DaemonStatusView, { type }: StatusWords): XmlElement {
  const { host, peer, online, pid } = daemon
  const tellsItself = isProcessType(type)
  return element('node', [
    element('hostname', DAEMON_NAME),
    element('path', tellsItself ? peer : host),
    element('peerid', peer),
    element('status', online ? 1 : 0),
    element('port', 'N/A'),
    element('ports', [element('tcp', 'N/A'), element('rdma', 'N/A')]),
    element('pid', pid ?? -1),
    tellsItself ? processStateElement(daemon, type) : undefined,
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

function clientsElement({ clients }: BrickStatusView): XmlElement | undefined {
  if (clients === undefined) return undefined
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
