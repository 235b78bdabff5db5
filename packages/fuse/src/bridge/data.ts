/** Open files: opening and closing, reading and writing, allocating, seeking, copying, syncing. */

import {
  assert,
  Errno,
  failure,
  type Failure,
  type Fd,
  inodeLoc,
  type Loan,
  OpenFlag,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import {
  FSYNC_FDATASYNC,
  OPEN_KILL_SUIDGID,
  OUT_HEADER_BYTES,
  READ_LOCKOWNER,
  RELEASE_FLOCK_UNLOCK,
  WRITE_KILL_SUIDGID,
  WRITE_LOCKOWNER,
} from '../protocol/constants.ts'
import {
  COPY_FILE_RANGE_IN,
  COPY_FILE_RANGE_OUT,
  FALLOCATE_IN,
  FLUSH_IN,
  FSYNC_IN,
  LSEEK_IN,
  LSEEK_OUT,
  OPEN_IN,
  OPEN_OUT,
  READ_IN,
  RELEASE_IN,
  WRITE_IN,
  WRITE_OUT,
} from '../protocol/table.ts'
import type { FuseDevice } from '../device.ts'
import { dropPrivileges } from './attributes.ts'
import type { OpenFile } from './files.ts'
import { unlockAll } from './locks.ts'
import type { Node } from './nodes.ts'
import { graphOpenFlags, kernelOpenFlags } from './open-flags.ts'
import type { Request } from './request.ts'
import type { BridgeState } from './state.ts'

/** A write of at least this keeps the buffer it came in; a smaller one is copied out of it. */
const HAND_OVER_BYTES = 512 * 1024

export async function open(state: BridgeState, request: Request): Promise<void> {
  const { flags, openFlags } = request.take(OPEN_IN)
  const inode = state.ready(request.nodeid) ?? (await state.resolve(request.nodeid))
  const node = state.nodes.get(request.nodeid)
  if ('ok' in inode || node === undefined) {
    state.failInode(request, 'ok' in inode ? inode : failure(Errno.ESTALE))
    return
  }
  if ((openFlags & OPEN_KILL_SUIDGID) !== 0) {
    const problem = await dropUnasked(state, node)
    if (problem !== undefined) return state.failInode(request, problem)
  }
  const { graph } = state
  const mapped = graphOpenFlags(flags)
  const fd = graph.openFd(inode, { flags: mapped, pid: request.pid })
  const ctx = state.callers.ctx(request)
  const reply = await graph.top.open(ctx, { loc: inodeLoc(inode), fd, flags: mapped })
  if (!reply.ok) {
    fd.unref()
    state.failInode(request, reply)
    return
  }
  const file = state.files.add(node, fd.bind())
  OPEN_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, {
    fh: file.handle,
    openFlags: kernelOpenFlags(state, node),
    backingId: 0,
  })
  if (!state.device.reply(request.unique, OPEN_OUT.size)) state.files.remove(file.handle)
}

export async function read(state: BridgeState, request: Request): Promise<void> {
  const { fh, offset, size, readFlags, lockOwner, flags } = request.take(READ_IN)
  const file = state.file(request, fh)
  if (file === undefined) return
  const ctx = state.callers.ctx(request, (readFlags & READ_LOCKOWNER) === 0 ? '' : lockOwner)
  const fd = file.fd.ref()
  const reply = await state.graph.top.readv(ctx, { fd, size, offset, flags })
  fd.unref()
  if (!reply.ok) state.failInode(request, reply)
  else if (reply.data.length <= size) state.device.replyBytes(request.unique, reply.data)
  else state.device.replyBytes(request.unique, reply.data.subarray(0, size))
  if (reply.ok) reply.done?.()
}

export async function write(state: BridgeState, request: Request): Promise<void> {
  const { fh, offset, size, writeFlags, lockOwner, flags } = request.take(WRITE_IN)
  const file = state.file(request, fh)
  if (file === undefined) return
  if (!Number.isSafeInteger(offset + size)) {
    state.fail(request, failure(Errno.EFBIG))
    return
  }
  const loan = lend(state, request, size)
  const data = loan === undefined ? request.bytes(size) : loan.data
  const ctx = state.callers.ctx(request, (writeFlags & WRITE_LOCKOWNER) === 0 ? '' : lockOwner)
  if ((writeFlags & WRITE_KILL_SUIDGID) !== 0 && (file.node.mode & 0o6000) !== 0) {
    const problem = await dropUnasked(state, file.node)
    if (problem !== undefined) return state.failInode(request, problem)
  }
  file.dirty = true
  const fd = file.fd.ref()
  const reply = await state.graph.top.writev(ctx, { fd, data, offset, flags, loan })
  fd.unref()
  if (!reply.ok) {
    state.failInode(request, reply)
    return
  }
  WRITE_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, { size: reply.written })
  state.device.reply(request.unique, WRITE_OUT.size)
  // After a failure a broken connection may still be reading the memory.
  loan?.release()
}

