/**
 * Attributes of files: statx(2) into an object that the caller uses again and again.
 *
 * The structure is the same on every architecture (linux/stat.h `struct statx`), and is decoded
 * through typed arrays over one scratch buffer: no allocation per call.
 */

import { majorOf, makedev, minorOf } from '@ashlar/core'
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from './constants.ts'
import { native, outcome, text } from './ffi.ts'

export { majorOf, makedev, minorOf }

/** What is known of a file. Sizes in bytes, `blocks` in 512 bytes, times in seconds and nanoseconds. */
export class Stat {
  mode = 0
  nlink = 0
  uid = 0
  gid = 0
  size = 0
  blocks = 0
  blksize = 0
  /** A bigint only past 2^53, so that equal inode numbers are always `===`. */
  ino: number | bigint = 0
  /** As the kernel encodes device numbers for users (`makedev`). */
  dev = 0
  rdev = 0
  atime = 0
  atimeNsec = 0
  mtime = 0
  mtimeNsec = 0
  ctime = 0
  ctimeNsec = 0
  /** Birth; 0 where the file system keeps none. */
  btime = 0
  btimeNsec = 0
}

/** STATX_BASIC_STATS | STATX_BTIME. */
const WANTED = 0xfff
const STATX_BYTES = 256
const TWO_32 = 2 ** 32
/** High words from here on do not fit a double. */
const HIGH_WORD_LIMIT = 2 ** 21

const statxCall = native('int statx(int, str, int, uint, void *)')
const scratch = Buffer.from(new ArrayBuffer(STATX_BYTES))
const words = new Uint32Array(scratch.buffer)
const signed = new Int32Array(scratch.buffer)
const halves = new Uint16Array(scratch.buffer)

/** Positions of the halves of a 64-bit word, by the byte order of this machine. */
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const HIGH = 1 - LOW

/**
 * Stats `path` under `dirfd`. A symbolic link is never followed unless
 * `follow` is set. 0 or −errno, and `out` changes only on success.
 */
export function statat(dirfd: number, path: string, out: Stat, follow = false): number {
  const flags = follow ? 0 : AT_SYMLINK_NOFOLLOW
  const result = statxCall(dirfd, text(path), flags, WANTED, scratch)
  if (result < 0) return outcome(result)
  decode(out)
  return 0
}

/** Stats an open file. 0 or −errno. */
export function fstat(fd: number, out: Stat): number {
  const result = statxCall(fd, '', AT_EMPTY_PATH, WANTED, scratch)
  if (result < 0) return outcome(result)
  decode(out)
  return 0
}

function long(word: number): number {
  return (words[word + HIGH] as number) * TWO_32 + (words[word + LOW] as number)
}

function seconds(word: number): number {
  return (signed[word + HIGH] as number) * TWO_32 + (words[word + LOW] as number)
}

// Word numbers are the byte offsets of `struct statx` divided by four.
function decode(out: Stat): void {
  out.blksize = words[1] as number
  out.nlink = words[4] as number
  out.uid = words[5] as number
  out.gid = words[6] as number
  out.mode = halves[14] as number
  const inoHigh = words[8 + HIGH] as number
  const inoLow = words[8 + LOW] as number
  out.ino =
    inoHigh < HIGH_WORD_LIMIT
      ? inoHigh * TWO_32 + inoLow
      : (BigInt(inoHigh) << 32n) | BigInt(inoLow)
  out.size = long(10)
  out.blocks = long(12)
  out.atime = seconds(16)
  out.atimeNsec = words[18] as number
  out.btime = seconds(20)
  out.btimeNsec = words[22] as number
  out.ctime = seconds(24)
  out.ctimeNsec = words[26] as number
  out.mtime = seconds(28)
  out.mtimeNsec = words[30] as number
  out.rdev = makedev(words[32] as number, words[33] as number)
  out.dev = makedev(words[34] as number, words[35] as number)
}
