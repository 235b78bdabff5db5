/**
 * testing/memory: a whole brick in memory, as a translator. It keeps names, attributes, extended
 * attributes, data with holes, and record locks, by POSIX rules; it judges no permissions, as a
 * brick's storage does not either.
 */

import {
  type Ctx,
  defineXlator,
  Dict,
  Errno,
  type Failure,
  failure,
  type Iatt,
  type Loc,
  LockCommand,
  LockType,
  OpenFlag,
  type Reply,
  S_IFLNK,
  S_IFREG,
  SetAttr,
  type Xlator,
  XattrFlag,
} from '@ashlar/core'
import { listDirectory } from './listing.ts'
import type { MemoryFile } from './memory-file.ts'
import { MemoryStore } from './memory-store.ts'

const OK = { ok: true } as const
const LOCK_END = 0x7fff_ffff_ffff_ffffn

/** The translator; `memoryStoreOf` reaches its files from a test. */
export const memoryStorage = defineXlator({
  type: 'testing/memory',
  options: {},
  create: self => {
    const store = new MemoryStore(self.env)
    const xlator = memoryFops(store)
    stores.set(xlator, store)
    return xlator
  },
})

const stores = new WeakMap<Xlator, MemoryStore>()

/** The files behind a translator of this type; undefined for others. */
export function memoryStoreOf(xlator: Xlator | undefined): MemoryStore | undefined {
  return xlator === undefined ? undefined : stores.get(xlator)
}

