/**
 * Gfid handles: `.glusterfs/<g0>/<g1>/<gfid>` leads from a gfid to its object. For a directory it is
 * a symbolic link into the parent's handle, for everything else a hard link to the object.
 * Facts: xlators/storage/posix/src/posix-handle.c.
 *
 * Directories are reached through open descriptors, kept for those in use: a descriptor stays right
 * when a directory is renamed, is one step from any entry, and no tree is too deep for it.
 */

import { decodeName, Errno, type Gfid, gfidText, parseGfid, ROOT_GFID } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { LRUCache } from 'lru-cache'
import type { XattrSpace } from './xattr-space.ts'

/** Descriptors kept open; more directories than this in use at once are opened again and again. */
const DIRECTORIES_MAX = 4096
const TARGET_BYTES_MAX = 512
/** A chain of parents longer than this is a loop. */
const DEPTH_MAX = 4096
export const GFID_KEY = 'trusted.gfid'

const TARGET = /^\.\.\/\.\.\/[0-9a-f]{2}\/[0-9a-f]{2}\/([0-9a-f-]{36})\/(.+)$/s

/** What a directory's handle says: its parent and its name there. */
export interface DirectoryHandle {
  readonly parent: Gfid
  readonly name: string
}

/** A brick that has been opened and checked. */
export interface OpenedBrick {
  readonly root: string
  readonly rootFd: number
  readonly xattrs: XattrSpace
  /** The process may do as it likes, whatever modes say. */
  readonly isRoot: boolean
}

