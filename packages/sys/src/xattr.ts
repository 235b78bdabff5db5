/**
 * Extended attributes, of names (links themselves, never what they point to) and of open files.
 *
 * A value is read into one scratch buffer of the largest size Linux allows and copied out, so that
 * one call is enough whatever its length.
 */

import { decodeName } from '@ashlar/core'
import { native, outcome, outcomeLater, text } from './ffi.ts'

/** Largest value, and largest list of names (linux/limits.h XATTR_SIZE_MAX, XATTR_LIST_MAX). */
export const XATTR_SIZE_MAX = 65_536

const lgetCall = native('long lgetxattr(str, str, void *, size_t)')
const fgetCall = native('long fgetxattr(int, str, void *, size_t)')
const lsetCall = native('int lsetxattr(str, str, void *, size_t, int)')
const fsetCall = native('int fsetxattr(int, str, void *, size_t, int)')
const lremoveCall = native('int lremovexattr(str, str)')
const fremoveCall = native('int fremovexattr(int, str)')
const llistCall = native('long llistxattr(str, void *, size_t)')
const flistCall = native('long flistxattr(int, void *, size_t)')

const scratch = Buffer.allocUnsafeSlow(XATTR_SIZE_MAX)

function copyOut(length: number): Buffer | number {
  if (length < 0) return outcome(length)
  const value = Buffer.allocUnsafe(length)
  scratch.copy(value, 0, 0, length)
  return value
}

/** A fresh copy of the value, or −errno. */
export function lgetxattr(path: string, name: string): Buffer | number {
  return copyOut(lgetCall(text(path), text(name), scratch, XATTR_SIZE_MAX))
}

/** A fresh copy of the value, or −errno. */
export function fgetxattr(fd: number, name: string): Buffer | number {
  return copyOut(fgetCall(fd, text(name), scratch, XATTR_SIZE_MAX))
}

/** Reads the value into `target`: its length, or −errno (−ERANGE when it is longer). */
export function lgetxattrInto(path: string, name: string, target: Buffer): number {
  return outcome(lgetCall(text(path), text(name), target, target.length))
}

/** Reads the value into `target`: its length, or −errno (−ERANGE when it is longer). */
export function fgetxattrInto(fd: number, name: string, target: Buffer): number {
  return outcome(fgetCall(fd, text(name), target, target.length))
}

/** `flags`: XATTR_CREATE, XATTR_REPLACE, or 0. */
export function lsetxattr(path: string, name: string, value: Buffer, flags = 0): number {
  return outcome(lsetCall(text(path), text(name), value, value.length, flags))
}

export function fsetxattr(fd: number, name: string, value: Buffer, flags = 0): number {
  return outcome(fsetCall(fd, text(name), value, value.length, flags))
}

export function lremovexattr(path: string, name: string): number {
  return outcome(lremoveCall(text(path), text(name)))
}

export function fremovexattr(fd: number, name: string): number {
  return outcome(fremoveCall(fd, text(name)))
}

function names(length: number): string[] | number {
  if (length < 0) return outcome(length)
  const list: string[] = []
  for (let start = 0; start < length; ) {
    const end = scratch.indexOf(0, start)
    list.push(decodeName(scratch, start, end))
    start = end + 1
  }
  return list
}

/** The names of all attributes that the caller may see, or −errno. */
export function llistxattr(path: string): string[] | number {
  return names(llistCall(text(path), scratch, XATTR_SIZE_MAX))
}

export function flistxattr(fd: number): string[] | number {
  return names(flistCall(fd, scratch, XATTR_SIZE_MAX))
}

/**
 * Brings an object's attributes, plain and extended, into memory on a worker thread: what is read of
 * it next does not wait for the disk. ≥ 0 or −errno.
 */
export function warmXattrs(path: string): Promise<number> {
  return outcomeLater(llistCall, text(path), null, 0)
}
