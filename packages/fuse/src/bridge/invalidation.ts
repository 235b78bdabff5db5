/**
 * News to the kernel: pages, attributes and names it must not trust any longer.
 *
 * The kernel may hold what a piece of news is about until we have answered some other request, so
 * nothing here is waited for by the fop path. What is pending is kept per inode, so it is never
 * more than the inodes that the kernel knows.
 */

import { encodeName, Errno, type GraphEvent, type Inode, type Log, UpcallFlag } from '@ashlar/core'
import type { FuseDevice } from '../device.ts'
import { Notify } from '../protocol/constants.ts'
import { INVAL_ENTRY_OUT, INVAL_INODE_OUT } from '../protocol/table.ts'
import type { Node, NodeTable } from './nodes.ts'

/** What of an inode the kernel is to drop. */
const Drop = { ATTRIBUTES: 1, DATA: 2, NAMES: 4 } as const

/** Changes after which cached pages are wrong. */
const DATA_FLAGS = UpcallFlag.SIZE | UpcallFlag.TIMES | UpcallFlag.FORGET
/** Changes after which a name may lead elsewhere. */
const NAME_FLAGS =
  UpcallFlag.NLINK | UpcallFlag.RENAME | UpcallFlag.FORGET | UpcallFlag.EXPLICIT_LOOKUP

/** Answers that say the kernel has nothing to drop, or is using it. */
const HARMLESS = new Set<number>([
  Errno.ENOENT,
  Errno.ENOTDIR,
  Errno.EBUSY,
  Errno.ENOTEMPTY,
  Errno.ENODEV,
  Errno.ENOSYS,
])

/** Names of one directory that are dropped at once. */
const SHARED_NAMES_MAX = 1000

export class Invalidations {
  readonly #device: FuseDevice
  readonly #nodes: NodeTable
  readonly #log: Log
  readonly #pending = new Map<Inode, number>()
  #busy = false

  constructor(options: { device: FuseDevice; nodes: NodeTable; log: Log }) {
    this.#device = options.device
    this.#nodes = options.nodes
    this.#log = options.log
  }

  /** Pages and attributes: somebody else has changed the file. */
  data(inode: Inode): void {
    this.#add(inode, Drop.DATA)
  }

  /**
   * Attributes alone, before this returns: the inode is in use by the request at hand, and dropping
   * no pages the kernel waits for nothing.
   */
  attributesNow(inode: Inode): void {
    const node = this.#nodes.find(inode.gfid)
    if (node !== undefined)
      this.#judge(this.#device.notifyNow(Notify.INVAL_INODE, inodeNews(node.id, false)))
  }

  /**
   * Pages and attributes, gone when this resolves. The kernel may wait for reads of the file to be
   * answered first, so nothing that these wait for may wait for this.
   */
  async dataNow(node: Node): Promise<void> {
    if (this.#device.isOpen) await this.#dropInode(node.id, true)
  }

  /**
   * Programs that lock a file make and remove others beside it (the journal of a database): from now
   * on the kernel asks for each name in its directory, and what it knew of them is gone when this
   * resolves. Of a directory with more names than are dropped here the rest goes by its timeout.
   */
  async shareDirectories(node: Node): Promise<void> {
    for (const { parent } of node.inode.dentries) {
      const directory = this.#nodes.find(parent.gfid)
      if (directory === undefined || directory.shared) continue
      directory.shared = true
      const names = [...parent.children.keys()].slice(0, SHARED_NAMES_MAX)
      await Promise.all(names.map(name => this.#dropName(directory, name)))
    }
  }

  /** Every name of an inode; without names the kernel soon forgets the inode itself. */
  names(inode: Inode): void {
    this.#add(inode, Drop.NAMES)
  }

  /** News that reach the top of the graph. */
  event(event: GraphEvent): void {
    if (event.kind === 'inode-invalidate') {
      this.data(event.inode)
      return
    }
    if (event.kind !== 'cache-invalidation') return
    const { gfid, flags } = event.change
    const node = this.#nodes.find(gfid)
    if (node === undefined) return
    this.#add(node.inode, (flags & DATA_FLAGS) === 0 ? Drop.ATTRIBUTES : Drop.DATA)
    if ((flags & NAME_FLAGS) !== 0) this.names(node.inode)
  }

  #add(inode: Inode, what: number): void {
    this.#pending.set(inode, (this.#pending.get(inode) ?? 0) | what)
    if (this.#busy) return
    this.#busy = true
    void this.#work()
  }

  async #work(): Promise<void> {
    // Not within the caller: it may be in the middle of a change to the inode table.
    await Promise.resolve()
    for (const [inode, what] of this.#pending) {
      this.#pending.delete(inode)
      if (!this.#device.isOpen) continue
      const node = this.#nodes.find(inode.gfid)
      if (node === undefined) continue
      if ((what & (Drop.DATA | Drop.ATTRIBUTES)) !== 0)
        await this.#dropInode(node.id, (what & Drop.DATA) !== 0)
      if ((what & Drop.NAMES) !== 0) await this.#dropNames(inode)
    }
    this.#busy = false
  }

  async #dropInode(nodeid: number, pages: boolean): Promise<void> {
    this.#judge(await this.#device.notify(Notify.INVAL_INODE, inodeNews(nodeid, pages)))
  }

  async #dropNames(inode: Inode): Promise<void> {
    for (const { parent, name } of inode.dentries) {
      const parentNode = this.#nodes.find(parent.gfid)
      if (parentNode === undefined) continue
      await this.#dropName(parentNode, name)
    }
  }

  async #dropName(parent: Node, name: string): Promise<void> {
    if (!this.#device.isOpen) return
    const bytes = encodeName(name)
    const body = Buffer.alloc(INVAL_ENTRY_OUT.size + bytes.length + 1)
    INVAL_ENTRY_OUT.encode(body, 0, { parent: parent.id, namelen: bytes.length, flags: 0 })
    bytes.copy(body, INVAL_ENTRY_OUT.size)
    this.#judge(await this.#device.notify(Notify.INVAL_ENTRY, body))
  }

  #judge(result: number): void {
    if (result < 0 && !HARMLESS.has(-result))
      this.#log.warning('the kernel refused an invalidation', { errno: -result })
  }
}

/** A negative offset spares the pages. */
function inodeNews(nodeid: number, pages: boolean): Buffer {
  const body = Buffer.allocUnsafe(INVAL_INODE_OUT.size)
  INVAL_INODE_OUT.encode(body, 0, { nodeid, offset: pages ? 0 : -1, length: 0 })
  return body
}
