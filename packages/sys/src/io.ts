/**
 * Data of open files: read, write, allocate, seek, copy, sync. Counts or offsets ≥ 0, or −errno.
 *
 * The plain forms block the caller; those ending in `Async` run on a thread and must be given
 * buffers that nobody touches until they are done.
 */

import {
  close as nodeClose,
  closeSync as nodeCloseSync,
  fdatasync as nodeFdatasync,
  fsync as nodeFsync,
  read as nodeRead,
  write as nodeWrite,
} from 'node:fs'
import { Errno } from '@ashlar/core'
import { addressOf, native, nativeIfPresent, outcome, outcomeLater } from './ffi.ts'

const readCall = native('long read(int, void *, size_t)')
const writeCall = native('long write(int, void *, size_t)')
const preadCall = native('long pread(int, void *, size_t, int64_t)')
const pwriteCall = native('long pwrite(int, void *, size_t, int64_t)')
const preadv2Call = native('long preadv2(int, void *, int, int64_t, int)')
const writevCall = native('long writev(int, void *, int)')
const pwritevCall = native('long pwritev(int, void *, int, int64_t)')
const fallocateCall = native('int fallocate(int, int, int64_t, int64_t)')
const lseekCall = native('int64_t lseek(int, int64_t, int)')
const copyCall = nativeIfPresent('long copy_file_range(int, void *, int, void *, size_t, uint)')
const fsyncCall = native('int fsync(int)')
const fdatasyncCall = native('int fdatasync(int)')
const syncfsCall = native('int syncfs(int)')

/** Buffers of one gathered write (limits.h IOV_MAX). */
export const IOV_MAX = 1024
const vector = Buffer.from(new ArrayBuffer(IOV_MAX * 16))
const vectorLongs = new BigUint64Array(vector.buffer)
const NONE: readonly Uint8Array[] = []
/** Holds what the vector points to while the kernel uses it. */
const pinned: { buffers: readonly Uint8Array[] } = { buffers: NONE }

function fillVector(buffers: readonly Uint8Array[]): number {
  pinned.buffers = buffers
  const count = Math.min(buffers.length, IOV_MAX)
  for (let i = 0; i < count; i++) {
    const buffer = buffers[i] as Uint8Array
    vectorLongs[i * 2] = addressOf(buffer)
    vectorLongs[i * 2 + 1] = BigInt(buffer.length)
  }
  return count
}

function unpin(result: number): number {
  const value = outcome(result)
  pinned.buffers = NONE
  return value
}

export function read(fd: number, buffer: Buffer): number {
  return outcome(readCall(fd, buffer, buffer.length))
}

export function write(fd: number, buffer: Buffer, length = buffer.length): number {
  return outcome(writeCall(fd, buffer, length))
}

export function pread(fd: number, buffer: Buffer, offset: number): number {
  return outcome(preadCall(fd, buffer, buffer.length, offset))
}

export function pwrite(fd: number, buffer: Buffer, offset: number): number {
  return outcome(pwriteCall(fd, buffer, buffer.length, offset))
}

/** With RWF_NOWAIT: −EAGAIN when the data is not in memory, −EOPNOTSUPP where that is unknown. */
export function preadv2(fd: number, buffer: Buffer, offset: number, flags: number): number {
  fillVector([buffer])
  return unpin(preadv2Call(fd, vector, 1, offset, flags))
}

/** Gathers at most IOV_MAX buffers into one write. */
export function writev(fd: number, buffers: readonly Uint8Array[]): number {
  const count = fillVector(buffers)
  return unpin(writevCall(fd, vector, count))
}

export function pwritev(fd: number, buffers: readonly Uint8Array[], offset: number): number {
  const count = fillVector(buffers)
  return unpin(pwritevCall(fd, vector, count, offset))
}

/** `mode`: FALLOC_FL_*. */
export function fallocate(fd: number, mode: number, offset: number, length: number): number {
  return outcome(fallocateCall(fd, mode, offset, length))
}

