/**
 * storage/posix: the bottom of every brick. Keeps a volume's files as ordinary files under the brick
 * directory, reachable by gfid through `.glusterfs`, in GlusterFS's format (README.md beside this
 * file). Metadata calls are made directly: on a warm cache they are cheaper than a thread.
 */

import {
  type Ctx,
  defineXlator,
  Errno,
  failure,
  type Fd,
  type FopArgs,
  type FopName,
  type Inode,
  type Reply,
  type Xlator,
} from '@ashlar/core'
import * as allocate from './allocate.ts'
import * as attributes from './attributes.ts'
import { Brick, type Self } from './brick.ts'
import { Caretaker } from './caretaker.ts'
import * as create from './create.ts'
import { DataPath } from './io.ts'
import { Listing } from './listing.ts'
import * as lookup from './lookup.ts'
import { posixOptions } from './options.ts'
import * as remove from './remove.ts'
import * as rename from './rename.ts'
import { BrickError, openBrick } from './setup.ts'
import { statfs } from './statfs.ts'
import * as xattrFops from './xattr-fops.ts'
import * as xattrop from './xattrop.ts'

export { BrickError } from './setup.ts'

type Section<F extends FopName> = (
  brick: Brick,
  ctx: Ctx,
  args: FopArgs[F],
) => Reply<F> | Promise<Reply<F>>

/** Binds a fop to the brick. Most are one synchronous section, which makes them atomic. */
function bind<F extends FopName>(
  brick: Brick,
  section: Section<F>,
): (ctx: Ctx, args: FopArgs[F]) => Promise<Reply<F>> {
  return async (ctx, args) => section(brick, ctx, args)
}

function createPosix(self: Self): Xlator {
  const root = self.options.directory
  if (root === undefined)
    throw new BrickError('storage/posix has no directory: set its option "directory"')
  const brick = new Brick(
    self,
    openBrick(root.replace(/\/+$/, '') || '/', self.options['volume-id']),
  )
  const data = new DataPath(brick)
  const listing = new Listing(brick)
  const caretaker = new Caretaker(brick)
  return {
    lookup: bind(brick, lookup.lookup),
    stat: bind(brick, lookup.stat),
    fstat: bind(brick, lookup.fstat),
    access: bind(brick, lookup.access),
    readlink: bind(brick, lookup.readlink),
    mknod: bind(brick, create.mknod),
    mkdir: bind(brick, create.mkdir),
    symlink: bind(brick, create.symlink),
    create: bind(brick, create.create),
    link: bind(brick, rename.link),
    unlink: bind(brick, remove.unlink),
    rmdir: bind(brick, remove.rmdir),
    rename: bind(brick, rename.rename),
    truncate: bind(brick, attributes.truncate),
    ftruncate: bind(brick, attributes.ftruncate),
    setattr: bind(brick, attributes.setattr),
    fsetattr: bind(brick, attributes.fsetattr),
    statfs: bind(brick, statfs),
    getxattr: bind(brick, xattrFops.getxattr),
    fgetxattr: bind(brick, xattrFops.fgetxattr),
    setxattr: bind(brick, xattrFops.setxattr),
    fsetxattr: bind(brick, xattrFops.fsetxattr),
    removexattr: bind(brick, xattrFops.removexattr),
    fremovexattr: bind(brick, xattrFops.fremovexattr),
    xattrop: bind(brick, xattrop.xattrop),
    fxattrop: bind(brick, xattrop.fxattrop),
    fallocate: bind(brick, allocate.fallocate),
    discard: bind(brick, allocate.discard),
    zerofill: bind(brick, allocate.zerofill),
    seek: bind(brick, allocate.seek),
    copy_file_range: bind(brick, allocate.copyFileRange),
    rchecksum: bind(brick, allocate.rchecksum),
    open: async (ctx, args) => data.open(ctx, args),
    readv: (ctx, args) => data.readv(ctx, args),
    writev: (ctx, args) => data.writev(ctx, args),
    flush: async (ctx, args) => data.flush(ctx, args),
    fsync: (ctx, args) => data.fsync(ctx, args),
    fsyncdir: (ctx, args) => data.fsyncdir(ctx, args),
    opendir: async (ctx, args) => listing.opendir(ctx, args),
    readdir: async (ctx, args) => listing.readdir(ctx, args),
    readdirp: (ctx, args) => listing.readdirp(ctx, args),
    // Nothing to tell: the layers that care (upcall, changelog) answer before.
    ipc: async () => failure(Errno.EOPNOTSUPP),
    start: () => {
      caretaker.start()
      self.notify({ kind: 'child-up' })
    },
    stop: () => {
      caretaker.stop()
      brick.close()
    },
    release: (fd: Fd) => data.release(fd),
    forget: (inode: Inode) => brick.storeTimes(inode),
    dump: () => ({ directory: brick.root, reserveReached: brick.reserveReached }),
  }
}

export const posix = defineXlator({
  type: 'storage/posix',
  options: posixOptions,
  create: createPosix,
})
