/**
 * Attributes of a copy that all bricks are to agree on: owner, mode, and the extended attributes that
 * are the volume's own. What a brick or the changelog keeps for itself is left out. Pure.
 * Source: xlators/cluster/afr/src/afr-self-heal-metadata.c, afr-self-heal-common.c.
 */

import type { Iatt } from '@ashlar/core'
import type { Copy } from './copies.ts'

/** xdata key by which a lookup brings all xattrs. */
export const LIST_XATTRS = 'list-xattr'

const NAMESPACES = ['user.', 'trusted.', 'security.', 'system.']
/** Each brick's own. */
const OWN = new Set([
  'trusted.gfid',
  'trusted.glusterfs.volume-id',
  'trusted.glusterfs.mdata',
  'security.selinux',
  'trusted.bit-rot.version',
  'trusted.bit-rot.signature',
  'trusted.bit-rot.bad-file',
])
const OWN_PREFIXES = [
  'trusted.afr.',
  'trusted.gfid2path.',
  'trusted.pgfid.',
  'trusted.glusterfs.quota.size',
  'trusted.glusterfs.quota.limit-',
]
/** Times that geo-replication keeps on each brick. */
const OWN_PATTERN = /^trusted\.glusterfs\..*\.(xtime|stime|entry_stime)$/

export function isShared(name: string): boolean {
  if (!NAMESPACES.some(space => name.startsWith(space))) return false
  if (OWN.has(name) || OWN_PREFIXES.some(prefix => name.startsWith(prefix))) return false
  return !OWN_PATTERN.test(name)
}

/** The extended attributes of a copy that was looked up with LIST_XATTRS. */
export function sharedXattrs(copy: Copy): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  for (const [name] of copy.xdata ?? []) {
    const value = isShared(name) ? copy.xdata?.getBytes(name) : undefined
    if (value !== undefined) found.set(name, value)
  }
  return found
}

export function sameStat(one: Iatt, other: Iatt): boolean {
  return (
    one.mode === other.mode &&
    one.uid === other.uid &&
    one.gid === other.gid &&
    (one.rdev === other.rdev || one.isRegular || one.isDirectory)
  )
}

export function sameTimes(one: Iatt, other: Iatt): boolean {
  return (
    one.mtime === other.mtime &&
    one.mtimeNsec === other.mtimeNsec &&
    one.atime === other.atime &&
    one.atimeNsec === other.atimeNsec
  )
}

export interface XattrChange {
  readonly remove: readonly string[]
  readonly set: ReadonlyMap<string, Buffer>
}

/** What makes the xattrs of `from` those of `to`. */
export function xattrChange(
  from: ReadonlyMap<string, Buffer>,
  to: ReadonlyMap<string, Buffer>,
): XattrChange {
  const set = new Map<string, Buffer>()
  for (const [name, value] of to) if (from.get(name)?.equals(value) !== true) set.set(name, value)
  return { remove: [...from.keys()].filter(name => !to.has(name)), set }
}

export function sameXattrs(one: Copy, other: Copy): boolean {
  const { remove, set } = xattrChange(sharedXattrs(one), sharedXattrs(other))
  return remove.length === 0 && set.size === 0
}
