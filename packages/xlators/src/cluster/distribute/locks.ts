/**
 * The locks by which clients keep out of each other's way in a directory, the same that GlusterFS's
 * clients take (xlators/cluster/dht/src/dht-lock.c):
 *
 *   dht.layout.heal   inodelk on a directory: read while names in it are made, write while its
 *                     layout changes
 *   dht.entry.sync    entrylk on a name
 *   dht.file.migrate  inodelk on a file: its data must not move
 *
 * What is asked for; held-locks.ts takes them.
 */

import {
  type Ctx,
  EntrylkCommand,
  EntrylkType,
  type Loc,
  LockCommand,
  LockType,
  type Step,
  type Subvolume,
} from '@ashlar/core'

const LAYOUT_DOMAIN = 'dht.layout.heal'
const ENTRY_DOMAIN = 'dht.entry.sync'
const MIGRATE_DOMAIN = 'dht.file.migrate'

export type LockRequest =
  | {
      readonly kind: 'inode'
      readonly on: Subvolume
      readonly loc: Loc
      readonly domain: string
      readonly write: boolean
      readonly optional?: boolean
    }
  | { readonly kind: 'entry'; readonly on: Subvolume; readonly loc: Loc; readonly name: string }

/** Both locks of the name space: the parent's layout stays, and the name is ours. */
export function namespaceLocks(on: Subvolume, parent: Loc, name: string): LockRequest[] {
  return [
    { kind: 'inode', on, loc: parent, domain: LAYOUT_DOMAIN, write: false },
    { kind: 'entry', on, loc: parent, name },
  ]
}

export function migrateLock(on: Subvolume, loc: Loc, optional = false): LockRequest {
  return { kind: 'inode', on, loc, domain: MIGRATE_DOMAIN, write: true, optional }
}

export function layoutWriteLocks(subvolumes: readonly Subvolume[], loc: Loc): LockRequest[] {
  return [...subvolumes]
    .sort((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)))
    .map(on => ({ kind: 'inode', on, loc, domain: LAYOUT_DOMAIN, write: true }) as const)
}

/** The request as a step in the name of `owner`. */
export function lockStep(owner: Ctx, request: LockRequest, how: 'try' | 'wait' | 'unlock'): Step {
  const { loc } = request
  if (request.kind === 'entry') {
    const command =
      how === 'try'
        ? EntrylkCommand.LOCK_NB
        : how === 'wait'
          ? EntrylkCommand.LOCK
          : EntrylkCommand.UNLOCK
    const { name } = request
    const type = EntrylkType.WRLCK
    return { fop: 'entrylk', args: { loc, domain: ENTRY_DOMAIN, name, command, type }, ctx: owner }
  }
  const type = how === 'unlock' ? LockType.UNLCK : request.write ? LockType.WRLCK : LockType.RDLCK
  const { pid, lkOwner } = owner
  const flock = { type, whence: 0, start: 0n, len: 0n, pid, lkOwner }
  const command = how === 'wait' ? LockCommand.SETLKW : LockCommand.SETLK
  const { domain } = request
  return { fop: 'inodelk', args: { loc, domain, command, flock }, ctx: owner }
}

/** Order of two names for locking: by subvolume, then by parent and name. */
export function namespaceOrder(
  one: { on: Subvolume; loc: Loc; name: string },
  other: { on: Subvolume; loc: Loc; name: string },
): number {
  const key = (each: { on: Subvolume; loc: Loc; name: string }): Buffer =>
    Buffer.concat([
      Buffer.from(`${each.on.name}\0`),
      Buffer.from(each.loc.gfid, 'latin1'),
      Buffer.from(each.name),
    ])
  return Buffer.compare(key(one), key(other))
}
