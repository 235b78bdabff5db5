/**
 * Serving: what protocol/server can tell of its clients, their open files and their calls, for those
 * who ask how a brick is (`volume status`).
 */

import { addressText, type Fd, type Xlator } from '@ashlar/core'
import type { IncomingCall } from '@ashlar/transport'
import { type CompoundStep, compoundProgram } from '@ashlar/wire'
import type { Brick } from './brick.ts'
import type { Session } from './session.ts'

/** Open files of a client by their numbers, as they are now. */
export interface OpenFiles extends Iterable<[number, Fd]> {
  readonly size: number
  /** Files that it can have open. */
  readonly max: number
  /** The number that the next one gets. */
  readonly firstFree: number
}

/** A client that is admitted. */
export interface ServedClient {
  /** `HOST:PORT`. */
  readonly hostname: string
  /** What it calls itself: `fuse`, `glustershd` … */
  readonly name: string
  readonly opVersion: number
  /** Of its connection, since that was made: what came from it, and what was sent to it. */
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly fds: OpenFiles
}

/** A call that was taken and is not answered. */
export interface PendingCall {
  /** `HOST:PORT`, or the path of a unix socket. */
  readonly client: string
  /** As the caller says, whatever is squashed. */
  readonly uid: number
  readonly gid: number
  readonly pid: number
  /** Its number (xid) on its connection. */
  readonly unique: number
  /** The translator that has taken it. */
  readonly translator: string
  /** `SUBVOLUME->FOP`: where it went, as far as that is known. */
  readonly call: string
}

/** A translator that serves: its clients and calls as they are now. */
export interface ServingXlator extends Xlator {
  servedClients(): Iterable<ServedClient>
  pendingCalls(): Iterable<PendingCall>
}

/** The translator, if it is one that serves. */
export function servingOf(xlator: Xlator): ServingXlator | undefined {
  const serving = xlator as ServingXlator
  return (serving as Partial<ServingXlator>).pendingCalls === undefined ? undefined : serving
}

export function servedClient({ connection, processName, opVersion, fds }: Session): ServedClient {
  const { bytesReceived, bytesSent } = connection.rpc
  return {
    hostname: addressText(connection.remote),
    name: processName,
    opVersion,
    bytesRead: bytesReceived,
    bytesWritten: bytesSent,
    fds,
  }
}

/** `brick` is where the client's fops go, once it is admitted. */
export function pendingCall(call: IncomingCall, translator: string, brick?: Brick): PendingCall {
  const { connection, credential, xid } = call
  const { uid, gid, pid } = credential
  const fop = fopNames(call)
  return {
    client: addressText(connection.remote),
    uid,
    gid,
    pid,
    unique: xid,
    translator,
    call: brick === undefined ? fop : `${brick.child.name}->${fop}`,
  }
}

/** `lk`; of a compound its steps: `compound(entrylk,xattrop,create)`. */
function fopNames({ row, args }: IncomingCall): string {
  const name = row.name.toLowerCase()
  if (row !== compoundProgram.procedures.COMPOUND) return name
  const steps = (args as readonly CompoundStep[]).map(step => step.row.name.toLowerCase())
  return `${name}(${steps.join(',')})`
}
