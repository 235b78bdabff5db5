/**
 * A lease on the names of a directory, of our own bricks and clients: while a client has it, nobody
 * else gives a name in the directory to anything before the client has been told and has agreed, or
 * the lease has run out. Who has listed a directory under it knows which names are not there.
 *
 *   client ─ opendir with NAMES_LEASE ─▶ brick     reply with NAMES_LEASE: the lease's number
 *   client ◀─ names-recall (number) ─── brick      another client is about to make a name
 *   client ─ ipc IPC_NAMES_RETURNED ──▶ brick      nothing is answered from it any more: go on
 *
 * GlusterFS's bricks ignore the key and grant nothing; its clients never ask.
 */

import type { Reply } from './fops.ts'

/** Key of xdata: in a request the wish for a lease, in a reply or callback the lease's number. */
export const NAMES_LEASE = 'ashlar.names-lease'
/**
 * Milliseconds for which a lease lasts: for a brick from when it grants it, for the client from when
 * it has asked, which is earlier.
 */
export const NAMES_LEASE_MS = 2000
/** Operation of ipc by which a lease is returned. */
export const IPC_NAMES_RETURNED = 0x4153

/**
 * The lease that several bricks have granted together: as text, the same as long as it is unbroken on
 * all of them. Undefined when one of them has not.
 */
export function jointNamesLease(
  replies: readonly (Reply<'opendir'> | undefined)[],
): string | undefined {
  const leases = replies.map(reply => (reply?.ok === true ? leaseOf(reply) : undefined))
  return leases.every(lease => lease !== undefined) ? leases.join(' ') : undefined
}

/** The lease in a reply. */
export function leaseOf(reply: Reply<'opendir'> & { readonly ok: true }): string | undefined {
  return reply.xdata?.getString(NAMES_LEASE)
}
