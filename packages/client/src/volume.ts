/**
 * Volume: a volume in use, with the face of node:fs/promises. Paths start at the root of the volume
 * and are resolved here. Whatever the volume refuses is thrown as FsError.
 */

import type { Readable, Writable } from 'node:stream'
import {
  Dict,
  Errno,
  type Failure,
  failure,
  type Graph,
  Iatt,
  inodeLoc,
  OpenFlag,
  type Reply,
  SetAttr,
} from '@ashlar/core'
import { type EncodingOption, encodingOf, type WholeData } from './bytes.ts'
import { Dir, Listing } from './dir.ts'
import { checkSignal, FsError, hasCode, type Operation } from './errors.ts'
import { FileHandle } from './file-handle.ts'
import { openFlags } from './flags.ts'
import { OpenFile } from './open-file.ts'
import {
  linkInode,
  newEntry,
  type PathLike,
  pathText,
  type Place,
  placeInode,
  placeLoc,
  walk,
  type WalkOptions,
} from './path-walk.ts'
import type { Session } from './session.ts'
import { type Dirent, type StatFs, statFs, Stats } from './stats.ts'
import {
  readStream,
  type ReadStreamOptions,
  writeStream,
  type WriteStreamOptions,
} from './streams.ts'
import { owner, type TimeLike, timesOf } from './attributes.ts'
import * as tree from './tree.ts'
import { Xattrs } from './xattrs.ts'

/** Flags of `copyFile`, as node:fs has them. */
const COPYFILE_EXCL = 1
/** access(2)'s bit for writing. */
const W_OK = 2
const NAME_LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
const MKDTEMP_TRIES_MAX = 100

type Mode = number | string
export type OpenOptions = ReadStreamOptions & { readonly flags?: string; readonly mode?: Mode }
export type FileOptions = EncodingOption | (EncodingOption & { flag?: string; mode?: Mode })
type OptionBag = Extract<EncodingOption, object> & { flag?: string; mode?: Mode }

export interface VolumeParts {
  readonly session: Session
  /** Ends the connection. */
  readonly disconnect: () => Promise<void>
}

export class Volume implements AsyncDisposable {
  readonly #session: Session
  readonly #disconnect: () => Promise<void>
  /** Extended attributes. */
  readonly xattrs: Xattrs

  constructor(parts: VolumeParts) {
    this.#session = parts.session
    this.#disconnect = parts.disconnect
    this.xattrs = new Xattrs(parts.session, (operation, path, options, work) =>
      this.#at(operation, path, options, work),
    )
  }

  // Files

