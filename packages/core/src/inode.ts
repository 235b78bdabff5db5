/**
 * The inode table: what a graph knows of the files in use.
 *
 * Inodes by gfid, dentries by (parent, name), and three lists: `active` (referenced: in a fop, open,
 * or a parent), `lru` (unreferenced, but looked up: worth keeping), `purge` (about to be forgotten).
 * The lru list is bounded by `lruLimit`. Semantics as in libglusterfs/src/inode.c,
 * without its locks: one graph, one thread.
 *
 *     new Inode ──link──▶ active ──unref──▶ lru (nlookup > 0) ──limit──▶ purge ──▶ forgotten
 *                            ▲                │                            ▲
 *                            └──────ref───────┘        unref, nlookup = 0 ─┘
 */

import { assert } from './assert.ts'
import type { Fd } from './fd.ts'
import { type Gfid, gfidText, NULL_GFID, ROOT_GFID } from './gfid.ts'
import { S_IFDIR } from './iatt.ts'

/** A name of an inode in a directory. Holds a reference on its parent. */
export interface Dentry {
  readonly parent: Inode
  readonly name: string
  readonly inode: Inode
}

/** Path of an inode that is not connected to the root: `<gfid:…>` and what is known below it. */
const PATH_DEPTH_MAX = 4096

export class Inode {
  readonly table: InodeTable
  gfid: Gfid = NULL_GFID
  /** S_IF* type bits; 0 until it is linked. */
  type = 0
  /** How often the kernel (or a face like it) has been told of this inode and has not forgotten it. */
  nlookup = 0
  /** References: fops in progress, open fds, children's dentries. */
  ref = 0
  readonly fds = new Set<Fd>()
  readonly dentries = new Set<Dentry>()
  /** Entries of this directory, by name. */
  readonly children = new Map<string, Dentry>()
  /** By translator slot. Use a `ContextKey`. */
  readonly contexts: unknown[] = []
  /** Learnt by readdirp only: the first real use looks it up. */
  needsLookup = false
  /** Intrusive list links; owned by InodeList. */
  list: InodeList | undefined = undefined
  previous: Inode | undefined = undefined
  next: Inode | undefined = undefined

  constructor(table: InodeTable) {
    this.table = table
  }

  get fdCount(): number {
    return this.fds.size
  }

  get isDirectory(): boolean {
    return this.type === S_IFDIR
  }

  get isRoot(): boolean {
    return this.gfid === ROOT_GFID
  }

  /** True once the inode is in its table under a gfid. */
  get linked(): boolean {
    return this.gfid !== NULL_GFID
  }

  addFd(fd: Fd): void {
    if (this.fds.has(fd)) return
    this.fds.add(fd)
    this.table.ref(this)
  }

  removeFd(fd: Fd): void {
    if (this.fds.delete(fd)) this.table.unref(this)
  }

  /** One path of this inode from the root, by its first dentry at each step; else `<gfid:…>`-relative. */
  path(): string {
    if (this.isRoot) return '/'
    const names: string[] = []
    let at: Inode = this
    for (let depth = 0; depth < PATH_DEPTH_MAX; depth++) {
      if (at.isRoot) return `/${names.reverse().join('/')}`
      const dentry: Dentry | undefined = at.dentries.values().next().value
      if (dentry === undefined) break
      names.push(dentry.name)
      at = dentry.parent
    }
    const base = `<gfid:${gfidText(at.gfid)}>`
    return names.length === 0 ? base : `${base}/${names.reverse().join('/')}`
  }
}

/** A doubly linked list through the inodes themselves: O(1) moves, oldest first. */
export class InodeList {
  readonly name: string
  size = 0
  #first: Inode | undefined
  #last: Inode | undefined

  constructor(name: string) {
    this.name = name
  }

  get oldest(): Inode | undefined {
    return this.#first
  }

