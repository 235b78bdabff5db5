/** Directories: opening, listing with and without attributes, syncing. */

import {
  type Dirent,
  type DirentPlus,
  direntType,
  encodeName,
  Errno,
  failure,
  inodeLoc,
  type Inode,
  NULL_GFID,
  OpenFlag,
} from '@ashlar/core'
import { MAX_REQUEST_BYTES } from '../device.ts'
import { FSYNC_FDATASYNC, OUT_HEADER_BYTES } from '../protocol/constants.ts'
import { writeInode } from '../protocol/struct.ts'
import {
  ENTRY_OUT,
  FSYNC_IN,
  OPEN_IN,
  OPEN_OUT,
  READDIR_IN,
  RELEASE_IN,
} from '../protocol/table.ts'
import { DirectoryStream, type PieceSource } from './directory-stream.ts'
import type { OpenFile } from './files.ts'
import type { Request } from './request.ts'
import type { BridgeState } from './state.ts'

export async function opendir(state: BridgeState, request: Request): Promise<void> {
  const { flags } = request.take(OPEN_IN)
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  const node = state.nodes.get(request.nodeid)
  if ('ok' in inode || node === undefined) {
    state.failInode(request, 'ok' in inode ? inode : failure(Errno.ESTALE))
    return
  }
  const { graph } = state
  const fd = graph.openFd(inode, { flags: flags & OpenFlag.ACCMODE, pid: request.pid })
  const reply = await graph.top.opendir(state.callers.ctx(request), { loc: inodeLoc(inode), fd })
  if (!reply.ok) {
    fd.unref()
    state.failInode(request, reply)
    return
  }
  const file = state.files.add(node, fd.bind())
  const out = { fh: file.handle, openFlags: 0, backingId: 0 }
  OPEN_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, out)
  if (!state.device.reply(request.unique, OPEN_OUT.size)) state.files.remove(file.handle)
}

export function releasedir(state: BridgeState, request: Request): void {
  const { fh } = request.take(RELEASE_IN)
  state.files.remove(fh)
  state.ok(request)
}

export async function fsyncdir(state: BridgeState, request: Request): Promise<void> {
  const { fh, fsyncFlags } = request.take(FSYNC_IN)
  const file = state.file(request, fh)
  if (file === undefined) return
  const fd = file.fd.ref()
  const datasync = (fsyncFlags & FSYNC_FDATASYNC) !== 0
  const reply = await state.graph.top.fsyncdir(state.callers.ctx(request), { fd, datasync })
  fd.unref()
  if (reply.ok) state.ok(request)
  else state.failInode(request, reply)
}

export async function readdir(state: BridgeState, request: Request): Promise<void> {
  await list(state, request, false)
}

export async function readdirplus(state: BridgeState, request: Request): Promise<void> {
  await list(state, request, true)
}

/** Replies of listings are put together here: the graph answers, then all is synchronous. */
const listing = Buffer.allocUnsafeSlow(MAX_REQUEST_BYTES)
/** `struct fuse_dirent` before its name. */
const DIRENT_BYTES = 24

async function list(state: BridgeState, request: Request, plus: boolean): Promise<void> {
  const { fh, offset, size } = request.take(READDIR_IN)
  const file = state.file(request, fh)
  if (file === undefined) return
  if (state.departed.has(file.node)) {
    state.device.replyBytes(request.unique, listing.subarray(0, 0))
    return
  }
  const stream = (file.stream ??= new DirectoryStream())
  const source: PieceSource = {
    graph: state.graph,
    fd: file.fd,
    ctx: state.callers.ctx(request),
    plus,
    now: state.env.clock.monotonic(),
  }
  const piece = await stream.at(source, offset)
  if ('ok' in piece) {
    state.failInode(request, piece)
    return
  }
  const limit = Math.min(size, listing.length)
  let length = 0
  let index = stream.index
  let cookie = offset
  for (; index < piece.entries.length; index++) {
    const entry = piece.entries[index] as Dirent | DirentPlus
    const written = plus
      ? writePlus(state, file, entry as DirentPlus, length, limit)
      : writeDirent(state, entry, length, limit)
    if (written === 0) break
    length += written
    cookie = entry.offset
  }
  if (length === 0 && index < piece.entries.length) {
    state.fail(request, failure(Errno.EINVAL))
    return
  }
  if (length > 0) stream.advance(source, index, cookie)
  state.device.replyBytes(request.unique, listing.subarray(0, length))
}

/** Bytes written, or 0 when the entry does not fit before `limit`. */
function writeDirent(state: BridgeState, entry: Dirent, at: number, limit: number): number {
  const { name } = entry
  // Three bytes are the most that a character of a JavaScript string takes.
  const certain = at + DIRENT_BYTES + name.length * 3 + 8 <= limit
  if (!certain && at + padded(DIRENT_BYTES + encodeName(name).length) > limit) return 0
  let length: number
  if (name.isWellFormed()) length = listing.utf8Write(name, at + DIRENT_BYTES)
  else length = encodeName(name).copy(listing, at + DIRENT_BYTES)
  const end = padded(DIRENT_BYTES + length)
  listing.fill(0, at + DIRENT_BYTES + length, at + end)
  listing.writeBigUInt64LE(BigInt.asUintN(64, state.shownInode(entry.ino)), at)
  listing.writeBigUInt64LE(BigInt.asUintN(64, entry.offset), at + 8)
  listing.writeUInt32LE(length, at + 16)
  listing.writeUInt32LE(entry.type, at + 20)
  return end
}

function padded(length: number): number {
  return (length + 7) & ~7
}

/** An entry with its attributes; one whose attributes are not known is looked up by the kernel. */
function writePlus(
  state: BridgeState,
  file: OpenFile,
  entry: DirentPlus,
  at: number,
  limit: number,
): number {
  if (at + ENTRY_OUT.size > limit) return 0
  const written = writeDirent(state, entry, at + ENTRY_OUT.size, limit)
  if (written === 0) return 0
  const { stat, name } = entry
  const dots = name === '.' || name === '..'
  if (dots || stat.gfid === NULL_GFID || stat.mode === 0) {
    listing.fill(0, at, at + ENTRY_OUT.size)
    return ENTRY_OUT.size + written
  }
  const shown = state.shown(stat)
  state.writeEntry(listing, at, file.node.id, learn(state, file, entry), stat)
  writeInode(listing, at + ENTRY_OUT.size, shown)
  listing.writeUInt32LE(direntType(stat.mode), at + ENTRY_OUT.size + 20)
  return ENTRY_OUT.size + written
}

/** Takes an entry into the inode table and tells the kernel of it; the result is its nodeid. */
function learn(state: BridgeState, file: OpenFile, entry: DirentPlus): number {
  const { inodes } = state.graph
  const { stat, name } = entry
  const known = inodes.find(stat.gfid)
  const candidate = known ?? inodes.create()
  inodes.ref(candidate)
  const parent: Inode | undefined = file.fd.inode.table === inodes ? file.fd.inode : undefined
  const inode = inodes.link(candidate, { gfid: stat.gfid, type: stat.type }, parent, name)
  if (known === undefined) inode.needsLookup = true
  const node = state.nodes.tell(inode, stat.mode)
  inodes.unref(candidate)
  return node.id
}
