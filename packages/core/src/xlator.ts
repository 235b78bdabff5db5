/**
 * Xlator: one layer of a volume, and what it is given to live in a graph.
 *
 * A translator implements only the fops it has something to say about; for the others it is not in
 * the path at all. It talks to the layers below through its `Subvolume`s, to those above by
 * `notify`. Nothing else reaches it: time, randomness and log come in `env`.
 */

import type { ContextKey } from './context.ts'
import type { Dict } from './dict.ts'
import type { Env } from './env.ts'
import type { Fd } from './fd.ts'
import type { Flock, Fops } from './fops.ts'
import type { Gfid } from './gfid.ts'
import type { Iatt } from './iatt.ts'
import type { Inode, InodeTable } from './inode.ts'
import type { OptionSchema, OptionValues } from './options.ts'

/** What upcall tells a client of a change made by another one (rpc/xdr/src/glusterfs3-xdr.x). */
export interface CacheInvalidation {
  readonly gfid: Gfid
  /** UpcallFlag bits. */
  readonly flags: number
  readonly expireTime: number
  readonly stat: Iatt
  readonly parentStat: Iatt
  readonly oldParentStat: Iatt
  readonly xdata?: Dict | undefined
}

/** libglusterfs/src/glusterfs/upcall-utils.h `UP_*`. */
export const UpcallFlag = {
  NLINK: 0x1,
  MODE: 0x2,
  OWN: 0x4,
  SIZE: 0x8,
  TIMES: 0x10,
  ATIME: 0x20,
  PERM: 0x40,
  RENAME: 0x80,
  FORGET: 0x100,
  PARENT_TIMES: 0x200,
  XATTR: 0x400,
  XATTR_RM: 0x800,
  EXPLICIT_LOOKUP: 0x1000,
  INVAL_ATTR: 0x2000,
} as const

interface ForClient {
  /** On a brick: the connection (`Ctx.client`) that is to hear of it. */
  readonly client?: string | undefined
}

/** News that travel up a graph, from a translator to those above it. */
export type GraphEvent =
  | {
      readonly kind: 'child-up'
      /** It takes a compound in one round trip; else its steps had better be asked for at once. */
      readonly compounds?: boolean | undefined
    }
  | { readonly kind: 'child-down' }
  /** A part below went down, but the layer still serves. */
  | { readonly kind: 'some-descendent-down' }
  /** The brick does not admit us: what waits to be mounted fails. */
  | { readonly kind: 'auth-failed'; readonly reason: string }
  | ({ readonly kind: 'cache-invalidation'; readonly change: CacheInvalidation } & ForClient)
  /** Somebody waits for a lock that we hold on this inode. */
  | ({
      readonly kind: 'inodelk-contention'
      readonly gfid: Gfid
      readonly domain: string
      /** The lock that is in the way. */
      readonly flock?: Flock | undefined
    } & ForClient)
  | ({
      readonly kind: 'entrylk-contention'
      readonly gfid: Gfid
      readonly domain: string
      readonly name: string
      /** EntrylkType of the lock that is in the way. */
      readonly type?: number | undefined
    } & ForClient)
  /** Another client is about to give a name in this directory to something: see names-lease.ts. */
  | ({
      readonly kind: 'names-recall'
      readonly gfid: Gfid
      /** The number of the lease. */
      readonly lease: string
    } & ForClient)
  /** Whoever caches this inode's data (the kernel) drops it: somebody else changed the file. */
  | { readonly kind: 'inode-invalidate'; readonly inode: Inode }

/** The layer below, as the one above sees it: every fop, bound to whichever translator answers it. */
export interface Subvolume extends Fops {
  readonly name: string
  readonly type: string
  /** Position among the parent's children. */
  readonly index: number
  /** Names of the leaves below (itself, when it has no subvolumes), depth first. */
  readonly leaves: readonly string[]
}

/** A living translator. All members are optional: absent means "passes through" or "nothing to do". */
export interface Xlator extends Partial<Fops> {
  /** The graph is built: connect, crawl, start timers. Called from the leaves up. */
  start?(): void | Promise<void>
  /** The graph is going away: release what is held. Called from the top down; must not hang. */
  stop?(): void | Promise<void>
  /** News of a child. Absent: passed on to the parents. */
  notify?(event: GraphEvent, from: Subvolume): void
  /** `self.options` has new values. */
  reconfigure?(): void
  /** The inode leaves the table. */
  forget?(inode: Inode): void
  /** The last reference to the fd is gone. */
  release?(fd: Fd): void
  /** A brick's client (`Ctx.client`) has disconnected: its locks and registrations go. */
  clientGone?(client: string): void
  /** State for a statedump. */
  dump?(): Readonly<Record<string, unknown>>
}

/** What a translator is made with. */
export interface XlatorSelf<S extends OptionSchema = OptionSchema> {
  readonly name: string
  readonly type: string
  readonly env: Env
  /** Typed option values; the object stays the same, its members change before `reconfigure`. */
  readonly options: OptionValues<S>
  /** The options of the volfile as written, with those the schema does not name. */
  readonly texts: ReadonlyMap<string, string>
  readonly children: readonly Subvolume[]
  /** The first child; a translator that stands over one reads better with it. */
  readonly child: Subvolume
  readonly inodes: InodeTable
  readonly graph: GraphInfo
  /** A context slot of this translator on inodes and fds. */
  contextKey<T>(): ContextKey<T>
  /** Passes news to the translators above. */
  notify(event: GraphEvent): void
  /** An fd of this graph: every translator is told of its release. */
  openFd(inode: Inode, options: { flags: number; pid: number }): Fd
  /** An fd that no brick has open: for one request by gfid. */
  anonymousFd(inode: Inode, flags: number): Fd
  /** Tells every translator of the graph that a client has disconnected. */
  clientGone(client: string): void
}

/** What a translator may know of the graph around it. */
export interface GraphInfo {
  /** Number of this graph in its process, from 0. */
  readonly id: number
  /** Names of the graph's leaves (`protocol/client`s), depth first: their positions encode d_off. */
  readonly leaves: readonly string[]
  /** The volume's UUID, from the volfile's `debug/io-stats`; undefined when it names none. */
  readonly volumeId: string | undefined
  /** Facts of the process that translators report: its uuid, name, host, volfile id, subdirectory mount. */
  readonly process: ProcessInfo
}

export interface ProcessInfo {
  /** Identity of this process, new at each start. */
  readonly uuid: string
  /** `fuse`, `gfapi`, `brick`, `glustershd` … */
  readonly name: string
  readonly hostname: string
  readonly pid: number
  readonly volfileId: string
  /** Directory of the volume to present as its root, from `subdir-mount`. */
  readonly subdirectory?: string | undefined
  /** UUID of this server's glusterd, on bricks. */
  readonly glusterdUuid?: string | undefined
  /** Pid that calls of the process's own carry: -6 self-heal daemon, -7 `heal info`. */
  readonly clientPid?: number | undefined
}

export interface XlatorDefinition<S extends OptionSchema = OptionSchema> {
  /** `cluster/distribute`. */
  readonly type: string
  readonly options: S
  /** Throws to refuse a graph that cannot work. */
  readonly create: (self: XlatorSelf<S>) => Xlator
}

export function defineXlator<const S extends OptionSchema>(
  definition: XlatorDefinition<S>,
): XlatorDefinition<S> {
  return definition
}

/** A definition whatever its options are, for registries. */
// biome-ignore lint/suspicious/noExplicitAny: the schema's type is the definition's own business
export type AnyXlatorDefinition = XlatorDefinition<any> // oxlint-disable-line typescript/no-explicit-any
