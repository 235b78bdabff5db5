/**
 * Extended attributes, and which of them the kernel may see or set
 * (xlators/mount/fuse/src/fuse-bridge.c).
 *
 * The kernel asks for `security.*` at every turn: those that are not enabled are answered here.
 */

import {
  type Ctx,
  Dict,
  Errno,
  encodeName,
  failure,
  gfidText,
  gfidToBytes,
  type Inode,
  inodeLoc,
  nameByteLength,
  type Reply,
  SpecialPid,
  valueBytes,
} from '@ashlar/core'
import { Init, OUT_HEADER_BYTES, SETXATTR_ACL_KILL_SGID } from '../protocol/constants.ts'
import { GETXATTR_IN, GETXATTR_OUT, SETXATTR_EXT_IN, SETXATTR_IN } from '../protocol/table.ts'
import { dropGroupPrivilege } from './attributes.ts'
import type { FullBridgeOptions } from './options.ts'
import type { Request } from './request.ts'
import type { BridgeState } from './state.ts'

const ACL_PREFIX = 'system.posix_acl_'
/** The identity of a file and of its volume are nobody's to change. */
const IDENTITIES: ReadonlySet<string> = new Set(['trusted.gfid', 'trusted.glusterfs.volume-id'])
const NO_ANSWER = new Set<number>([Errno.ENOENT, Errno.ESTALE])

/** What a gsyncd mount may set; the rest of what it copies is another volume's business. */
const GSYNCD_MAY_SET =
  /^(user\.|trusted\.SGI_|system\.posix_acl_|glusterfs\.gfid\.newfile$|trusted\.glusterfs\.shard\.|trusted\.glusterfs\.lockinfo$|trusted\.glusterfs\.volume-mark|trusted\.glusterfs\.[^.]+\.xtime$)/

/** The errno for a name that this mount does not carry, or undefined. */
function refusal(name: string, options: FullBridgeOptions): number | undefined {
  if (name.startsWith(ACL_PREFIX)) return options.acl ? undefined : Errno.EOPNOTSUPP
  if (name === 'security.selinux') return options.selinux ? undefined : Errno.EOPNOTSUPP
  if (name === 'security.capability')
    return options.capability || options.selinux ? undefined : Errno.EOPNOTSUPP
  return undefined
}

export async function setxattr(state: BridgeState, request: Request): Promise<void> {
  const extended = ((state.session?.flags ?? 0) & Init.SETXATTR_EXT) !== 0
  const head = extended
    ? request.take(SETXATTR_EXT_IN)
    : { ...request.take(SETXATTR_IN), setxattrFlags: 0 }
  const name = request.name()
  const value = request.bytes(head.size)
  const refused = IDENTITIES.has(name) ? Errno.EPERM : refusal(name, state.options)
  if (refused !== undefined) return state.fail(request, failure(refused))
  if (state.options.clientPid === SpecialPid.GSYNCD && !GSYNCD_MAY_SET.test(name))
    return state.ok(request)
  if (name === 'inode-invalidate') {
    const node = state.nodes.get(request.nodeid)
    if (node !== undefined) state.invalidations.names(node.inode)
    return state.ok(request)
  }
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  if ('ok' in inode) return state.failInode(request, inode)
  const ctx = state.callers.ctx(request)
  const { top } = state.graph
  const args = { dict: new Dict().setBytes(name, value), flags: head.flags }
  let reply: Reply<'setxattr'> = await top.setxattr(ctx, { loc: inodeLoc(inode), ...args })
  if (!reply.ok && NO_ANSWER.has(reply.errno)) {
    const fd = state.openFd(inode)
    if (fd !== undefined) reply = await top.fsetxattr(ctx, { fd, ...args })
  }
  if (!reply.ok) return state.failInode(request, reply)
  if ((head.setxattrFlags & SETXATTR_ACL_KILL_SGID) !== 0) {
    const problem = await dropGroupPrivilege(state, request.nodeid)
    if (problem !== undefined) return state.failInode(request, problem)
  }
  state.ok(request)
}

