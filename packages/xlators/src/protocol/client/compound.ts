/**
 * Compounds on a brick that knows them: the steps are gathered from the plain fops, which make their
 * requests and take their replies as ever, fds and locks they keep account of included; only the
 * sending is done here, in one record.
 *
 * A brick of GlusterFS has no such procedure: there the steps go as the plain fops they are.
 */

import {
  callFop,
  type Ctx,
  Errno,
  type Failure,
  failure,
  type Fd,
  type Fops,
  type PlainFop,
  type Reply,
  runSteps,
  type Step,
} from '@ashlar/core'
import { isFailure, NOT_CONNECTED, type Recyclable } from '@ashlar/transport'
import {
  COMPOUND_STEPS_MAX,
  compoundProgram,
  type CompoundReply,
  type CompoundStep,
  fdOfStep,
  opensFd,
  type Procedure,
} from '@ashlar/wire'
import type { Link } from './link.ts'
import { appendsUnopened, openLate } from './recovery.ts'

const { COMPOUND } = compoundProgram.procedures

/** The calls that the steps of one record have made, and who waits for their replies. */
export class Collected {
  readonly steps: CompoundStep[] = []
  readonly answer: ((reply: never) => void)[] = []
  readonly #link: Link
  readonly #caller: Ctx
  readonly #fds = new Map<Fd, number>()

  constructor(link: Link, caller: Ctx) {
    this.#link = link
    this.#caller = caller
  }

  get full(): boolean {
    if (this.steps.length === COMPOUND_STEPS_MAX) return true
    // File data ends a record.
    return this.steps.at(-1)?.row.payload !== undefined
  }

  /** Link.call: takes a request in. What comes back resolves only if the step runs. */
  add<Q, R>(row: Procedure<Q, R>, ctx: Ctx, args: Q): Promise<R | Failure> {
    const credential = ctx === this.#caller ? undefined : this.#link.credential(ctx)
    this.steps.push({ row, credential, args })
    return new Promise(resolve => this.answer.push(resolve as never))
  }

  /** The step that was added last opens `fd`. */
  opens(fd: Fd): void {
    if (opensFd((this.steps.at(-1) as CompoundStep).row))
      this.#fds.set(fd, fdOfStep(this.steps.length - 1))
  }

  /** The name of an fd that a step of this record opens. */
  fdOf(fd: Fd): number | undefined {
    return this.#fds.get(fd)
  }
}

/** The fop over one link; `plain` are the fops of the same link. */
export function compoundFop(link: Link, plain: Pick<Fops, PlainFop>): Pick<Fops, 'compound'> {
  return {
    async compound(ctx, { steps }) {
      if (!link.peer.compounds || steps.length < 2) return runSteps(plain, ctx, steps)
      if (!link.peer.ready) return NOT_CONNECTED
      const unopened = unopenedAppend(link, steps)
      if (unopened !== undefined) {
        const refused = await openLate(link, unopened)
        if (refused !== 0) return failure(refused)
      }
      const caller = withoutSignal(ctx)
      const replies: Reply<PlainFop>[] = []
      while (replies.length < steps.length) {
        const sent = await send(link, plain, caller, steps.slice(replies.length))
        if (!Array.isArray(sent)) {
          // What ran before is known; of the rest it is only known that it was not answered.
          if (replies.length === 0) return sent
          replies.push(sent)
          break
        }
        replies.push(...sent)
        if (sent.at(-1)?.ok !== true) break
      }
      return { ok: true, replies }
    },
  }
}

function opens({ fop }: Step): boolean {
  return fop === 'open' || fop === 'create'
}

/** The fd of an append that is neither open on the brick nor opened by a step before it. */
function unopenedAppend(link: Link, steps: readonly Step[]): Fd | undefined {
  for (let i = 0; i < steps.length; i++) {
    const { fop, args } = steps[i] as Step
    if (fop !== 'writev' || !appendsUnopened(link, args.fd)) continue
    const { fd } = args
    const opened = steps.some(
      (each, before) => before < i && 'fd' in each.args && each.args.fd === fd && opens(each),
    )
    if (!opened) return fd
  }
  return undefined
}

/**
 * The caller's signal stays out: a lock in the midst of a compound cannot be given up, for what
 * stands behind it runs as soon as it is had.
 */
function withoutSignal(ctx: Ctx): Ctx {
  return ctx.signal === undefined ? ctx : { ...ctx, signal: undefined }
}

/**
 * As many of the steps as one record holds; their replies, up to the first that failed. A failure
 * when the record was not answered.
 */
async function send(
  link: Link,
  plain: Pick<Fops, PlainFop>,
  ctx: Ctx,
  steps: readonly Step[],
): Promise<Reply<PlainFop>[] | Failure> {
  const collected = new Collected(link, ctx)
  const answers: Promise<Reply<PlainFop>>[] = []
  for (const step of steps) {
    if (collected.full) break
    const before = collected.steps.length
    const caller = step.ctx === undefined ? ctx : withoutSignal(step.ctx)
    answers.push(gather(link, plain, caller, step, collected))
    // It failed by itself, without a call: the steps before it are sent, none behind it.
    if (collected.steps.length === before) break
    if ('fd' in step.args) collected.opens(step.args.fd)
  }
  if (collected.steps.length > 0) {
    const failed = await exchange(link, ctx, collected)
    if (failed !== undefined) {
      for (const answer of collected.answer) answer(failed as never)
      return failed
    }
  }
  const replies: Reply<PlainFop>[] = []
  for (const answer of answers) {
    const reply = await answer
    replies.push(reply)
    if (!reply.ok) break
  }
  return replies
}

/** Lets the plain fop make its request, which it does before it waits for anything. */
function gather(
  link: Link,
  plain: Pick<Fops, PlainFop>,
  ctx: Ctx,
  step: Step,
  collected: Collected,
): Promise<Reply<PlainFop>> {
  link.collecting = collected
  try {
    return callFop<PlainFop>(plain, step.fop, ctx, step.args)
  } finally {
    link.collecting = undefined
  }
}

/** Sends the record and hands out the replies. */
async function exchange(
  link: Link,
  ctx: Ctx,
  { steps, answer }: Collected,
): Promise<Failure | undefined> {
  const { rpc } = link.peer
  const reply: (CompoundReply & Recyclable) | Failure = await rpc.call(
    compoundProgram,
    COMPOUND,
    steps,
    link.credential(ctx),
    ctx.lazy,
  )
  if (isFailure(reply)) return reply
  if (reply.ret < 0) return failure(reply.errno)
  if (!isAnswerTo(reply, steps)) return failure(Errno.EIO)
  const last = reply.steps.at(-1)
  if (last?.row.fop === 'readv' && reply.done !== undefined)
    (last.reply as Recyclable).done = reply.done
  reply.steps.forEach((step, i) => (answer[i] as (reply: unknown) => void)(step.reply))
  return undefined
}

/** A brick is believed when its replies are those of our steps, and stop only at a failure. */
function isAnswerTo({ steps: replies }: CompoundReply, steps: readonly CompoundStep[]): boolean {
  if (replies.length === 0 || replies.length > steps.length) return false
  const failed = (reply: unknown): boolean => (reply as { ret: number }).ret < 0
  return replies.every(({ row, reply }, i) => {
    if (row !== steps[i]?.row) return false
    return i === replies.length - 1 ? i === steps.length - 1 || failed(reply) : !failed(reply)
  })
}
