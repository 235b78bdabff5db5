/**
 * Distribution: what all parts of cluster/distribute share — the subvolumes and which are up, what
 * is known of each inode (where its data lies, how a directory is laid out), and small questions
 * about both.
 */

import {
  type ContextKey,
  type Ctx,
  type Dict,
  Errno,
  failure,
  type Failure,
  type Gfid,
  type Iatt,
  type Inode,
  type Loc,
  NULL_GFID,
  S_IFDIR,
  type Subvolume,
  type XlatorSelf,
} from '@ashlar/core'
import { FreeSpace } from './free-space.ts'
import { NameHash } from './hash.ts'
import { ListingAhead } from './listing-ahead.ts'
import type { Layout } from './layout.ts'
import type { distributeOptions } from './options.ts'
import { Placements } from './placements.ts'

/** What distribute remembers of an inode. */
export interface InodeState {
  /** Files: the subvolume with the data. */
  cached?: Subvolume | undefined
  /** Directories: the ranges of all subvolumes. */
  layout?: Layout | undefined
  /** Directories: the subvolume whose copy of the attributes counts. */
  mds?: Subvolume | undefined
}

export type Self = XlatorSelf<typeof distributeOptions>

/** Size and blocks that every directory shows, whatever the bricks say. */
const DIRECTORY_BYTES = 4096
const DIRECTORY_BLOCKS = 8

export class Distribution {
  readonly self: Self
  readonly children: readonly Subvolume[]
  readonly childUp: boolean[]
  /** Which take a compound in one round trip. */
  readonly compounds: boolean[]
  readonly states: ContextKey<InodeState>
  readonly space: FreeSpace
  readonly ahead: ListingAhead
  readonly listed: Placements
  names: NameHash
  /** Subvolumes that are being removed. */
  decommissioned: ReadonlySet<string> = new Set()
  /** From the root's `…dht.commithash`: what a directory's ranges carry when they are current. */
  volumeCommitHash = 0
  /** Whether all names of the root are in their places has been looked at. */
  rootAudited = false
  #transactions = 0

  constructor(self: Self) {
    this.self = self
    this.children = self.children
    this.childUp = self.children.map(() => false)
    this.compounds = self.children.map(() => false)
    this.states = self.contextKey<InodeState>()
    this.space = new FreeSpace(this)
    this.ahead = new ListingAhead(self.env.clock, self.contextKey())
    this.listed = new Placements(self.env.clock)
    this.names = this.#nameHash()
    this.reconfigure()
  }

  get single(): boolean {
    return this.children.length === 1
  }

  get layoutKey(): string {
    return this.self.options['xattr-name']
  }

  get linktoKey(): string {
    return `${this.layoutKey}.linkto`
  }

  get mdsKey(): string {
    return `${this.layoutKey}.mds`
  }

  get commitHashKey(): string {
    return `${this.layoutKey}.commithash`
  }

  reconfigure(): void {
    this.names = this.#nameHash()
    this.decommissioned = new Set(
      (this.self.options['decommissioned-bricks'] ?? '')
        .split(/[\s,]+/)
        .filter(name => name !== ''),
    )
  }

