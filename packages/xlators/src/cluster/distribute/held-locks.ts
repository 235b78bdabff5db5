/**
 * Taking locks and letting go of them.
 *
 * All locks of an operation are first asked for at once, without waiting for anybody. Only when one
 * is taken are they asked for again one after the other, in the order that all clients keep.
 *
 * On subvolumes that take compounds, the locks of one of them are one round trip, and what is to be
 * done there under them may come along (`work`): it runs as soon as the locks before it are held.
 * **Whoever gives work along answers for it that no lock on another subvolume protects it.**
 */

import {
  assert,
  callFop,
  type Ctx,
  Errno,
  failure,
  type Failure,
  MODIFYING_FOPS,
  type PlainFop,
  type Reply,
  runEach,
  type Step,
  type Subvolume,
} from '@ashlar/core'
import { type LockRequest, lockStep } from './locks.ts'
import { type Distribution, internalCtx } from './volume.ts'

/** Something to be done under the locks of `on`. */
export interface Work {
  readonly on: Subvolume
  readonly step: Step
}

/** Locks held; let go of with `release`. */
export class HeldLocks {
  readonly ok = true
  readonly #volume: Distribution
  readonly #owner: Ctx
  readonly #replies: ReadonlyMap<Work, Reply<PlainFop>>
  #held: readonly LockRequest[]

  constructor(
    volume: Distribution,
    owner: Ctx,
    held: readonly LockRequest[],
    replies: ReadonlyMap<Work, Reply<PlainFop>> = new Map(),
  ) {
    this.#volume = volume
    this.#owner = owner
    this.#held = held
    this.#replies = replies
  }

