/** Names: lookup, making, linking, renaming and removing them. */

import {
  Dict,
  Errno,
  exclusiveXdata,
  failure,
  type FopArgs,
  type Inode,
  inodeLoc,
  type Loc,
  nameByteLength,
  NULL_GFID,
} from '@ashlar/core'
import { OUT_HEADER_BYTES } from '../protocol/constants.ts'
import {
  CREATE_IN,
  ENTRY_OUT,
  LINK_IN,
  MKDIR_IN,
  MKNOD_IN,
  OPEN_OUT,
  RENAME2_IN,
  RENAME_IN,
} from '../protocol/table.ts'
import { graphOpenFlags, kernelOpenFlags } from './open-flags.ts'
import type { Request } from './request.ts'
import type { BridgeState } from './state.ts'

/** Longest name of the protocol on bricks (limits.h NAME_MAX). */
const NAME_MAX = 255
const RENAME_NOREPLACE = 1

/** Every new object gets its identity from the client that makes it. */
function identity(state: BridgeState): Dict {
  return new Dict().setGfid('gfid-req', state.gfids.next())
}

/** The parent directory, or undefined after the request was answered. */
async function parentOf(
  state: BridgeState,
  request: Request,
  nodeid: number,
): Promise<Inode | undefined> {
  const parent = state.ready(nodeid) ?? (await state.resolve(nodeid))
  if (!('ok' in parent)) return parent
  state.failInode(request, parent)
  return undefined
}

export async function lookup(state: BridgeState, request: Request): Promise<void> {
  const name = request.name()
  const parent = state.ready(request.nodeid) ?? (await parentOf(state, request, request.nodeid))
  if (parent === undefined) return
  // Nobody has such a name, so nobody need be asked; three bytes a character are the most.
  if (name.length * 3 > NAME_MAX && nameByteLength(name) > NAME_MAX) {
    state.fail(request, failure(Errno.ENAMETOOLONG))
    return
  }
  const ctx = state.callers.ctx(request)
  const { top, inodes } = state.graph
  let loc = state.entry(parent, name)
  let reply = await top.lookup(ctx, loc.inode.linked ? { loc } : { loc, xdata: identity(state) })
  if (!reply.ok && loc.inode.linked) {
    // What we knew is not so any more: forget it and ask without prejudice.
    if (reply.errno === Errno.ENOENT) inodes.unlink(parent, name)
    loc = { ...loc, inode: inodes.create(), gfid: NULL_GFID }
    reply = await top.lookup(ctx, { loc, xdata: identity(state) })
  }
  if (reply.ok) {
    state.entryReply(request, loc, reply.stat)
  } else if (reply.errno === Errno.ENOENT && state.options.negativeTimeout > 0) {
    negativeReply(state, request)
  } else {
    state.fail(request, reply)
  }
}

/** Node 0: the name does not exist, and the kernel may trust that for a while. */
function negativeReply(state: BridgeState, request: Request): void {
  const { scratch } = state.device
  scratch.fill(0, OUT_HEADER_BYTES, OUT_HEADER_BYTES + ENTRY_OUT.size)
  scratch.writeUInt32LE(state.negativeTimeout.sec, OUT_HEADER_BYTES + 16)
  scratch.writeUInt32LE(state.negativeTimeout.nsec, OUT_HEADER_BYTES + 32)
  state.device.reply(request.unique, ENTRY_OUT.size)
}

export async function mkdir(state: BridgeState, request: Request): Promise<void> {
  const { mode, umask } = request.take(MKDIR_IN)
  const name = request.name()
  const parent = await parentOf(state, request, request.nodeid)
  if (parent === undefined) return
  const loc = state.entry(parent, name)
  const ctx = state.callers.ctx(request)
  const reply = await state.graph.top.mkdir(ctx, { loc, mode, umask, xdata: identity(state) })
  if (reply.ok) state.entryReply(request, loc, reply.stat)
  else state.fail(request, reply)
}

export async function mknod(state: BridgeState, request: Request): Promise<void> {
  const { mode, rdev, umask } = request.take(MKNOD_IN)
  const name = request.name()
  const parent = await parentOf(state, request, request.nodeid)
  if (parent === undefined) return
  const loc = state.entry(parent, name)
  const ctx = state.callers.ctx(request)
  const args = { loc, mode, rdev, umask, xdata: identity(state) }
  const reply = await state.graph.top.mknod(ctx, args)
  if (reply.ok) state.entryReply(request, loc, reply.stat)
  else state.fail(request, reply)
}

