/**
 * Compounds: a short list of fops that run on one subvolume in order, up to the first that fails.
 *
 * Where a brick knows them they cost one round trip (protocol/client); everywhere else `runSteps`
 * sends the steps as the plain fops they are. Who writes a compound need not know which it will be:
 *
 *   - The steps see each other's effects, and nothing else: other clients' fops may run between
 *     them, so what must not be disturbed is locked by a step before it.
 *   - A step may use the fd that a `create`, `open` or `opendir` before it opens.
 *   - The reply is a failure only when it is not known which steps ran: then, as with any fop whose
 *     connection broke, any of them may have.
 *   - A lock that waits may be among the steps; it cannot be given up by the caller's signal.
 *   - `readv` and `writev` stand best at the end: what follows them costs another round trip.
 */

import { Errno } from './errno.ts'
import {
  type Ctx,
  failure,
  type Fop,
  type FopArgs,
  type FopName,
  type Fops,
  type PlainFop,
  type Reply,
  type Step,
} from './fops.ts'

/** Calls a fop by name: for code that handles all fops alike. */
export function callFop<F extends FopName>(
  target: Pick<Fops, F>,
  fop: F,
  ctx: Ctx,
  args: FopArgs[F],
): Promise<Reply<F>> {
  return (target[fop] as Fop<F>)(ctx, args)
}

/** Runs the steps one by one as plain fops, up to the first that fails. */
export async function runSteps(
  target: Pick<Fops, PlainFop>,
  ctx: Ctx,
  steps: readonly Step[],
): Promise<Reply<'compound'>> {
  const replies: Reply<PlainFop>[] = []
  for (const step of steps) {
    const reply = await callFop<PlainFop>(target, step.fop, step.ctx ?? ctx, step.args)
    if (!reply.ok && reply.errno === Errno.ENOTCONN && replies.length === 0) return reply
    replies.push(reply)
    if (!reply.ok) break
  }
  return { ok: true, replies }
}

/**
 * Runs steps on a subvolume, each whatever came of the others: where compounds are one round trip
 * (`compounds`), in as few of them as failures allow, elsewhere side by side.
 */
export async function runEach(
  on: Pick<Fops, PlainFop | 'compound'>,
  compounds: boolean,
  ctx: Ctx,
  steps: readonly Step[],
): Promise<Reply<PlainFop>[]> {
  if (!compounds || steps.length === 1) {
    return Promise.all(
      steps.map(step => callFop<PlainFop>(on, step.fop, step.ctx ?? ctx, step.args)),
    )
  }
  const replies: Reply<PlainFop>[] = []
  while (replies.length < steps.length) {
    const reply = await on.compound(ctx, { steps: steps.slice(replies.length) })
    if (!reply.ok || reply.replies.length === 0) {
      const lost = reply.ok ? failure(Errno.EIO) : reply
      while (replies.length < steps.length) replies.push(lost)
      break
    }
    replies.push(...reply.replies)
  }
  return replies
}

/** The reply of step `index`, which is the fop `fop`; undefined when that step did not run. */
export function stepReply<F extends PlainFop>(
  replies: readonly Reply<PlainFop>[],
  index: number,
  _fop: F,
): Reply<F> | undefined {
  return replies[index] as Reply<F> | undefined
}
