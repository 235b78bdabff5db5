/**
 * What a process tells of itself when glusterd asks how it is (brick operations STATUS and NODE_STATUS),
 * and the dict of the answer, with GlusterFS's keys (reference: glusterfsd/src/glusterfsd-mgmt.c).
 *
 * A graph has one inode table, whoever is connected: it is told once, as that of the first connection.
 * Lists are cut off at a limit, their sizes are whole. Keys that GlusterFS has none for are ours: the
 * client of a call and of an fd table, and what Node knows of its memory.
 */

import {
  Dict,
  gfidText,
  type InodeList,
  type InodeTable,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
} from '@ashlar/core'
import { allocatorStatistics } from '@ashlar/sys'
import type { PendingCall, ServedClient } from '@ashlar/xlators'

/** rpc/xdr/src/cli1-xdr.x `gf_cli_status_type`: what is asked for, under the key `cmd`. */
export const StatusCommand = {
  MEM: 0x1,
  CLIENTS: 0x2,
  INODE: 0x4,
  FD: 0x8,
  CALLPOOL: 0x10,
  /** Answered as CLIENTS: who asks counts their names. */
  CLIENT_LIST: 0x80,
} as const
/** `GF_CLI_STATUS_MASK`: the bits beside them say of whom. */
const COMMAND_MASK = 0xff

/** Inodes told of each list of a table, the oldest first. */
export const INODES_LISTED_MAX = 1_000
/** Open files told, of all clients together. */
export const FDS_LISTED_MAX = 4_000
/** Calls told, the oldest first of each connection. */
export const CALLS_LISTED_MAX = 1_000

/** A process, or one of its volumes, as it is asked about. */
export interface StatusSource {
  readonly inodes: InodeTable | undefined
  readonly clients: Iterable<ServedClient>
  readonly calls: Iterable<PendingCall>
}

/** The answer; undefined: none of the commands is meant. */
export function statusOperation(command: number, source: StatusSource): Dict | undefined {
  const output = new Dict()
  switch (command & COMMAND_MASK) {
    case StatusCommand.MEM:
      writeMemory(output)
      break
    case StatusCommand.CLIENTS:
    case StatusCommand.CLIENT_LIST:
      writeClients(output, source.clients)
      break
    case StatusCommand.INODE:
      writeInodes(output, source)
      break
    case StatusCommand.FD:
      writeFds(output, source.clients)
      break
    case StatusCommand.CALLPOOL:
      writeCalls(output, source.calls)
      break
    default:
      return undefined
  }
  return output
}

/**
 * There are no memory pools: buffers are Node's, and the allocator's below it. Of pools nothing is told, as
 * by bricks of GlusterFS 10.3.
 */
function writeMemory(output: Dict): void {
  for (const [member, value] of Object.entries(allocatorStatistics() ?? {})) {
    output.setUint(`mallinfo.${member}`, value)
  }
  for (const [kind, bytes] of Object.entries(process.memoryUsage())) {
    output.setUint(`node.${kind}`, bytes)
  }
}

function writeClients(output: Dict, clients: Iterable<ServedClient>): void {
  let count = 0
  for (const { hostname, name, opVersion, bytesRead, bytesWritten } of clients) {
    const key = `client${count++}`
    output
      .setString(`${key}.hostname`, hostname)
      .setUint(`${key}.bytesread`, bytesRead)
      .setUint(`${key}.byteswrite`, bytesWritten)
      .setUint(`${key}.opversion`, opVersion)
      .setString(`${key}.name`, name)
  }
  output.setInt('clientcount', count)
}

function writeInodes(output: Dict, { inodes, clients }: StatusSource): void {
  output.setInt('conncount', [...clients].length)
  if (inodes === undefined) return
  const key = 'conn0.itable'
  output
    .setUint(`${key}.lru_limit`, inodes.lruLimit)
    .setUint(`${key}.active_size`, inodes.active.size)
    .setUint(`${key}.lru_size`, inodes.lru.size)
    .setUint(`${key}.purge_size`, inodes.purge.size)
  for (const list of [inodes.active, inodes.lru, inodes.purge]) writeInodeList(output, key, list)
}

function writeInodeList(output: Dict, table: string, list: InodeList): void {
  let count = 0
  for (const { gfid, nlookup, ref, type } of list) {
    if (count === INODES_LISTED_MAX) return
    const key = `${table}.${list.name}${count++}`
    output
      .setString(`${key}.gfid`, gfidText(gfid))
      .setUint(`${key}.nlookup`, nlookup)
      .setUint(`${key}.ref`, ref)
      .setUint(`${key}.ia_type`, IA_TYPES.get(type) ?? IA_INVAL)
  }
}

/** A table belongs to its session alone: it is referred to once. */
function writeFds(output: Dict, clients: Iterable<ServedClient>): void {
  let connections = 0
  let room = FDS_LISTED_MAX
  for (const { hostname, name, fds } of clients) {
    const key = `conn${connections++}.fdtable`
    output
      .setString(`${key}.hostname`, hostname)
      .setString(`${key}.name`, name)
      .setInt(`${key}.refcount`, 1)
      .setUint(`${key}.maxfds`, fds.max)
      .setInt(`${key}.firstfree`, fds.firstFree)
      .setInt(`${key}.openfds`, fds.size)
    if (fds.size === 0) continue
    for (const [number, fd] of fds) {
      if (room === 0) break
      room -= 1
      output
        .setInt(`${key}.fdentry${number}.pid`, fd.pid)
        .setInt(`${key}.fdentry${number}.refcount`, fd.references)
        .setInt(`${key}.fdentry${number}.flags`, fd.flags)
    }
  }
  output.setInt('conncount', connections)
}

/** A call is known where it was taken, and to whom it went from there: one frame. */
function writeCalls(output: Dict, calls: Iterable<PendingCall>): void {
  let count = 0
  for (const { client, uid, gid, pid, unique, translator, call } of calls) {
    const key = `callpool.stack${count++}`
    if (count > CALLS_LISTED_MAX) continue
    output
      .setUint(`${key}.uid`, uid)
      .setUint(`${key}.gid`, gid)
      .setInt(`${key}.pid`, pid)
      .setUint(`${key}.unique`, unique)
      .setInt(`${key}.count`, 1)
      .setString(`${key}.client`, client)
      .setString(`${key}.frame1.translator`, translator)
      .setInt(`${key}.frame1.complete`, 0)
      .setString(`${key}.frame1.windto`, call)
  }
  output.setInt('callpool.count', count)
}

/** libglusterfs/src/glusterfs/iatt.h `ia_type_t`. */
const IA_INVAL = 0
const IA_TYPES: ReadonlyMap<number, number> = new Map([
  [S_IFREG, 1],
  [S_IFDIR, 2],
  [S_IFLNK, 3],
  [S_IFBLK, 4],
  [S_IFCHR, 5],
  [S_IFIFO, 6],
  [S_IFSOCK, 7],
])