export async function symlink(state: BridgeState, request: Request): Promise<void> {
  const name = request.name()
  const target = request.name()
  const parent = await parentOf(state, request, request.nodeid)
  if (parent === undefined) return
  const loc = state.entry(parent, name)
  const ctx = state.callers.ctx(request)
  const args = { loc, target, umask: 0, xdata: identity(state) }
  const reply = await state.graph.top.symlink(ctx, args)
  if (reply.ok) state.entryReply(request, loc, reply.stat)
  else state.fail(request, reply)
}

export async function create(state: BridgeState, request: Request): Promise<void> {
  const { flags, mode, umask } = request.take(CREATE_IN)
  const name = request.name()
  const parent = await parentOf(state, request, request.nodeid)
  if (parent === undefined) return
  const { graph } = state
  const loc = state.entry(parent, name)
  const ctx = state.callers.ctx(request)
  const openFlags = graphOpenFlags(flags)
  const fd = graph.openFd(loc.inode, { flags: openFlags, pid: request.pid })
  const xdata = identity(state)
  const reply = await graph.top.create(ctx, { loc, fd, flags: openFlags, mode, umask, xdata })
  if (!reply.ok) {
    fd.unref()
    state.fail(request, reply)
    return
  }
  const node = state.linkEntry(loc, reply.stat)
  if (node === undefined) {
    fd.unref()
    state.fail(request, failure(Errno.EIO))
    return
  }
  if (fd.inode !== node.inode) fd.moveTo(node.inode)
  fd.bind()
  const file = state.files.add(node, fd)
  const { scratch } = state.device
  state.writeEntry(scratch, OUT_HEADER_BYTES, request.nodeid, node.id, reply.stat)
  OPEN_OUT.encode(scratch, OUT_HEADER_BYTES + ENTRY_OUT.size, {
    fh: file.handle,
    openFlags: kernelOpenFlags(state, node),
    backingId: 0,
  })
  if (state.device.reply(request.unique, ENTRY_OUT.size + OPEN_OUT.size)) return
  state.files.remove(file.handle)
  state.nodes.forget(node.id, 1)
}

export async function link(state: BridgeState, request: Request): Promise<void> {
  const { oldnodeid } = request.take(LINK_IN)
  const name = request.name()
  const old = state.ready(oldnodeid) ?? (await state.resolve(oldnodeid))
  if ('ok' in old) {
    state.failInode(request, old)
    return
  }
  const parent = await parentOf(state, request, request.nodeid)
  if (parent === undefined) return
  const oldloc = inodeLoc(old)
  const newloc = { ...state.entry(parent, name), inode: old, gfid: old.gfid }
  const reply = await state.graph.top.link(state.callers.ctx(request), { oldloc, newloc })
  if (reply.ok) state.entryReply(request, newloc, reply.stat)
  else state.fail(request, reply)
}

/**
 * The loc of a name that is to go. The kernel has looked it up, but the graph may not know it (after
 * a graph switch): then it is looked up here. Its inode is held: the caller unrefs it. Undefined
 * after the request was answered.
 */
async function presentEntry(
  state: BridgeState,
  request: Request,
  parent: Inode,
  name: string,
): Promise<Loc | undefined> {
  const loc = state.entry(parent, name)
  if (loc.inode.linked) {
    state.graph.inodes.ref(loc.inode)
    return loc
  }
  const reply = await state.graph.top.lookup(state.callers.ctx(request), { loc })
  if (!reply.ok) {
    state.fail(request, reply)
    return undefined
  }
  return { ...loc, gfid: reply.stat.gfid, inode: state.linkInode(loc, reply.stat) }
}

export async function unlink(state: BridgeState, request: Request): Promise<void> {
  const name = request.name()
  const parent = await parentOf(state, request, request.nodeid)
  if (parent === undefined) return
  const loc = await presentEntry(state, request, parent, name)
  if (loc === undefined) return
  const { graph } = state
  const reply = await graph.top.unlink(state.callers.ctx(request), { loc, xflags: 0 })
  if (reply.ok) {
    graph.inodes.unlink(parent, name)
    state.ok(request)
  } else {
    state.fail(request, reply)
  }
  graph.inodes.unref(loc.inode)
}

