/**
 * Nodes: the inodes that the kernel knows, by the number under which it does.
 *
 * A node is bound to a gfid, not to a graph: after a graph switch its inode is resolved anew in the
 * next graph's table. Numbers are never used twice, so the generation is always 0.
 */

import { assert, type Gfid, type Inode, ROOT_GFID } from '@ashlar/core'
import { ROOT_NODEID } from '../protocol/constants.ts'

export interface Node {
  readonly id: number
  readonly gfid: Gfid
  /** In the table of the graph it was last used with. */
  inode: Inode
  /** Times the kernel was told of it and has not forgotten. */
  lookups: number
  /** st_mode as the kernel knows it; 0 when it does not. */
  mode: number
  /** Files open, and whether they go past the page cache: all of a node's do, or none. */
  opened: number
  directIo: boolean
  /** Somebody has held a lock through this mount: closing must tell the bricks. */
  locked: boolean
  /** A directory with a file that is used under locks: the kernel must ask for each name in it. */
  shared: boolean
}

export class NodeTable {
  readonly #byId = new Map<number, Node>()
  readonly #byGfid = new Map<Gfid, Node>()
  #next = ROOT_NODEID + 1

  constructor(root: Inode) {
    this.#add(ROOT_NODEID, ROOT_GFID, root)
  }

  get root(): Node {
    return this.#byId.get(ROOT_NODEID) as Node
  }

  get size(): number {
    return this.#byId.size
  }

  get(id: number): Node | undefined {
    return this.#byId.get(id)
  }

  find(gfid: Gfid): Node | undefined {
    return this.#byGfid.get(gfid)
  }

  /** The node of a linked inode, told to the kernel once more. */
  tell(inode: Inode, mode: number): Node {
    assert(inode.linked, 'a node needs an identity')
    let node = this.#byGfid.get(inode.gfid)
    if (node === undefined) node = this.#add(this.#next++, inode.gfid, inode)
    else if (node.inode !== inode) this.rebind(node, inode)
    node.mode = mode
    if (node.id !== ROOT_NODEID) {
      node.lookups += 1
      inode.table.lookup(inode)
    }
    return node
  }

  /** Puts the inode of another graph (or a new one of the same gfid) behind a node. */
  rebind(node: Node, inode: Inode): void {
    assert(inode.gfid === node.gfid, 'a node keeps its gfid')
    node.inode = inode
    inode.nlookup += node.lookups
    inode.table.lookup(inode)
    inode.nlookup -= 1
  }

  /** The kernel has forgotten `count` tellings of a node. */
  forget(id: number, count: number): void {
    const node = this.#byId.get(id)
    if (node === undefined || id === ROOT_NODEID) return
    node.lookups -= count
    node.inode.table.forget(node.inode, count)
    if (node.lookups > 0) return
    this.#byId.delete(id)
    this.#byGfid.delete(node.gfid)
  }

  *[Symbol.iterator](): IterableIterator<Node> {
    yield* this.#byId.values()
  }

  #add(id: number, gfid: Gfid, inode: Inode): Node {
    const node: Node = {
      id,
      gfid,
      inode,
      lookups: 0,
      mode: 0,
      opened: 0,
      directIo: false,
      locked: false,
      shared: false,
    }
    this.#byId.set(id, node)
    this.#byGfid.set(gfid, node)
    return node
  }
}
