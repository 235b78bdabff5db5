/** Locks: POSIX and flock, waiting ones and those that are called off. */

import { Errno, failure, type Flock, LockCommand, LockType } from '@ashlar/core'
import { LK_FLOCK, OUT_HEADER_BYTES } from '../protocol/constants.ts'
import { INTERRUPT_IN, LK_IN, LK_OUT } from '../protocol/table.ts'
import type { OpenFile } from './files.ts'
import type { Request } from './request.ts'
import type { BridgeState, Waiting } from './state.ts'

/** The kernel's end of a range without end (OFFSET_MAX). */
const OFFSET_MAX = 0x7fff_ffff_ffff_ffffn

interface LockRequest {
  readonly file: OpenFile
  readonly flock: Flock
}

function takeLock(state: BridgeState, request: Request): LockRequest | undefined {
  const { fh, owner, start, end, type, pid, lkFlags } = request.take(LK_IN)
  const file = state.file(request, fh)
  if (file === undefined) return undefined
  // A flock is a lock on the whole file; GlusterFS makes no other difference between the two.
  const whole = (lkFlags & LK_FLOCK) !== 0
  return {
    file,
    flock: {
      type,
      whence: 0,
      start: whole ? 0n : start,
      len: whole || end >= OFFSET_MAX ? 0n : end - start + 1n,
      pid,
      lkOwner: owner,
    },
  }
}

export async function getlk(state: BridgeState, request: Request): Promise<void> {
  const wanted = takeLock(state, request)
  if (wanted === undefined) return
  const { file, flock } = wanted
  const ctx = state.callers.ctx(request, flock.lkOwner)
  const fd = file.fd.ref()
  const reply = await state.graph.top.lk(ctx, { fd, command: LockCommand.GETLK, flock })
  fd.unref()
  if (!reply.ok) {
    state.failInode(request, reply)
    return
  }
  const found = reply.flock
  LK_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, {
    start: found.start,
    end: found.len === 0n ? OFFSET_MAX : found.start + found.len - 1n,
    type: found.type,
    pid: found.pid,
  })
  state.device.reply(request.unique, LK_OUT.size)
}

export async function setlk(state: BridgeState, request: Request): Promise<void> {
  const wanted = takeLock(state, request)
  if (wanted !== undefined) await setAtOnce(state, request, wanted)
}

/** Sets or frees a lock without waiting for anybody. */
async function setAtOnce(state: BridgeState, request: Request, wanted: LockRequest): Promise<void> {
  const { file, flock } = wanted
  if (flock.type !== LockType.UNLCK) file.node.locked = true
  const ctx = state.callers.ctx(request, flock.lkOwner)
  const fd = file.fd.ref()
  const reply = await state.graph.top.lk(ctx, { fd, command: LockCommand.SETLK, flock })
  fd.unref()
  if (!reply.ok) return state.failInode(request, reply)
  state.files.granted(file, flock)
  await answerGranted(state, request, wanted)
}

/**
 * Before a program is told that it has a lock, the kernel forgets what it has cached of the file:
 * whoever held the lock before, perhaps on another mount, has changed it since.
 */
async function answerGranted(
  state: BridgeState,
  request: Request,
  { file, flock }: LockRequest,
): Promise<void> {
  if (flock.type !== LockType.UNLCK) {
    await state.invalidations.shareDirectories(file.node)
    await state.invalidations.dataNow(file.node)
  }
  state.ok(request)
}

/**
 * Waits for a lock. When the caller is interrupted it gets EINTR at once; a lock that arrives all
 * the same is given back. When the graph is switched the waiting starts again on the next one; also
 * for who was interrupted meanwhile: a brick of GlusterFS has moved what he waited for to the next
 * graph's connection, and only by that one can it be given back.
 */
export async function setlkw(state: BridgeState, request: Request): Promise<void> {
  const wanted = takeLock(state, request)
  if (wanted === undefined) return
  const { file, flock } = wanted
  // Freeing one never waits, though the kernel asks as if it did: a change of the graph waits for it.
  if (flock.type === LockType.UNLCK) return setAtOnce(state, request, wanted)
  file.node.locked = true
  const waiting: Waiting = { reason: undefined, controller: new AbortController() }
  state.waiting.set(request.unique, waiting)
  let outcome = await waitForLock(state, request, wanted, waiting)
  while (outcome === 'switched') {
    await state.moved
    if (file.broken) outcome = Errno.EBADF
    else {
      waiting.controller = new AbortController()
      if (waiting.reason === 'interrupted') waiting.controller.abort()
      else waiting.reason = undefined
      outcome = await waitForLock(state, request, wanted, waiting)
    }
  }
  state.waiting.delete(request.unique)
  if (outcome === 'interrupted') state.device.replyError(request.unique, Errno.EINTR)
  else if (outcome === undefined) {
    state.files.granted(file, flock)
    await answerGranted(state, request, wanted)
  } else state.failInode(request, failure(outcome))
}

/** Undefined when the lock is held, the errno when it was refused, or why the waiting ended. */
async function waitForLock(
  state: BridgeState,
  request: Request,
  wanted: LockRequest,
  waiting: Waiting,
): Promise<number | 'interrupted' | 'switched' | undefined> {
  const { file, flock } = wanted
  const { graph } = state
  const { signal } = waiting.controller
  const ctx = state.callers.ctx(request, flock.lkOwner, signal)
  const fd = file.fd.ref()
  const granted = graph.top.lk(ctx, { fd, command: LockCommand.SETLKW, flock })
  const calledOff = new Promise<undefined>(resolve => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  const reply = await Promise.race([granted, calledOff])
  if (reply !== undefined && waiting.reason === undefined) {
    fd.unref()
    return reply.ok ? undefined : reply.errno
  }
  // Nobody waits for it any more: if it comes, it is given back.
  void granted.then(async late => {
    if (late.ok) {
      const undo = { fd, command: LockCommand.SETLK, flock: { ...flock, type: LockType.UNLCK } }
      await graph.top.lk({ ...ctx, signal: new AbortController().signal }, undo)
    }
    fd.unref()
  })
  return waiting.reason ?? 'interrupted'
}

/** The caller of a request was hit by a signal. Only waiting for a lock can be called off. */
export function interrupt(state: BridgeState, request: Request): void {
  const { unique } = request.take(INTERRUPT_IN)
  const waiting = state.waiting.get(unique)
  if (waiting === undefined) return
  waiting.reason = 'interrupted'
  waiting.controller.abort()
}

/** Gives up every lock of an owner on a file: the flock of a file that is closed. */
export async function unlockAll(
  state: BridgeState,
  request: Request,
  file: OpenFile,
  lkOwner: string,
): Promise<void> {
  const flock = { type: LockType.UNLCK, whence: 0, start: 0n, len: 0n, pid: request.pid, lkOwner }
  const ctx = state.callers.ctx(request, lkOwner)
  const fd = file.fd.ref()
  await state.graph.top.lk(ctx, { fd, command: LockCommand.SETLK, flock })
  fd.unref()
  state.files.granted(file, flock)
}
