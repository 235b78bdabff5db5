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

type AnyFop = (ctx: Ctx, args: FopArgs[FopName]) => Promise<Reply<FopName>>

function create(self: XlatorSelf<typeof options>): Xlator {
  const refuses = (ctx: Ctx): boolean => self.options['read-only'] && ctx.pid >= 0
  const fops: Record<string, unknown> = {
    open: async (ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> => {
      const writes =
        (args.flags & OpenFlag.ACCMODE) !== OpenFlag.RDONLY || (args.flags & OpenFlag.TRUNC) !== 0
      return writes && refuses(ctx) ? failure(Errno.EROFS) : self.child.open(ctx, args)
    },
  }
  for (const fop of MODIFYING_FOPS) {
    const child = self.child[fop] as AnyFop
    // The bookkeeping of replication is no change that a user makes.
    const internal = fop === 'xattrop' || fop === 'fxattrop'
    fops[fop] = async (ctx: Ctx, args: FopArgs[FopName]) =>
      !internal && refuses(ctx) ? failure(Errno.EROFS) : child(ctx, args)
  }
  return fops as Xlator
}

export const readOnly = defineXlator({ type: 'features/read-only', options, create })