/** Drops set-id bits in passing: the kernel learns of it apart from the reply, and before it. */
async function dropUnasked(state: BridgeState, node: Node): Promise<Failure | undefined> {
  const before = node.mode
  const problem = await dropPrivileges(state, node)
  if (node.mode !== before) state.invalidations.attributesNow(node.inode)
  return problem
}

/** The buffer in which a large write came, until nobody uses its data. */
class BufferLoan implements Loan {
  readonly data: Buffer
  readonly #device: FuseDevice
  readonly #buffer: Buffer
  #users = 1

  constructor(device: FuseDevice, buffer: Buffer, data: Buffer) {
    this.#device = device
    this.#buffer = buffer
    this.data = data
  }

  keep(): void {
    this.#users += 1
  }

  release(): void {
    this.#users -= 1
    assert(this.#users >= 0, 'a loan is released once for each that kept it')
    if (this.#users === 0) this.#device.giveBuffer(this.#buffer)
  }
}

/** Takes the buffer of a large write; a small one is to be copied out of it. */
function lend(state: BridgeState, request: Request, size: number): BufferLoan | undefined {
  if (size < HAND_OVER_BYTES || request.copied) return undefined
  const { buffer, at } = request
  state.device.takeBuffer(buffer)
  return new BufferLoan(state.device, buffer, buffer.subarray(at, Math.min(at + size, request.end)))
}

/**
 * A descriptor is closed. Bricks must know when data may still be on its way, or when the owner may
 * hold locks that end now; otherwise there is nothing to tell them.
 */
export async function flush(state: BridgeState, request: Request): Promise<void> {
  const { fh, lockOwner } = request.take(FLUSH_IN)
  const file = state.file(request, fh)
  if (file === undefined) return
  if (!file.dirty && !file.node.locked) {
    state.ok(request)
    return
  }
  file.dirty = false
  const fd = file.fd.ref()
  const reply = await state.graph.top.flush(state.callers.ctx(request, lockOwner), { fd })
  fd.unref()
  state.files.closed(file.node, lockOwner)
  if (reply.ok) state.ok(request)
  else state.failInode(request, reply)
}

/** The last descriptor of an open file is gone. Nobody waits for what that does to the graph. */
export async function release(state: BridgeState, request: Request): Promise<void> {
  const { fh, releaseFlags, lockOwner } = request.take(RELEASE_IN)
  const file = state.files.get(fh)
  if (file !== undefined && (releaseFlags & RELEASE_FLOCK_UNLOCK) !== 0)
    await unlockAll(state, request, file, lockOwner)
  state.files.remove(fh)
  state.ok(request)
}

export async function fsync(state: BridgeState, request: Request): Promise<void> {
  const { fh, fsyncFlags } = request.take(FSYNC_IN)
  const file = state.file(request, fh)
  if (file === undefined) return
  const fd = file.fd.ref()
  const datasync = (fsyncFlags & FSYNC_FDATASYNC) !== 0
  const reply = await state.graph.top.fsync(state.callers.ctx(request), { fd, datasync })
  fd.unref()
  if (reply.ok) state.ok(request)
  else state.failInode(request, reply)
}

/** Everything written through this mount goes to the disks. */
export async function syncfs(state: BridgeState, request: Request): Promise<void> {
  const ctx = state.callers.ctx(request)
  for (const file of state.files) {
    const writable = (file.fd.flags & OpenFlag.ACCMODE) !== OpenFlag.RDONLY
    if (file.broken || !writable || file.fd.references === 0) continue
    const fd = file.fd.ref()
    const reply = await state.graph.top.fsync(ctx, { fd, datasync: false })
    fd.unref()
    if (!reply.ok) return state.failInode(request, reply)
  }
  state.ok(request)
}

export async function fallocate(state: BridgeState, request: Request): Promise<void> {
  const { fh, offset, length, mode } = request.take(FALLOCATE_IN)
  const file = state.file(request, fh)
  if (file === undefined) return
  if (!Number.isSafeInteger(offset + length)) {
    state.fail(request, failure(Errno.EFBIG))
    return
  }
  // The kernel says nothing of privileges here; only root is sure to have them.
  if (request.uid !== 0 && (file.node.mode & 0o6000) !== 0) {
    const problem = await dropUnasked(state, file.node)
    if (problem !== undefined) return state.failInode(request, problem)
  }
  file.dirty = true
  const fd = file.fd.ref()
  const problem = await allocate(state, request, fd, { mode, offset, length })
  fd.unref()
  if (problem === undefined) state.ok(request)
  else state.failInode(request, problem)
}

async function allocate(
  state: BridgeState,
  request: Request,
  fd: Fd,
  range: { mode: number; offset: number; length: number },
): Promise<Failure | undefined> {
  const { mode, offset, length } = range
  const { top } = state.graph
  const ctx = state.callers.ctx(request)
  const keepSize = (mode & sys.FALLOC_FL_KEEP_SIZE) !== 0
  if ((mode & ~sys.FALLOC_FL_KEEP_SIZE) === 0) {
    const reply = await top.fallocate(ctx, { fd, flags: mode, offset, length })
    return reply.ok ? undefined : reply
  }
  if (mode === (sys.FALLOC_FL_PUNCH_HOLE | sys.FALLOC_FL_KEEP_SIZE)) {
    const reply = await top.discard(ctx, { fd, offset, length })
    return reply.ok ? undefined : reply
  }
  if ((mode & ~sys.FALLOC_FL_KEEP_SIZE) !== sys.FALLOC_FL_ZERO_RANGE)
    return failure(Errno.EOPNOTSUPP)
  // zerofill lets the file grow: with KEEP_SIZE it must end where the file does.
  let zeroed = length
  if (keepSize) {
    const now = await top.fstat(ctx, { fd })
    if (!now.ok) return now
    zeroed = Math.min(length, now.stat.size - offset)
  }
  if (zeroed > 0) {
    const reply = await top.zerofill(ctx, { fd, offset, length: zeroed })
    if (!reply.ok) return reply
  }
  if (zeroed >= length) return undefined
  // What lies past the end reads as zeros already; the space is promised all the same.
  const rest = Math.max(0, zeroed)
  const reply = await top.fallocate(ctx, {
    fd,
    flags: sys.FALLOC_FL_KEEP_SIZE,
    offset: offset + rest,
    length: length - rest,
  })
  return reply.ok ? undefined : reply
}

export async function lseek(state: BridgeState, request: Request): Promise<void> {
  const { fh, offset, whence } = request.take(LSEEK_IN)
  const file = state.file(request, fh)
  if (file === undefined) return
  if (whence !== sys.SEEK_DATA && whence !== sys.SEEK_HOLE) {
    state.fail(request, failure(Errno.EINVAL))
    return
  }
  // A negative one, as the kernel sends it: lseek(2) calls it beyond the file.
  if (!Number.isSafeInteger(offset)) return state.fail(request, failure(Errno.ENXIO))
  const fd = file.fd.ref()
  const what = whence === sys.SEEK_DATA ? 0 : 1
  const reply = await state.graph.top.seek(state.callers.ctx(request), { fd, offset, what })
  fd.unref()
  if (!reply.ok) {
    state.failInode(request, reply)
    return
  }
  LSEEK_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, { offset: reply.offset })
  state.device.reply(request.unique, LSEEK_OUT.size)
}

/** Copies what the volume can copy by itself; where it cannot, the kernel reads and writes. */
async function copy(
  state: BridgeState,
  request: Request,
  source: OpenFile,
  target: OpenFile,
  range: { sourceOffset: number; targetOffset: number; length: number; flags: number },
): Promise<number | Failure> {
  if (request.uid !== 0 && (target.node.mode & 0o6000) !== 0) {
    const problem = await dropUnasked(state, target.node)
    if (problem !== undefined) return problem
  }
  target.dirty = true
  const from = source.fd.ref()
  const to = target.fd.ref()
  const reply = await state.graph.top.copy_file_range(state.callers.ctx(request), {
    source: from,
    target: to,
    ...range,
  })
  from.unref()
  to.unref()
  return reply.ok ? reply.copied : reply
}

/** Largest copy whose count fits the older reply, a whole number of pages. */
const COPY_BYTES_MAX = 0x7ffff000

async function copyFileRange(
  state: BridgeState,
  request: Request,
  answer: (copied: number) => void,
): Promise<void> {
  const wanted = request.take(COPY_FILE_RANGE_IN)
  const source = state.file(request, wanted.fhIn)
  if (source === undefined) return
  const target = state.file(request, wanted.fhOut)
  if (target === undefined) return
  const copied = await copy(state, request, source, target, {
    sourceOffset: wanted.offsetIn,
    targetOffset: wanted.offsetOut,
    length: Math.min(wanted.length, COPY_BYTES_MAX),
    flags: wanted.flags,
  })
  if (typeof copied === 'number') answer(copied)
  else state.failInode(request, copied)
}

export async function copyFileRange32(state: BridgeState, request: Request): Promise<void> {
  await copyFileRange(state, request, copied => {
    WRITE_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, { size: copied })
    state.device.reply(request.unique, WRITE_OUT.size)
  })
}

export async function copyFileRange64(state: BridgeState, request: Request): Promise<void> {
  await copyFileRange(state, request, copied => {
    COPY_FILE_RANGE_OUT.encode(state.device.scratch, OUT_HEADER_BYTES, { bytesCopied: copied })
    state.device.reply(request.unique, COPY_FILE_RANGE_OUT.size)
  })
}
