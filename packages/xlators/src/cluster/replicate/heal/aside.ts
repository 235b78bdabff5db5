/**
 * The directory in which a brick rests what a heal takes out of one place and will want in another
 * (a renamed directory, say): `/.glusterfs-anonymous-inode-<volume id>/<gfid>`. Nobody else sees it.
 * Source: xlators/cluster/afr/src/afr.c (`anon_inode_name`), afr-self-heal-common.c.
 */

import {
  type Ctx,
  Dict,
  entryLoc,
  Errno,
  type Failure,
  type Gfid,
  gfidFromBytes,
  gfidText,
  gfidToBytes,
  type Inode,
  parseGfid,
  S_IFDIR,
  type Subvolume,
} from '@ashlar/core'
import type { ReplicaSet } from '../replica-set.ts'

export const ASIDE_PREFIX = '.glusterfs-anonymous-inode'
const MODE = 0o755

/** Name and gfid of the directory; undefined when the volume does without. */
export function asideOf(
  set: ReplicaSet,
): { readonly name: string; readonly gfid: Gfid } | undefined {
  const id = parseGfid(set.options['volume-id'] ?? '')
  if (!set.options['use-anonymous-inode'] || id === undefined) return undefined
  const bytes = gfidToBytes(id)
  // The volume's id with a bit flipped: the same on all bricks, and not the volume's.
  bytes[0] = (bytes[0] as number) ^ 1
  return { name: `${ASIDE_PREFIX}-${gfidText(id)}`, gfid: gfidFromBytes(bytes) }
}

export class Aside {
  readonly #set: ReplicaSet
  readonly #ctx: Ctx
  readonly #name: string
  readonly #directory: Inode

  private constructor(set: ReplicaSet, ctx: Ctx, at: { name: string; gfid: Gfid }) {
    const { inodes } = set.self
    this.#set = set
    this.#ctx = ctx
    this.#name = at.name
    this.#directory = inodes.ref(inodes.link(inodes.create(), { gfid: at.gfid, type: S_IFDIR }))
  }

  static of(set: ReplicaSet, ctx: Ctx): Aside | undefined {
    const at = asideOf(set)
    return at === undefined ? undefined : new Aside(set, ctx, at)
  }

  get directory(): Inode {
    return this.#directory
  }

  end(): void {
    this.#set.self.inodes.unref(this.#directory)
  }

  /** Moves a name of a directory aside. */
  async put(
    child: Subvolume,
    parent: Inode,
    name: string,
    gfid: Gfid,
  ): Promise<Failure | undefined> {
    const first = await this.#move(child, [parent, name], [this.#directory, gfidText(gfid)])
    if (first === undefined || (first.errno !== Errno.ESTALE && first.errno !== Errno.ENOENT))
      return first
    const made = await this.#make(child)
    return made ?? this.#move(child, [parent, name], [this.#directory, gfidText(gfid)])
  }

  /** Moves what was put aside to its new name. True when there was something. */
  async take(child: Subvolume, gfid: Gfid, parent: Inode, name: string): Promise<boolean> {
    const moved = await this.#move(child, [this.#directory, gfidText(gfid)], [parent, name])
    return moved === undefined
  }

  async #make(child: Subvolume): Promise<Failure | undefined> {
    const { inodes } = this.#set.self
    const loc = entryLoc(inodes.root, this.#name, inodes.create())
    const xdata = new Dict().setGfid('gfid-req', this.#directory.gfid)
    const reply = await child.mkdir(this.#ctx, { loc, mode: MODE, umask: 0, xdata })
    return reply.ok || reply.errno === Errno.EEXIST ? undefined : reply
  }

  async #move(
    child: Subvolume,
    from: readonly [Inode, string],
    to: readonly [Inode, string],
  ): Promise<Failure | undefined> {
    const { inodes } = this.#set.self
    const reply = await child.rename(this.#ctx, {
      oldloc: entryLoc(from[0], from[1], inodes.create()),
      newloc: entryLoc(to[0], to[1], inodes.create()),
    })
    return reply.ok ? undefined : reply
  }
}
