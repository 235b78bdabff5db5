/** The files of a memory volume: by gfid, and under names. Ordinary POSIX rules, no permissions. */

import {
  type Ctx,
  type Dict,
  type Env,
  Errno,
  type Failure,
  type Fd,
  failure,
  type Gfid,
  type Loc,
  NULL_GFID,
  ROOT_GFID,
  S_IFDIR,
} from '@ashlar/core'
import { MemoryFile, type Moment } from './memory-file.ts'

const NAME_MAX = 255
const LINK_MAX = 65_000
const S_ISGID = 0o2000

export class MemoryStore {
  readonly env: Env
  readonly root: MemoryFile
  readonly #byGfid = new Map<Gfid, MemoryFile>()
  /** Without a name, and yet to be found by gfid: as long as somebody has them open. */
  readonly unlinked = new Map<Gfid, MemoryFile>()
  readonly #byFd = new WeakMap<Fd, MemoryFile>()

  constructor(env: Env) {
    this.env = env
    const now = env.clock.wall()
    this.root = new MemoryFile({ gfid: ROOT_GFID, mode: S_IFDIR | 0o755, uid: 0, gid: 0, now })
    this.root.parent = this.root
    this.#byGfid.set(ROOT_GFID, this.root)
  }

  get count(): number {
    return this.#byGfid.size
  }

  /** Everything there is. */
  files(): IterableIterator<MemoryFile> {
    return this.#byGfid.values()
  }

  /** A path of a file; undefined when it has no name. */
  pathOf(file: MemoryFile): string | undefined {
    if (file === this.root) return ''
    for (const directory of this.#byGfid.values()) {
      for (const entry of directory.entries.values()) {
        if (entry.file !== file) continue
        const above = this.pathOf(directory)
        if (above !== undefined) return `${above}/${entry.name}`
      }
    }
    return undefined
  }

  now(): Moment {
    return this.env.clock.wall()
  }

  /** By the gfid when the loc has one, else by name. */
  find(loc: Loc): MemoryFile | Failure {
    const gfid = loc.gfid === NULL_GFID ? loc.inode.gfid : loc.gfid
    if (gfid !== NULL_GFID)
      return this.#byGfid.get(gfid) ?? this.unlinked.get(gfid) ?? failure(Errno.ENOENT)
    return this.named(loc)
  }

  /** By parent and name: what a lookup of an entry means, whatever gfid is expected. */
  named(loc: Loc): MemoryFile | Failure {
    const parent = this.parent(loc)
    if ('ok' in parent) return parent
    return parent.entries.get(loc.name)?.file ?? failure(Errno.ENOENT)
  }

  parent(loc: Loc): MemoryFile | Failure {
    const parent = this.#byGfid.get(loc.pargfid)
    if (parent === undefined) return failure(Errno.ESTALE)
    if (!parent.isDirectory) return failure(Errno.ENOTDIR)
    return Buffer.byteLength(loc.name) > NAME_MAX ? failure(Errno.ENAMETOOLONG) : parent
  }

  open(fd: Fd, file: MemoryFile): void {
    this.#byFd.set(fd, file)
  }

  /** The file of an fd, open or anonymous; a file without names is still reached by an open fd. */
  ofFd(fd: Fd): MemoryFile | Failure {
    const file = this.#byFd.get(fd) ?? this.#byGfid.get(fd.inode.gfid)
    return file ?? failure(fd.anonymous ? Errno.ESTALE : Errno.EBADF)
  }

  make(
    ctx: Ctx,
    loc: Loc,
    options: {
      mode: number
      umask: number
      rdev?: number
      target?: string
      xdata?: Dict | undefined
    },
  ): MemoryFile | Failure {
    const parent = this.parent(loc)
    if ('ok' in parent) return parent
    if (parent.entries.has(loc.name)) return failure(Errno.EEXIST)
    if (parent.nlink === 0) return failure(Errno.ENOENT)
    const now = this.now()
    const inherits = (parent.mode & S_ISGID) !== 0
    let mode = options.mode & ~options.umask
    if (inherits && (mode & S_IFDIR) === S_IFDIR) mode |= S_ISGID
    const file = new MemoryFile({
      gfid: options.xdata?.getGfid('gfid-req') ?? this.env.random.uuid(),
      mode,
      uid: ctx.uid,
      gid: inherits ? parent.gid : ctx.gid,
      now,
      rdev: options.rdev ?? 0,
      target: options.target ?? '',
    })
    this.#byGfid.set(file.gfid, file)
    parent.add(loc.name, file, now)
    return file
  }

  link(file: MemoryFile, loc: Loc): Failure | undefined {
    const parent = this.parent(loc)
    if ('ok' in parent) return parent
    if (file.isDirectory) return failure(Errno.EPERM)
    if (parent.entries.has(loc.name)) return failure(Errno.EEXIST)
    if (file.nlink >= LINK_MAX) return failure(Errno.EMLINK)
    file.nlink += 1
    file.ctime = this.now()
    this.unlinked.delete(file.gfid)
    this.#byGfid.set(file.gfid, file)
    parent.add(loc.name, file, this.now())
    return undefined
  }

  unlink(loc: Loc, directory: boolean): Failure | undefined {
    const parent = this.parent(loc)
    if ('ok' in parent) return parent
    const file = parent.entries.get(loc.name)?.file
    if (file === undefined) return failure(Errno.ENOENT)
    if (file.isDirectory !== directory) return failure(directory ? Errno.ENOTDIR : Errno.EISDIR)
    if (directory && file.entries.size > 0) return failure(Errno.ENOTEMPTY)
    parent.remove(loc.name, this.now())
    this.#dropLink(file)
    return undefined
  }

  rename(oldloc: Loc, newloc: Loc): MemoryFile | Failure {
    const from = this.parent(oldloc)
    if ('ok' in from) return from
    const to = this.parent(newloc)
    if ('ok' in to) return to
    const file = from.entries.get(oldloc.name)?.file
    if (file === undefined) return failure(Errno.ENOENT)
    const target = to.entries.get(newloc.name)?.file
    if (target === file) return file
    for (let at: MemoryFile | undefined = to; at !== this.root; at = at?.parent)
      if (at === file) return failure(Errno.EINVAL)
    if (target !== undefined) {
      if (target.isDirectory && !file.isDirectory) return failure(Errno.EISDIR)
      if (!target.isDirectory && file.isDirectory) return failure(Errno.ENOTDIR)
      if (target.entries.size > 0) return failure(Errno.ENOTEMPTY)
      to.remove(newloc.name, this.now())
      this.#dropLink(target)
    }
    from.remove(oldloc.name, this.now())
    to.add(newloc.name, file, this.now())
    file.ctime = this.now()
    return file
  }

  #dropLink(file: MemoryFile): void {
    file.nlink = file.isDirectory ? 0 : file.nlink - 1
    file.ctime = this.now()
    if (file.nlink === 0) this.#byGfid.delete(file.gfid)
  }
}