/** The fops over a store; two graphs over one store are two mounts of one volume. */
export function memoryFops(store: MemoryStore): Xlator {
  const entry = (
    loc: Loc,
    made: MemoryFile | Failure,
    before: Iatt | undefined,
  ): Reply<'mknod'> => {
    if ('ok' in made) return made
    const parent = store.parent(loc)
    if ('ok' in parent) return parent
    const postparent = parent.iatt()
    return { ok: true, stat: made.iatt(), preparent: before ?? postparent, postparent }
  }
  const make = (
    ctx: Ctx,
    args: { loc: Loc; umask: number; xdata?: Dict | undefined },
    options: { mode: number; rdev?: number; target?: string },
  ): Reply<'mknod'> => {
    const parent = store.parent(args.loc)
    const before = 'ok' in parent ? undefined : parent.iatt()
    const made = store.make(ctx, args.loc, { ...options, umask: args.umask, xdata: args.xdata })
    return entry(args.loc, made, before)
  }
  const change = (
    file: MemoryFile | Failure,
    action: (file: MemoryFile) => Failure | void,
  ): Reply<'truncate'> => {
    if ('ok' in file) return file
    const prestat = file.iatt()
    const problem = action(file)
    if (problem !== undefined) return problem
    return { ok: true, prestat, poststat: file.iatt() }
  }
  const written = (file: MemoryFile): void => {
    file.mtime = file.ctime = store.now()
  }
  const truncate = (file: MemoryFile | Failure, offset: number): Reply<'truncate'> =>
    change(file, each => {
      if (each.isDirectory) return failure(Errno.EISDIR)
      each.pages.resize(offset)
      written(each)
      return undefined
    })
  const remove = (loc: Loc, directory: boolean): Reply<'unlink'> => {
    const parent = store.parent(loc)
    if ('ok' in parent) return parent
    const preparent = parent.iatt()
    const problem = store.unlink(loc, directory)
    return problem ?? { ok: true, preparent, postparent: parent.iatt() }
  }

  return {
    async lookup(_ctx, { loc }) {
      const file = loc.name === '' ? store.find(loc) : store.named(loc)
      if ('ok' in file) return file
      const parent = loc.name === '' ? file : store.parent(loc)
      return 'ok' in parent ? parent : { ok: true, stat: file.iatt(), postparent: parent.iatt() }
    },
    async stat(_ctx, { loc }) {
      const file = store.find(loc)
      return 'ok' in file ? file : { ok: true, stat: file.iatt() }
    },
    async fstat(_ctx, { fd }) {
      const file = store.ofFd(fd)
      return 'ok' in file ? file : { ok: true, stat: file.iatt() }
    },
    async access() {
      return OK
    },
    async readlink(_ctx, { loc }) {
      const file = store.find(loc)
      if ('ok' in file) return file
      if (!file.iatt().isSymlink) return failure(Errno.EINVAL)
      return { ok: true, stat: file.iatt(), target: file.target }
    },
    async mknod(ctx, args) {
      return make(ctx, args, { mode: args.mode, rdev: args.rdev })
    },
    async mkdir(ctx, args) {
      return make(ctx, args, { mode: 0o040000 | (args.mode & 0o7777) })
    },
    async symlink(ctx, args) {
      return make(ctx, args, { mode: S_IFLNK | 0o777, target: args.target })
    },
    async create(ctx, args) {
      const present = store.named(args.loc)
      if (!('ok' in present)) {
        if ((args.flags & OpenFlag.EXCL) !== 0) return failure(Errno.EEXIST)
        if (present.isDirectory) return failure(Errno.EISDIR)
        if ((args.flags & OpenFlag.TRUNC) !== 0) truncate(present, 0)
        store.open(args.fd, present)
        return entry(args.loc, present, undefined)
      }
      const reply = make(ctx, args, { mode: S_IFREG | (args.mode & 0o7777) })
      const made = store.named(args.loc)
      if (reply.ok && !('ok' in made)) store.open(args.fd, made)
      return reply
    },
    async link(_ctx, { oldloc, newloc }) {
      const file = store.find(oldloc)
      if ('ok' in file) return file
      return store.link(file, newloc) ?? entry(newloc, file, undefined)
    },
    async unlink(_ctx, { loc }) {
      return remove(loc, false)
    },
    async rmdir(_ctx, { loc }) {
      return remove(loc, true)
    },
    async rename(_ctx, { oldloc, newloc }) {
      const from = store.parent(oldloc)
      if ('ok' in from) return from
      const to = store.parent(newloc)
      if ('ok' in to) return to
      const [preoldparent, prenewparent] = [from.iatt(), to.iatt()]
      const file = store.rename(oldloc, newloc)
      if ('ok' in file) return file
      return {
        ok: true,
        stat: file.iatt(),
        preoldparent,
        prenewparent,
        postoldparent: from.iatt(),
        postnewparent: to.iatt(),
      }
    },
    async open(_ctx, { loc, fd, flags }) {
      const file = store.find(loc)
      if ('ok' in file) return file
      if ((flags & OpenFlag.TRUNC) !== 0) truncate(file, 0)
      store.open(fd, file)
      return OK
    },
    async opendir(_ctx, { loc, fd }) {
      const file = store.find(loc)
      if ('ok' in file) return file
      if (!file.isDirectory) return failure(Errno.ENOTDIR)
      store.open(fd, file)
      return OK
    },
    async readv(_ctx, { fd, size, offset }) {
      const file = store.ofFd(fd)
      if ('ok' in file) return file
      const data = file.pages.read(offset, size)
      return { ok: true, data, stat: file.iatt(), eof: offset + data.length >= file.pages.size }
    },
    async writev(_ctx, { fd, data, offset }) {
      const reply = change(store.ofFd(fd), file => {
        const append = (fd.flags & OpenFlag.APPEND) !== 0
        file.pages.write(append ? file.pages.size : offset, data)
        written(file)
      })
      return reply.ok ? { ...reply, written: data.length } : reply
    },
    async flush(ctx, { fd }) {
      const file = store.ofFd(fd)
      if ('ok' in file) return file
      file.locks.dropOwner(lockOwner(ctx.client, ctx.lkOwner))
      return OK
    },
    async fsync(_ctx, { fd }) {
      return change(store.ofFd(fd), () => {})
    },
    async fsyncdir() {
      return OK
    },
    async truncate(_ctx, { loc, offset }) {
      return truncate(store.find(loc), offset)
    },
    async ftruncate(_ctx, { fd, offset }) {
      return truncate(store.ofFd(fd), offset)
    },
    async statfs() {
      return { ok: true, statfs: TOTALS }
    },
    async setattr(_ctx, { loc, stat, valid }) {
      return change(store.find(loc), file => setAttributes(store, file, stat, valid))
    },
    async fsetattr(_ctx, { fd, stat, valid }) {
      return change(store.ofFd(fd), file => setAttributes(store, file, stat, valid))
    },
    async setxattr(_ctx, { loc, dict, flags }) {
      return setXattrs(store, store.find(loc), dict, flags)
    },
    async fsetxattr(_ctx, { fd, dict, flags }) {
      return setXattrs(store, store.ofFd(fd), dict, flags)
    },
    async getxattr(_ctx, { loc, name }) {
      return getXattrs(store.find(loc), name)
    },
    async fgetxattr(_ctx, { fd, name }) {
      return getXattrs(store.ofFd(fd), name)
    },
    async removexattr(_ctx, { loc, name }) {
      return removeXattr(store, store.find(loc), name)
    },
    async fremovexattr(_ctx, { fd, name }) {
      return removeXattr(store, store.ofFd(fd), name)
    },
    async readdir(_ctx, args) {
      const file = store.ofFd(args.fd)
      return 'ok' in file ? file : listDirectory(file, args)
    },
    async readdirp(_ctx, args) {
      const file = store.ofFd(args.fd)
      return 'ok' in file ? file : listDirectory(file, args)
    },
    async lk(ctx, { fd, command, flock }) {
      const file = store.ofFd(fd)
      if ('ok' in file) return file
      const wanted = {
        type: flock.type,
        start: flock.start,
        end: flock.len === 0n ? LOCK_END : flock.start + flock.len - 1n,
        owner: lockOwner(ctx.client, flock.lkOwner),
        pid: flock.pid,
      }
      if (command === LockCommand.GETLK) {
        const held = file.locks.conflict(wanted)
        if (held === undefined) return { ok: true, flock: { ...flock, type: LockType.UNLCK } }
        const len = held.end === LOCK_END ? 0n : held.end - held.start + 1n
        const { type, start, pid } = held
        return { ok: true, flock: { ...flock, type, start, len, pid } }
      }
      const errno =
        command === LockCommand.SETLKW
          ? await file.locks.wait(wanted, ctx.signal)
          : file.locks.set(wanted)
      return errno === 0 ? { ok: true, flock } : failure(errno)
    },
    async fallocate(_ctx, { fd, flags, offset, length }) {
      return change(store.ofFd(fd), file => {
        file.pages.allocate(offset, length)
        if ((flags & 1) === 0 && offset + length > file.pages.size)
          file.pages.resize(offset + length)
        written(file)
      })
    },
    async discard(_ctx, { fd, offset, length }) {
      return change(store.ofFd(fd), file => {
        file.pages.clear(offset, offset + length)
        written(file)
      })
    },
    async zerofill(_ctx, { fd, offset, length }) {
      return change(store.ofFd(fd), file => {
        file.pages.clear(offset, offset + length)
        if (offset + length > file.pages.size) file.pages.resize(offset + length)
        written(file)
      })
    },
    async seek(_ctx, { fd, offset, what }) {
      const file = store.ofFd(fd)
      if ('ok' in file) return file
      const found = file.pages.seek(offset, what === 1)
      return found === undefined ? failure(Errno.ENXIO) : { ok: true, offset: found }
    },
    async copy_file_range(_ctx, args) {
      const source = store.ofFd(args.source)
      const target = store.ofFd(args.target)
      if ('ok' in source) return source
      if ('ok' in target) return target
      const prestat = target.iatt()
      const data = source.pages.read(args.sourceOffset, args.length)
      target.pages.write(args.targetOffset, data)
      written(target)
      return {
        ok: true,
        copied: data.length,
        stat: source.iatt(),
        prestat,
        poststat: target.iatt(),
      }
    },
  }
}

