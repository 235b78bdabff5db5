/**
 * Compounds on a brick: the steps of one record run one after the other through the handlers of
 * program 400, up to the first that fails.
 *
 * A lock that waits may be among the steps. The compound then waits with it, without keeping later
 * records of the connection from being read: the unlock it waits for may be one of them. Since such
 * compounds are not counted as in flight, none of them may carry file data: EINVAL.
 */

import { type Ctx, EntrylkCommand, Errno, type Failure, failure, LockCommand } from '@ashlar/core'
import {
  type AnyProcedure,
  type CompoundReply,
  type CompoundStep,
  type CompoundStepReply,
  fopProgram,
  type FopStatus,
  opensFd,
  resolveFds,
} from '@ashlar/wire'
import type { Recyclable } from '@ashlar/transport'
import type { Brick } from './brick.ts'
import { handlerOf } from './fops.ts'
import { structureOf } from './replies.ts'
import type { Session, Squash } from './session.ts'

const P = fopProgram.procedures
const RANGE_LOCKS: ReadonlySet<AnyProcedure> = new Set<AnyProcedure>([P.LK, P.INODELK, P.FINODELK])
const NAME_LOCKS: ReadonlySet<AnyProcedure> = new Set<AnyProcedure>([P.ENTRYLK, P.FENTRYLK])
/** An fd number that no client has. */
const NO_FD = Number.MAX_SAFE_INTEGER

/** True when one of the steps is a lock that waits until it can be had. */
export function mayWait(steps: readonly CompoundStep[]): boolean {
  return steps.some(({ row, args }) => {
    const { command } = args as { command?: number }
    if (RANGE_LOCKS.has(row)) return command === LockCommand.SETLKW
    return NAME_LOCKS.has(row) && command === EntrylkCommand.LOCK
  })
}

export interface CompoundCall {
  readonly brick: Brick
  readonly session: Session
  /** The caller of steps that name none. */
  readonly ctx: Ctx
  readonly squash: Squash
  readonly steps: readonly CompoundStep[]
}

/** Runs the steps, or says why none of them was run. */
export async function runCompound(call: CompoundCall): Promise<CompoundReply | Failure> {
  const { brick, session, ctx, squash, steps } = call
  const waits = mayWait(steps)
  if (steps.at(-1)?.row === P.WRITE && waits) return failure(Errno.EINVAL)
  const replies: CompoundStepReply[] = []
  for (const { row, credential, args } of steps) {
    const handler = handlerOf(row)
    const caller = credential === undefined ? ctx : session.ctx(credential, squash)
    // A client that has gone has lost the locks of the steps before: nothing runs without them.
    if (handler === undefined || session.closed) {
      const problem = failure(session.closed ? Errno.ENOTCONN : Errno.EOPNOTSUPP)
      replies.push({ row, reply: structureOf(row, problem) })
      break
    }
    const resolved = resolveFds(args, step => openedBy(replies[step])) as never
    // Where a lock is waited for, only what follows is work that the session waits for.
    const works = waits && !RANGE_LOCKS.has(row) && !NAME_LOCKS.has(row)
    if (works) session.begun()
    try {
      const result = await handler({ brick, session, ctx: caller, args: resolved })
      const reply = structureOf(row, result)
      replies.push({ row, reply })
      if ((reply as FopStatus).ret < 0) break
    } finally {
      if (works) session.ended()
    }
  }
  const { done } = (replies.at(-1)?.reply ?? {}) as Recyclable
  const reply: CompoundReply & Recyclable = { ret: 0, errno: 0, steps: replies, done }
  return reply
}

function openedBy(step: CompoundStepReply | undefined): number {
  return step !== undefined && opensFd(step.row) ? (step.reply as { fd: number }).fd : NO_FD
}
