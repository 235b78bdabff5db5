/**
 * Credentials: who calls, in the flavours that Gluster uses (rpc/rpc-lib
 * auth-glusterfs.c). An unknown flavour is no error: its caller is nobody in particular.
 */

import { WireError } from './error.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** Flavour numbers (rpc/rpc-lib/src/xdr-rpc.h). */
export const AuthFlavor = {
  NULL: 0,
  UNIX: 1,
  GLUSTERFS: 5,
  GLUSTERFS_V2: 390_039,
  GLUSTERFS_V3: 390_040,
} as const

export interface Credential {
  readonly flavor: number
  readonly pid: number
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  /** Bytes as a latin-1 string. */
  readonly lkOwner: string
  /** MDATA flags and the operation's time; version 3 only. */
  readonly flags: number
  readonly sec: number
  readonly nsec: number
}

/** Longest body of a credential (RFC 5531). */
const BODY_BYTES_MAX = 400
/** Groups and lock owner together may have so many (auth-glusterfs.c, `GF_AUTH_GLUSTERFS_MAX_*`). */
const V2_MEMBERS_MAX = 95
const V3_MEMBERS_MAX = 91
const V1_GROUPS = 16
const LK_OWNER_BYTES_MAX = 90

const NO_GROUPS: readonly number[] = []

export const NULL_CREDENTIAL: Credential = {
  flavor: AuthFlavor.NULL,
  pid: 0,
  uid: 0,
  gid: 0,
  groups: NO_GROUPS,
  lkOwner: '',
  flags: 0,
  sec: 0,
  nsec: 0,
}

/** The credential of management traffic: root, lock owner of four zero bytes. */
export const MANAGEMENT_CREDENTIAL: Credential = {
  ...NULL_CREDENTIAL,
  flavor: AuthFlavor.GLUSTERFS_V2,
  lkOwner: '\0\0\0\0',
}

/** Flavour, length and body. Groups beyond what fits are left out, as the real client does. */
export function encodeCredential(w: Writer, credential: Credential): void {
  const { flavor, lkOwner } = credential
  if (lkOwner.length > LK_OWNER_BYTES_MAX) {
    throw new WireError(`a lock owner of ${lkOwner.length} bytes`)
  }
  w.u32(flavor)
  const start = w.position
  w.u32(0)
  if (flavor === AuthFlavor.GLUSTERFS_V3) {
    w.u32(credential.pid)
    w.u32(credential.uid)
    w.u32(credential.gid)
    w.u32(credential.flags)
    w.u32(credential.nsec)
    w.u64(credential.sec)
    writeGroups(w, credential.groups, V3_MEMBERS_MAX - lkOwner.length)
    w.latin1(lkOwner)
  } else if (flavor === AuthFlavor.GLUSTERFS_V2) {
    w.u32(credential.pid)
    w.u32(credential.uid)
    w.u32(credential.gid)
    writeGroups(w, credential.groups, V2_MEMBERS_MAX - lkOwner.length)
    w.latin1(lkOwner)
  } else if (flavor !== AuthFlavor.NULL) {
    throw new WireError(`credentials of flavour ${flavor} are never sent`)
  }
  w.patch(start, w.position - start - 4)
}

function writeGroups(w: Writer, groups: readonly number[], most: number): void {
  const count = Math.min(groups.length, Math.max(0, most))
  w.u32(count)
  for (let i = 0; i < count; i++) w.u32(groups[i] as number)
}

/** Throws WireError when the body does not fit its flavour. */
export function decodeCredential(r: Reader): Credential {
  const flavor = r.u32()
  const length = r.u32()
  if (length > BODY_BYTES_MAX) throw new WireError(`a credential of ${length} bytes`)
  if (length > r.remaining) throw new WireError('a credential is cut')
  const end = r.remaining - ((length + 3) & ~3)
  const credential = decodeBody(r, flavor)
  const left = r.remaining - end
  if (left < 0) throw new WireError('a credential is longer than its length says')
  if (left > 0) r.skip(left)
  return credential
}

function decodeBody(r: Reader, flavor: number): Credential {
  switch (flavor) {
    case AuthFlavor.GLUSTERFS_V3: {
      const pid = r.i32()
      const uid = r.u32()
      const gid = r.u32()
      const flags = r.u32()
      const nsec = r.u32()
      const sec = r.u64()
      const groups = readGroups(r)
      return { flavor, pid, uid, gid, groups, lkOwner: readOwner(r), flags, sec, nsec }
    }
    case AuthFlavor.GLUSTERFS_V2: {
      const pid = r.i32()
      const uid = r.u32()
      const gid = r.u32()
      const groups = readGroups(r)
      return { ...NULL_CREDENTIAL, flavor, pid, uid, gid, groups, lkOwner: readOwner(r) }
    }
    case AuthFlavor.GLUSTERFS:
      return decodeV1(r)
    case AuthFlavor.UNIX: {
      r.u32() // stamp
      r.string() // machine name
      const uid = r.u32()
      const gid = r.u32()
      return { ...NULL_CREDENTIAL, flavor, uid, gid, groups: readGroups(r) }
    }
    default:
      return { ...NULL_CREDENTIAL, flavor }
  }
}

function decodeV1(r: Reader): Credential {
  let owner = ''
  const bytes = r.fixed(8)
  for (let i = 7; i >= 0; i--) owner += String.fromCharCode(bytes[i] as number)
  const pid = r.i32()
  const uid = r.u32()
  const gid = r.u32()
  const count = r.u32()
  const groups: number[] = []
  for (let i = 0; i < V1_GROUPS; i++) {
    const group = r.u32()
    if (i < count) groups.push(group)
  }
  const flavor = AuthFlavor.GLUSTERFS
  return { ...NULL_CREDENTIAL, flavor, pid, uid, gid, groups, lkOwner: owner }
}

function readGroups(r: Reader): readonly number[] {
  const count = r.count(4)
  if (count === 0) return NO_GROUPS
  if (count > BODY_BYTES_MAX / 4) throw new WireError(`${count} groups`)
  const groups: number[] = []
  for (let i = 0; i < count; i++) groups.push(r.u32())
  return groups
}

function readOwner(r: Reader): string {
  const owner = r.latin1()
  if (owner.length > BODY_BYTES_MAX) throw new WireError(`a lock owner of ${owner.length} bytes`)
  return owner
}
