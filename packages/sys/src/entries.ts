/**
 * Names in directories: open, make, link, rename, remove; permissions, owners and times of names.
 * All take a directory descriptor (`AT_FDCWD` for paths as such) and return ≥ 0 or −errno.
 */

import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from './constants.ts'
import { native, outcome, text } from './ffi.ts'

const openatCall = native('int openat(int, str, int, uint)')
const closeCall = native('int close(int)')
const mkdiratCall = native('int mkdirat(int, str, uint)')
const mknodatCall = native('int mknodat(int, str, uint, uint64_t)')
const unlinkatCall = native('int unlinkat(int, str, int)')
const renameat2Call = native('int renameat2(int, str, int, str, uint)')
const linkatCall = native('int linkat(int, str, int, str, int)')
const symlinkatCall = native('int symlinkat(str, int, str)')
const readlinkatCall = native('long readlinkat(int, str, void *, size_t)')
const fchmodatCall = native('int fchmodat(int, str, uint, int)')
const fchmodCall = native('int fchmod(int, uint)')
const fchownatCall = native('int fchownat(int, str, uint, uint, int)')
const utimensatCall = native('int utimensat(int, str, void *, int)')
const futimensCall = native('int futimens(int, void *)')
const truncateCall = native('int truncate(str, int64_t)')
const ftruncateCall = native('int ftruncate(int, int64_t)')
const faccessatCall = native('int faccessat(int, str, int, int)')
const umaskCall = native('uint umask(uint)')
const dupCall = native('int dup(int)')
const dup2Call = native('int dup2(int, int)')

/** Opens; the descriptor never leaks to children only when `flags` has O.CLOEXEC. */
export function openat(dirfd: number, path: string, flags: number, mode = 0): number {
  return outcome(openatCall(dirfd, text(path), flags, mode))
}

export function close(fd: number): number {
  return outcome(closeCall(fd))
}

export function dup(fd: number): number {
  return outcome(dupCall(fd))
}

/** Makes `target` name what `fd` does, closing what it named before. */
export function dup2(fd: number, target: number): number {
  return outcome(dup2Call(fd, target))
}

export function mkdirat(dirfd: number, path: string, mode: number): number {
  return outcome(mkdiratCall(dirfd, text(path), mode))
}

/** `rdev` as in Stat. */
export function mknodat(dirfd: number, path: string, mode: number, rdev: number): number {
  return outcome(mknodatCall(dirfd, text(path), mode, rdev))
}

/** `flags`: AT_REMOVEDIR for rmdir. */
export function unlinkat(dirfd: number, path: string, flags = 0): number {
  return outcome(unlinkatCall(dirfd, text(path), flags))
}

/** `flags`: RENAME_*. */
export function renameat2(
  oldDirfd: number,
  oldPath: string,
  newDirfd: number,
  newPath: string,
  flags = 0,
): number {
  return outcome(renameat2Call(oldDirfd, text(oldPath), newDirfd, text(newPath), flags))
}

/** `flags`: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH. */
export function linkat(
  oldDirfd: number,
  oldPath: string,
  newDirfd: number,
  newPath: string,
  flags = 0,
): number {
  return outcome(linkatCall(oldDirfd, text(oldPath), newDirfd, text(newPath), flags))
}

export function symlinkat(target: string, dirfd: number, path: string): number {
  return outcome(symlinkatCall(text(target), dirfd, text(path)))
}

/** Writes the link's target into `target`; its length (cut to the buffer's) or −errno. */
export function readlinkat(dirfd: number, path: string, target: Buffer): number {
  return outcome(readlinkatCall(dirfd, text(path), target, target.length))
}

/** Follows symbolic links, as the kernel offers nothing else. */
export function fchmodat(dirfd: number, path: string, mode: number): number {
  return outcome(fchmodatCall(dirfd, text(path), mode, 0))
}

export function fchmod(fd: number, mode: number): number {
  return outcome(fchmodCall(fd, mode))
}

/** Leave uid or gid alone with this. */
export const KEEP_ID = 0xffffffff

/** Never follows a symbolic link. */
export function fchownat(dirfd: number, path: string, uid: number, gid: number): number {
  return outcome(fchownatCall(dirfd, text(path), uid, gid, AT_SYMLINK_NOFOLLOW))
}

export function fchown(fd: number, uid: number, gid: number): number {
  return outcome(fchownatCall(fd, '', uid, gid, AT_EMPTY_PATH))
}

/** Nanosecond values with a meaning of their own (linux/stat.h). */
export const UTIME_NOW = 0x3fffffff
export const UTIME_OMIT = 0x3ffffffe

/** Seconds and nanoseconds; `UTIME_NOW` or `UTIME_OMIT` in place of the latter. */
export interface Times {
  readonly atime: number
  readonly atimeNsec: number
  readonly mtime: number
  readonly mtimeNsec: number
}

const timespecs = Buffer.from(new ArrayBuffer(32))
const timespecLongs = new BigInt64Array(timespecs.buffer)

function fillTimes(times: Times): Buffer {
  timespecLongs[0] = BigInt(times.atime)
  timespecLongs[1] = BigInt(times.atimeNsec)
  timespecLongs[2] = BigInt(times.mtime)
  timespecLongs[3] = BigInt(times.mtimeNsec)
  return timespecs
}

/** Never follows a symbolic link. */
export function utimensat(dirfd: number, path: string, times: Times): number {
  return outcome(utimensatCall(dirfd, text(path), fillTimes(times), AT_SYMLINK_NOFOLLOW))
}

export function futimens(fd: number, times: Times): number {
  return outcome(futimensCall(fd, fillTimes(times)))
}

export function truncate(path: string, size: number): number {
  return outcome(truncateCall(text(path), size))
}

export function ftruncate(fd: number, size: number): number {
  return outcome(ftruncateCall(fd, size))
}

/** `mask`: 4 read, 2 write, 1 execute, 0 existence. Judges the real user of this process. */
export function faccessat(dirfd: number, path: string, mask: number): number {
  return outcome(faccessatCall(dirfd, text(path), mask, 0))
}

/** Sets the process's umask and returns the old one. */
export function umask(mask: number): number {
  return umaskCall(mask)
}
