/**
 * testing/cuttable: passes everything on as it is, until it is cut: then every fop fails with
 * ENOTCONN, as of a brick that is down, until it is mended. A test may also have fops fail or wait.
 */

import {
  type Ctx,
  defineXlator,
  Errno,
  failure,
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

export interface Cuttable {
  readonly up: boolean
  cut(): void
  mend(): void
  /** Looks at every fop from now on; compounds then go step by step. undefined: no more. */
  interfere(interference: Interference | undefined): void
  /** Requests since the start: a compound is one. */
  readonly requests: number
}

const cuts = new WeakMap<Xlator, Cuttable>()

/** The switch of a translator of this type; undefined for others. */
export function cutOf(xlator: Xlator | undefined): Cuttable | undefined {
  return xlator === undefined ? undefined : cuts.get(xlator)
}

function create(self: XlatorSelf): Xlator {
  let up = true
  let interference: Interference | undefined
  let requests = 0
  const fops: Record<string, unknown> = {}
  for (const fop of FOP_NAMES) {
    const child = self.child[fop] as AnyFop
    fops[fop] = async (ctx: Ctx, args: FopArgs[PlainFop]): Promise<Reply<FopName>> => {
      if (!up) return failure(Errno.ENOTCONN)
      requests += 1
      const instead = interference === undefined ? undefined : await interference(fop, args)
      if (instead !== undefined) return instead
      const reply = await child(ctx, args)
      // An answer that is under way when the link is cut does not arrive.
      return up ? reply : failure(Errno.ENOTCONN)
    }
  }
  const xlator: Xlator = {
    ...(fops as Partial<Xlator>),
    async compound(ctx, args) {
      if (!up) return failure(Errno.ENOTCONN)
      if (interference !== undefined)
        return runSteps(fops as Parameters<typeof runSteps>[0], ctx, args.steps)
      requests += 1
      const reply = await self.child.compound(ctx, args)
      return up ? reply : failure(Errno.ENOTCONN)
    },
    // Connections that come and go are the wire's own business while the link is cut.
    notify(event) {
      if (up || (event.kind !== 'child-up' && event.kind !== 'child-down')) self.notify(event)
    },
  }
  cuts.set(xlator, {
    get up() {
      return up
    },
    cut() {
      up = false
      self.notify({ kind: 'child-down' })
    },
    mend() {
      up = true
      self.notify({ kind: 'child-up' })
    },
    interfere(next) {
      interference = next
    },
    get requests() {
      return requests
    },
  })
  return xlator
}

export const cuttable = defineXlator({ type: 'testing/cuttable', options: {}, create })
