/**
 * The index as clients read it: directories of its own beside the volume's tree, under gfids that
 * are made up anew each time the brick starts. Healers list them and remove what they have healed.
 */

import {
  type ContextKey,
  type Dirent,
  Errno,
  failure,
  type Failure,
  type Fd,
  type FopArgs,
  type Gfid,
  Iatt,
  type InodeTable,
  inodeLoc,
  parseGfid,
  type Random,
  type Reply,
  ROOT_CTX,
  S_IFDIR,
  S_IFREG,
  type Subvolume,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { IndexStore } from './index-store.ts'
import type { LinkDirectory } from './link-directory.ts'
import { Watch } from './watch-list.ts'

/** getxattr names by which a client learns the gfids. */
export const VIEW_NAMES = {
  'glusterfs.xattrop_index_gfid': 'pending',
  'glusterfs.xattrop_dirty_gfid': 'dirty',
  'glusterfs.xattrop_entry_changes_gfid': 'entryChanges',
} as const

/** Inode number of everything that is not in the volume's tree. */
const NO_INODE = 0xffff_ffff_ffff_ffffn
const ENTRY_BYTES = 32

type Kind = 'pending' | 'dirty' | 'entryChanges'

/** A directory of the index: one of the three, or the names of one directory of the volume. */
export interface View {
  readonly kind: Kind
  /** Below `entry-changes`: gfid text of the directory whose names these are. */
  readonly directory?: string | undefined
}

export class Views {
  readonly #store: IndexStore
  readonly #random: Random
  readonly #inodes: InodeTable
  readonly #child: Subvolume
  readonly #named: ContextKey<View>
  readonly #descriptors: ContextKey<number>
  readonly #gfids: Readonly<Record<Kind, Gfid>>
  readonly #byGfid: ReadonlyMap<Gfid, View>
  readonly #reader = new sys.DirectoryReader()
  /** Some client has been told a gfid: until then no request can name one. */
  #told = false

  constructor(options: {
    store: IndexStore
    random: Random
    inodes: InodeTable
    child: Subvolume
    named: ContextKey<View>
    descriptors: ContextKey<number>
  }) {
    this.#store = options.store
    this.#random = options.random
    this.#inodes = options.inodes
    this.#child = options.child
    this.#named = options.named
    this.#descriptors = options.descriptors
    const { random } = options
    this.#gfids = { pending: random.uuid(), dirty: random.uuid(), entryChanges: random.uuid() }
    this.#byGfid = new Map(
      (Object.keys(this.#gfids) as Kind[]).map(kind => [this.#gfids[kind], { kind }]),
    )
  }

  gfid(kind: Kind): Gfid {
    this.#told = true
    return this.#gfids[kind]
  }

  /** The view under a gfid; undefined for everything in the volume. */
  find(gfid: Gfid): View | undefined {
    if (!this.#told) return undefined
    const view = this.#byGfid.get(gfid)
    if (view !== undefined) return view
    const inode = this.#inodes.find(gfid)
    return inode === undefined ? undefined : this.#named.get(inode)
  }

  lookup(view: View, gfid: Gfid): Reply<'lookup'> {
    const stat = attributes(this.#path(view), gfid)
    return 'errno' in stat ? stat : { ok: true, stat, postparent: stat.clone() }
  }

  /** An entry of a view: a noted gfid, a directory with noted names, or a noted name. */
  lookupEntry(view: View, name: string): Reply<'lookup'> {
    const path = this.#entryPath(view, name)
    if (path === undefined) return failure(Errno.ENOENT)
    const gfid = this.#random.uuid()
    const stat = attributes(path, gfid)
    if ('errno' in stat) return stat
    if (stat.isDirectory)
      this.#named.set(this.#inodes.obtain(gfid), { kind: 'entryChanges', directory: name })
    const parent = attributes(this.#path(view), gfid)
    return { ok: true, stat, postparent: 'errno' in parent ? new Iatt() : parent }
  }

  unlink(view: View, name: string): Reply<'unlink'> {
    if (this.#entryPath(view, name) === undefined) return failure(Errno.EINVAL)
    return this.#change(view, () => {
      if (view.kind !== 'entryChanges') {
        const gfid = parseGfid(name)
        const inode = gfid === undefined ? undefined : this.#inodes.find(gfid)
        return this.#store.removeNamed(
          view.kind === 'pending' ? Watch.PENDING : Watch.DIRTY,
          name,
          inode,
        )
      }
      return view.directory === undefined
        ? -Errno.EISDIR
        : this.#store.removeName(view.directory, name)
    })
  }

  /** A directory's noted names go, all of them when the flag is set. */
  rmdir(view: View, name: string, xflags: number): Reply<'rmdir'> {
    const path = this.#entryPath(view, name)
    if (path === undefined || view.kind !== 'entryChanges' || view.directory !== undefined)
      return failure(Errno.ENOTDIR)
    return this.#change(view, () =>
      xflags === 0
        ? sys.unlinkat(sys.AT_FDCWD, path, sys.AT_REMOVEDIR)
        : this.#store.purgeNames(name),
    )
  }

  async readdir(view: View, args: FopArgs['readdir']): Promise<Reply<'readdir'>> {
    const fd = this.#open(view, args.fd)
    if (fd < 0) return failure(-fd)
    const listed = this.#list(view, fd, args)
    if (args.fd.anonymous) sys.close(fd)
    if (!listed.ok || args.xdata?.has('get-gfid-type') !== true) return listed
    const entries: Dirent[] = []
    for (const entry of listed.entries)
      entries.push({ ...entry, type: await this.#typeOf(entry.name) })
    return { ...listed, entries }
  }

  release(fd: Fd): void {
    const descriptor = this.#descriptors.get(fd)
    if (descriptor !== undefined) sys.close(descriptor)
    this.#descriptors.set(fd, undefined)
  }

  #open(view: View, fd: Fd): number {
    const open = this.#descriptors.get(fd)
    if (open !== undefined) return open
    const descriptor = sys.openat(
      sys.AT_FDCWD,
      this.#path(view),
      sys.O.RDONLY | sys.O.DIRECTORY | sys.O.CLOEXEC,
    )
    if (descriptor >= 0 && !fd.anonymous) this.#descriptors.set(fd, descriptor)
    return descriptor
  }

  #list(view: View, fd: number, args: FopArgs['readdir']): Reply<'readdir'> {
    const seek = sys.seekDirectory(fd, args.offset)
    if (seek < 0) return failure(-seek)
    const directory = this.#directory(view)
    const entries: Dirent[] = []
    let room = args.size
    for (;;) {
      const read = this.#reader.read(fd)
      if (typeof read === 'number') return failure(-read)
      if (read.length === 0) return { ok: true, entries, eof: true }
      for (const entry of read) {
        const hidden =
          view.directory === undefined
            ? !directory.keep(entry)
            : entry.name === '.' || entry.name === '..'
        if (hidden) continue
        room -= ENTRY_BYTES + entry.name.length
        if (room < 0 && entries.length > 0) return { ok: true, entries, eof: false }
        entries.push(entry)
      }
    }
  }

  /** Type of the file that a noted gfid stands for; 0 when it is not there. */
  async #typeOf(name: string): Promise<number> {
    const gfid = parseGfid(name)
    if (gfid === undefined) return 0
    const found = await this.#child.lookup(ROOT_CTX, {
      loc: inodeLoc(this.#inodes.obtain(gfid)),
    })
    return found.ok ? found.stat.type >> 12 : 0
  }

  #change(view: View, action: () => number): Reply<'unlink'> {
    const preparent = attributes(this.#path(view), this.#gfids[view.kind])
    if ('errno' in preparent) return preparent
    const result = action()
    if (result < 0) return failure(-result)
    const postparent = attributes(this.#path(view), this.#gfids[view.kind])
    return {
      ok: true,
      preparent,
      postparent: 'errno' in postparent ? preparent.clone() : postparent,
    }
  }

  #directory(view: View): LinkDirectory {
    return this.#store[view.kind]
  }

  #path(view: View): string {
    const { path } = this.#directory(view)
    return view.directory === undefined ? path : `${path}/${view.directory}`
  }

  /** Undefined for names that are no entries. */
  #entryPath(view: View, name: string): string | undefined {
    if (!isPlainName(name)) return undefined
    if (view.directory === undefined && parseGfid(name) === undefined) return undefined
    return `${this.#path(view)}/${name}`
  }
}

/** A name that stays within its directory. */
export function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)
}

function attributes(path: string, gfid: Gfid): Iatt | Failure {
  const stat = new sys.Stat()
  const result = sys.statat(sys.AT_FDCWD, path, stat)
  if (result < 0) return failure(-result)
  const iatt = new Iatt()
  iatt.gfid = gfid
  iatt.ino = NO_INODE
  iatt.flags = 0x17ff
  iatt.mode = (stat.mode & S_IFDIR) === S_IFDIR ? stat.mode : S_IFREG | (stat.mode & 0o7777)
  iatt.nlink = stat.nlink
  iatt.uid = stat.uid
  iatt.gid = stat.gid
  iatt.size = stat.size
  iatt.blocks = stat.blocks
  iatt.blksize = stat.blksize
  iatt.atime = stat.atime
  iatt.mtime = stat.mtime
  iatt.ctime = stat.ctime
  return iatt
}
