/**
 * After a reconnect: files are opened again and POSIX locks asked for again, before anybody above
 * hears that the brick is back (`client_post_handshake`, client-handshake.c).
 */

import { delay, Errno, LockCommand, NULL_GFID } from '@ashlar/core'
import { isFailure } from '@ashlar/transport'
import { fopProgram } from '@ashlar/wire'
import { type Link, openFlagsToWire } from './link.ts'
import { BRICK_CREDENTIAL } from './peer.ts'
import type { RemoteFd } from './remote-fd.ts'

const P = fopProgram.procedures

/** Files opened at a time. */
const REOPEN_PARALLEL = 64
/** The brick may not have noticed yet that our old connection is dead and its locks free. */
const LOCK_ATTEMPTS = 5
const LOCK_RETRY_MS = 100

/** Opens every file of the link again. What cannot be opened is used by its gfid from now on. */
export async function recover(link: Link): Promise<void> {
  const waiting = [...link.fds].filter(remote => !remote.open)
  const workers = Array.from({ length: Math.min(REOPEN_PARALLEL, waiting.length) }, async () => {
    for (let remote = waiting.pop(); remote !== undefined; remote = waiting.pop()) {
      await reopen(link, remote)
    }
  })
  await Promise.all(workers)
}

async function reopen(link: Link, remote: RemoteFd): Promise<void> {
  const { rpc } = link.peer
  const { gfid } = remote
  if (gfid === NULL_GFID) return
  const reply = remote.directory
    ? await rpc.call(fopProgram, P.OPENDIR, { gfid, xdata: undefined }, BRICK_CREDENTIAL)
    : await rpc.call(
        fopProgram,
        P.OPEN,
        { gfid, flags: openFlagsToWire(remote.flags), xdata: undefined },
        BRICK_CREDENTIAL,
      )
  if (isFailure(reply)) return
  if (reply.ret < 0) {
    link.self.env.log.warning('a file could not be opened again', { errno: reply.errno })
    return
  }
  if (!link.fds.has(remote)) {
    // Released while it was being opened.
    const row = remote.directory ? P.RELEASEDIR : P.RELEASE
    rpc.cast(fopProgram, row, { gfid, fd: reply.fd, xdata: undefined }, BRICK_CREDENTIAL)
    return
  }
  remote.number = reply.fd
  await relock(link, remote)
}

async function relock(link: Link, remote: RemoteFd): Promise<void> {
  for (const flock of remote.locks?.locks() ?? []) {
    const errno = await lockAgain(link, remote, flock)
    if (errno === 0) continue
    remote.locksLost = true
    link.self.env.log.warning('a lock was lost with the connection', { errno })
  }
}

async function lockAgain(
  link: Link,
  remote: RemoteFd,
  flock: ReturnType<NonNullable<RemoteFd['locks']>['locks']>[number],
): Promise<Errno> {
  const credential = { ...BRICK_CREDENTIAL, pid: flock.pid, lkOwner: flock.lkOwner }
  for (let attempt = 1; ; attempt++) {
    const reply = await link.peer.rpc.call(
      fopProgram,
      P.LK,
      {
        gfid: remote.gfid,
        fd: remote.number,
        command: LockCommand.SETLK,
        type: flock.type,
        flock,
        xdata: undefined,
      },
      credential,
    )
    if (isFailure(reply)) return reply.errno
    if (reply.ret >= 0) return 0
    if (reply.errno !== Errno.EAGAIN || attempt === LOCK_ATTEMPTS) return reply.errno
    await delay(link.self.env.clock, LOCK_RETRY_MS)
  }
}
