/** features/read-only: refuses every change by users; internal clients (heal, rebalance) pass. */

import {
  type Ctx,
  defineOptions,
  defineXlator,
  Errno,
  failure,
  type FopArgs,
  type FopName,
  MODIFYING_FOPS,
  OpenFlag,
  type Reply,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'

const options = defineOptions({
  'read-only': { kind: 'bool', default: 'off', since: 1, doc: 'Refuse every change.' },
})

const REFUSED = Promise.resolve(failure(Errno.EROFS))

type AnyFop = (ctx: Ctx, args: FopArgs[FopName]) => Promise<Reply<FopName>>

function create(self: XlatorSelf<typeof options>): Xlator {
  const refuses = (ctx: Ctx): boolean => self.options['read-only'] && ctx.pid >= 0
  const fops: Record<string, unknown> = {
    open: (ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> => {
      const writes =
        (args.flags & OpenFlag.ACCMODE) !== OpenFlag.RDONLY || (args.flags & OpenFlag.TRUNC) !== 0
      return writes && refuses(ctx) ? REFUSED : self.child.open(ctx, args)
    },
  }
  for (const fop of MODIFYING_FOPS) {
    // The bookkeeping of replication is no change that a user makes.
    if (fop === 'xattrop' || fop === 'fxattrop') continue
    const child = self.child[fop] as AnyFop
    fops[fop] = (ctx: Ctx, args: FopArgs[FopName]) => (refuses(ctx) ? REFUSED : child(ctx, args))
  }
  return fops as Xlator
}

export const readOnly = defineXlator({ type: 'features/read-only', options, create })