export class Handles {
  readonly root: string
  readonly rootFd: number
  readonly #xattrs: XattrSpace
  readonly #isRoot: boolean
  readonly #scratch = Buffer.alloc(TARGET_BYTES_MAX)
  readonly #directories = new LRUCache<Gfid, number>({
    max: DIRECTORIES_MAX,
    dispose: fd => {
      sys.close(fd)
    },
  })

  constructor(opened: OpenedBrick) {
    this.root = opened.root
    this.rootFd = opened.rootFd
    this.#xattrs = opened.xattrs
    this.#isRoot = opened.isRoot
  }

  close(): void {
    this.#directories.clear()
    sys.close(this.rootFd)
  }

  /** Path of a gfid's handle. */
  path(gfid: Gfid): string {
    const text = gfidText(gfid)
    return `${this.root}/.glusterfs/${text.slice(0, 2)}/${text.slice(2, 4)}/${text}`
  }

  /** Where a file rests that is unlinked and still open. */
  unlinkedPath(gfid: Gfid): string {
    return `${this.root}/.glusterfs/unlink/${gfidText(gfid)}`
  }

  /** A path by which xattr calls reach an entry of an open directory. */
  entryPath(directoryFd: number, name: string): string {
    return `/proc/self/fd/${directoryFd}/${name}`
  }

  /**
   * A path by which calls that must not end in a symbolic link reach an open directory. `.` takes the
   * right to search the directory, which without root its mode may deny to the brick itself: there it
   * is reached by its name.
   */
  directoryPath(directoryFd: number, gfid: Gfid): string {
    return (this.#isRoot ? undefined : this.#namedPath(gfid)) ?? `/proc/self/fd/${directoryFd}/.`
  }

  /** Descriptor of a directory; −ESTALE when the gfid names none. */
  directory(gfid: Gfid): number {
    if (gfid === ROOT_GFID) return this.rootFd
    const open = this.#directories.get(gfid)
    if (open !== undefined) return open
    return this.#openDirectory(gfid)
  }

  /** A directory is gone, or its handle changed: it is opened anew when it is needed again. */
  dropDirectory(gfid: Gfid): void {
    this.#directories.delete(gfid)
  }

  /** The parts of a directory's handle; a number −errno when there is no such handle. */
  readDirectoryHandle(gfid: Gfid): DirectoryHandle | number {
    const length = sys.readlinkat(sys.AT_FDCWD, this.path(gfid), this.#scratch)
    if (length < 0) return length
    return parseTarget(this.#scratch, length) ?? -Errno.ENOTDIR
  }

  /** Makes a directory's handle; replaces one that leads elsewhere. 0 or −errno. */
  linkDirectory(gfid: Gfid, parent: Gfid, name: string): number {
    const path = this.path(gfid)
    const text = gfidText(parent)
    const target = `../../${text.slice(0, 2)}/${text.slice(2, 4)}/${text}/${name}`
    let result = sys.symlinkat(target, sys.AT_FDCWD, path)
    if (result === -Errno.ENOENT) {
      this.#makeHome(gfid)
      result = sys.symlinkat(target, sys.AT_FDCWD, path)
    }
    if (result === -Errno.EEXIST) {
      // What was reached by it so far is another directory, or the same one under an older name.
      this.dropDirectory(gfid)
      sys.unlinkat(sys.AT_FDCWD, path)
      result = sys.symlinkat(target, sys.AT_FDCWD, path)
    }
    return result
  }

  /** Links an object that is no directory to its handle. One that leads to the same inode is right. */
  linkFile(gfid: Gfid, directoryFd: number, name: string): number {
    const path = this.path(gfid)
    let result = sys.linkat(directoryFd, name, sys.AT_FDCWD, path)
    if (result === -Errno.ENOENT) {
      this.#makeHome(gfid)
      result = sys.linkat(directoryFd, name, sys.AT_FDCWD, path)
    }
    if (result !== -Errno.EEXIST) return result
    const here = new sys.Stat()
    const there = new sys.Stat()
    if (sys.statat(directoryFd, name, here) < 0 || sys.statat(sys.AT_FDCWD, path, there) < 0)
      return -Errno.EEXIST
    return here.ino === there.ino && here.dev === there.dev ? 0 : -Errno.EEXIST
  }

  unlink(gfid: Gfid): number {
    return sys.unlinkat(sys.AT_FDCWD, this.path(gfid))
  }

  /** Path of a directory from the brick's root, for people; undefined when its chain is broken. */
  pathOf(gfid: Gfid): string | undefined {
    const names: string[] = []
    let at = gfid
    for (let depth = 0; depth < DEPTH_MAX; depth++) {
      if (at === ROOT_GFID) return `/${names.reverse().join('/')}`
      const handle = this.readDirectoryHandle(at)
      if (typeof handle === 'number') return undefined
      names.push(handle.name)
      at = handle.parent
    }
    return undefined
  }

  #namedPath(gfid: Gfid): string | undefined {
    const handle = gfid === ROOT_GFID ? -Errno.EINVAL : this.readDirectoryHandle(gfid)
    if (typeof handle === 'number') return undefined
    const parent = this.directory(handle.parent)
    return parent < 0 ? undefined : this.entryPath(parent, handle.name)
  }

  #openDirectory(gfid: Gfid): number {
    // Up to the nearest ancestor that is open, then down again.
    const chain: { gfid: Gfid; name: string }[] = []
    let at = gfid
    let fd = -1
    for (let depth = 0; fd < 0; depth++) {
      if (depth === DEPTH_MAX) return -Errno.ELOOP
      const handle = this.readDirectoryHandle(at)
      if (typeof handle === 'number')
        return handle === -Errno.ENOENT || handle === -Errno.EINVAL ? -Errno.ESTALE : handle
      chain.push({ gfid: at, name: handle.name })
      at = handle.parent
      fd = at === ROOT_GFID ? this.rootFd : (this.#directories.get(at) ?? -1)
    }
    for (const step of chain.reverse()) {
      const path = this.entryPath(fd, step.name)
      fd = sys.openat(fd, step.name, sys.O.PATH | sys.O.DIRECTORY | sys.O.NOFOLLOW | sys.O.CLOEXEC)
      if (fd < 0) return fd === -Errno.ENOENT || fd === -Errno.ENOTDIR ? -Errno.ESTALE : fd
      const stored = this.#xattrs.get(path, GFID_KEY)
      if (typeof stored === 'number' || stored.latin1Slice() !== step.gfid) {
        sys.close(fd)
        return -Errno.ESTALE
      }
      this.#directories.set(step.gfid, fd)
    }
    return fd
  }

  #makeHome(gfid: Gfid): void {
    const text = gfidText(gfid)
    const first = `${this.root}/.glusterfs/${text.slice(0, 2)}`
    const second = `${first}/${text.slice(2, 4)}`
    // The first level is made when the brick is opened, unless somebody has removed it since.
    if (sys.mkdirat(sys.AT_FDCWD, second, 0o700) !== -Errno.ENOENT) return
    sys.mkdirat(sys.AT_FDCWD, first, 0o700)
    sys.mkdirat(sys.AT_FDCWD, second, 0o700)
  }
}

function parseTarget(bytes: Buffer, length: number): DirectoryHandle | undefined {
  const match = TARGET.exec(decodeName(bytes, 0, length))
  if (match === null) return undefined
  const parent = parseGfid(match[1] as string)
  return parent === undefined ? undefined : { parent, name: match[2] as string }
}
