/** File system totals: statvfs(3) as core's Statfs. */

import type { Statfs } from '@ashlar/core'
import { native, outcome, text } from './ffi.ts'

const statvfsCall = native('int statvfs(str, void *)')
const fstatvfsCall = native('int fstatvfs(int, void *)')

/** glibc and musl, 64 bits: eleven longs and padding. */
const STATVFS_BYTES = 128
const scratch = Buffer.from(new ArrayBuffer(STATVFS_BYTES))
const longs = new BigUint64Array(scratch.buffer)

function long(at: number): number {
  return Number(longs[at])
}

function decode(result: number): Statfs | number {
  if (result < 0) return outcome(result)
  return {
    bsize: long(0),
    frsize: long(1),
    blocks: long(2),
    bfree: long(3),
    bavail: long(4),
    files: long(5),
    ffree: long(6),
    favail: long(7),
    fsid: longs[8] as bigint,
    flag: long(9),
    namemax: long(10),
  }
}

/** Totals of the file system that holds `path`, or −errno. */
export function statvfs(path: string): Statfs | number {
  return decode(statvfsCall(text(path), scratch))
}

/** Totals of the file system of an open file, or −errno. */
export function fstatvfs(fd: number): Statfs | number {
  return decode(fstatvfsCall(fd, scratch))
}