export function lseek(fd: number, offset: number, whence: number): number {
  return outcome(lseekCall(fd, offset, whence))
}

/** Copies without moving data through this process where the file systems can. */
export function copyFileRange(range: CopyRange): number {
  if (copyCall === undefined) return -Errno.ENOSYS
  fillOffsets(copyOffsets, range)
  return outcome(
    copyCall(range.source, copyIn, range.target, copyOut, range.length, range.flags ?? 0),
  )
}

export interface CopyRange {
  readonly source: number
  readonly sourceOffset: number
  readonly target: number
  readonly targetOffset: number
  readonly length: number
  readonly flags?: number
}

const copyOffsets = Buffer.alloc(16)
const copyIn = copyOffsets.subarray(0, 8)
const copyOut = copyOffsets.subarray(8)

function fillOffsets(offsets: Buffer, range: CopyRange): void {
  offsets.writeBigInt64LE(BigInt(range.sourceOffset), 0)
  offsets.writeBigInt64LE(BigInt(range.targetOffset), 8)
}

export function fsync(fd: number): number {
  return outcome(fsyncCall(fd))
}

export function fdatasync(fd: number): number {
  return outcome(fdatasyncCall(fd))
}

export function syncfs(fd: number): number {
  return outcome(syncfsCall(fd))
}

/** Node's own thread pool serves these four, koffi's threads the rest: a sync storm stalls no read. */
export function preadAsync(fd: number, buffer: Buffer, offset: number): Promise<number> {
  return new Promise(resolve => {
    nodeRead(fd, buffer, 0, buffer.length, offset, (error, count) =>
      resolve(error === null ? count : errnoOf(error)),
    )
  })
}

export function pwriteAsync(fd: number, buffer: Buffer, offset: number): Promise<number> {
  return new Promise(resolve => {
    nodeWrite(fd, buffer, 0, buffer.length, offset, (error, count) =>
      resolve(error === null ? count : errnoOf(error)),
    )
  })
}

export function fsyncAsync(fd: number): Promise<number> {
  return new Promise(resolve => {
    nodeFsync(fd, error => resolve(error === null ? 0 : errnoOf(error)))
  })
}

export function fdatasyncAsync(fd: number): Promise<number> {
  return new Promise(resolve => {
    nodeFdatasync(fd, error => resolve(error === null ? 0 : errnoOf(error)))
  })
}

/** Descriptors that threads are closing at once; what comes beyond is closed by the caller. */
const CLOSING_MAX = 64
let closing = 0

/**
 * Closes the last descriptor of a file that has no name any more. The file system frees its space in
 * that moment, which takes as long as the file is large: a thread waits for it.
 */
export function closeRemoved(fd: number): void {
  if (closing >= CLOSING_MAX) {
    nodeCloseSync(fd)
    return
  }
  closing += 1
  nodeClose(fd, () => {
    closing -= 1
  })
}

/** A write at no offset, for descriptors whose write may wait for this very process (FUSE news). */
export function writeAsync(fd: number, buffer: Buffer): Promise<number> {
  return outcomeLater(writeCall, fd, buffer, buffer.length)
}

export function syncfsAsync(fd: number): Promise<number> {
  return outcomeLater(syncfsCall, fd)
}

export function fallocateAsync(
  fd: number,
  mode: number,
  offset: number,
  length: number,
): Promise<number> {
  return outcomeLater(fallocateCall, fd, mode, offset, length)
}

export function copyFileRangeAsync(range: CopyRange): Promise<number> {
  if (copyCall === undefined) return Promise.resolve(-Errno.ENOSYS)
  const offsets = Buffer.alloc(16)
  fillOffsets(offsets, range)
  return outcomeLater(
    copyCall,
    range.source,
    offsets.subarray(0, 8),
    range.target,
    offsets.subarray(8),
    range.length,
    range.flags ?? 0,
  )
}

/** libuv's error numbers are −errno on Linux. */
function errnoOf(error: NodeJS.ErrnoException): number {
  return error.errno ?? -Errno.EIO
}
