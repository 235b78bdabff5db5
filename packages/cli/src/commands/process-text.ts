/**
 * What processes tell of themselves as text: `volume status … mem | inode | fd | callpool`.
 */

import type {
  AllocatorView,
  BrickStatusView,
  CallsView,
  CallView,
  DaemonStatusView,
  FdTableView,
  InodesView,
  InodeTableView,
  MemoryView,
  VolumeProcesses,
} from '@ashlar/contract'
import { DAEMON_NAME, NARROW, notTold } from './status-text.ts'

/** Types of status that are told by the processes themselves, after GlusterFS's words. */
export type ProcessType = 'mem' | 'inode' | 'fd' | 'callpool'

export function isProcessType(type: string): type is ProcessType {
  return Object.hasOwn(TITLES, type)
}

type Process = BrickStatusView | DaemonStatusView

const TITLES: Readonly<Record<ProcessType, string>> = {
  mem: 'Memory status for volume :',
  inode: 'Inode tables for volume',
  fd: 'FD tables for volume',
  callpool: 'Pending calls for volume',
}

/** One block per process. `ofDaemon`: asked for by the name of a kind of daemon, and headed so. */
export function processStateLines(
  { volume, bricks, daemons }: VolumeProcesses,
  type: ProcessType,
  ofDaemon: boolean,
): string[] {
  return [
    `${TITLES[type]} ${volume}`,
    NARROW,
    ...[...bricks, ...(ofDaemon ? daemons : [])].flatMap(process => [
      ...processStateBlock(process, type, ofDaemon),
      NARROW,
    ]),
    ...(type === 'mem' ? [''] : []),
  ]
}

function processStateBlock(process: Process, type: ProcessType, ofDaemon: boolean): string[] {
  const [host, place] =
    'path' in process ? [process.host, process.path] : [DAEMON_NAME, process.peer]
  const lines = stateLines(process, type)
  if (ofDaemon) return [`${host} : ${place}`, ...(lines ?? [notTold(host, process.online)])]
  return [`Brick : ${host}:${place}`, ...(lines ?? [notTold('Brick', process.online)])]
}

/** Undefined when it tells nothing. */
function stateLines(process: Process, type: ProcessType): string[] | undefined {
  switch (type) {
    case 'mem':
      return process.memory && memoryLines(process.memory)
    case 'inode':
      return process.inodes && inodeLines(process.inodes)
    case 'fd':
      return 'fds' in process ? process.fds?.flatMap(fdTableLines) : undefined
    case 'callpool':
      return process.calls && callLines(process.calls)
  }
}

/** Members of mallinfo2 in the order of the tables. */
export const ALLOCATOR_MEMBERS = [
  'arena',
  'ordblks',
  'smblks',
  'hblks',
  'hblkhd',
  'usmblks',
  'fsmblks',
  'uordblks',
  'fordblks',
  'keepcost',
] as const satisfies readonly (keyof AllocatorView)[]

/** There are no memory pools, and GlusterFS without any has no table of them. */
function memoryLines({ mallinfo }: MemoryView): string[] {
  const rows = ALLOCATOR_MEMBERS.map(member => {
    const name = member[0]?.toUpperCase() + member.slice(1)
    return `${name.padEnd(8)} : ${mallinfo?.[member] ?? 'N/A'}`
  })
  return ['Mallinfo', '--------', ...rows, ' ']
}

/**
 * A process has one table, which is told as that of the first connection. There are headings when there is
 * more than one connection, and without any the table is told all the same.
 */
function inodeLines({ connections, table }: InodesView): string[] {
  const sizes = table === null ? [] : inodeTableLines(table)
  if (connections <= 1) return [...sizes, ' ']
  return Array.from({ length: connections }, (_, n) => [
    `Connection ${n + 1}:`,
    ...(n === 0 ? sizes : []),
    ' ',
  ]).flat()
}

function inodeTableLines({ lruLimit, active, lru, purge }: InodeTableView): string[] {
  return [
    `LRU limit     : ${lruLimit}`,
    `Active Inodes : ${active.size}`,
    `LRU Inodes    : ${lru.size}`,
    `Purge Inodes  : ${purge.size}`,
  ]
}

/** Everything in its place: GlusterFS has `No open fds` on standard error. */
function fdTableLines(table: FdTableView, n: number): string[] {
  const { references, max, firstFree, open, listed } = table
  return [
    `Connection ${n + 1}:`,
    `RefCount = ${references}  MaxFDs = ${max}  FirstFree = ${firstFree}`,
    ...(open === 0
      ? ['No open fds']
      : [
          fdRow('FD Entry', 'PID', 'RefCount', 'Flags'),
          fdRow('--------', '---', '--------', '-----'),
          ...listed.map(fd => fdRow(fd.number, fd.pid, fd.references, fd.flags)),
          ...more(open - listed.length),
        ]),
    ' ',
  ]
}

function fdRow(...cells: readonly (string | number)[]): string {
  return cells.map(cell => String(cell).padEnd(19)).join(' ')
}

function callLines({ count, listed }: CallsView): string[] {
  return [
    `Pending calls: ${count}`,
    ...listed.flatMap(callStackLines),
    ...more(count - listed.length),
  ]
}

function callStackLines(
  { uid, gid, pid, unique, translator, call }: CallView,
  n: number,
): string[] {
  return [
    `Call Stack${n + 1}`,
    ` UID    : ${uid}`,
    ` GID    : ${gid}`,
    ` PID    : ${pid}`,
    ` Unique : ${unique}`,
    ' Frames : 1',
    ' Frame 1',
    ...(translator === null ? [] : [`  Translator  = ${translator}`, '  Completed   = No']),
    ...(call === null ? [] : [`  Wind To     = ${call}`]),
    ' ',
  ]
}

function more(count: number): string[] {
  return count > 0 ? [`(and ${count} more)`] : []
}
