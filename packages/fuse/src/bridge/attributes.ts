/** Attributes: reading and changing them, links' targets, totals of the volume. */

import {
  type Ctx,
  Errno,
  type Failure,
  type Fd,
  failure,
  Iatt,
  type Inode,
  inodeLoc,
  type Reply,
  ROOT_CTX,
  S_IFMT,
  S_IFREG,
  SetAttr,
} from '@ashlar/core'
import { Fattr, GETATTR_FH, OUT_HEADER_BYTES } from '../protocol/constants.ts'
import { GETATTR_IN, SETATTR_IN, STATFS_OUT } from '../protocol/table.ts'
import type { Node } from './nodes.ts'
import type { Request } from './request.ts'
import type { BridgeState } from './state.ts'

const S_ISUID = 0o4000
const S_ISGID = 0o2000
const S_IXGRP = 0o010
const TARGET_BYTES_MAX = 4096

export async function getattr(state: BridgeState, request: Request): Promise<void> {
  const { flags, fh } = request.take(GETATTR_IN)
  const file = (flags & GETATTR_FH) === 0 ? undefined : state.files.get(fh)
  const node = state.nodes.get(request.nodeid)
  const departed = node === undefined ? undefined : state.departed.get(node)
  if (departed !== undefined) return state.attributesReply(request, departed)
  const ctx = state.callers.ctx(request)
  const { top } = state.graph
  // A file that is open may have lost its last name: its descriptor still reaches it.
  const fd =
    file?.fd ?? (node?.inode.table === state.graph.inodes ? state.openFd(node.inode) : undefined)
  if (fd !== undefined) {
    const reply = await top.fstat(ctx, { fd })
    if (reply.ok) state.attributesReply(request, reply.stat)
    else state.failInode(request, reply)
    return
  }
  const ready = state.ready(request.nodeid)
  if (ready === undefined) {
    await getattrByLookup(state, request)
    return
  }
  const reply = await top.stat(ctx, { loc: inodeLoc(ready) })
  if (reply.ok) state.attributesReply(request, reply.stat)
  else state.failInode(request, reply)
}

/** The first use of an inode is a lookup, which brings the attributes along. */
async function getattrByLookup(state: BridgeState, request: Request): Promise<void> {
  const reply = await state.refresh(request.nodeid)
  if (reply.ok) state.attributesReply(request, reply.stat)
  else state.failInode(request, reply)
}

/**
 * Takes the set-user-id and set-group-id bits off a file that somebody without privilege changes.
 * The kernel leaves that to us (HANDLE_KILLPRIV_V2), and the bricks act as root. The bits are those
 * the kernel was last told of, as with file systems where the kernel does it.
 */
export async function dropPrivileges(state: BridgeState, node: Node): Promise<Failure | undefined> {
  const { mode } = node
  let dropped = mode & ~S_ISUID
  if ((mode & S_IXGRP) !== 0) dropped &= ~S_ISGID
  if (dropped === mode || (mode & S_IFMT) !== S_IFREG) return undefined
  return await setMode(state, node, dropped)
}

/** Sets a mode in our own name: the caller may not, but must. */
async function setMode(state: BridgeState, node: Node, mode: number): Promise<Failure | undefined> {
  const inode = state.ready(node.id) ?? (await state.resolve(node.id))
  if ('ok' in inode) return inode
  const stat = new Iatt()
  stat.mode = mode
  const reply = await setAttributes(state, inode, stat, SetAttr.MODE, ROOT_CTX)
  if (!reply.ok) return reply
  node.mode = reply.poststat.isEmpty ? mode : reply.poststat.mode
  return undefined
}

/** Takes the set-group-id bit off a file whose ACL somebody outside of its group has set. */
export async function dropGroupPrivilege(
  state: BridgeState,
  nodeid: number,
): Promise<Failure | undefined> {
  const node = state.nodes.get(nodeid)
  if (node === undefined || (node.mode & S_ISGID) === 0) return undefined
  return await setMode(state, node, node.mode & ~S_ISGID)
}

/** By the inode, or by a descriptor when its last name is gone. */
async function setAttributes(
  state: BridgeState,
  inode: Inode,
  stat: Iatt,
  valid: number,
  ctx: Ctx,
): Promise<Reply<'setattr'>> {
  const { top } = state.graph
  const reply = await top.setattr(ctx, { loc: inodeLoc(inode), stat, valid })
  if (reply.ok || (reply.errno !== Errno.ENOENT && reply.errno !== Errno.ESTALE)) return reply
  const fd = state.openFd(inode)
  return fd === undefined ? reply : await top.fsetattr(ctx, { fd, stat, valid })
}

