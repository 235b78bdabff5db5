/**
 * After a reconnect: files are opened again and POSIX locks asked for again, before anybody above
 * hears that the brick is back (`client_post_handshake`, client-handshake.c). Files that were opened
 * while the brick was away are opened when it matters.
 */

import { delay, Errno, type Fd, LockCommand, NULL_GFID, OpenFlag } from '@ashlar/core'
import { isFailure } from '@ashlar/transport'
import { fopProgram } from '@ashlar/wire'
import { type Link, openFlagsToWire } from './link.ts'
import { BRICK_CREDENTIAL } from './peer.ts'
import { FD_ANONYMOUS, FD_LOST, RemoteFd } from './remote-fd.ts'

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

/** Opens a file in the name of the connection: its owner was allowed to when it was opened first. */
async function reopen(link: Link, remote: RemoteFd): Promise<Errno> {
  const { rpc } = link.peer
  const { gfid } = remote
  if (gfid === NULL_GFID) return Errno.ESTALE
  const reply = remote.directory
    ? await rpc.call(fopProgram, P.OPENDIR, { gfid, xdata: undefined }, BRICK_CREDENTIAL)
    : await rpc.call(
        fopProgram,
        P.OPEN,
        { gfid, flags: openFlagsToWire(remote.flags), xdata: undefined },
        BRICK_CREDENTIAL,
      )
  if (isFailure(reply)) return reply.errno
  if (reply.ret < 0) {
    link.self.env.log.warning('a file could not be opened again', { errno: reply.errno })
    return reply.errno
  }
  if (!link.fds.has(remote)) {
    // Released while it was being opened.
    const row = remote.directory ? P.RELEASEDIR : P.RELEASE
    rpc.cast(fopProgram, row, { gfid, fd: reply.fd, xdata: undefined }, BRICK_CREDENTIAL)
    return Errno.EBADF
  }
  remote.number = reply.fd
  await relock(link, remote)
  return 0
}

/** Whether data written to the fd would come to lie elsewhere than where it was opened to append. */
export function appendsUnopened({ fds }: Link, fd: Fd): boolean {
  return (fd.flags & OpenFlag.APPEND) !== 0 && fds.numberOf(fd) === FD_ANONYMOUS
}

/**
 * Opens an fd that is not open on this brick, because the brick was away then or could not open it
 * again (`afr_fix_open`, afr-open.c). 0, or why it cannot be.
 */
export function openLate(link: Link, fd: Fd): Promise<Errno> {
  // Before that `recover` opens what there is.
  if (!link.peer.ready) return Promise.resolve(Errno.ENOTCONN)
  let remote = link.fds.get(fd)
  if (remote === undefined) {
    remote = new RemoteFd(fd.inode.gfid, FD_LOST, fd.flags, false)
    link.fds.add(fd, remote)
  }
  const late = remote
  late.opening ??= reopen(link, late).finally(() => {
    late.opening = undefined
  })
  return late.opening
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
