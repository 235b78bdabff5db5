/**
 * The operations after which a file's content is not what it was, for layers that keep content. Each
 * goes down within `changing`, which knows from before it begins until it is done that what is kept,
 * or comes meanwhile, is not to be believed.
 */

import {
  type Ctx,
  type FopArgs,
  type Inode,
  OpenFlag,
  type Subvolume,
  type Xlator,
} from '@ashlar/core'

/** Runs a change of an inode's content. */
export type Changing = <R>(inode: Inode, change: () => Promise<R>) => Promise<R>

/** To be assigned to a translator: its fops that change content. */
export function contentChanges(
  child: Subvolume,
  changing: Changing,
): Xlator & Required<Pick<Xlator, 'open'>> {
  return {
    open: (ctx: Ctx, args: FopArgs['open']) =>
      (args.flags & OpenFlag.TRUNC) === 0
        ? child.open(ctx, args)
        : changing(args.loc.inode, () => child.open(ctx, args)),
    writev: (ctx, args) => changing(args.fd.inode, () => child.writev(ctx, args)),
    truncate: (ctx, args) => changing(args.loc.inode, () => child.truncate(ctx, args)),
    ftruncate: (ctx, args) => changing(args.fd.inode, () => child.ftruncate(ctx, args)),
    fallocate: (ctx, args) => changing(args.fd.inode, () => child.fallocate(ctx, args)),
    discard: (ctx, args) => changing(args.fd.inode, () => child.discard(ctx, args)),
    zerofill: (ctx, args) => changing(args.fd.inode, () => child.zerofill(ctx, args)),
    copy_file_range: (ctx, args) =>
      changing(args.target.inode, () => child.copy_file_range(ctx, args)),
    // mtime may be set back to what it was: content is not told by it then.
    setattr: (ctx, args) => changing(args.loc.inode, () => child.setattr(ctx, args)),
    fsetattr: (ctx, args) => changing(args.fd.inode, () => child.fsetattr(ctx, args)),
  }
}
