/** A step of a compound, run as the plain fop it is. */

import type { Ctx, Failure, Step, Subvolume } from '@ashlar/core'

/** Calls the fop of `step` on `child`; the caller knows what it replies. */
export function callStep<R extends { readonly ok: true }>(
  child: Subvolume,
  ctx: Ctx,
  step: Step,
): Promise<R | Failure> {
  const fop = child[step.fop] as (ctx: Ctx, args: unknown) => Promise<unknown>
  return fop(step.ctx ?? ctx, step.args) as Promise<R | Failure>
}