const GRAPH_BITS =
  SetAttr.MODE |
  SetAttr.UID |
  SetAttr.GID |
  SetAttr.ATIME |
  SetAttr.MTIME |
  SetAttr.ATIME_NOW |
  SetAttr.MTIME_NOW

export async function setattr(state: BridgeState, request: Request): Promise<void> {
  const wanted = request.take(SETATTR_IN)
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  const node = state.nodes.get(request.nodeid)
  if ('ok' in inode || node === undefined) {
    state.failInode(request, 'ok' in inode ? inode : failure(Errno.ESTALE))
    return
  }
  const owner = (wanted.valid & Fattr.LOCKOWNER) === 0 ? '' : wanted.lockOwner
  const ctx = state.callers.ctx(request, owner)
  let valid = graphBits(wanted.valid)
  let latest: Iatt | undefined
  if (wanted.valid === 0) {
    // Nothing to set is how the kernel asks that set-id bits go, before a write.
    const problem = await dropPrivileges(state, node)
    if (problem !== undefined) return state.failInode(request, problem)
  }
  if ((wanted.valid & Fattr.SIZE) !== 0) {
    if ((wanted.valid & Fattr.KILL_SUIDGID) !== 0) {
      const problem = await dropPrivileges(state, node)
      if (problem !== undefined) return state.failInode(request, problem)
    }
    const fd = (wanted.valid & Fattr.FH) === 0 ? undefined : state.files.get(wanted.fh)?.fd
    const reply = await truncate(state, inode, fd, wanted.size, ctx)
    if (!reply.ok) return state.failInode(request, reply)
    latest = reply.poststat
    // The truncation has set the time already.
    if ((valid & SetAttr.MTIME_NOW) !== 0) valid &= ~(SetAttr.MTIME | SetAttr.MTIME_NOW)
  }
  if (valid !== 0) {
    const stat = new Iatt()
    stat.mode = (node.mode & S_IFMT) | (wanted.mode & 0o7777)
    stat.uid = wanted.uid
    stat.gid = wanted.gid
    stat.atime = wanted.atime
    stat.atimeNsec = wanted.atimeNsec
    stat.mtime = wanted.mtime
    stat.mtimeNsec = wanted.mtimeNsec
    const reply = await setAttributes(state, inode, stat, valid, ctx)
    if (!reply.ok) return state.failInode(request, reply)
    latest = reply.poststat
  }
  if (latest === undefined || latest.isEmpty) {
    const reply = await currentAttributes(state, inode, ctx)
    if (!reply.ok) return state.failInode(request, reply)
    latest = reply.stat
  }
  state.attributesReply(request, latest)
}

/** FATTR_* as GlusterFS's bits; they were made alike. */
function graphBits(valid: number): number {
  return valid & GRAPH_BITS
}

async function currentAttributes(
  state: BridgeState,
  inode: Inode,
  ctx: Ctx,
): Promise<Reply<'stat'>> {
  const fd = state.openFd(inode)
  return fd === undefined
    ? await state.graph.top.stat(ctx, { loc: inodeLoc(inode) })
    : await state.graph.top.fstat(ctx, { fd })
}

async function truncate(
  state: BridgeState,
  inode: Inode,
  fd: Fd | undefined,
  offset: number,
  ctx: Ctx,
): Promise<Reply<'truncate'>> {
  const { top } = state.graph
  if (!Number.isSafeInteger(offset)) return failure(Errno.EFBIG)
  if (fd !== undefined) return await top.ftruncate(ctx, { fd, offset })
  return await top.truncate(ctx, { loc: inodeLoc(inode), offset })
}

export async function readlink(state: BridgeState, request: Request): Promise<void> {
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  if ('ok' in inode) return state.failInode(request, inode)
  const args = { loc: inodeLoc(inode), size: TARGET_BYTES_MAX }
  const reply = await state.graph.top.readlink(state.callers.ctx(request), args)
  if (reply.ok) state.replyName(request, reply.target)
  else state.failInode(request, reply)
}

export async function statfs(state: BridgeState, request: Request): Promise<void> {
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  if ('ok' in inode) return state.failInode(request, inode)
  const args = { loc: inodeLoc(inode) }
  const reply = await state.graph.top.statfs(state.callers.ctx(request), args)
  if (!reply.ok) return state.failInode(request, reply)
  const { statfs } = reply
  STATFS_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, {
    blocks: statfs.blocks,
    bfree: statfs.bfree,
    bavail: statfs.bavail,
    files: statfs.files,
    ffree: statfs.ffree,
    bsize: statfs.bsize,
    namelen: statfs.namemax,
    frsize: statfs.frsize,
  })
  state.device.reply(request.unique, STATFS_OUT.size)
}
