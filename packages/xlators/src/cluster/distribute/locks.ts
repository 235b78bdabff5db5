/**
 * The locks by which clients keep out of each other's way in a directory, the same that GlusterFS's
 * clients take (reference/dht.md §3, §6):
 *
 *   dht.layout.heal   inodelk on a directory: read while names in it are made, write while its
 *                     layout changes
 *   dht.entry.sync    entrylk on a name
 *   dht.file.migrate  inodelk on a file: its data must not move
 *
 * All locks of an operation are first asked for at once, without waiting for anybody. Only when one
 * is taken are they asked for again one after the other, in the order that all clients keep.
 */

import {
  type Ctx,
  EntrylkCommand,
  EntrylkType,
  Errno,
  failure,
  type Failure,
  type Loc,
  LockCommand,
  LockType,
  type Subvolume,
} from '@ashlar/core'
import { type Distribution, internalCtx } from './volume.ts'

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

/** Locks held; let go of with `release`. */
export class HeldLocks {
  readonly ok = true
  readonly #ctx: Ctx
  readonly #requests: readonly LockRequest[]

  constructor(ctx: Ctx, requests: readonly LockRequest[]) {
    this.#ctx = ctx
    this.#requests = requests
  }

  /** Sends the unlocks; nobody needs to wait for their answers. */
  release(): void {
    const ctx: Ctx = { ...this.#ctx, lazy: true }
    for (const request of this.#requests) {
      lock(ctx, request, 'unlock').catch(() => undefined)
    }
  }
}

/** Missing files cannot move: their lock is not needed (`optional`). */
const GONE: ReadonlySet<number> = new Set([Errno.ENOENT, Errno.ESTALE, Errno.EIO])

/**
 * Takes all locks or none. Requests must come in the order that all clients keep, which is that of
 * the functions above, with the names of an operation sorted by `namespaceOrder`. Without `wait`, one
 * that somebody has is EAGAIN: for repairs, which may run under the very locks they would wait for.
 */
export async function acquire(
  volume: Distribution,
  ctx: Ctx,
  requests: readonly LockRequest[],
  { wait = true }: { wait?: boolean } = {},
): Promise<HeldLocks | Failure> {
  const owner = internalCtx(ctx, volume.transactionOwner())
  const replies = await Promise.all(requests.map(request => lock(owner, request, 'try')))
  const held = requests.filter((_, i) => replies[i]?.ok === true)
  const refused = replies.filter(
    (reply, i): reply is Failure => !reply.ok && !isForgiven(requests[i] as LockRequest, reply),
  )
  if (refused.length === 0) return new HeldLocks(owner, held)
  new HeldLocks(owner, held).release()
  const final = refused.find(reply => reply.errno !== Errno.EAGAIN)
  if (final !== undefined) return final
  return wait ? acquireInOrder(owner, requests) : failure(Errno.EAGAIN)
}

async function acquireInOrder(
  owner: Ctx,
  requests: readonly LockRequest[],
): Promise<HeldLocks | Failure> {
  const held: LockRequest[] = []
  for (const request of requests) {
    const reply = await lock(owner, request, 'wait')
    if (reply.ok) held.push(request)
    else if (!isForgiven(request, reply)) {
      new HeldLocks(owner, held).release()
      return reply
    }
  }
  return new HeldLocks(owner, held)
}

function isForgiven(request: LockRequest, reply: Failure): boolean {
  return request.kind === 'inode' && request.optional === true && GONE.has(reply.errno)
}

async function lock(
  ctx: Ctx,
  request: LockRequest,
  how: 'try' | 'wait' | 'unlock',
): Promise<{ ok: true } | Failure> {
  if (request.kind === 'entry') {
    const command =
      how === 'try'
        ? EntrylkCommand.LOCK_NB
        : how === 'wait'
          ? EntrylkCommand.LOCK
          : EntrylkCommand.UNLOCK
    return request.on.entrylk(ctx, {
      loc: request.loc,
      domain: ENTRY_DOMAIN,
      name: request.name,
      command,
      type: EntrylkType.WRLCK,
    })
  }
  const type = how === 'unlock' ? LockType.UNLCK : request.write ? LockType.WRLCK : LockType.RDLCK
  return request.on.inodelk(ctx, {
    loc: request.loc,
    domain: request.domain,
    command: how === 'wait' ? LockCommand.SETLKW : LockCommand.SETLK,
    flock: { type, whence: 0, start: 0n, len: 0n, pid: ctx.pid, lkOwner: ctx.lkOwner },
  })
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
