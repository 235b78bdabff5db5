/**
 * Locks. A request that waits can be given up by the caller's signal; should the brick grant it all
 * the same, the lock is returned at once.
 */

import {
  type Ctx,
  EntrylkCommand,
  Errno,
  type Failure,
  failure,
  type Flock,
  type Fops,
  LockCommand,
  LockType,
} from '@ashlar/core'
import { fopProgram } from '@ashlar/wire'
import { gfidOf, type Link } from './link.ts'

const P = fopProgram.procedures

type LockFops = Pick<Fops, 'lk' | 'inodelk' | 'finodelk' | 'entrylk' | 'fentrylk'>

/**
 * Waits for `request`, at most until the caller gives up: then EINTR, and `undo` if the lock comes
 * nevertheless.
 */
async function interruptible<R extends object>(
  ctx: Ctx,
  waits: boolean,
  request: Promise<R | Failure>,
  undo: () => Promise<unknown>,
): Promise<R | Failure> {
  const { signal } = ctx
  if (!waits || signal === undefined) return request
  return new Promise(resolve => {
    let given = false
    const giveUp = (): void => {
      given = true
      resolve(failure(Errno.EINTR))
    }
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp, { once: true })
    request.then(
      reply => {
        signal.removeEventListener('abort', giveUp)
        if (given && !('ok' in reply)) undo().catch(() => {})
        else resolve(reply)
      },
      () => resolve(failure(Errno.EIO)),
    )
  })
}

function unlockOf(flock: Flock): Flock {
  return { ...flock, type: LockType.UNLCK }
}

/** The fops of the lock family over one link. */
export function lockFops(link: Link): LockFops {
  return {
    async lk(ctx, { fd, command, flock, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      link.fds.asksForLock(fd)
      const { gfid } = fd.inode
      const ask = (lock: Flock, how: number) =>
        link.call(P.LK, ctx, {
          gfid,
          fd: number,
          command: how,
          type: lock.type,
          flock: lock,
          xdata,
        })
      const reply = await interruptible(
        ctx,
        command === LockCommand.SETLKW,
        ask(flock, command),
        () => ask(unlockOf(flock), LockCommand.SETLK),
      )
      if ('ok' in reply) return reply
      if (command === LockCommand.SETLK || command === LockCommand.SETLKW) {
        link.fds.locked(fd, { ...flock, lkOwner: ctx.lkOwner })
      }
      return { ok: true, xdata: reply.xdata, flock: reply.flock }
    },

    async inodelk(ctx, { loc, domain, command, flock, xdata }) {
      const gfid = gfidOf(loc)
      const ask = (lock: Flock, how: number) =>
        link.call(P.INODELK, ctx, {
          gfid,
          command: how,
          type: lock.type,
          flock: lock,
          domain,
          xdata,
        })
      const reply = await interruptible(
        ctx,
        command === LockCommand.SETLKW,
        ask(flock, command),
        () => ask(unlockOf(flock), LockCommand.SETLK),
      )
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async finodelk(ctx, { fd, domain, command, flock, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const ask = (lock: Flock, how: number) =>
        link.call(P.FINODELK, ctx, {
          gfid,
          fd: number,
          command: how,
          type: lock.type,
          flock: lock,
          domain,
          xdata,
        })
      const reply = await interruptible(
        ctx,
        command === LockCommand.SETLKW,
        ask(flock, command),
        () => ask(unlockOf(flock), LockCommand.SETLK),
      )
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async entrylk(ctx, { loc, domain, name, command, type, xdata }) {
      const gfid = gfidOf(loc)
      const named = name === undefined ? 0 : 1
      const ask = (how: number) =>
        link.call(P.ENTRYLK, ctx, {
          gfid,
          command: how,
          type,
          named,
          name: name ?? '',
          domain,
          xdata,
        })
      const reply = await interruptible(ctx, command === EntrylkCommand.LOCK, ask(command), () =>
        ask(EntrylkCommand.UNLOCK),
      )
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async fentrylk(ctx, { fd, domain, name, command, type, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const named = name === undefined ? 0 : 1
      const ask = (how: number) =>
        link.call(P.FENTRYLK, ctx, {
          gfid,
          fd: number,
          command: how,
          type,
          named,
          name: name ?? '',
          domain,
          xdata,
        })
      const reply = await interruptible(ctx, command === EntrylkCommand.LOCK, ask(command), () =>
        ask(EntrylkCommand.UNLOCK),
      )
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },
  }
}