  async open(path: PathLike, flags?: string | number, mode: Mode = 0o666): Promise<FileHandle> {
    const wanted = openFlags(flags, 'r')
    const exclusive = (wanted & OpenFlag.CREAT) !== 0 && (wanted & OpenFlag.EXCL) !== 0
    const follow = !exclusive && (wanted & OpenFlag.NOFOLLOW) === 0
    const mayMiss = (wanted & OpenFlag.CREAT) !== 0
    const text = pathText(path)
    const file = await this.#at('open', text, { follow, mayMiss }, async (graph, place) => {
      if (place.inode === undefined) {
        if (place.slash) return failure(Errno.EISDIR)
        const made = await this.#create(graph, place, wanted, modeOf(mode), text)
        // Somebody else was faster: theirs is opened, after another look.
        if (!('ok' in made) || made.errno !== Errno.EEXIST || exclusive) return made
        return failure(Errno.ESTALE)
      }
      if (exclusive) return failure(Errno.EEXIST)
      if (place.stat?.isSymlink === true) return failure(Errno.ELOOP)
      if (place.inode.isDirectory && (wanted & OpenFlag.ACCMODE) !== OpenFlag.RDONLY)
        return failure(Errno.EISDIR)
      return this.#open(graph, place, wanted, text)
    })
    return new FileHandle(file)
  }

  readFile(
    path: PathLike,
    options?: { readonly encoding?: null; flag?: string; signal?: AbortSignal } | null,
  ): Promise<Buffer>
  readFile(
    path: PathLike,
    options:
      | BufferEncoding
      | { readonly encoding: BufferEncoding; flag?: string; signal?: AbortSignal },
  ): Promise<string>
  async readFile(path: PathLike, options?: FileOptions): Promise<Buffer | string> {
    const { flag = 'r', signal } = bag(options)
    checkSignal(signal)
    await using handle = await this.open(path, flag)
    const content = await handle.readFile({ signal })
    const encoding = encodingOf(options)
    return encoding === undefined ? content : content.toString(encoding)
  }

  async writeFile(path: PathLike, data: WholeData, options?: FileOptions): Promise<void> {
    await this.#writeWhole(path, data, { flag: 'w', ...bag(options) })
  }

  async appendFile(path: PathLike, data: WholeData, options?: FileOptions): Promise<void> {
    await this.#writeWhole(path, data, { flag: 'a', ...bag(options) })
  }

  async #writeWhole(path: PathLike, data: WholeData, options: OptionBag): Promise<void> {
    const { flag, mode = 0o666, signal } = options
    checkSignal(signal)
    const handle = await this.open(path, flag, mode)
    await finishing(handle, () => handle.writeFile(data, options))
  }

  createReadStream(path: PathLike, options: OpenOptions = {}): Readable {
    return readStream(this.open(path, options.flags ?? 'r', options.mode), { start: 0, ...options })
  }

  createWriteStream(
    path: PathLike,
    options: WriteStreamOptions & { readonly flags?: string; readonly mode?: Mode } = {},
  ): Writable {
    return writeStream(this.open(path, options.flags ?? 'w', options.mode), options)
  }

  async truncate(path: PathLike, length = 0): Promise<void> {
    await this.#at('truncate', path, { follow: true }, (graph, place) =>
      graph.top.truncate(this.#session.ctx, {
        loc: placeInode(place),
        offset: Math.max(0, length),
      }),
    )
  }

  /** Copies inside the volume; the data passes through here. */
  async copyFile(source: PathLike, target: PathLike, mode = 0): Promise<void> {
    const names = { syscall: 'copyfile', path: pathText(source), dest: pathText(target) }
    const renamed = (error: FsError): never => {
      throw new FsError(-error.errno, names)
    }
    await using from = await this.open(source).catch(renamed)
    const stats = await from.stat()
    if (stats.isDirectory()) throw new FsError(Errno.EISDIR, names)
    const flag = (mode & COPYFILE_EXCL) === 0 ? 'w' : 'wx'
    const to = await this.open(target, flag, stats.mode & 0o7777).catch(renamed)
    await finishing(to, () => to.writeFile(from.createReadStream({ autoClose: false })))
  }

  // Names

  /** With `recursive` the first directory that was made, or undefined when all were there. */
  async mkdir(
    path: PathLike,
    options?: Mode | { readonly recursive?: boolean; readonly mode?: Mode } | null,
  ): Promise<string | undefined> {
    const { recursive = false, mode = 0o777 } =
      typeof options === 'object' && options !== null ? options : { mode: options ?? 0o777 }
    const make = (each: string): Promise<void> => this.#mkdir(each, modeOf(mode))
    if (recursive) return tree.makeDirectories(this, pathText(path), make)
    await make(pathText(path))
    return undefined
  }

  async mkdtemp(prefix: string): Promise<string> {
    for (let tries = 1; ; tries++) {
      let name = prefix
      for (let i = 0; i < 6; i++)
        name += NAME_LETTERS[this.#session.env.random.integer(NAME_LETTERS.length)]
      try {
        await this.#mkdir(name, 0o700)
        return name
      } catch (error) {
        if (!hasCode(error, 'EEXIST') || tries === MKDTEMP_TRIES_MAX) throw error
      }
    }
  }

  readdir(
    path: PathLike,
    options?:
      | { readonly recursive?: boolean; readonly withFileTypes?: false }
      | BufferEncoding
      | null,
  ): Promise<string[]>
  readdir(
    path: PathLike,
    options: { readonly recursive?: boolean; readonly withFileTypes: true },
  ): Promise<Dirent[]>
  async readdir(
    path: PathLike,
    options?:
      | { readonly recursive?: boolean; readonly withFileTypes?: boolean }
      | BufferEncoding
      | null,
  ): Promise<string[] | Dirent[]> {
    const { recursive = false, withFileTypes = false } =
      typeof options === 'object' && options !== null ? options : {}
    const text = pathText(path)
    const entries: Dirent[] = []
    for await (const entry of tree.entries(this, text, recursive)) entries.push(entry)
    return withFileTypes ? entries : entries.map(entry => tree.relativeName(text, entry))
  }

  async opendir(path: PathLike): Promise<Dir> {
    return this.#opendir('opendir', pathText(path))
  }

  /** As `opendir`, with the name that readdir has in errors. @internal */
  async scandir(path: string): Promise<Dir> {
    return this.#opendir('scandir', path)
  }

  async #opendir(syscall: string, text: string): Promise<Dir> {
    const listing = await this.#at(syscall, text, { follow: true }, (graph, place) =>
      Listing.open(this.#session, graph, place),
    )
    return new Dir(this.#session, listing, text)
  }

  async rename(from: PathLike, to: PathLike): Promise<void> {
    await this.#pair('rename', from, to, { mayMiss: true }, async (graph, source, target) => {
      if (source.name === '' || target.name === '') return failure(Errno.EBUSY)
      if ((source.slash || target.slash) && source.inode?.isDirectory !== true)
        return failure(Errno.ENOTDIR)
      const { inodes } = graph
      const oldloc = placeLoc(source)
      const newloc = target.inode === undefined ? newEntry(graph, target) : placeLoc(target)
      const reply = await graph.top.rename(this.#session.ctx, { oldloc, newloc })
      if (reply.ok) inodes.rename(source.parent, source.name, target.parent, target.name)
      return reply
    })
  }

  /** A hard link. */
  async link(existing: PathLike, path: PathLike): Promise<void> {
    await this.#pair('link', existing, path, { mayMiss: true }, async (graph, source, target) => {
      if (target.inode !== undefined) return failure(Errno.EEXIST)
      const oldloc = placeInode(source)
      if (oldloc.inode.isDirectory) return failure(Errno.EPERM)
      const newloc = { ...newEntry(graph, target), inode: oldloc.inode, gfid: oldloc.gfid }
      const reply = await graph.top.link(this.#session.ctx, { oldloc, newloc })
      if (reply.ok) graph.inodes.unref(linkInode(graph, newloc, reply.stat))
      return reply
    })
  }

  async symlink(target: PathLike, path: PathLike, _type?: string | null): Promise<void> {
    const operation = { syscall: 'symlink', path: pathText(target), dest: pathText(path) }
    await this.#at(operation, path, { mayMiss: true }, async (graph, place) => {
      if (place.inode !== undefined) return failure(Errno.EEXIST)
      const loc = newEntry(graph, place)
      const reply = await graph.top.symlink(this.#session.ctx, {
        loc,
        target: pathText(target),
        umask: 0,
        xdata: this.#session.identity(),
      })
      if (reply.ok) graph.inodes.unref(linkInode(graph, loc, reply.stat))
      return reply
    })
  }

  async readlink(path: PathLike): Promise<string> {
    const reply = await this.#at('readlink', path, {}, async (graph, place) => {
      if (place.stat?.isSymlink !== true) return failure(Errno.EINVAL)
      return graph.top.readlink(this.#session.ctx, { loc: placeInode(place), size: 4096 })
    })
    return reply.target
  }

  async unlink(path: PathLike): Promise<void> {
    await this.#at('unlink', path, {}, async (graph, place) => {
      if (place.inode?.isDirectory !== false) return failure(Errno.EISDIR)
      const loc = placeLoc(place)
      const reply = await graph.top.unlink(this.#session.ctx, { loc, xflags: 0 })
      if (reply.ok) graph.inodes.unlink(place.parent, place.name)
      return reply
    })
  }

  async rmdir(path: PathLike): Promise<void> {
    await this.#at('rmdir', path, {}, async (graph, place) => {
      if (place.inode?.isDirectory !== true) return failure(Errno.ENOTDIR)
      if (place.name === '') return failure(Errno.EBUSY)
      const loc = placeLoc(place)
      const reply = await graph.top.rmdir(this.#session.ctx, { loc, xflags: 0 })
      if (reply.ok) graph.inodes.unlink(place.parent, place.name)
      return reply
    })
  }

  /** Removes a file, or with `recursive` whatever it is; `force` forgives that there is nothing. */
  async rm(
    path: PathLike,
    options: { readonly recursive?: boolean; readonly force?: boolean } = {},
  ): Promise<void> {
    await tree.remove(this, pathText(path), options)
  }

  async realpath(path: PathLike): Promise<string> {
    return this.#at('realpath', path, { follow: true }, (_graph, place) =>
      Promise.resolve(place.path),
    )
  }

  // Attributes

  async stat(path: PathLike): Promise<Stats> {
    return this.#stat('stat', path, true)
  }

  /** Of a symbolic link itself. */
  async lstat(path: PathLike): Promise<Stats> {
    return this.#stat('lstat', path, false)
  }

  async chmod(path: PathLike, mode: Mode): Promise<void> {
    const stat = new Iatt()
    stat.mode = modeOf(mode) & 0o7777
    await this.#setattr('chmod', path, true, stat, SetAttr.MODE)
  }

  async chown(path: PathLike, uid: number, gid: number): Promise<void> {
    await this.#setattr('chown', path, true, ...owner(uid, gid))
  }

  async lchown(path: PathLike, uid: number, gid: number): Promise<void> {
    await this.#setattr('lchown', path, false, ...owner(uid, gid))
  }

  async utimes(path: PathLike, atime: TimeLike, mtime: TimeLike): Promise<void> {
    await this.#setattr('utime', path, true, timesOf(atime, mtime), SetAttr.ATIME | SetAttr.MTIME)
  }

  async lutimes(path: PathLike, atime: TimeLike, mtime: TimeLike): Promise<void> {
    await this.#setattr('lutime', path, false, timesOf(atime, mtime), SetAttr.ATIME | SetAttr.MTIME)
  }

  /** Rejects with EACCES when the file may not be used so; `mode` is of constants.R_OK and so on. */
  async access(path: PathLike, mode = 0): Promise<void> {
    await this.#at('access', path, { follow: true }, async (graph, place) => {
      const { ctx } = this.#session
      if (mode === 0) return true
      const reply = await graph.top.access(ctx, { loc: placeInode(place), mask: mode })
      if (!reply.ok && reply.errno === Errno.EROFS && (mode & W_OK) === 0) return true
      return reply
    })
  }

  async statfs(path: PathLike = '/'): Promise<StatFs> {
    const reply = await this.#at('statfs', path, { follow: true }, (graph, place) =>
      graph.top.statfs(this.#session.ctx, { loc: placeInode(place) }),
    )
    return statFs(reply.statfs)
  }

  /** Closes what is open and ends the connection. */
  async unmount(): Promise<void> {
    if (this.#session.closed) return
    await this.#session.close()
    await this.#disconnect()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount()
  }

  async #stat(syscall: string, path: PathLike, follow: boolean): Promise<Stats> {
    const stat = await this.#at(syscall, path, { follow }, async (graph, place) => {
      if (place.stat !== undefined && !place.stat.isEmpty) return { found: place.stat }
      const reply = await graph.top.stat(this.#session.ctx, { loc: placeInode(place) })
      return reply.ok ? { found: reply.stat } : reply
    })
    return new Stats(stat.found)
  }

  async #setattr(
    syscall: string,
    path: PathLike,
    follow: boolean,
    stat: Iatt,
    valid: number,
  ): Promise<void> {
    await this.#at(syscall, path, { follow }, (graph, place) =>
      graph.top.setattr(this.#session.ctx, { loc: placeInode(place), stat, valid }),
    )
  }

  async #mkdir(path: string, mode: number): Promise<void> {
    const { ctx, umask } = this.#session
    await this.#at('mkdir', path, { mayMiss: true }, async (graph, place) => {
      if (place.inode !== undefined) return failure(Errno.EEXIST)
      const loc = newEntry(graph, place)
      const xdata = this.#session.identity()
      const reply = await graph.top.mkdir(ctx, { loc, mode: mode & ~umask, umask, xdata })
      if (reply.ok) graph.inodes.unref(linkInode(graph, loc, reply.stat))
      return reply
    })
  }

  async #create(
    graph: Graph,
    place: Place,
    flags: number,
    mode: number,
    path: string,
  ): Promise<OpenFile | Failure> {
    const { ctx, umask } = this.#session
    const loc = newEntry(graph, place)
    const fd = graph.openFd(loc.inode, { flags, pid: ctx.pid })
    const xdata: Dict = this.#session.identity()
    const args = { loc, fd, flags, mode: mode & ~umask, umask, xdata }
    const reply = await graph.top.create(ctx, args)
    if (!reply.ok) {
      fd.unref()
      return reply
    }
    const inode = linkInode(graph, loc, reply.stat)
    if (fd.inode !== inode) fd.moveTo(inode)
    fd.bind()
    graph.inodes.unref(inode)
    return new OpenFile(this.#session, fd, path)
  }

  async #open(
    graph: Graph,
    place: Place,
    flags: number,
    path: string,
  ): Promise<OpenFile | Failure> {
    const { ctx } = this.#session
    const { inode } = place
    if (inode === undefined) return failure(Errno.ENOENT)
    const fd = graph.openFd(inode, { flags, pid: ctx.pid })
    const loc = inodeLoc(inode)
    // A directory may be opened to be looked at, as open(2) allows.
    const reply: Reply<'open'> = inode.isDirectory
      ? await graph.top.opendir(ctx, { loc, fd })
      : await graph.top.open(ctx, { loc, fd, flags: flags & ~(OpenFlag.CREAT | OpenFlag.EXCL) })
    if (reply.ok) return new OpenFile(this.#session, fd.bind(), path)
    fd.unref()
    return reply
  }

  /**
   * Walks `path` and runs `work` there. What has gone stale meanwhile is looked up once more,
   * without believing what is remembered.
   */
  async #at<T>(
    operation: string | Operation,
    path: PathLike,
    options: WalkOptions,
    work: (graph: Graph, place: Place) => Promise<T | Failure>,
  ): Promise<T> {
    const text = pathText(path)
    const result = await this.#twice(fresh =>
      this.#session.run(async graph => {
        const place = await walk(this.#session, graph, text, { ...options, fresh })
        if ('ok' in place) return place
        try {
          return await work(graph, place)
        } finally {
          place.release()
        }
      }),
    )
    if (!isFailure(result)) return result
    const named = typeof operation === 'string' ? { syscall: operation, path: text } : operation
    throw new FsError(result.errno, named)
  }

  /** The same with two paths; `options` are for the second. */
  async #pair(
    syscall: string,
    first: PathLike,
    second: PathLike,
    options: WalkOptions,
    work: (graph: Graph, first: Place, second: Place) => Promise<{ readonly ok: true } | Failure>,
  ): Promise<void> {
    const path = pathText(first)
    const dest = pathText(second)
    const result = await this.#twice(fresh =>
      this.#session.run(async graph => {
        const one = await walk(this.#session, graph, path, { fresh })
        if ('ok' in one) return one
        try {
          const two = await walk(this.#session, graph, dest, { ...options, fresh })
          if ('ok' in two) return two
          try {
            return await work(graph, one, two)
          } finally {
            two.release()
          }
        } finally {
          one.release()
        }
      }),
    )
    if (isFailure(result)) throw new FsError(result.errno, { syscall, path, dest })
  }

  async #twice<T>(attempt: (fresh: boolean) => Promise<T | Failure>): Promise<T | Failure> {
    const result = await attempt(false)
    return isFailure(result) && result.errno === Errno.ESTALE ? attempt(true) : result
  }
}

function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'ok' in value && value.ok === false
}

function modeOf(mode: Mode): number {
  return typeof mode === 'string' ? Number.parseInt(mode, 8) : mode
}

function bag(options: FileOptions): OptionBag {
  return typeof options === 'object' && options !== null ? (options as OptionBag) : {}
}

/** Runs `work` and closes: a failure to close counts, unless the work has failed already. */
async function finishing(handle: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    await handle.close().catch(() => undefined)
    throw error
  }
  await handle.close()
}
