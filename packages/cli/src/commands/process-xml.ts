/**
 * What processes tell of themselves in XML. GlusterFS's documents end at the first thing that its bricks
 * leave out; these go on, in the form that its command line gives to bricks that leave out nothing.
 */

import type {
  BrickStatusView,
  CallsView,
  CallView,
  DaemonStatusView,
  FdTableView,
  InodesView,
  InodeTableView,
  MemoryView,
} from '@ashlar/contract'
import { element, type XmlElement } from '../xml.ts'
import { ALLOCATOR_MEMBERS, type ProcessType } from './process-text.ts'

/** Undefined when the process tells nothing. */
export function processStateElement(
  process: BrickStatusView | DaemonStatusView,
  type: ProcessType,
): XmlElement | undefined {
  switch (type) {
    case 'mem':
      return process.memory && memoryElement(process.memory)
    case 'inode':
      return process.inodes && inodesElement(process.inodes)
    case 'fd':
      return 'fds' in process && process.fds !== undefined ? fdsElement(process.fds) : undefined
    case 'callpool':
      return process.calls && callsElement(process.calls)
  }
}

function memoryElement({ mallinfo }: MemoryView): XmlElement {
  const members = ALLOCATOR_MEMBERS.map(member =>
    mallinfo === null ? undefined : element(member, mallinfo[member]),
  )
  return element('memStatus', [element('mallinfo', members), element('mempool')])
}

/** The table is in the first connection, which is there also when nobody is connected. */
function inodesElement({ connections, table }: InodesView): XmlElement {
  const content = table === null ? [] : inodeTableElements(table)
  return element('inodeStatus', [
    element('connections', connections),
    element('connection', content),
    ...Array.from({ length: Math.max(0, connections - 1) }, () => element('connection')),
  ])
}

function inodeTableElements(table: InodeTableView): XmlElement[] {
  return (['active', 'lru', 'purge'] as const).flatMap(name => {
    const { size, listed } = table[name]
    const inodes = listed.map(({ gfid, lookups, references, type }) =>
      element('inode', [
        element('gfid', gfid),
        element('nLookup', lookups),
        element('ref', references),
        element('iaType', type),
      ]),
    )
    return [element(`${name}Size`, size), ...(size === 0 ? [] : [element(name, inodes)])]
  })
}

function fdsElement(tables: readonly FdTableView[]): XmlElement {
  return element('fdStatus', [
    element('connections', tables.length),
    ...tables.map(({ references, max, firstFree, open, listed }) =>
      element('connection', [
        element('fdTable', [
          element('refCount', references),
          element('maxFds', max),
          element('firstFree', firstFree),
          element('openFds', open),
          ...listed.map(fd =>
            element('fd', [
              // Counted from 1 here, and from 0 in the text.
              element('entry', fd.number + 1),
              element('pid', fd.pid),
              element('refCount', fd.references),
              element('flags', fd.flags),
            ]),
          ),
        ]),
      ]),
    ),
  ])
}

function callsElement({ count, listed }: CallsView): XmlElement {
  return element('callpoolStatus', [element('count', count), ...listed.map(callStackElement)])
}

function callStackElement({ uid, gid, pid, unique, translator, call }: CallView): XmlElement {
  return element('callStack', [
    element('uid', uid),
    element('gid', gid),
    element('pid', pid),
    element('unique', unique),
    element('frameCount', 1),
    element('callFrame', [
      ...(translator === null ? [] : [element('translator', translator), element('complete', 0)]),
      ...(call === null ? [] : [element('windTo', call)]),
    ]),
  ])
}