export async function rmdir(state: BridgeState, request: Request): Promise<void> {
  const name = request.name()
  const parent = await parentOf(state, request, request.nodeid)
  if (parent === undefined) return
  const loc = await presentEntry(state, request, parent, name)
  if (loc === undefined) return
  const { graph } = state
  const ctx = state.callers.ctx(request)
  const node = state.nodes.find(loc.inode.gfid)
  // Who has it open may still ask for its attributes, of which bricks will know nothing. They are asked
  // for ahead of the removal, which does not wait.
  const open = node !== undefined && node.opened > 0
  const asked = open ? graph.top.stat(ctx, { loc: inodeLoc(loc.inode) }) : undefined
  const reply = await graph.top.rmdir(ctx, { loc, xflags: 0 })
  const last = await asked
  if (reply.ok) {
    graph.inodes.unlink(parent, name)
    if (node !== undefined && last?.ok === true) state.depart(node, last.stat)
    state.ok(request)
  } else {
    state.fail(request, reply)
  }
  graph.inodes.unref(loc.inode)
}

export async function rename(state: BridgeState, request: Request): Promise<void> {
  const { newdir } = request.take(RENAME_IN)
  await move(state, request, newdir, 0)
}

export async function rename2(state: BridgeState, request: Request): Promise<void> {
  const { newdir, flags } = request.take(RENAME2_IN)
  await move(state, request, newdir, flags)
}

async function move(
  state: BridgeState,
  request: Request,
  newdir: number,
  flags: number,
): Promise<void> {
  const oldName = request.name()
  const newName = request.name()
  // Exchanging and whiteouts have no fop. NOREPLACE has a look before, for bricks that do not know it.
  if ((flags & ~RENAME_NOREPLACE) !== 0) {
    state.fail(request, failure(Errno.EINVAL))
    return
  }
  const oldParent = await parentOf(state, request, request.nodeid)
  if (oldParent === undefined) return
  const newParent = await parentOf(state, request, newdir)
  if (newParent === undefined) return
  const oldloc = await presentEntry(state, request, oldParent, oldName)
  if (oldloc === undefined) return
  const target = await renameTarget(state, request, newParent, newName, flags)
  const xdata = (flags & RENAME_NOREPLACE) === 0 ? undefined : exclusiveXdata()
  if (target !== undefined) await moveTo(state, request, { oldloc, newloc: target, xdata })
  oldloc.inode.table.unref(oldloc.inode)
}

/** The loc a name moves to, with its inode held. Undefined after the request was answered. */
async function renameTarget(
  state: BridgeState,
  request: Request,
  parent: Inode,
  name: string,
  flags: number,
): Promise<Loc | undefined> {
  const loc = state.entry(parent, name)
  const exclusive = (flags & RENAME_NOREPLACE) !== 0
  if (!exclusive && (loc.inode.linked || !state.switched)) {
    loc.inode.table.ref(loc.inode)
    return loc
  }
  const present = await state.graph.top.lookup(state.callers.ctx(request), { loc })
  if (present.ok && exclusive) {
    state.fail(request, failure(Errno.EEXIST))
    return undefined
  }
  if (present.ok)
    return { ...loc, gfid: present.stat.gfid, inode: state.linkInode(loc, present.stat) }
  if (present.errno === Errno.ENOENT || present.errno === Errno.ESTALE) {
    loc.inode.table.ref(loc.inode)
    return loc
  }
  state.fail(request, present)
  return undefined
}

async function moveTo(
  state: BridgeState,
  request: Request,
  args: FopArgs['rename'],
): Promise<void> {
  const { graph } = state
  const { oldloc, newloc } = args
  const reply = await graph.top.rename(state.callers.ctx(request), args)
  if (reply.ok) {
    graph.inodes.rename(oldloc.parent as Inode, oldloc.name, newloc.parent as Inode, newloc.name)
    state.ok(request)
  } else {
    state.fail(request, reply)
  }
  newloc.inode.table.unref(newloc.inode)
}
