/**
 * The index on disk, `.glusterfs/indices`: which files have heals pending, which are being changed,
 * and which names of a directory differ. What it says may be too much, never too little.
 */

import { rm } from 'node:fs/promises'
import {
  type ContextKey,
  Errno,
  type Gfid,
  gfidText,
  type Inode,
  type Log,
  type Random,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { LinkDirectory } from './link-directory.ts'
import { Watch } from './watch-list.ts'

/** What the index holds of an inode, by Watch bits; unknown until it was first asked for. */
export interface Indexed {
  /** Kinds for which `held` is certain. */
  known: number
  held: number
}

export class IndexStore {
  readonly pending: LinkDirectory
  readonly dirty: LinkDirectory
  readonly entryChanges: LinkDirectory
  readonly #indexed: ContextKey<Indexed>
  readonly #random: Random
  readonly #log: Log
  #pendingCount: number
  #dirtyCount: number

  constructor(options: {
    base: string
    random: Random
    log: Log
    indexed: ContextKey<Indexed>
  }) {
    const { base, random } = options
    // Without root a directory that cannot be searched is of no use.
    const mode = sys.geteuid() === 0 ? 0o600 : 0o700
    sys.mkdirat(sys.AT_FDCWD, base, mode)
    // One uuid for this start of the brick, in all three.
    const start = random.uuid()
    const directory = (kind: string): LinkDirectory =>
      new LinkDirectory({ path: `${base}/${kind}`, kind, start, random, mode })
    this.pending = directory('xattrop')
    this.dirty = directory('dirty')
    this.entryChanges = directory('entry-changes')
    this.#indexed = options.indexed
    this.#random = random
    this.#log = options.log
    this.#pendingCount = this.pending.count()
    this.#dirtyCount = this.dirty.count()
  }

  get pendingCount(): number {
    return this.#pendingCount
  }

  get dirtyCount(): number {
    return this.#dirtyCount
  }

  /** Makes sure of the entries of an inode for these kinds. */
  add(inode: Inode, kinds: number): void {
    if ((kinds & Watch.PENDING) !== 0) this.#add(inode, Watch.PENDING, this.pending)
    if ((kinds & Watch.DIRTY) !== 0) this.#add(inode, Watch.DIRTY, this.dirty)
  }

  remove(inode: Inode, kinds: number): void {
    if ((kinds & Watch.PENDING) !== 0) this.#remove(inode, Watch.PENDING, this.pending)
    if ((kinds & Watch.DIRTY) !== 0) this.#remove(inode, Watch.DIRTY, this.dirty)
  }

  /** A file or directory is gone, and with it what was to be healed of it. `inode`: if there is one. */
  drop(gfid: Gfid, inode: Inode | undefined): void {
    const state = inode === undefined ? undefined : this.#indexed.get(inode)
    for (const kind of [Watch.PENDING, Watch.DIRTY]) {
      const count = kind === Watch.PENDING ? this.#pendingCount : this.#dirtyCount
      const absent = state !== undefined && (state.known & ~state.held & kind) !== 0
      if (count > 0 && !absent) this.removeNamed(kind, gfidText(gfid), inode)
    }
  }

  /** Removes an entry by its text, as a healer does that has found nothing to heal. 0 or −errno. */
  removeNamed(kind: number, name: string, inode: Inode | undefined): number {
    const directory = kind === Watch.PENDING ? this.pending : this.dirty
    if (directory.isBase(name)) return -Errno.EPERM
    const result = directory.remove(name)
    if (result === 0) this.#count(kind, -1)
    const state = inode === undefined ? undefined : this.#indexed.get(inode)
    if (state !== undefined) state.held &= ~kind
    return result
  }

  /** Notes that `name` of a directory differs between copies. 0, 1 when it is noted, or −errno. */
  addName(directory: Inode, name: string): number {
    return this.entryChanges.add(name, gfidText(directory.gfid))
  }

  removeName(directory: string, name: string): number {
    return this.entryChanges.remove(name, directory)
  }

  /** A name was noted of a directory that is not there: the note goes, others stay. */
  takeBackName(directory: string, name: string): void {
    this.removeName(directory, name)
    const path = `${this.entryChanges.path}/${directory}`
    sys.unlinkat(sys.AT_FDCWD, path, sys.AT_REMOVEDIR)
  }

  /** Drops all noted names of a directory. 0 or −errno. */
  purgeNames(directory: string): number {
    const path = `${this.entryChanges.path}/${directory}`
    const result = sys.unlinkat(sys.AT_FDCWD, path, sys.AT_REMOVEDIR)
    if (result !== -Errno.ENOTEMPTY && result !== -Errno.EEXIST) return result
    // Out of sight at once; the names themselves go when there is time.
    const aside = `${this.entryChanges.path}/${gfidText(this.#random.uuid())}`
    const renamed = sys.renameat2(sys.AT_FDCWD, path, sys.AT_FDCWD, aside)
    if (renamed < 0) return renamed
    rm(aside, { recursive: true, force: true }).catch((error: unknown) => {
      this.#log.warning('noted names of a healed directory are left over', {
        path: aside,
        error: String(error),
      })
    })
    return 0
  }

  #add(inode: Inode, kind: number, directory: LinkDirectory): void {
    const state = this.#state(inode)
    if ((state.held & kind) !== 0) return
    const fresh = (state.known & kind) !== 0
    const name = gfidText(inode.gfid)
    const present = !fresh && exists(`${directory.path}/${name}`)
    const result = present ? 0 : directory.add(name)
    if (result < 0) {
      // The counters themselves are kept: a heal is found later than it could be, by a look at the
      // file. Refusing the operation would lose the counters, too.
      this.#log.warning('a file cannot be noted in the index of pending heals', {
        gfid: name,
        errno: -result,
      })
      return
    }
    if (!present) this.#count(kind, 1)
    state.known |= kind
    state.held |= kind
  }

  #remove(inode: Inode, kind: number, directory: LinkDirectory): void {
    const state = this.#state(inode)
    if ((state.known & kind) !== 0 && (state.held & kind) === 0) return
    const result = directory.remove(gfidText(inode.gfid))
    if (result === 0) this.#count(kind, -1)
    if (result < 0 && result !== -Errno.ENOENT) return
    state.known |= kind
    state.held &= ~kind
  }

  #state(inode: Inode): Indexed {
    return this.#indexed.obtain(inode, () => ({ known: 0, held: 0 }))
  }

  #count(kind: number, by: number): void {
    if (kind === Watch.PENDING) this.#pendingCount = Math.max(0, this.#pendingCount + by)
    else this.#dirtyCount = Math.max(0, this.#dirtyCount + by)
  }
}

function exists(path: string): boolean {
  return sys.statat(sys.AT_FDCWD, path, new sys.Stat()) === 0
}
