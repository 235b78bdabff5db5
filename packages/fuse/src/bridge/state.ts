/**
 * What all operations of a bridge share: the device, the graph in use, the nodes and open files,
 * and the ways of answering.
 */

import {
  type Env,
  encodeName,
  entryLoc,
  Errno,
  type Failure,
  type Fd,
  failure,
  gfidInode,
  GfidSource,
  type Graph,
  type Iatt,
  type Inode,
  inodeLoc,
  type Loc,
  NULL_GFID,
  type Reply,
  ROOT_CTX,
} from '@ashlar/core'
import type { FuseDevice } from '../device.ts'
import { OUT_HEADER_BYTES } from '../protocol/constants.ts'
import { ATTR_OUT, ENTRY_OUT } from '../protocol/table.ts'
import { Callers } from './callers.ts'
import { FileTable, type OpenFile } from './files.ts'
import { Invalidations } from './invalidation.ts'
import { type Node, NodeTable } from './nodes.ts'
import type { FullBridgeOptions } from './options.ts'
import type { Request } from './request.ts'
import type { Session } from './session.ts'

/** Seconds as the protocol writes them. */
export interface Timeout {
  readonly sec: number
  readonly nsec: number
}

const NO_TIME: Timeout = { sec: 0, nsec: 0 }

function timeout(seconds: number): Timeout {
  const sec = Math.floor(seconds)
  return { sec, nsec: Math.floor((seconds - sec) * 1e9) }
}

/** A request that waits for a lock, and can be called off. */
export interface Waiting {
  /** Why it ends early: the caller was interrupted, or the graph changes. */
  reason: 'interrupted' | 'switched' | undefined
  /** A new one for each graph that it waits on. */
  controller: AbortController
}

const LOW_32 = 0xffff_ffffn

export class BridgeState {
  readonly device: FuseDevice
  readonly env: Env
  readonly options: FullBridgeOptions
  readonly callers: Callers
  readonly nodes: NodeTable
  readonly files = new FileTable()
  readonly invalidations: Invalidations
  /** Directories that were open when this mount removed them: what is to be said of them. */
  readonly departed = new WeakMap<Node, Iatt>()
  readonly gfids: GfidSource
  /** By the unique number of the request. */
  readonly waiting = new Map<number, Waiting>()
  readonly entryTimeout: Timeout
  readonly attributeTimeout: Timeout
  readonly negativeTimeout: Timeout
  graph: Graph
  /** Resolves when the open files are those of `graph`: they are not while it is being switched. */
  moved: Promise<void> = Promise.resolve()
  /** The graph is not the one that the kernel's names were looked up in. */
  switched = false
  /** Undefined before INIT. */
  session: Session | undefined

  constructor(options: {
    device: FuseDevice
    env: Env
    graph: Graph
    options: FullBridgeOptions
  }) {
    this.device = options.device
    this.env = options.env
    this.graph = options.graph
    this.options = options.options
    this.gfids = new GfidSource(options.env.random)
    this.callers = new Callers(options.env.clock, options.options)
    this.nodes = new NodeTable(options.graph.inodes.root)
    this.invalidations = new Invalidations({
      device: options.device,
      nodes: this.nodes,
      log: options.env.log,
    })
    this.entryTimeout = timeout(this.options.entryTimeout)
    this.attributeTimeout = timeout(this.options.attributeTimeout)
    this.negativeTimeout = timeout(this.options.negativeTimeout)
  }

  /** The inode behind a node, when it can be used as it stands: else `resolve` it. */
  ready(nodeid: number): Inode | undefined {
    const inode = this.nodes.get(nodeid)?.inode
    return inode !== undefined && inode.table === this.graph.inodes && !inode.needsLookup
      ? inode
      : undefined
  }

  /**
   * The inode behind a node, looked up by its gfid when the present graph does not know it, or only
   * from a listing.
   */
  async resolve(nodeid: number): Promise<Inode | Failure> {
    const node = this.nodes.get(nodeid)
    if (node === undefined) return failure(Errno.ESTALE)
    const { root } = this.graph.inodes
    if (node.gfid === root.gfid) {
      if (node.inode !== root) this.nodes.rebind(node, root)
      return root
    }
    const reply = await this.refresh(nodeid)
    return reply.ok ? node.inode : reply
  }

  /** Looks a node up by its gfid in the graph in use, and binds it to what is found. */
  async refresh(nodeid: number): Promise<Reply<'lookup'>> {
    const node = this.nodes.get(nodeid)
    if (node === undefined) return failure(Errno.ESTALE)
    const { inodes, top } = this.graph
    const inode =
      node.inode.table === inodes ? node.inode : (inodes.find(node.gfid) ?? inodes.create())
    const loc = { ...inodeLoc(inode), gfid: node.gfid }
    const reply = await top.lookup(ROOT_CTX, { loc })
    if (!reply.ok) return reply
    if (reply.stat.gfid !== node.gfid) return failure(Errno.ESTALE)
    const linked = this.linkInode(loc, reply.stat)
    if (node.inode !== linked) this.nodes.rebind(node, linked)
    inodes.unref(linked)
    return reply
  }

  /** The loc of an entry; `inode` is the known child or a new one. */
  entry(parent: Inode, name: string): Loc {
    const { inodes } = this.graph
    return entryLoc(parent, name, inodes.child(parent, name) ?? inodes.create())
  }

