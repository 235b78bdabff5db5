/** One-line views of requests and replies, for debug logs: printed from the table's own rows. */

import { decodeName, errnoName } from '@ashlar/core'
import { IN_HEADER_BYTES, OUT_HEADER_BYTES } from './constants.ts'
import { IN_HEADER, OPERATIONS } from './table.ts'

/** `LOOKUP unique=2 nodeid=1 uid=0 gid=0 pid=77 "name"`. Never throws: bad lengths are shown. */
export function printRequest(message: Buffer): string {
  if (message.length < IN_HEADER_BYTES) return `short request of ${message.length} bytes`
  const header = IN_HEADER.decode(message, 0)
  const operation = OPERATIONS[header.opcode]
  const { unique, nodeid, uid, gid, pid } = header
  const who = `unique=${unique} nodeid=${nodeid} uid=${uid} gid=${gid} pid=${pid}`
  if (operation === undefined) return `opcode ${header.opcode} ${who}`
  const parts = [operation.name, who]
  let at = IN_HEADER_BYTES
  if (operation.head !== undefined) {
    if (at + operation.head.size > message.length) return `${parts.join(' ')} (short)`
    parts.push(operation.head.print(operation.head.decode(message, at)))
    at += operation.head.size
  }
  for (let i = 0; i < (operation.names ?? 0); i++) {
    const end = message.indexOf(0, at)
    if (end === -1) return `${parts.join(' ')} (short)`
    parts.push(JSON.stringify(decodeName(message, at, end)))
    at = end + 1
  }
  if (operation.payload === true) parts.push(`+${message.length - at} bytes`)
  return parts.join(' ')
}

/** `unique=2 ENOENT`, or the length of a success. */
export function printReply(unique: number, error: number, length: number): string {
  if (error !== 0) return `unique=${unique} ${errnoName(-error)}`
  return `unique=${unique} ok +${length - OUT_HEADER_BYTES} bytes`
}
