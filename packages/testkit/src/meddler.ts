/**
 * testing/meddler: passes everything on as it is, until a test has fops fail or wait.
 */

import {
  type Ctx,
  defineXlator,
  type Failure,
  FOP_NAMES,
  type FopArgs,
  type FopName,
  type PlainFop,
  type Reply,
  runSteps,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'

type AnyFop = (ctx: Ctx, args: FopArgs[FopName]) => Promise<Reply<FopName>>

/** Called before a fop passes: a failure takes its place. */
export type Interference = (
  fop: PlainFop,
  args: FopArgs[PlainFop],
) => Failure | undefined | Promise<Failure | undefined>

export interface Meddler {
  /** Looks at every fop from now on; compounds then go step by step. undefined: no more. */
  interfere(interference: Interference | undefined): void
  /** Requests since the start: a compound is one. */
  readonly requests: number
}

const meddlers = new WeakMap<Xlator, Meddler>()

/** The hand on a translator of this type; undefined for others. */
export function meddlerOf(xlator: Xlator | undefined): Meddler | undefined {
  return xlator === undefined ? undefined : meddlers.get(xlator)
}

function create(self: XlatorSelf): Xlator {
  let interference: Interference | undefined
  let requests = 0
  const fops: Record<string, unknown> = {}
  for (const fop of FOP_NAMES) {
    const child = self.child[fop] as AnyFop
    fops[fop] = async (ctx: Ctx, args: FopArgs[PlainFop]): Promise<Reply<FopName>> => {
      requests += 1
      const instead = interference === undefined ? undefined : await interference(fop, args)
      return instead ?? child(ctx, args)
    }
  }
  const xlator: Xlator = {
    ...(fops as Partial<Xlator>),
    compound(ctx, args) {
      if (interference !== undefined)
        return runSteps(fops as unknown as Parameters<typeof runSteps>[0], ctx, args.steps)
      requests += 1
      return self.child.compound(ctx, args)
    },
  }
  meddlers.set(xlator, {
    interfere(next) {
      interference = next
    },
    get requests() {
      return requests
    },
  })
  return xlator
}

export const meddler = defineXlator({ type: 'testing/meddler', options: {}, create })
