/**
 * What a process has told of itself, from the dict of its answer (host/src/status-operations.ts writes
 * it). Bricks of GlusterFS leave out what is ours.
 */

import {
  type AllocatorView,
  allocatorView,
  type BrickClient,
  type CallsView,
  type FdTableView,
  type FdView,
  type InodesView,
  type InodeView,
  type MemoryView,
  type StatusDetail,
} from '@ashlar/contract'
import { Dict } from '@ashlar/core'
import { StatusCommand } from '@ashlar/host'

/** What can be asked of processes. */
export type ProcessDetail = Exclude<StatusDetail, 'filesystem'>

const COMMANDS: Readonly<Record<ProcessDetail, number>> = {
  memory: StatusCommand.MEM,
  clients: StatusCommand.CLIENTS,
  inodes: StatusCommand.INODE,
  fds: StatusCommand.FD,
  calls: StatusCommand.CALLPOOL,
}

/** The question. */
export function statusQuestion(detail: ProcessDetail, volume: string): Dict {
  return new Dict().setInt('cmd', COMMANDS[detail]).setString('volname', volume)
}

/** What can be told of a process; one member, after what was asked. */
export interface ProcessState {
  clients?: BrickClient[]
  memory?: MemoryView
  inodes?: InodesView
  fds?: FdTableView[]
  calls?: CallsView
}

export function processState(detail: ProcessDetail, answer: Dict): ProcessState {
  const source = new Answer(answer)
  switch (detail) {
    case 'clients':
      return { clients: clientsIn(source) }
    case 'memory':
      return { memory: memoryIn(source) }
    case 'inodes':
      return { inodes: inodesIn(source) }
    case 'fds':
      return { fds: fdTablesIn(source) }
    case 'calls':
      return { calls: callsIn(source) }
  }
}

/** A dict, of which what is missing is 0 or empty. */
class Answer {
  readonly #dict: Dict

  constructor(dict: Dict) {
    this.#dict = dict
  }

  has(key: string): boolean {
    return this.#dict.has(key)
  }

  keys(): Iterable<string> {
    return this.#dict.keys()
  }

  number(key: string): number {
    return this.#dict.getNumber(key) ?? 0
  }

  text(key: string): string {
    return this.#dict.getString(key) ?? ''
  }

  textIfTold(key: string): string | null {
    return this.#dict.getString(key) ?? null
  }

  /** So many as are there, of those that can be told apart by `mark`. */
  list<T>(count: number, mark: (n: number) => string, read: (n: number) => T): T[] {
    const found: T[] = []
    for (let n = 0; n < count && this.has(mark(n)); n++) found.push(read(n))
    return found
  }
}

function clientsIn(answer: Answer): BrickClient[] {
  return Array.from({ length: answer.number('clientcount') }, (_, n) => ({
    hostname: answer.text(`client${n}.hostname`),
    bytesRead: answer.number(`client${n}.bytesread`),
    bytesWritten: answer.number(`client${n}.byteswrite`),
    opVersion: answer.number(`client${n}.opversion`),
    name: answer.text(`client${n}.name`),
  }))
}

function memoryIn(answer: Answer): MemoryView {
  const members = Object.keys(allocatorView.shape).map(
    member => [member, answer.number(`mallinfo.${member}`)] as const,
  )
  return {
    mallinfo: answer.has('mallinfo.arena') ? (Object.fromEntries(members) as AllocatorView) : null,
    node: answer.has('node.rss')
      ? {
          rss: answer.number('node.rss'),
          heapTotal: answer.number('node.heapTotal'),
          heapUsed: answer.number('node.heapUsed'),
          external: answer.number('node.external'),
          arrayBuffers: answer.number('node.arrayBuffers'),
        }
      : null,
  }
}

function inodesIn(answer: Answer): InodesView {
  const connections = answer.number('conncount')
  // The one table is that of any connection: of the first on our bricks, on others of one of many.
  const tables = Array.from({ length: Math.max(connections, 1) }, (_, n) => `conn${n}.itable`)
  const table = tables.find(each => answer.has(`${each}.lru_limit`))
  if (table === undefined) return { connections, table: null }
  const list = (name: string): { size: number; listed: InodeView[] } => {
    const key = (n: number): string => `${table}.${name}${n}`
    const size = answer.number(`${table}.${name}_size`)
    return {
      size,
      listed: answer.list(
        size,
        n => `${key(n)}.gfid`,
        n => ({
          gfid: answer.text(`${key(n)}.gfid`),
          lookups: answer.number(`${key(n)}.nlookup`),
          references: answer.number(`${key(n)}.ref`),
          type: answer.number(`${key(n)}.ia_type`),
        }),
      ),
    }
  }
  const lruLimit = answer.number(`${table}.lru_limit`)
  const lists = { active: list('active'), lru: list('lru'), purge: list('purge') }
  return { connections, table: { lruLimit, ...lists } }
}

function fdTablesIn(answer: Answer): FdTableView[] {
  const fds = fdsIn(answer)
  return Array.from({ length: answer.number('conncount') }, (_, n) => {
    const key = `conn${n}.fdtable`
    return {
      client: answer.text(`${key}.hostname`),
      name: answer.text(`${key}.name`),
      references: answer.number(`${key}.refcount`),
      max: answer.number(`${key}.maxfds`),
      firstFree: answer.number(`${key}.firstfree`),
      open: answer.number(`${key}.openfds`),
      listed: fds.get(key) ?? [],
    }
  })
}

/** Of each table. Their numbers have gaps, so that only the keys themselves say which there are. */
function fdsIn(answer: Answer): Map<string, FdView[]> {
  const tables = new Map<string, FdView[]>()
  for (const key of answer.keys()) {
    const match = /^(conn\d+\.fdtable)\.fdentry(\d+)\.pid$/.exec(key)
    if (match === null) continue
    const [, table, number] = match as unknown as [string, string, string]
    const entry = `${table}.fdentry${number}`
    const fds = tables.get(table) ?? []
    tables.set(table, fds)
    fds.push({
      number: Number(number),
      pid: answer.number(`${entry}.pid`),
      references: answer.number(`${entry}.refcount`),
      flags: answer.number(`${entry}.flags`),
    })
  }
  return tables
}

function callsIn(answer: Answer): CallsView {
  const count = answer.number('callpool.count')
  const key = (n: number): string => `callpool.stack${n}`
  const listed = answer.list(
    count,
    n => `${key(n)}.unique`,
    n => ({
      client: answer.textIfTold(`${key(n)}.client`),
      uid: answer.number(`${key(n)}.uid`),
      gid: answer.number(`${key(n)}.gid`),
      pid: answer.number(`${key(n)}.pid`),
      unique: answer.number(`${key(n)}.unique`),
      translator: answer.textIfTold(`${key(n)}.frame1.translator`),
      call: answer.textIfTold(`${key(n)}.frame1.windto`),
    }),
  )
  return { count, listed }
}
