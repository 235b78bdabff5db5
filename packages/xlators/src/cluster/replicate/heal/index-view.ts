/**
 * IndexView: the heal index of one brick (`.glusterfs/indices`), as features/index shows it: the
 * gfids with something pending or dirty, and the noted names of a directory.
 * Source: xlators/features/index/src/index.c, xlators/cluster/afr/src/afr-self-heald.c.
 */

import {
  type Ctx,
  Dict,
  entryLoc,
  Errno,
  failure,
  type Failure,
  type Gfid,
  gfidFromBytes,
  gfidText,
  type Inode,
  inodeLoc,
  parseGfid,
  S_IFDIR,
  type Subvolume,
} from '@ashlar/core'
import type { ReplicaSet } from '../replica-set.ts'
import { readDirectory } from './directory-reader.ts'

/** getxattr of the root: the gfid of the directory that lists them. */
export const IndexKind = {
  PENDING: 'glusterfs.xattrop_index_gfid',
  DIRTY: 'glusterfs.xattrop_dirty_gfid',
  NAMES: 'glusterfs.xattrop_entry_changes_gfid',
} as const
export type IndexKind = (typeof IndexKind)[keyof typeof IndexKind]

/** rmdir xflags: with what is in it. */
const WHOLE = 1
/** getxattr of the root: how many there are. */
const COUNTS = {
  [IndexKind.PENDING]: 'glusterfs.xattrop_index_count',
  [IndexKind.DIRTY]: 'glusterfs.xattrop_dirty_count',
} as const

export interface Indexed {
  readonly gfid: Gfid
  /** The file is a directory, as the brick tells; false as well when the brick does not have it. */
  readonly directory: boolean
}

export class IndexView {
  readonly #set: ReplicaSet
  readonly #child: Subvolume
  readonly #ctx: Ctx

  constructor(set: ReplicaSet, index: number, ctx: Ctx) {
    this.#set = set
    this.#child = set.child(index)
    this.#ctx = ctx
  }

  /** The brick that it is of. */
  get brick(): string {
    return this.#child.name
  }

  /** How many entries of a kind there are. */
  async count(kind: keyof typeof COUNTS = IndexKind.PENDING): Promise<number | Failure> {
    const loc = inodeLoc(this.#set.self.inodes.root)
    const name = COUNTS[kind]
    const reply = await this.#child.getxattr(this.#ctx, { loc, name })
    return reply.ok ? (reply.dict.getNumber(name) ?? 0) : reply
  }

  /** All entries of a kind, a page at a time; `page` says false to stop. */
  async each(
    kind: IndexKind,
    page: (entries: readonly Indexed[]) => Promise<boolean>,
  ): Promise<Failure | undefined> {
    return this.#within(kind, directory =>
      readDirectory(
        {
          set: this.#set,
          child: this.#child,
          ctx: this.#ctx,
          directory,
          xdata: new Dict().setInt('get-gfid-type', 1),
        },
        entries =>
          page(
            entries.flatMap(({ name, type }) => {
              const gfid = parseGfid(name)
              return gfid === undefined ? [] : [{ gfid, directory: type === DT_DIR }]
            }),
          ),
      ),
    )
  }

  /** Crosses a gfid off. */
  async remove(
    kind: typeof IndexKind.PENDING | typeof IndexKind.DIRTY,
    gfid: Gfid,
  ): Promise<Failure | undefined> {
    return this.#within(kind, async directory => {
      const loc = entryLoc(directory, gfidText(gfid), this.#set.self.inodes.create())
      const reply = await this.#child.unlink(this.#ctx, { loc, xflags: 0 })
      return reply.ok || reply.errno === Errno.ENOENT ? undefined : reply
    })
  }

  /** The noted names of a directory of the volume, a page at a time. None is no failure. */
  async eachName(
    of: Gfid,
    page: (names: readonly string[]) => Promise<boolean>,
  ): Promise<Failure | undefined> {
    return this.#withNames(of, directory =>
      readDirectory({ set: this.#set, child: this.#child, ctx: this.#ctx, directory }, entries =>
        page(entries.map(entry => entry.name)),
      ),
    )
  }

  /** Crosses noted names of a directory off. */
  async removeNames(of: Gfid, names: Iterable<string>): Promise<Failure | undefined> {
    return this.#withNames(of, async directory => {
      for (const name of names) {
        const loc = entryLoc(directory, name, this.#set.self.inodes.create())
        const reply = await this.#child.unlink(this.#ctx, { loc, xflags: 0 })
        if (!reply.ok && reply.errno !== Errno.ENOENT) return reply
      }
      return undefined
    })
  }

  /** Crosses all noted names of a directory off. */
  async removeAllNames(of: Gfid): Promise<Failure | undefined> {
    return this.#within(IndexKind.NAMES, async all => {
      const loc = entryLoc(all, gfidText(of), this.#set.self.inodes.create())
      const reply = await this.#child.rmdir(this.#ctx, { loc, xflags: WHOLE })
      return reply.ok || reply.errno === Errno.ENOENT ? undefined : reply
    })
  }

  async #withNames(
    of: Gfid,
    action: (directory: Inode) => Promise<Failure | undefined>,
  ): Promise<Failure | undefined> {
    const { inodes } = this.#set.self
    return this.#within(IndexKind.NAMES, async all => {
      const loc = entryLoc(all, gfidText(of), inodes.create())
      const reply = await this.#child.lookup(this.#ctx, { loc })
      if (!reply.ok) return reply.errno === Errno.ENOENT ? undefined : reply
      return this.#holding(reply.stat.gfid, action)
    })
  }

  /** The directory of a kind; its gfid is new at each start of the brick, so it is asked anew. */
  async #within(
    kind: IndexKind,
    action: (directory: Inode) => Promise<Failure | undefined>,
  ): Promise<Failure | undefined> {
    const loc = inodeLoc(this.#set.self.inodes.root)
    const reply = await this.#child.getxattr(this.#ctx, { loc, name: kind })
    if (!reply.ok) return reply
    const bytes = reply.dict.getBytes(kind)
    if (bytes === undefined || bytes.length < 16) return failure(Errno.EINVAL)
    return this.#holding(gfidFromBytes(bytes), action)
  }

  async #holding(
    gfid: Gfid,
    action: (directory: Inode) => Promise<Failure | undefined>,
  ): Promise<Failure | undefined> {
    const { inodes } = this.#set.self
    const directory = inodes.ref(inodes.link(inodes.create(), { gfid, type: S_IFDIR }))
    try {
      // A brick of GlusterFS learns of the directory by a lookup.
      const found = await this.#child.lookup(this.#ctx, { loc: inodeLoc(directory) })
      return found.ok ? await action(directory) : found
    } finally {
      inodes.unref(directory)
    }
  }
}

/** DT_DIR of readdir. */
const DT_DIR = 4