  /** Moves `inode` from whatever list it is on to the young end of this one. */
  take(inode: Inode): void {
    inode.list?.remove(inode)
    inode.list = this
    inode.previous = this.#last
    inode.next = undefined
    if (this.#last !== undefined) this.#last.next = inode
    else this.#first = inode
    this.#last = inode
    this.size += 1
  }

  remove(inode: Inode): void {
    assert(inode.list === this, 'inode is not on this list')
    if (inode.previous !== undefined) inode.previous.next = inode.next
    else this.#first = inode.next
    if (inode.next !== undefined) inode.next.previous = inode.previous
    else this.#last = inode.previous
    inode.list = undefined
    inode.previous = undefined
    inode.next = undefined
    this.size -= 1
  }

  *[Symbol.iterator](): IterableIterator<Inode> {
    for (let inode = this.#first; inode !== undefined; ) {
      const next: Inode | undefined = inode.next
      yield inode
      inode = next
    }
  }
}

export interface InodeTableOptions {
  readonly name: string
  /** Most inodes on the lru list; 0 = no limit. */
  readonly lruLimit: number
  /** Told of every inode that leaves the table, so that translators free their contexts. */
  readonly onForget?: (inode: Inode) => void
  /**
   * For a table whose inodes are known elsewhere too (the kernel): asks that place to forget one.
   * The inode stays until `forget` is called.
   */
  readonly invalidate?: (inode: Inode) => void
}

export interface InodeTableStatus {
  readonly name: string
  readonly lruLimit: number
  readonly activeSize: number
  readonly lruSize: number
  readonly purgeSize: number
}

export class InodeTable {
  readonly name: string
  readonly active = new InodeList('active')
  readonly lru = new InodeList('lru')
  readonly purge = new InodeList('purge')
  /** Inodes whose holder was asked to forget them. */
  readonly invalidating = new InodeList('invalidate')
  readonly root: Inode
  lruLimit: number
  readonly #byGfid = new Map<Gfid, Inode>()
  readonly #onForget: ((inode: Inode) => void) | undefined
  #invalidate: ((inode: Inode) => void) | undefined
  #pruning = false

  constructor(options: InodeTableOptions) {
    this.name = options.name
    this.lruLimit = options.lruLimit
    this.#onForget = options.onForget
    this.#invalidate = options.invalidate
    this.root = new Inode(this)
    this.root.gfid = ROOT_GFID
    this.root.type = S_IFDIR
    this.root.ref = 1
    this.#byGfid.set(ROOT_GFID, this.root)
    this.active.take(this.root)
  }

  get size(): number {
    return this.#byGfid.size
  }

  /** Sets who is asked to forget inodes when the lru list is too long. */
  setInvalidator(invalidate: ((inode: Inode) => void) | undefined): void {
    this.#invalidate = invalidate
  }

  status(): InodeTableStatus {
    return {
      name: this.name,
      lruLimit: this.lruLimit,
      activeSize: this.active.size,
      lruSize: this.lru.size,
      purgeSize: this.purge.size,
    }
  }

  /** An inode without identity yet: for a name to be looked up or made. It joins the table by `link`. */
  create(): Inode {
    return new Inode(this)
  }

  /** The inode of a gfid, if the table has it. */
  find(gfid: Gfid): Inode | undefined {
    return this.#byGfid.get(gfid)
  }

  /**
   * The inode of a gfid, made and parked in the lru list when the table has none: for bricks, whose
   * clients name files by gfid without having looked them up here.
   */
  obtain(gfid: Gfid): Inode {
    assert(gfid !== NULL_GFID, 'the null gfid names no inode')
    const known = this.#byGfid.get(gfid)
    if (known !== undefined) return known
    const inode = new Inode(this)
    inode.gfid = gfid
    inode.nlookup = 1
    this.#byGfid.set(gfid, inode)
    this.lru.take(inode)
    this.#prune()
    return inode
  }

  /** The inode behind a name of a directory, if the table has it. */
  child(parent: Inode, name: string): Inode | undefined {
    return parent.children.get(name)?.inode
  }

  /**
   * Gives `inode` its identity and, unless `parent` is undefined, its name in `parent`. When the
   * table already has an inode of that gfid, that one is named and returned: use the result, not
   * the argument. A name that was another inode's moves to this one.
   */
  link(inode: Inode, identity: { gfid: Gfid; type: number }, parent?: Inode, name?: string): Inode {
    assert(identity.gfid !== NULL_GFID, 'link of the null gfid')
    assert(inode.table === this, 'link of an inode of another table')
    let linked = this.#byGfid.get(identity.gfid)
    if (linked === undefined) {
      // One that was forgotten while a lookup of it was under way comes back as what it was.
      assert(!inode.linked || inode.gfid === identity.gfid, 'an inode changes its gfid')
      linked = inode
      linked.gfid = identity.gfid
      this.#byGfid.set(identity.gfid, linked)
      this.#park(linked)
    }
    if (linked.type === 0) linked.type = identity.type
    if (parent !== undefined && name !== undefined && name !== '.' && name !== '..') {
      // A name that moves may set off pruning, which must not take what is being linked.
      const pruning = this.#pruning
      this.#pruning = true
      this.#addDentry(linked, parent, name)
      this.#pruning = pruning
    }
    return linked
  }

  /** Drops one name. */
  unlink(parent: Inode, name: string): void {
    const dentry = parent.children.get(name)
    if (dentry !== undefined) this.#dropDentry(dentry)
  }

  /** The inode under the old name gets the new one; what the new name was loses it. */
  rename(oldParent: Inode, oldName: string, newParent: Inode, newName: string): void {
    const dentry = oldParent.children.get(oldName)
    if (dentry === undefined) {
      this.unlink(newParent, newName)
      return
    }
    const inode = dentry.inode
    this.ref(inode)
    this.#dropDentry(dentry)
    this.#addDentry(inode, newParent, newName)
    this.unref(inode)
  }