  /** What came of a piece of work, which is the fop `fop`; undefined when it has not been run. */
  reply<F extends PlainFop>(work: Work | undefined, _fop: F): Reply<F> | undefined {
    return work === undefined ? undefined : (this.#replies.get(work) as Reply<F> | undefined)
  }

  /**
   * The last thing that is done under these locks: those on `on` go with it when it succeeds. The
   * others, and these when it fails, are still to be released.
   */
  async finish<F extends PlainFop>(
    ctx: Ctx,
    on: Subvolume,
    step: Extract<Step, { fop: F }>,
  ): Promise<Reply<F>> {
    const here = this.#held.filter(request => request.on === on)
    if (this.#volume.compounds[on.index] !== true || here.length === 0)
      return callFop(on, step.fop as F, ctx, step.args as never)
    const steps = [step, ...here.map(request => lockStep(this.#owner, request, 'unlock'))]
    const reply = await on.compound(ctx, { steps })
    if (!reply.ok) return reply
    const gone = new Set(here.slice(0, reply.replies.length - 1))
    this.#held = this.#held.filter(request => !gone.has(request))
    return reply.replies[0] as Reply<F>
  }

  /** Sends the unlocks; nobody needs to wait for their answers. */
  release(): void {
    const held = this.#held
    this.#held = []
    for (const [on, requests] of bySubvolume(held)) {
      this.#unlock(on, requests).catch(() => undefined)
    }
  }

  async #unlock(on: Subvolume, requests: readonly LockRequest[]): Promise<void> {
    const lazy: Ctx = { ...this.#owner, lazy: true }
    const steps = requests.map(request => lockStep(lazy, request, 'unlock'))
    await runEach(on, this.#volume.compounds[on.index] === true, lazy, steps)
  }
}

function runStep(on: Subvolume, ctx: Ctx, step: Step): Promise<Reply<PlainFop>> {
  return callFop<PlainFop>(on, step.fop, step.ctx ?? ctx, step.args)
}

/** Missing files cannot move: their lock is not needed (`optional`). */
const GONE: ReadonlySet<number> = new Set([Errno.ENOENT, Errno.ESTALE, Errno.EIO])

function isForgiven(request: LockRequest, reply: Failure): boolean {
  return request.kind === 'inode' && request.optional === true && GONE.has(reply.errno)
}

interface Options {
  /** False: a lock that somebody has is EAGAIN. For repairs, which may run under what they want. */
  readonly wait?: boolean
  /**
   * Runs in order on its subvolume, up to the first that fails; where compounds are not one round
   * trip, side by side.
   */
  readonly work?: readonly Work[]
}

/**
 * Takes all locks or none. Requests must come in the order that all clients keep, which is that of
 * the functions in locks.ts, with the names of an operation sorted by `namespaceOrder`.
 */
export async function acquire(
  volume: Distribution,
  ctx: Ctx,
  requests: readonly LockRequest[],
  { wait = true, work = [] }: Options = {},
): Promise<HeldLocks | Failure> {
  for (const { on, step } of work)
    assert(
      !MODIFYING_FOPS.has(step.fop) || requests.every(request => request.on === on),
      'a change runs before locks on other subvolumes are held',
    )
  const owner = internalCtx(ctx, volume.transactionOwner())
  const replies = new Map<Work, Reply<PlainFop>>()
  const tries = await Promise.all(
    [...bySubvolume(requests)].map(([on, group]) =>
      tryAll(volume, ctx, owner, on, group, { work: work.filter(each => each.on === on), replies }),
    ),
  )
  const held = tries.flatMap(each => each.held)
  const refused = tries.flatMap(each => each.refused)
  if (refused.length === 0) {
    await catchUp(volume, ctx, work, replies)
    return new HeldLocks(volume, owner, held, replies)
  }
  new HeldLocks(volume, owner, held).release()
  const final = refused.find(reply => reply.errno !== Errno.EAGAIN)
  if (final !== undefined) return final
  return wait ? acquireInOrder(volume, ctx, owner, { requests, work }) : failure(Errno.EAGAIN)
}

interface Tried {
  readonly held: LockRequest[]
  readonly refused: Failure[]
}

/** Asks for the locks of one subvolume without waiting for anybody, and runs its work under them. */
async function tryAll(
  volume: Distribution,
  ctx: Ctx,
  owner: Ctx,
  on: Subvolume,
  requests: readonly LockRequest[],
  { work, replies }: { work: readonly Work[]; replies: Map<Work, Reply<PlainFop>> },
): Promise<Tried> {
  const held: LockRequest[] = []
  const refused: Failure[] = []
  const judge = (request: LockRequest, reply: Reply<PlainFop>): void => {
    if (reply.ok) held.push(request)
    else if (!isForgiven(request, reply)) refused.push(reply)
  }
  const steps = requests.map(request => lockStep(owner, request, 'try'))
  if (volume.compounds[on.index] !== true) {
    const answers = await Promise.all(steps.map(step => runStep(on, ctx, step)))
    answers.forEach((reply, i) => judge(requests[i] as LockRequest, reply))
    return { held, refused }
  }
  for (let next = 0; next < steps.length && refused.length === 0; ) {
    const reply = await on.compound(ctx, {
      steps: [...steps.slice(next), ...work.map(each => each.step)],
    })
    if (!reply.ok) {
      refused.push(reply)
      // Nobody knows which were granted: all are given back, unless they went with the connection.
      if (reply.errno !== Errno.ENOTCONN) held.push(...requests.slice(next))
      break
    }
    const locked = reply.replies.slice(0, steps.length - next)
    locked.forEach((answer, i) => judge(requests[next + i] as LockRequest, answer))
    reply.replies
      .slice(steps.length - next)
      .forEach((answer, i) => replies.set(work[i] as Work, answer))
    next += locked.length
  }
  return { held, refused }
}

/** Runs, under all locks, the work that could not go with them. */
async function catchUp(
  volume: Distribution,
  ctx: Ctx,
  work: readonly Work[],
  replies: Map<Work, Reply<PlainFop>>,
): Promise<void> {
  const subvolumes = new Set(work.map(({ on }) => on))
  await Promise.all(
    [...subvolumes].map(async on => {
      const here = work.filter(each => each.on === on)
      if (here.some(each => replies.has(each))) return
      if (volume.compounds[on.index] !== true) {
        const answers = await Promise.all(here.map(({ step }) => runStep(on, ctx, step)))
        answers.forEach((answer, i) => replies.set(here[i] as Work, answer))
        return
      }
      const reply = await on.compound(ctx, { steps: here.map(each => each.step) })
      const answers = reply.ok ? reply.replies : [reply]
      answers.forEach((answer, i) => replies.set(here[i] as Work, answer))
    }),
  )
}

async function acquireInOrder(
  volume: Distribution,
  ctx: Ctx,
  owner: Ctx,
  { requests, work }: { requests: readonly LockRequest[]; work: readonly Work[] },
): Promise<HeldLocks | Failure> {
  const held: LockRequest[] = []
  for (const request of requests) {
    const reply = await runStep(request.on, ctx, lockStep(owner, request, 'wait'))
    if (reply.ok) held.push(request)
    else if (!isForgiven(request, reply)) {
      new HeldLocks(volume, owner, held).release()
      return reply
    }
  }
  const replies = new Map<Work, Reply<PlainFop>>()
  await catchUp(volume, ctx, work, replies)
  return new HeldLocks(volume, owner, held, replies)
}

function bySubvolume(requests: readonly LockRequest[]): Map<Subvolume, LockRequest[]> {
  const groups = new Map<Subvolume, LockRequest[]>()
  for (const request of requests) {
    const group = groups.get(request.on)
    if (group === undefined) groups.set(request.on, [request])
    else group.push(request)
  }
  return groups
}
