/**
 * Locs of requests: made for each, so what is seldom asked for (the path, the inode of an entry that
 * is about to be looked up) is made only when it is asked for.
 */

import { type Gfid, type Inode, type InodeTable, type Loc, NULL_GFID } from '@ashlar/core'

/** An object by its gfid. Holds a reference on the inode until `release`. */
export class InodeLoc implements Loc {
  readonly gfid: Gfid
  readonly inode: Inode

  constructor(table: InodeTable, gfid: Gfid) {
    this.gfid = gfid
    this.inode = table.ref(table.obtain(gfid))
  }

  get pargfid(): Gfid {
    return NULL_GFID
  }

  get name(): string {
    return ''
  }

  get parent(): undefined {
    return undefined
  }

  get path(): string {
    return this.inode.path()
  }

  release(): void {
    this.inode.table.unref(this.inode)
  }
}

/** An entry of a directory. Holds a reference on the parent until `release`. */
export class EntryLoc implements Loc {
  readonly pargfid: Gfid
  readonly name: string
  readonly parent: Inode
  #inode: Inode | undefined

  constructor(table: InodeTable, pargfid: Gfid, name: string, inode?: Inode) {
    this.pargfid = pargfid
    this.name = name
    this.parent = table.ref(table.obtain(pargfid))
    this.#inode = inode
  }

  get gfid(): Gfid {
    return this.#inode?.gfid ?? NULL_GFID
  }

  get inode(): Inode {
    this.#inode ??= this.parent.table.create()
    return this.#inode
  }

  get path(): string {
    const directory = this.parent.path()
    return directory === '/' ? `/${this.name}` : `${directory}/${this.name}`
  }

  /** The object is known now: gives the inode that somebody asked for its identity. */
  learn(gfid: Gfid, type: number): Inode | undefined {
    const inode = this.#inode
    if (inode === undefined || gfid === NULL_GFID) return undefined
    const { table } = this.parent
    const linked = table.link(inode, { gfid, type })
    if (linked.nlookup === 0) table.lookup(linked)
    return linked
  }

  release(): void {
    this.parent.table.unref(this.parent)
  }
}
