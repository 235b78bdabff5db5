/**
 * testing/simulated-storage: storage/posix as cluster/replicate knows it, over a simulated disk: the
 * memory brick, with the changelog's xattrops and the answers that xdata asks for, and with the
 * troubles of a disk.
 */

import { createHash } from 'node:crypto'
import {
  type AnyXlatorDefinition,
  type Ctx,
  defineXlator,
  delay,
  Dict,
  Errno,
  failure,
  type Failure,
  type Fd,
  type FopArgs,
  type FopName,
  type Iatt,
  inodeLoc,
  type Loc,
  NULL_GFID,
  OpenFlag,
  type Reply,
  SetAttr,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { memoryFops } from '../memory/index.ts'
import type { MemoryFile } from '../memory/memory-file.ts'
import { type Disk, SECTOR_BYTES } from './disk.ts'
import { addCounters } from './counters.ts'

const PATH_INFO = 'trusted.glusterfs.pathinfo'
/** Keys of a creating request that are instructions; the others are xattrs of the new object. */
const INSTRUCTIONS =
  /^(gfid-req|glusterfs\.|glusterfs-internal-fop|force-replace|umask|mode|list-xattr|link-count|get-link-count|gfidless-lookup)/
const LIST = 'list-xattr'
const SIZE = 'get-size'
const INTERNAL = 'glusterfs-internal-fop'
/** rmdir xflags: the whole tree goes. */
const RECURSIVE = 1

/** Fops that need room on the disk. */
const GROWING: readonly FopName[] = [
  'create',
  'mknod',
  'mkdir',
  'symlink',
  'link',
  'writev',
  'setxattr',
  'fsetxattr',
]
/** Fops that go to the disk and may take a while, and fail. */
const DATA: readonly FopName[] = ['readv', 'writev', 'fsync', 'ftruncate', 'truncate', 'rchecksum']
/** Fops whose own time the disk does not know. */
type AnyFop = (ctx: Ctx, args: never) => Promise<Reply<FopName>>

/** The translator over one disk. */
export function simulatedStorage(disk: Disk): AnyXlatorDefinition {
  return defineXlator({
    type: 'testing/simulated-storage',
    options: {},
    create: self => new Storage(self, disk).fops(),
  })
}

class Storage {
  readonly #self: XlatorSelf
  readonly #disk: Disk
  readonly #base: Required<Pick<Xlator, FopName>>
  /** How often each file is open. */
  readonly #open = new Map<MemoryFile, number>()
  readonly #fds = new WeakMap<Fd, MemoryFile>()

  constructor(self: XlatorSelf, disk: Disk) {
    this.#self = self
    this.#disk = disk
    // What only descriptors of an earlier life had kept is gone.
    disk.store.unlinked.clear()
    this.#base = memoryFops(disk.store) as Required<Pick<Xlator, FopName>>
  }

  fops(): Xlator {
    const own: Xlator = {
      lookup: (_ctx, args) => this.#lookup(args),
      stat: async (ctx, args) => this.#answered(await this.#base.stat(ctx, args), args),
      fstat: async (_ctx, args) => {
        const file = this.#disk.store.ofFd(args.fd)
        if ('ok' in file) return failure(Errno.ESTALE)
        return { ok: true, stat: file.iatt(), xdata: answer(file, args.xdata) }
      },
      readdirp: async (ctx, args) => this.#listed(await this.#base.readdirp(ctx, args), args),
      xattrop: async (_ctx, args) => this.#xattrop(this.#disk.store.find(args.loc), args),
      fxattrop: async (_ctx, args) => this.#xattrop(this.#disk.store.ofFd(args.fd), args),
      getxattr: async (ctx, args) =>
        args.name === PATH_INFO
          ? this.#pathInfo(args.loc, args.name)
          : this.#base.getxattr(ctx, args),
      removexattr: async (ctx, args) => {
        const names = args.name === '' ? [...(args.xdata?.keys() ?? [])] : [args.name]
        for (const name of names) {
          const reply = await this.#base.removexattr(ctx, { ...args, name })
          const several = names.length > 1 && !reply.ok && reply.errno === Errno.ENODATA
          if (!reply.ok && !several) return reply
        }
        return { ok: true }
      },
      mknod: async (ctx, args) => this.#make(ctx, 'mknod', args),
      create: async (ctx, args) => this.#opened(args.fd, await this.#make(ctx, 'create', args)),
      mkdir: async (ctx, args) => this.#make(ctx, 'mkdir', args),
      symlink: async (ctx, args) => this.#make(ctx, 'symlink', args),
      rmdir: (ctx, args) => this.#rmdir(ctx, args),
      unlink: (ctx, args) => this.#removing(args.loc, () => this.#base.unlink(ctx, args)),
      rename: (ctx, args) => this.#removing(args.newloc, () => this.#base.rename(ctx, args)),
      open: async (ctx, args) => this.#opened(args.fd, await this.#base.open(ctx, args)),
      writev: (ctx, args) => this.#writev(ctx, args),
      truncate: (ctx, args) => {
        const file = this.#disk.store.find(args.loc)
        if (!('ok' in file)) this.#disk.resizing(file, args.offset)
        return this.#base.truncate(ctx, args)
      },
      ftruncate: (ctx, args) => {
        const file = this.#disk.store.ofFd(args.fd)
        if (!('ok' in file)) this.#disk.resizing(file, args.offset)
        return this.#base.ftruncate(ctx, args)
      },
      fsync: (ctx, args) => {
        const file = this.#disk.store.ofFd(args.fd)
        if (!('ok' in file)) this.#disk.synced(file)
        return this.#base.fsync(ctx, args)
      },
      setattr: async (ctx, args) => {
        const reply = await this.#base.setattr(ctx, args)
        return this.#withCtime(reply, this.#disk.store.find(args.loc), args)
      },
      fsetattr: async (ctx, args) => {
        const reply = await this.#base.fsetattr(ctx, args)
        return this.#withCtime(reply, this.#disk.store.ofFd(args.fd), args)
      },
      rchecksum: async (_ctx, args) => this.#rchecksum(args),
    }
    return { ...this.#troubled({ ...this.#base, ...own }), release: fd => this.#release(fd) }
  }

  #opened<R extends { readonly ok: boolean }>(fd: Fd, reply: R): R {
    const file = reply.ok ? this.#disk.store.ofFd(fd) : undefined
    if (file === undefined || 'ok' in file) return reply
    this.#fds.set(fd, file)
    this.#open.set(file, (this.#open.get(file) ?? 0) + 1)
    return reply
  }

  #release(fd: Fd): void {
    const file = this.#fds.get(fd)
    if (file === undefined) return
    const left = (this.#open.get(file) ?? 1) - 1
    this.#open.set(file, left)
    if (left === 0) this.#disk.store.unlinked.delete(file.gfid)
  }

  /** A name goes; its file stays for those who have it open. */
  async #removing<R>(loc: Loc, remove: () => Promise<R>): Promise<R> {
    const { store } = this.#disk
    const file = store.named(loc)
    const reply = await remove()
    if (!('ok' in file) && file.nlink === 0 && (this.#open.get(file) ?? 0) > 0)
      store.unlinked.set(file.gfid, file)
    return reply
  }

  /** Puts the disk's troubles before every fop. */
  #troubled(fops: Xlator): Xlator {
    const { troubles, dice } = this.#disk
    const { clock } = this.#self.env
    const all: Record<string, AnyFop> = {}
    for (const [name, fop] of Object.entries(fops) as [FopName, AnyFop][]) {
      const grows = GROWING.includes(name)
      const data = DATA.includes(name)
      const run = (ctx: Ctx, args: never): Promise<Reply<FopName>> => {
        const { time } = ctx
        const told = time !== undefined && time.flags !== 0 ? time : undefined
        return this.#disk.at(told, () => fop.call(fops, ctx, args))
      }
      all[name] = data
        ? async (ctx, args) => {
            await delay(clock, dice.between(0, troubles.slowMs))
            if (troubles.full && grows) return failure(Errno.ENOSPC)
            if (troubles.eio > 0 && dice.chance(troubles.eio)) return failure(Errno.EIO)
            return run(ctx, args)
          }
        : grows
          ? async (ctx, args) => {
              if (troubles.full) return failure(Errno.ENOSPC)
              if (troubles.eio > 0 && dice.chance(troubles.eio / 4)) return failure(Errno.EIO)
              return run(ctx, args)
            }
          : run
    }
    return all as unknown as Xlator
  }

  async #lookup({ loc, xdata }: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    const { store } = this.#disk
    if (loc.name === '') {
      const file = store.find(loc)
      if ('ok' in file || (file.nlink === 0 && xdata?.has('unlinked-lookup') !== true))
        return failure(Errno.ESTALE)
      return { ok: true, stat: file.iatt(), postparent: file.iatt(), xdata: answer(file, xdata) }
    }
    const parent = store.parent(loc)
    if ('ok' in parent) return parent
    const file = parent.entries.get(loc.name)?.file
    if (file === undefined) return failure(Errno.ENOENT)
    return { ok: true, stat: file.iatt(), postparent: parent.iatt(), xdata: answer(file, xdata) }
  }

  #answered(reply: Reply<'stat'>, { loc, xdata }: FopArgs['stat']): Reply<'stat'> {
    const file = this.#disk.store.find(loc)
    return !reply.ok || 'ok' in file ? reply : { ...reply, xdata: answer(file, xdata) }
  }

  #listed(reply: Reply<'readdirp'>, { fd, xdata }: FopArgs['readdirp']): Reply<'readdirp'> {
    const directory = this.#disk.store.ofFd(fd)
    if (!reply.ok || 'ok' in directory) return reply
    const entries = reply.entries.map(entry => {
      const file = directory.entries.get(entry.name)?.file
      return file === undefined ? entry : { ...entry, dict: answer(file, xdata) ?? new Dict() }
    })
    return { ...reply, entries }
  }

  #xattrop(
    file: MemoryFile | Failure,
    { dict, xdata }: { dict: Dict; xdata?: Dict | undefined },
  ): Reply<'xattrop'> {
    if ('ok' in file) return file
    const reply = new Dict()
    for (const key of dict.keys()) {
      const operand = dict.getBytes(key)
      if (operand === undefined) return failure(Errno.EINVAL)
      const sum = addCounters(file.xattrs.get(key), operand)
      if (operand.some(byte => byte !== 0)) file.xattrs.set(key, sum)
      reply.setBytes(key, sum)
    }
    return { ok: true, dict: reply, xdata: answer(file, xdata) }
  }

  /** What is to be made has a gfid that no other object has. */
  async #make<F extends 'mknod' | 'create' | 'mkdir' | 'symlink'>(
    ctx: Ctx,
    fop: F,
    args: FopArgs[F],
  ): Promise<Reply<F>> {
    const { store } = this.#disk
    const gfid = args.xdata?.getGfid('gfid-req')
    const { loc } = args
    const parent = store.parent(loc)
    if ('ok' in parent) return parent
    if (gfid === undefined || gfid === NULL_GFID) return failure(Errno.EINVAL)
    const present = store.find({ ...bare(loc), gfid })
    if (!('ok' in present) && !parent.entries.has(loc.name)) {
      if (fop !== 'mknod' || args.xdata?.has(INTERNAL) !== true) return failure(Errno.EEXIST)
      const before = parent.iatt()
      const problem = store.link(present, loc)
      if (problem !== undefined) return problem
      const stat = present.iatt()
      return { ok: true, stat, preparent: before, postparent: parent.iatt() } as Reply<F>
    }
    const call = this.#base[fop] as unknown as (ctx: Ctx, args: FopArgs[F]) => Promise<Reply<F>>
    const reply = await call(ctx, args)
    const made = reply.ok ? store.find({ ...bare(loc), gfid }) : undefined
    if (made !== undefined && !('ok' in made)) {
      for (const key of args.xdata?.keys() ?? []) {
        const bytes = INSTRUCTIONS.test(key) ? undefined : args.xdata?.getBytes(key)
        if (bytes !== undefined) made.xattrs.set(key, bytes)
      }
    }
    return reply
  }

  /** Where the brick has an object, as if its directory were named after the disk. */
  #pathInfo(loc: Loc, name: string): Reply<'getxattr'> {
    const { store, name: brick } = this.#disk
    const file = store.find(loc)
    if ('ok' in file) return file
    const path = store.pathOf(file)
    if (path === undefined) return failure(Errno.ENOENT)
    const text = `<POSIX(/${brick}):${brick}:/${brick}${path}>`
    return { ok: true, dict: new Dict().setString(name, text) }
  }

  async #rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    const file = this.#disk.store.named(args.loc)
    if (!('ok' in file) && file.isDirectory && (args.xflags & RECURSIVE) !== 0) this.#empty(file)
    return this.#base.rmdir(ctx, args)
  }

  #empty(directory: MemoryFile): void {
    for (const { name, file } of [...directory.entries.values()]) {
      if (file.isDirectory) this.#empty(file)
      this.#disk.store.unlink(
        { ...bare({} as Loc), pargfid: directory.gfid, name } as Loc,
        file.isDirectory,
      )
    }
  }

  async #writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    const { store, troubles, dice } = this.#disk
    const file = store.ofFd(args.fd)
    if ('ok' in file) return file
    const { data } = args
    const appends = (args.fd.flags & OpenFlag.APPEND) !== 0
    // What fails may have been done in part.
    const partly = troubles.eio > 0 && dice.chance(troubles.eio / 2)
    const some = partly
      ? data.subarray(0, dice.integer(data.length / SECTOR_BYTES + 1) * SECTOR_BYTES)
      : data
    this.#disk.writing(file, appends ? file.pages.size : args.offset, some)
    const reply = await this.#base.writev(ctx, { ...args, data: some })
    if (((args.fd.flags | args.flags) & OpenFlag.DSYNC) !== 0) this.#disk.synced(file)
    return partly ? failure(Errno.EIO) : reply
  }

  #withCtime<R extends Reply<'setattr'>>(
    reply: R,
    file: MemoryFile | Failure,
    { stat, valid }: { stat: Iatt; valid: number },
  ): R {
    if (!reply.ok || 'ok' in file || (valid & SetAttr.CTIME) === 0) return reply
    file.ctime = { sec: stat.ctime, nsec: stat.ctimeNsec }
    return { ...reply, poststat: file.iatt() }
  }

  #rchecksum({ fd, offset, length, xdata }: FopArgs['rchecksum']): Reply<'rchecksum'> {
    const file = this.#disk.store.ofFd(fd)
    if ('ok' in file) return file
    const data = file.pages.read(offset, length)
    let weak = 0
    for (const byte of data) weak = (weak + byte) >>> 0
    const strong = createHash('sha256').update(data).digest()
    const zeros = xdata?.has('check-zero-filled') === true && data.every(byte => byte === 0)
    const answered = zeros ? new Dict().setInt('buf-has-zeroes', 1) : undefined
    return { ok: true, flags: 0, weak, strong, xdata: answered }
  }
}

/** A loc of which only gfids and names count. */
function bare(loc: Loc): Loc {
  return loc.inode === undefined
    ? loc
    : { ...inodeLoc(loc.inode), pargfid: loc.pargfid, name: loc.name }
}

/** What xdata asks of a file. */
function answer(file: MemoryFile, xdata: Dict | undefined): Dict | undefined {
  if (xdata === undefined) return undefined
  const reply = new Dict()
  const keys = xdata.has(LIST) ? [...xdata.keys(), ...file.xattrs.keys()] : xdata.keys()
  for (const key of keys) {
    const value = file.xattrs.get(key)
    if (value !== undefined) reply.setBytes(key, value)
    else if (key === SIZE) reply.setUint(key, file.pages.size)
  }
  return reply.size === 0 ? undefined : reply
}
