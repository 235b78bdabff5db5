/**
 * cluster/distribute: spreads files over subvolumes by the hash of their names. Every directory is
 * on all of them; a file is on one. What it writes to bricks is GlusterFS's: layouts, linkto files,
 * the metadata marker (see README.md beside this file).
 */

import {
  type Ctx,
  defineXlator,
  Errno,
  type Fd,
  type Fop,
  type FopArgs,
  type FopName,
  type GraphEvent,
  inodeLoc,
  MODIFYING_FOPS,
  type Inode,
  type Reply,
  type Subvolume,
  type Xlator,
} from '@ashlar/core'
import { changeDirectory, mkdir, onAnyCopy, opendir, rmdir, statDirectory } from './directories.ts'
import { create, link, mknod, symlink, unlink } from './entries.ts'
import { readdir, readdirp } from './listing.ts'
import { isFailure, locate, onFile } from './locate.ts'
import { lookup } from './lookup.ts'
import { distributeOptions } from './options.ts'
import { rename } from './rename.ts'
import { statfs } from './statfs.ts'
import { asDirectory, Distribution, type Self } from './volume.ts'
import { fremovexattr, fsetxattr, readXattrs, removexattr, setxattr } from './xattrs.ts'

class Distribute implements Xlator {
  readonly #volume: Distribution
  readonly #reported: boolean[]
  #announced = false

  constructor(self: Self) {
    this.#volume = new Distribution(self)
    this.#reported = self.children.map(() => false)
    for (const fop of MODIFYING_FOPS) this.#countChanges(fop)
  }

