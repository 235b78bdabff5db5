/** How the C library's allocator treats memory that this process has given back. */

import { nativeIfPresent } from './ffi.ts'

/** GNU C library alone; others have no such settings. */
const malloptCall = nativeIfPresent('int mallopt(int, int)')

/** Parameters of mallopt(3). */
const M_TRIM_THRESHOLD = -1
const M_MMAP_THRESHOLD = -3
/** The most that the C library takes for it (DEFAULT_MMAP_THRESHOLD_MAX on 64 bits). */
const MMAP_BYTES_MAX = 32 * 1024 * 1024

/**
 * Keeps up to `bytes` of freed memory for later use. Without it each buffer of a megabyte is mapped
 * anew, and every page of it faults in again: a brick that read a large file spent four fifths of its
 * processor time with that.
 */
export function keepFreedMemory(bytes: number): void {
  if (malloptCall === undefined) return
  malloptCall(M_MMAP_THRESHOLD, MMAP_BYTES_MAX)
  malloptCall(M_TRIM_THRESHOLD, bytes)
}