export async function removexattr(state: BridgeState, request: Request): Promise<void> {
  const name = request.name()
  const refused = IDENTITIES.has(name) ? Errno.EPERM : refusal(name, state.options)
  if (refused !== undefined) return state.fail(request, failure(refused))
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  if ('ok' in inode) return state.failInode(request, inode)
  const ctx = state.callers.ctx(request)
  const { top } = state.graph
  let reply: Reply<'removexattr'> = await top.removexattr(ctx, { loc: inodeLoc(inode), name })
  if (!reply.ok && NO_ANSWER.has(reply.errno)) {
    const fd = state.openFd(inode)
    if (fd !== undefined) reply = await top.fremovexattr(ctx, { fd, name })
  }
  if (reply.ok) state.ok(request)
  else state.failInode(request, reply)
}

export async function getxattr(state: BridgeState, request: Request): Promise<void> {
  const { size } = request.take(GETXATTR_IN)
  const name = request.name()
  const { options } = state
  const refused = refusal(name, options)
  if (refused !== undefined) {
    const errno = name.startsWith(ACL_PREFIX) ? Errno.EOPNOTSUPP : Errno.ENODATA
    return state.fail(request, failure(errno))
  }
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  if ('ok' in inode) return state.failInode(request, inode)
  if (name === 'glusterfs.gfid') return answer(state, request, size, gfidToBytes(inode.gfid))
  if (name === 'glusterfs.gfid.string')
    return answer(state, request, size, Buffer.from(gfidText(inode.gfid)))
  const reply = await fetch(state, state.callers.ctx(request), inode, name)
  if (!reply.ok) return state.failInode(request, reply)
  const entry = reply.dict.get(name)
  const value = entry === undefined ? undefined : valueBytes(entry)
  if (value === undefined) state.fail(request, failure(Errno.ENODATA))
  else answer(state, request, size, value)
}

async function fetch(
  state: BridgeState,
  ctx: Ctx,
  inode: Inode,
  name: string,
): Promise<Reply<'getxattr'>> {
  const { top } = state.graph
  const reply = await top.getxattr(ctx, { loc: inodeLoc(inode), name })
  if (reply.ok || !NO_ANSWER.has(reply.errno)) return reply
  const fd = state.openFd(inode)
  return fd === undefined ? reply : await top.fgetxattr(ctx, { fd, name })
}

export async function listxattr(state: BridgeState, request: Request): Promise<void> {
  const { size } = request.take(GETXATTR_IN)
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  if ('ok' in inode) return state.failInode(request, inode)
  const reply = await fetch(state, state.callers.ctx(request), inode, '')
  if (!reply.ok) return state.failInode(request, reply)
  const names: string[] = []
  let length = 0
  for (const name of reply.dict.keys()) {
    if (hidden(name, state.options)) continue
    names.push(name)
    length += nameByteLength(name) + 1
  }
  const list = Buffer.alloc(length)
  let at = 0
  for (const name of names) at += encodeName(name).copy(list, at) + 1
  answer(state, request, size, list)
}

/** Names of GlusterFS's own that no user sees in a list. */
function hidden(name: string, options: FullBridgeOptions): boolean {
  if (name.startsWith('glusterfs.')) return true
  if (options.clientPid === SpecialPid.GSYNCD && name.includes('.selinux')) return true
  return !options.acl && name.startsWith(ACL_PREFIX)
}

/** With size 0 the kernel asks how long the value is. */
function answer(state: BridgeState, request: Request, size: number, value: Buffer): void {
  if (size === 0) {
    GETXATTR_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, { size: value.length })
    state.device.reply(request.unique, GETXATTR_OUT.size)
  } else if (value.length > size) {
    state.fail(request, failure(Errno.ERANGE))
  } else {
    state.device.replyBytes(request.unique, value)
  }
}