  /** Listings that were read ahead must know of changes made meanwhile. */
  #countChanges<F extends FopName>(fop: F): void {
    const { ahead } = this.#volume
    const change = (this as Xlator)[fop] as Fop<F> | undefined
    if (change === undefined) return
    const counted: Fop<F> = async (ctx, args) => {
      ahead.changes += 1
      const reply = await change.call(this, ctx, args)
      ahead.changes += 1
      return reply
    }
    Object.assign(this, { [fop]: counted })
  }

  lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    return lookup(this.#volume, ctx, args)
  }

  create(ctx: Ctx, args: FopArgs['create']): Promise<Reply<'create'>> {
    return create(this.#volume, ctx, args)
  }

  mknod(ctx: Ctx, args: FopArgs['mknod']): Promise<Reply<'mknod'>> {
    return mknod(this.#volume, ctx, args)
  }

  symlink(ctx: Ctx, args: FopArgs['symlink']): Promise<Reply<'symlink'>> {
    return symlink(this.#volume, ctx, args)
  }

  link(ctx: Ctx, args: FopArgs['link']): Promise<Reply<'link'>> {
    return link(this.#volume, ctx, args)
  }

  unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    return unlink(this.#volume, ctx, args)
  }

  mkdir(ctx: Ctx, args: FopArgs['mkdir']): Promise<Reply<'mkdir'>> {
    return mkdir(this.#volume, ctx, args)
  }

  rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    return rmdir(this.#volume, ctx, args)
  }

  rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    return rename(this.#volume, ctx, args)
  }

  statfs(ctx: Ctx, args: FopArgs['statfs']): Promise<Reply<'statfs'>> {
    return statfs(this.#volume, ctx, args)
  }

  readdir(ctx: Ctx, args: FopArgs['readdir']): Promise<Reply<'readdir'>> {
    return readdir(this.#volume, ctx, args)
  }

  readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    return readdirp(this.#volume, ctx, args)
  }

  async stat(ctx: Ctx, args: FopArgs['stat']): Promise<Reply<'stat'>> {
    const state = await locate(this.#volume, ctx, args.loc.inode)
    if (isFailure(state)) return state
    if (state.cached !== undefined)
      return this.#onFile<'stat'>(ctx, args.loc.inode, child => child.stat(ctx, args))
    return statDirectory(this.#volume, child => child.stat(ctx, args), state.mds)
  }

  async fstat(ctx: Ctx, args: FopArgs['fstat']): Promise<Reply<'fstat'>> {
    const state = await locate(this.#volume, ctx, args.fd.inode)
    if (isFailure(state)) return state
    if (state.cached !== undefined)
      return this.#onFile<'fstat'>(ctx, args.fd.inode, child => child.fstat(ctx, args))
    return statDirectory(this.#volume, child => child.fstat(ctx, args), state.mds)
  }

  async setattr(ctx: Ctx, args: FopArgs['setattr']): Promise<Reply<'setattr'>> {
    const state = await locate(this.#volume, ctx, args.loc.inode)
    if (isFailure(state)) return state
    if (state.cached !== undefined)
      return this.#onFile<'setattr'>(ctx, args.loc.inode, child => child.setattr(ctx, args))
    return changeDirectory(this.#volume, ctx, args.loc, child => child.setattr(ctx, args))
  }

  async fsetattr(ctx: Ctx, args: FopArgs['fsetattr']): Promise<Reply<'fsetattr'>> {
    const state = await locate(this.#volume, ctx, args.fd.inode)
    if (isFailure(state)) return state
    if (state.cached !== undefined)
      return this.#onFile<'fsetattr'>(ctx, args.fd.inode, child => child.fsetattr(ctx, args))
    return changeDirectory(this.#volume, ctx, inodeLoc(args.fd.inode), child =>
      child.fsetattr(ctx, args),
    )
  }

  setxattr(ctx: Ctx, args: FopArgs['setxattr']): Promise<Reply<'setxattr'>> {
    return setxattr(this.#volume, ctx, args)
  }

  fsetxattr(ctx: Ctx, args: FopArgs['fsetxattr']): Promise<Reply<'fsetxattr'>> {
    return fsetxattr(this.#volume, ctx, args, inodeLoc(args.fd.inode))
  }

  removexattr(ctx: Ctx, args: FopArgs['removexattr']): Promise<Reply<'removexattr'>> {
    return removexattr(this.#volume, ctx, args)
  }

  fremovexattr(ctx: Ctx, args: FopArgs['fremovexattr']): Promise<Reply<'fremovexattr'>> {
    return fremovexattr(this.#volume, ctx, args, inodeLoc(args.fd.inode))
  }

  getxattr(ctx: Ctx, args: FopArgs['getxattr']): Promise<Reply<'getxattr'>> {
    return readXattrs(this.#volume, ctx, args.loc, args.name, child => child.getxattr(ctx, args))
  }

  fgetxattr(ctx: Ctx, args: FopArgs['fgetxattr']): Promise<Reply<'fgetxattr'>> {
    return readXattrs(this.#volume, ctx, inodeLoc(args.fd.inode), args.name, child =>
      child.fgetxattr(ctx, args),
    )
  }

  async opendir(ctx: Ctx, args: FopArgs['opendir']): Promise<Reply<'opendir'>> {
    return opendir(this.#volume, ctx, args)
  }

  async fsyncdir(ctx: Ctx, args: FopArgs['fsyncdir']): Promise<Reply<'fsyncdir'>> {
    return onAnyCopy<'fsyncdir'>(this.#volume, child => child.fsyncdir(ctx, args))
  }

  access(ctx: Ctx, args: FopArgs['access']): Promise<Reply<'access'>> {
    return this.#onFile<'access'>(ctx, args.loc.inode, child => child.access(ctx, args))
  }

  readlink(ctx: Ctx, args: FopArgs['readlink']): Promise<Reply<'readlink'>> {
    return this.#onFile<'readlink'>(ctx, args.loc.inode, child => child.readlink(ctx, args))
  }

  open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    return this.#onFile<'open'>(ctx, args.loc.inode, child => child.open(ctx, args))
  }

  truncate(ctx: Ctx, args: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    return this.#onFile<'truncate'>(ctx, args.loc.inode, child => child.truncate(ctx, args))
  }

  xattrop(ctx: Ctx, args: FopArgs['xattrop']): Promise<Reply<'xattrop'>> {
    return this.#onFile<'xattrop'>(ctx, args.loc.inode, child => child.xattrop(ctx, args))
  }

  inodelk(ctx: Ctx, args: FopArgs['inodelk']): Promise<Reply<'inodelk'>> {
    return this.#onFile<'inodelk'>(ctx, args.loc.inode, child => child.inodelk(ctx, args))
  }

  entrylk(ctx: Ctx, args: FopArgs['entrylk']): Promise<Reply<'entrylk'>> {
    return this.#onFile<'entrylk'>(ctx, args.loc.inode, child => child.entrylk(ctx, args))
  }

  lease(ctx: Ctx, args: FopArgs['lease']): Promise<Reply<'lease'>> {
    return this.#onFile<'lease'>(ctx, args.loc.inode, child => child.lease(ctx, args))
  }

  readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    return this.#onFd<'readv'>(ctx, args.fd, child => child.readv(ctx, args))
  }

  writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    return this.#onFd<'writev'>(ctx, args.fd, child => child.writev(ctx, args))
  }

  flush(ctx: Ctx, args: FopArgs['flush']): Promise<Reply<'flush'>> {
    return this.#onFd<'flush'>(ctx, args.fd, child => child.flush(ctx, args))
  }

  fsync(ctx: Ctx, args: FopArgs['fsync']): Promise<Reply<'fsync'>> {
    return this.#onFd<'fsync'>(ctx, args.fd, child => child.fsync(ctx, args))
  }

  ftruncate(ctx: Ctx, args: FopArgs['ftruncate']): Promise<Reply<'ftruncate'>> {
    return this.#onFd<'ftruncate'>(ctx, args.fd, child => child.ftruncate(ctx, args))
  }

  fxattrop(ctx: Ctx, args: FopArgs['fxattrop']): Promise<Reply<'fxattrop'>> {
    return this.#onFd<'fxattrop'>(ctx, args.fd, child => child.fxattrop(ctx, args))
  }

  lk(ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
    return this.#onFd<'lk'>(ctx, args.fd, child => child.lk(ctx, args))
  }

  finodelk(ctx: Ctx, args: FopArgs['finodelk']): Promise<Reply<'finodelk'>> {
    return this.#onFd<'finodelk'>(ctx, args.fd, child => child.finodelk(ctx, args))
  }

  fentrylk(ctx: Ctx, args: FopArgs['fentrylk']): Promise<Reply<'fentrylk'>> {
    return this.#onFd<'fentrylk'>(ctx, args.fd, child => child.fentrylk(ctx, args))
  }

  rchecksum(ctx: Ctx, args: FopArgs['rchecksum']): Promise<Reply<'rchecksum'>> {
    return this.#onFd<'rchecksum'>(ctx, args.fd, child => child.rchecksum(ctx, args))
  }

  fallocate(ctx: Ctx, args: FopArgs['fallocate']): Promise<Reply<'fallocate'>> {
    return this.#onFd<'fallocate'>(ctx, args.fd, child => child.fallocate(ctx, args))
  }

  discard(ctx: Ctx, args: FopArgs['discard']): Promise<Reply<'discard'>> {
    return this.#onFd<'discard'>(ctx, args.fd, child => child.discard(ctx, args))
  }

  zerofill(ctx: Ctx, args: FopArgs['zerofill']): Promise<Reply<'zerofill'>> {
    return this.#onFd<'zerofill'>(ctx, args.fd, child => child.zerofill(ctx, args))
  }

  seek(ctx: Ctx, args: FopArgs['seek']): Promise<Reply<'seek'>> {
    return this.#onFd<'seek'>(ctx, args.fd, child => child.seek(ctx, args))
  }

  async copy_file_range(
    ctx: Ctx,
    args: FopArgs['copy_file_range'],
  ): Promise<Reply<'copy_file_range'>> {
    const source = await locate(this.#volume, ctx, args.source.inode)
    if (isFailure(source)) return source
    const target = await locate(this.#volume, ctx, args.target.inode)
    if (isFailure(target)) return target
    // A brick copies within itself only; callers fall back to reading and writing.
    if (source.cached !== target.cached) return { ok: false, errno: Errno.EXDEV }
    return this.#onFd<'copy_file_range'>(ctx, args.source, child =>
      child.copy_file_range(ctx, args),
    )
  }

  async ipc(ctx: Ctx, args: FopArgs['ipc']): Promise<Reply<'ipc'>> {
    return onAnyCopy<'ipc'>(this.#volume, child => child.ipc(ctx, args))
  }

  notify(event: GraphEvent, from: Subvolume): void {
    const volume = this.#volume
    switch (event.kind) {
      case 'child-up':
        volume.childUp[from.index] = true
        volume.compounds[from.index] = event.compounds === true
        this.#report(from, volume.upChildren().length === 1 ? 'child-up' : undefined)
        return
      case 'child-down':
      case 'some-descendent-down':
        if (event.kind === 'child-down') volume.childUp[from.index] = false
        this.#report(from, volume.firstUp() === undefined ? 'child-down' : 'some-descendent-down')
        return
      case 'cache-invalidation': {
        const inode = volume.self.inodes.find(event.change.gfid)
        if (event.change.stat.isDirectory && inode !== undefined) asDirectory(event.change.stat)
        volume.self.notify(event)
        return
      }
      default:
        volume.self.notify(event)
    }
  }

  reconfigure(): void {
    this.#volume.reconfigure()
  }

  dump(): Readonly<Record<string, unknown>> {
    const volume = this.#volume
    return {
      subvolumes: volume.children.map(
        (child, i) => `${child.name} ${volume.childUp[i] === true ? 'up' : 'down'}`,
      ),
      volumeCommitHash: volume.volumeCommitHash,
    }
  }

  /** The layers above hear of us once every subvolume has said whether it is up. */
  #report(
    from: Subvolume,
    kind: 'child-up' | 'child-down' | 'some-descendent-down' | undefined,
  ): void {
    const volume = this.#volume
    this.#reported[from.index] = true
    if (!this.#announced) {
      if (!this.#reported.every(Boolean)) return
      this.#announced = volume.firstUp() !== undefined
      volume.self.notify({ kind: this.#announced ? 'child-up' : 'child-down' })
      return
    }
    if (kind !== undefined) volume.self.notify({ kind })
  }

  #onFile<F extends FopName>(
    ctx: Ctx,
    inode: Inode,
    call: (child: Subvolume) => Promise<Reply<F>>,
  ): Promise<Reply<F>> {
    return onFile<F>(this.#volume, ctx, inode, call)
  }

  #onFd<F extends FopName>(
    ctx: Ctx,
    fd: Fd,
    call: (child: Subvolume) => Promise<Reply<F>>,
  ): Promise<Reply<F>> {
    return onFile<F>(this.#volume, ctx, fd.inode, call)
  }
}

export const distribute = defineXlator({
  type: 'cluster/distribute',
  options: distributeOptions,
  create: self => new Distribute(self),
})