const TOTALS = {
  bsize: 4096,
  frsize: 4096,
  blocks: 262_144,
  bfree: 200_000,
  bavail: 190_000,
  files: 1_000_000,
  ffree: 900_000,
  favail: 900_000,
  fsid: 0n,
  flag: 0,
  namemax: 255,
}

function lockOwner(client: string, owner: string): string {
  return `${client}\0${owner}`
}

function setAttributes(store: MemoryStore, file: MemoryFile, stat: Iatt, valid: number): void {
  const now = store.now()
  if ((valid & (SetAttr.UID | SetAttr.GID)) !== 0) {
    if ((valid & SetAttr.UID) !== 0) file.uid = stat.uid
    if ((valid & SetAttr.GID) !== 0) file.gid = stat.gid
    // As chown(2): whoever owns the file now did not put these bits there.
    if (!file.isDirectory) file.mode &= (file.mode & 0o010) === 0 ? ~0o4000 : ~0o6000
  }
  if ((valid & SetAttr.MODE) !== 0) file.mode = (file.mode & 0o170000) | (stat.mode & 0o7777)
  if ((valid & SetAttr.ATIME_NOW) !== 0) file.atime = now
  else if ((valid & SetAttr.ATIME) !== 0) file.atime = { sec: stat.atime, nsec: stat.atimeNsec }
  if ((valid & SetAttr.MTIME_NOW) !== 0) file.mtime = now
  else if ((valid & SetAttr.MTIME) !== 0) file.mtime = { sec: stat.mtime, nsec: stat.mtimeNsec }
  file.ctime = now
}

function setXattrs(
  store: MemoryStore,
  file: MemoryFile | Failure,
  dict: Dict,
  flags: number,
): Reply<'setxattr'> {
  if ('ok' in file) return file
  for (const name of dict.keys()) {
    const present = file.xattrs.has(name)
    if (present && flags === XattrFlag.CREATE) return failure(Errno.EEXIST)
    if (!present && flags === XattrFlag.REPLACE) return failure(Errno.ENODATA)
    file.xattrs.set(name, dict.getBytes(name) ?? Buffer.alloc(0))
  }
  file.ctime = store.now()
  return OK
}

function getXattrs(file: MemoryFile | Failure, name: string): Reply<'getxattr'> {
  if ('ok' in file) return file
  const dict = new Dict()
  if (name === '') {
    for (const [key, value] of file.xattrs) dict.setBytes(key, value)
    return { ok: true, dict }
  }
  const value = file.xattrs.get(name)
  return value === undefined
    ? failure(Errno.ENODATA)
    : { ok: true, dict: dict.setBytes(name, value) }
}

function removeXattr(
  store: MemoryStore,
  file: MemoryFile | Failure,
  name: string,
): Reply<'removexattr'> {
  if ('ok' in file) return file
  if (!file.xattrs.delete(name)) return failure(Errno.ENODATA)
  file.ctime = store.now()
  return OK
}
