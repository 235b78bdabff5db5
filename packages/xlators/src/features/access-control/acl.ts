/**
 * POSIX access control lists in Linux's binary form, and what they allow.
 * Format: linux/posix_acl_xattr.h. Pure.
 */

export const ACL_ACCESS_KEY = 'system.posix_acl_access'
export const ACL_DEFAULT_KEY = 'system.posix_acl_default'

const VERSION = 2
const HEADER_BYTES = 4
const ENTRY_BYTES = 8

export const AclTag = {
  USER_OBJ: 1,
  USER: 2,
  GROUP_OBJ: 4,
  GROUP: 8,
  MASK: 0x10,
  OTHER: 0x20,
} as const
const TAGS: ReadonlySet<number> = new Set(Object.values(AclTag))

/** Permission bits: 4 read, 2 write, 1 execute. */
export interface AclEntry {
  readonly tag: number
  readonly permissions: number
  readonly id: number
}

export type Acl = readonly AclEntry[]

/** Undefined for bytes that are no ACL. */
export function parseAcl(value: Buffer): Acl | undefined {
  if (value.length < HEADER_BYTES || (value.length - HEADER_BYTES) % ENTRY_BYTES !== 0)
    return undefined
  if (value.readUInt32LE(0) !== VERSION) return undefined
  const entries: AclEntry[] = []
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = value.readUInt16LE(at)
    if (!TAGS.has(tag)) return undefined
    entries.push({ tag, permissions: value.readUInt16LE(at + 2), id: value.readUInt32LE(at + 4) })
  }
  return entries
}

export function printAcl(acl: Acl): Buffer {
  const value = Buffer.alloc(HEADER_BYTES + acl.length * ENTRY_BYTES)
  value.writeUInt32LE(VERSION, 0)
  acl.forEach((entry, i) => {
    const at = HEADER_BYTES + i * ENTRY_BYTES
    value.writeUInt16LE(entry.tag, at)
    value.writeUInt16LE(entry.permissions, at + 2)
    value.writeUInt32LE(entry.id, at + 4)
  })
  return value
}

export interface Caller {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

export interface Guarded {
  readonly uid: number
  readonly gid: number
  readonly mode: number
  /** null: the mode bits alone decide. */
  readonly acl: Acl | null
}

export function isInGroup(caller: Caller, gid: number): boolean {
  return caller.gid === gid || caller.groups.includes(gid)
}

/** True when `caller` may do all of `wanted` (4 read, 2 write, 1 execute). */
export function allows(guarded: Guarded, caller: Caller, wanted: number): boolean {
  if (guarded.acl !== null && guarded.acl.length > 0)
    return aclAllows(guarded, guarded.acl, caller, wanted)
  const shift = caller.uid === guarded.uid ? 6 : isInGroup(caller, guarded.gid) ? 3 : 0
  return ((guarded.mode >> shift) & wanted) === wanted
}

function aclAllows(guarded: Guarded, acl: Acl, caller: Caller, wanted: number): boolean {
  const of = (tag: number): AclEntry | undefined => acl.find(entry => entry.tag === tag)
  const grants = (permissions: number): boolean => (permissions & wanted) === wanted
  const mask = of(AclTag.MASK)?.permissions ?? 7
  if (caller.uid === guarded.uid) return grants(of(AclTag.USER_OBJ)?.permissions ?? 0)
  const named = acl.find(entry => entry.tag === AclTag.USER && entry.id === caller.uid)
  if (named !== undefined) return grants(named.permissions & mask)
  const groups = acl.filter(
    entry =>
      (entry.tag === AclTag.GROUP_OBJ && isInGroup(caller, guarded.gid)) ||
      (entry.tag === AclTag.GROUP && isInGroup(caller, entry.id)),
  )
  if (groups.length > 0) return groups.some(entry => grants(entry.permissions & mask))
  return grants(of(AclTag.OTHER)?.permissions ?? 0)
}
