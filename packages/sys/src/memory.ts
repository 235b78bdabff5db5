/** The C library's allocator: what it holds, and how it treats memory that was given back to it. */

import { nativeIfPresent, nativeSizes } from './ffi.ts'

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

/** Members of mallinfo2(3), in their order. */
const MALLINFO_MEMBERS = [
  'arena',
  'ordblks',
  'smblks',
  'hblks',
  'hblkhd',
  'usmblks',
  'fsmblks',
  'uordblks',
  'fordblks',
  'keepcost',
] as const

/** Bytes and blocks of the C library's allocator, as mallinfo2(3) names them. */
export type AllocatorStatistics = Readonly<Record<(typeof MALLINFO_MEMBERS)[number], number>>

/** GNU C library 2.33 and later. */
const mallinfoCall = nativeSizes('mallinfo2', MALLINFO_MEMBERS)

/**
 * What the C library has allocated for this process: native code and buffers, not the objects of
 * JavaScript. Undefined where the library does not tell.
 */
export function allocatorStatistics(): AllocatorStatistics | undefined {
  const told = mallinfoCall?.()
  if (told === undefined) return undefined
  return Object.fromEntries(
    MALLINFO_MEMBERS.map(member => [member, Number(told[member])]),
  ) as AllocatorStatistics
}
