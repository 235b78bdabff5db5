/**
 * Headers of calls and replies (RFC 5531 §9).
 */

import { type Credential, decodeCredential, encodeCredential } from './credential.ts'
import { WireError } from './error.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

export const MessageType = { CALL: 0, REPLY: 1 } as const
export const RPC_VERSION = 2

/** accept_stat; a reply of any other than SUCCESS carries no results. */
export const AcceptStatus = {
  SUCCESS: 0,
  PROG_UNAVAIL: 1,
  PROG_MISMATCH: 2,
  PROC_UNAVAIL: 3,
  GARBAGE_ARGS: 4,
  SYSTEM_ERR: 5,
} as const

/** reject_stat of a denied reply. */
export const RejectStatus = { RPC_MISMATCH: 0, AUTH_ERROR: 1 } as const

const MSG_ACCEPTED = 0
const MSG_DENIED = 1
const VERIFIER_BYTES_MAX = 400

export interface CallHeader {
  readonly xid: number
  readonly rpcVersion: number
  readonly program: number
  readonly version: number
  readonly procedure: number
  readonly credential: Credential
}

export interface ReplyHeader {
  readonly xid: number
  readonly denied: boolean
  /** AcceptStatus, or RejectStatus when denied. */
  readonly status: number
  /** Versions known (of the program or of RPC) for mismatches; auth_stat in `low` for AUTH_ERROR. */
  readonly low: number
  readonly high: number
}

/** The first two words of every message. Throws WireError when it is neither call nor reply. */
export function decodeMessageStart(r: Reader): { readonly xid: number; readonly type: number } {
  const xid = r.u32()
  const type = r.u32()
  if (type > 1) throw new WireError(`a message of type ${type}`)
  return { xid, type }
}

/** A call's header up to its arguments. */
export function encodeCallHead(
  w: Writer,
  xid: number,
  program: number,
  version: number,
  procedure: number,
  credential: Credential,
): void {
  w.u32(xid)
  w.u32(MessageType.CALL)
  w.u32(RPC_VERSION)
  w.u32(program)
  w.u32(version)
  w.u32(procedure)
  encodeCredential(w, credential)
  w.u32(0)
  w.u32(0)
}

/** What follows `decodeMessageStart` in a call, up to its arguments. */
export function decodeCall(r: Reader, xid: number): CallHeader {
  const rpcVersion = r.u32()
  const program = r.u32()
  const version = r.u32()
  const procedure = r.u32()
  const credential = decodeCredential(r)
  skipVerifier(r)
  return { xid, rpcVersion, program, version, procedure, credential }
}

export function encodeReply(w: Writer, xid: number, status: number): void {
  w.u32(xid)
  w.u32(MessageType.REPLY)
  w.u32(MSG_ACCEPTED)
  w.u32(0)
  w.u32(0)
  w.u32(status)
}

/** A program is known, but not in that version. */
export function encodeProgramMismatch(w: Writer, xid: number, low: number, high: number): void {
  encodeReply(w, xid, AcceptStatus.PROG_MISMATCH)
  w.u32(low)
  w.u32(high)
}

export function encodeRpcMismatch(w: Writer, xid: number): void {
  w.u32(xid)
  w.u32(MessageType.REPLY)
  w.u32(MSG_DENIED)
  w.u32(RejectStatus.RPC_MISMATCH)
  w.u32(RPC_VERSION)
  w.u32(RPC_VERSION)
}

/** What follows `decodeMessageStart` in a reply, up to its results. */
export function decodeReply(r: Reader, xid: number): ReplyHeader {
  const stat = r.u32()
  if (stat === MSG_ACCEPTED) {
    skipVerifier(r)
    const status = r.u32()
    if (status !== AcceptStatus.PROG_MISMATCH)
      return { xid, denied: false, status, low: 0, high: 0 }
    return { xid, denied: false, status, low: r.u32(), high: r.u32() }
  }
  if (stat !== MSG_DENIED) throw new WireError(`a reply that is neither accepted nor denied`)
  const status = r.u32()
  const low = r.u32()
  const high = status === RejectStatus.RPC_MISMATCH ? r.u32() : 0
  return { xid, denied: true, status, low, high }
}

function skipVerifier(r: Reader): void {
  r.u32()
  const length = r.u32()
  if (length > VERIFIER_BYTES_MAX) throw new WireError(`a verifier of ${length} bytes`)
  if (length > 0) r.skip((length + 3) & ~3)
}
