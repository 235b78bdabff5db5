/** Locks of the local kernel: fcntl's (of the process or of the open file) and flock. */

import { native, outcome, outcomeLater } from './ffi.ts'

const fcntlCall = native('int fcntl(int, int, void *)')
const fcntlLongCall = native('int fcntl(int, int, long)')
const flockCall = native('int flock(int, int)')

/** `struct flock` of 64-bit Linux. `pid` is 0 for OFD locks. */
export interface FileLock {
  type: number
  whence: number
  start: number
  /** 0 = to the end of the file. */
  len: number
  pid: number
}

const scratch = Buffer.alloc(32)

/**
 * `command`: F_GETLK, F_SETLK, F_OFD_*. After a GETLK `lock` is the one in the way, or has type
 * F_UNLCK. 0 or −errno. The waiting commands block the whole process: never for the fop path.
 */
export function fcntlLock(fd: number, command: number, lock: FileLock): number {
  scratch.fill(0)
  scratch.writeInt16LE(lock.type, 0)
  scratch.writeInt16LE(lock.whence, 2)
  scratch.writeBigInt64LE(BigInt(lock.start), 8)
  scratch.writeBigInt64LE(BigInt(lock.len), 16)
  scratch.writeInt32LE(lock.pid, 24)
  const result = outcome(fcntlCall(fd, command, scratch))
  if (result < 0) return result
  lock.type = scratch.readInt16LE(0)
  lock.whence = scratch.readInt16LE(2)
  lock.start = Number(scratch.readBigInt64LE(8))
  lock.len = Number(scratch.readBigInt64LE(16))
  lock.pid = scratch.readInt32LE(24)
  return result
}

/** fcntl with a plain number: F_GETFL, F_SETFL. */
export function fcntl(fd: number, command: number, value = 0): number {
  return outcome(fcntlLongCall(fd, command, value))
}

/** `operation`: LOCK_*; give LOCK_NB, or use the other form. */
export function flock(fd: number, operation: number): number {
  return outcome(flockCall(fd, operation))
}

export function flockAsync(fd: number, operation: number): Promise<number> {
  return outcomeLater(flockCall, fd, operation)
}