  ref(inode: Inode): Inode {
    if (inode === this.root) return inode
    inode.ref += 1
    if (inode.ref === 1 && inode.linked && this.#byGfid.get(inode.gfid) === inode) {
      this.active.take(inode)
    }
    return inode
  }

  unref(inode: Inode): void {
    if (inode === this.root) return
    assert(inode.ref > 0, 'unref of an unreferenced inode')
    inode.ref -= 1
    if (inode.ref === 0) {
      this.#park(inode)
      this.#prune()
    }
  }

  /** The kernel (or another holder) has been told of the inode once more. */
  lookup(inode: Inode): void {
    inode.nlookup += 1
    if (inode.list === this.purge || inode.list === undefined) this.#park(inode)
  }

  /** The holder has forgotten `count` lookups; with none left an unreferenced inode goes. */
  forget(inode: Inode, count: number): void {
    inode.nlookup = count >= inode.nlookup ? 0 : inode.nlookup - count
    if (inode.nlookup === 0 && inode.ref === 0 && inode !== this.root) {
      this.#park(inode)
      this.#prune()
    }
  }

  /** Removes an inode at once whatever refers to it: its file is gone from the volume. */
  evict(inode: Inode): void {
    if (inode === this.root || this.#byGfid.get(inode.gfid) !== inode) return
    this.#destroy(inode)
  }

  /** Prunes down to the limits now, for instance after `lruLimit` was lowered. */
  prune(): void {
    this.#prune()
  }

  /** Every inode of the table, for statedumps. */
  *[Symbol.iterator](): IterableIterator<Inode> {
    yield* this.#byGfid.values()
  }

  #addDentry(inode: Inode, parent: Inode, name: string): void {
    assert(!name.includes('/'), 'a name with a slash')
    const present = parent.children.get(name)
    if (present?.inode === inode) return
    if (this.#isAncestor(inode, parent)) return // a cycle: stale news, refused
    if (present !== undefined) this.#dropDentry(present)
    const dentry: Dentry = { parent, name, inode }
    parent.children.set(name, dentry)
    inode.dentries.add(dentry)
    this.ref(parent)
    // A directory has one name: news of another means that it moved.
    if (inode.isDirectory) {
      for (const other of inode.dentries) if (other !== dentry) this.#dropDentry(other)
    }
  }

  #isAncestor(inode: Inode, of: Inode): boolean {
    if (!inode.isDirectory) return false
    let at: Inode | undefined = of
    for (let depth = 0; at !== undefined && depth < PATH_DEPTH_MAX; depth++) {
      if (at === inode) return true
      const dentry: Dentry | undefined = at.dentries.values().next().value
      at = dentry?.parent
    }
    return false
  }

  #dropDentry(dentry: Dentry): void {
    dentry.parent.children.delete(dentry.name)
    dentry.inode.dentries.delete(dentry)
    this.unref(dentry.parent)
  }

  /** Puts an inode on the list its counts call for. */
  #park(inode: Inode): void {
    if (inode === this.root || !inode.linked || this.#byGfid.get(inode.gfid) !== inode) return
    const list =
      inode.ref > 0
        ? this.active
        : inode.nlookup === 0
          ? this.purge
          : inode.list === this.invalidating
            ? this.invalidating
            : this.lru
    if (inode.list !== list) list.take(inode)
  }

  #prune(): void {
    if (this.#pruning) return
    this.#pruning = true
    try {
      // What goes lets go of its parent, which may be the next to go.
      do {
        this.#trim()
        for (let inode = this.purge.oldest; inode !== undefined; inode = this.purge.oldest) {
          this.#destroy(inode)
        }
      } while (this.lruLimit > 0 && this.lru.size > this.lruLimit)
    } finally {
      this.#pruning = false
    }
  }

  /** The oldest beyond the limit go to be purged, or their holder is asked to forget them. */
  #trim(): void {
    if (this.lruLimit === 0) return
    while (this.lru.size > this.lruLimit) {
      const oldest = this.lru.oldest as Inode
      if (this.#invalidate === undefined) {
        oldest.nlookup = 0
        this.purge.take(oldest)
      } else {
        this.invalidating.take(oldest)
        this.#invalidate(oldest)
      }
    }
  }

  #destroy(inode: Inode): void {
    this.#byGfid.delete(inode.gfid)
    inode.list?.remove(inode)
    for (const dentry of inode.dentries) this.#dropDentry(dentry)
    for (const dentry of inode.children.values()) this.#dropDentry(dentry)
    this.#onForget?.(inode)
    inode.contexts.length = 0
  }
}