  /** An fd of this inode that is open, for files whose name may be gone. */
  openFd(inode: Inode): Fd | undefined {
    if (inode.isDirectory) return undefined
    for (const fd of inode.fds) if (!fd.anonymous) return fd
    return undefined
  }

  /** A directory that is open has been removed; these were its attributes. */
  depart(node: Node, stat: Iatt): void {
    const departed = stat.clone()
    departed.nlink = 0
    this.departed.set(node, departed)
  }

  fail(request: Request, problem: Failure): void {
    this.device.replyError(request.unique, sane(problem.errno))
  }

  /**
   * A failed operation on an inode: that it is not there any more is ESTALE, upon which the kernel
   * tries the path again.
   */
  failInode(request: Request, problem: Failure): void {
    const errno = problem.errno === Errno.ENOENT ? Errno.ESTALE : problem.errno
    this.device.replyError(request.unique, sane(errno))
  }

  /** Success with a name or path, without a NUL. */
  replyName(request: Request, name: string): void {
    this.device.replyBytes(request.unique, encodeName(name))
  }

  /** Success without a body. */
  ok(request: Request): void {
    this.device.reply(request.unique, 0)
  }

  /**
   * Links what an entry operation has found or made, and tells the kernel. `known` is the inode of
   * the loc.
   */
  entryReply(request: Request, loc: Loc, stat: Iatt): void {
    const node = this.linkEntry(loc, stat)
    if (node === undefined) {
      this.device.replyError(request.unique, Errno.EIO)
      return
    }
    this.writeEntry(this.device.scratch, OUT_HEADER_BYTES, request.nodeid, node.id, stat)
    if (!this.device.reply(request.unique, ENTRY_OUT.size)) this.nodes.forget(node.id, 1)
  }

  /** The node of what an entry operation has found or made; undefined when it has no identity. */
  linkEntry(loc: Loc, stat: Iatt): Node | undefined {
    if (stat.gfid === NULL_GFID || stat.mode === 0) return undefined
    const { inodes } = this.graph
    const inode = this.linkInode(loc, stat)
    const node = this.nodes.tell(inode, stat.mode)
    inodes.unref(inode)
    return node
  }

  /**
   * Links what a lookup of `loc` has found into the table of the graph in use. The result is held
   * (the caller unrefs it): else pruning would take an inode that nobody has been told of.
   */
  linkInode(loc: Loc, stat: Iatt): Inode {
    const { inodes } = this.graph
    // The inode of the loc may be another file by now, or of a graph that has been switched away.
    const fits = loc.inode.table === inodes && (!loc.inode.linked || loc.inode.gfid === stat.gfid)
    const parent = loc.parent?.table === inodes ? loc.parent : undefined
    const candidate = fits ? loc.inode : inodes.create()
    inodes.ref(candidate)
    const inode = inodes.link(
      candidate,
      { gfid: stat.gfid, type: stat.type },
      parent,
      loc.name === '' ? undefined : loc.name,
    )
    inode.needsLookup = false
    inodes.ref(inode)
    inodes.unref(candidate)
    return inode
  }

  /** `struct fuse_entry_out` at `at`, of a name in the directory `parent`. */
  writeEntry(buffer: Buffer, at: number, parent: number, nodeid: number, stat: Iatt): void {
    const shared = this.nodes.get(parent)?.shared === true
    const entry = shared ? NO_TIME : this.entryTimeout
    const attribute = shared ? NO_TIME : this.attributeTimeout
    ENTRY_OUT.encode(buffer, at, {
      nodeid,
      generation: 0,
      entryValid: entry.sec,
      attrValid: attribute.sec,
      entryValidNsec: entry.nsec,
      attrValidNsec: attribute.nsec,
      attr: this.shown(stat),
    })
  }

  attributesReply(request: Request, stat: Iatt): void {
    const node = this.nodes.get(request.nodeid)
    if (node !== undefined) node.mode = stat.mode
    ATTR_OUT.encode(this.device.scratch, OUT_HEADER_BYTES, {
      attrValid: this.attributeTimeout.sec,
      attrValidNsec: this.attributeTimeout.nsec,
      attr: this.shown(stat),
    })
    this.device.reply(request.unique, ATTR_OUT.size)
  }

  /** The file of a handle, or undefined after the request was answered with EBADF. */
  file(request: Request, handle: number): OpenFile | undefined {
    const file = this.files.get(handle)
    if (file === undefined) this.device.replyError(request.unique, Errno.EBADF)
    return file
  }

  /** Attributes as the kernel shall see them: with enable-ino32 the inode number is folded. */
  shown(stat: Iatt): Iatt {
    if (!this.options.enableIno32) return stat
    const folded = stat.clone()
    folded.ino = this.shownInode(stat.ino ?? gfidInode(stat.gfid))
    return folded
  }

  /** An inode number as the kernel shall see it. */
  shownInode(ino: bigint): bigint {
    return this.options.enableIno32 ? (BigInt.asUintN(64, ino) >> 32n) ^ (ino & LOW_32) : ino
  }
}

/** What the kernel takes as an errno; anything else is a mistake of some layer. */
function sane(errno: number): number {
  return errno > 0 && errno < 512 ? errno : Errno.EIO
}