  /** The hashes of names; a bad regex is logged and left out, as a mount must not fail by it. */
  #nameHash(): NameHash {
    const options = this.self.options
    try {
      return new NameHash({
        extraRegex: options['extra-hash-regex'],
        rsyncRegex: options['rsync-hash-regex'],
      })
    } catch (error) {
      this.self.env.log.warning('a hash regex is not understood and left out', {
        error: String(error),
      })
      return new NameHash({ rsyncRegex: undefined })
    }
  }

  childByName(name: string): Subvolume | undefined {
    return this.children.find(child => child.name === name)
  }

  upChildren(): Subvolume[] {
    return this.children.filter((_, i) => this.childUp[i])
  }

  /** The first subvolume that is up: shows directories whose own one is down. */
  firstUp(): Subvolume | undefined {
    return this.children.find((_, i) => this.childUp[i])
  }

  /** The subvolume a name belongs to by its parent's layout; undefined when that is not known. */
  hashedChild(parent: Inode | undefined, name: string): Subvolume | undefined {
    if (this.single) return this.children[0]
    if (parent === undefined) return undefined
    const layout = this.states.get(parent)?.layout
    const index = layout?.search(this.names.hash(name))
    return index === undefined ? undefined : this.children[index]
  }

  /** Why a name has no place: its range's subvolume is down, or the layout has a hole. */
  unplaced(): Failure {
    return failure(this.childUp.includes(false) ? Errno.ENOTCONN : Errno.EIO)
  }

  /** Where the inode lies, by what is remembered of it or by a listing of just now. */
  placed(inode: Inode): InodeState | undefined {
    const state = this.states.get(inode)
    if (state !== undefined || this.single || !inode.linked || inode.isDirectory) return state
    const child = this.listed.find(inode.gfid)
    if (child === undefined) return undefined
    const found = { cached: child }
    this.states.set(inode, found)
    return found
  }

  /**
   * Remembers where an inode lies: on `inode`, and on the inode that the table has for the gfid,
   * when a lookup used a temporary one.
   */
  remember(inode: Inode, gfid: Gfid, state: InodeState): void {
    this.states.set(inode, state)
    const known = this.self.inodes.find(gfid)
    if (known !== undefined && known !== inode) this.states.set(known, state)
  }

  /** An identity for the locks of one operation: unlike any other operation's of this client. */
  transactionOwner(): string {
    this.#transactions = (this.#transactions + 1) % 2 ** 48
    const owner = Buffer.alloc(8)
    owner.writeUIntLE(this.#transactions, 0, 6)
    owner[6] = 0x44 // keeps them apart from the kernel's owners
    owner[7] = this.self.graph.id & 0xff
    return owner.latin1Slice()
  }
}

/** The caller's identity for what distribute does on its own behalf: root, with `lkOwner`. */
export function internalCtx(ctx: Ctx, lkOwner = ctx.lkOwner): Ctx {
  return { ...ctx, uid: 0, gid: 0, groups: [], lkOwner }
}

/** Sets what is the same for every directory of a volume. */
export function asDirectory(stat: Iatt): Iatt {
  stat.size = DIRECTORY_BYTES
  stat.blocks = DIRECTORY_BLOCKS
  return stat
}

export function isDirectoryType(type: number): boolean {
  return type === S_IFDIR
}

/** The attributes of a directory from those of its copies: times and link count are the greatest. */
export function mergeDirectoryStats(stats: readonly Iatt[], leading?: Iatt): Iatt {
  const merged = (leading ?? (stats[0] as Iatt)).clone()
  for (const stat of stats) {
    if (stat.nlink > merged.nlink) merged.nlink = stat.nlink
    if (later(stat.atime, stat.atimeNsec, merged.atime, merged.atimeNsec)) {
      merged.atime = stat.atime
      merged.atimeNsec = stat.atimeNsec
    }
    if (later(stat.mtime, stat.mtimeNsec, merged.mtime, merged.mtimeNsec)) {
      merged.mtime = stat.mtime
      merged.mtimeNsec = stat.mtimeNsec
    }
    if (later(stat.ctime, stat.ctimeNsec, merged.ctime, merged.ctimeNsec)) {
      merged.ctime = stat.ctime
      merged.ctimeNsec = stat.ctimeNsec
    }
  }
  return asDirectory(merged)
}

function later(sec: number, nsec: number, thanSec: number, thanNsec: number): boolean {
  return sec > thanSec || (sec === thanSec && nsec > thanNsec)
}

/** Of several failures the one to answer: anything says more than "not there" or "not connected". */
export function worstFailure(failures: readonly Failure[]): Failure {
  const telling = failures.find(
    each => each.errno !== Errno.ENOENT && each.errno !== Errno.ENOTCONN,
  )
  return (
    telling ??
    failures.find(each => each.errno === Errno.ENOTCONN) ??
    failures[0] ??
    failure(Errno.ENOTCONN)
  )
}

/** A loc that names the object of `loc` by gfid alone. */
export function namelessLoc(loc: Loc, gfid: Gfid): Loc {
  return { gfid, pargfid: NULL_GFID, name: '', path: loc.path, inode: loc.inode, parent: undefined }
}

/** xdata with further keys; the original stays as it is. */
export function withXdata(
  xdata: Dict | undefined,
  add: (dict: Dict) => void,
  empty: () => Dict,
): Dict {
  const dict = xdata?.clone() ?? empty()
  add(dict)
  return dict
}
