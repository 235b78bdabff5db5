/**
 * A directory of names without content: every entry is a hard link to one empty base file, so that
 * thousands of entries take a directory's space and no inodes.
 * Format: xlators/features/index/src/index.c.
 */

import { type Dirent, Errno, type Gfid, gfidText, type Random } from '@ashlar/core'
import * as sys from '@ashlar/sys'

/** `indices/xattrop`, `indices/dirty`, or the directories of `indices/entry-changes`. */
export class LinkDirectory {
  readonly path: string
  readonly #prefix: string
  readonly #random: Random
  readonly #mode: number
  /** Base file in use: a new one each time the brick starts. */
  #base: string

  /**
   * `kind` and `start` name the base file: `xattrop-<uuid>`. Makes the directory when it is missing.
   */
  constructor(options: {
    path: string
    kind: string
    start: Gfid
    random: Random
    mode: number
  }) {
    this.path = options.path
    this.#prefix = `${options.kind}-`
    this.#random = options.random
    this.#mode = options.mode
    this.#base = this.#baseName(options.start)
    sys.mkdirat(sys.AT_FDCWD, this.path, this.#mode)
  }

  /** True for names of base files, which are no entries. */
  isBase(name: string): boolean {
    return name.startsWith(this.#prefix)
  }

  /** Makes the entry `name` (below `folder`, when there is one). 0, 1 when it is there, or −errno. */
  add(name: string, folder = ''): number {
    const target = this.#entry(name, folder)
    let result = this.#link(target)
    if (result === -Errno.EMLINK) {
      this.#base = this.#baseName(this.#random.uuid())
      result = -Errno.ENOENT
    }
    // The base file is made when the first entry needs it; the folder may be missing just as well.
    if (result === -Errno.ENOENT) {
      sys.mkdirat(sys.AT_FDCWD, this.path, this.#mode)
      if (folder !== '') sys.mkdirat(sys.AT_FDCWD, `${this.path}/${folder}`, this.#mode)
      const made = this.#makeBase()
      if (made !== 0 && made !== -Errno.EEXIST) return made
      result = this.#link(target)
    }
    return result === -Errno.EEXIST ? 1 : result
  }

  /** 0, or −errno: −ENOENT when there is no such entry. */
  remove(name: string, folder = ''): number {
    return sys.unlinkat(sys.AT_FDCWD, this.#entry(name, folder))
  }

  /** Number of entries. Base files of earlier starts that nothing links to any more are deleted. */
  count(): number {
    const fd = sys.openat(sys.AT_FDCWD, this.path, sys.O.RDONLY | sys.O.DIRECTORY | sys.O.CLOEXEC)
    if (fd < 0) return 0
    const reader = new sys.DirectoryReader()
    let entries = 0
    for (
      let read = reader.read(fd);
      typeof read !== 'number' && read.length > 0;
      read = reader.read(fd)
    ) {
      for (const entry of read) if (this.keep(entry)) entries += 1
    }
    sys.close(fd)
    return entries
  }

  /** True for what a reader is to see of a listing. A base file without links is deleted on the way. */
  keep(entry: Dirent): boolean {
    if (entry.name === '.' || entry.name === '..') return false
    if (!this.isBase(entry.name)) return true
    const path = `${this.path}/${entry.name}`
    const stat = new sys.Stat()
    if (
      entry.name !== this.#base &&
      sys.statat(sys.AT_FDCWD, path, stat) === 0 &&
      stat.nlink === 1
    ) {
      sys.unlinkat(sys.AT_FDCWD, path)
    }
    return false
  }

  /** 0, −EEXIST or −errno. Nobody may open it, its owner neither: it must not be there yet. */
  #makeBase(): number {
    const flags = sys.O.CREAT | sys.O.EXCL | sys.O.CLOEXEC
    const fd = sys.openat(sys.AT_FDCWD, this.#basePath, flags, 0)
    if (fd < 0) return fd
    sys.close(fd)
    return 0
  }

  #link(target: string): number {
    return sys.linkat(sys.AT_FDCWD, this.#basePath, sys.AT_FDCWD, target)
  }

  #entry(name: string, folder: string): string {
    return folder === '' ? `${this.path}/${name}` : `${this.path}/${folder}/${name}`
  }

  get #basePath(): string {
    return `${this.path}/${this.#base}`
  }

  #baseName(uuid: Gfid): string {
    return `${this.#prefix}${gfidText(uuid)}`
  }
}
