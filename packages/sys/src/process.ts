/**
 * What a thread is: its file system credentials, name and fate. These act on the calling thread
 * alone (the C library would change all threads, so the kernel is called by number).
 */

import { native, outcome, text } from './ffi.ts'

const syscall2 = native('long syscall(long, long, void *)')
const setfsuidCall = native('int setfsuid(uint)')
const setfsgidCall = native('int setfsgid(uint)')
const prctlCall = native(
  'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)',
)
const prctlTextCall = native('int prctl(int, str, unsigned long, unsigned long, unsigned long)')
const unshareCall = native('int unshare(int)')
const setnsCall = native('int setns(int, int)')
const getuidCall = native('uint geteuid()')

/** SYS_setgroups by architecture (asm/unistd.h). */
const SYS_SETGROUPS = process.arch === 'x64' ? 116 : 159

/** Sets the identity for file access and returns the one before. Needs root to take effect. */
export function setfsuid(uid: number): number {
  return setfsuidCall(uid)
}

export function setfsgid(gid: number): number {
  return setfsgidCall(gid)
}

/** Sets the supplementary groups of this thread. 0 or −errno. */
export function setgroups(groups: readonly number[]): number {
  const list = Buffer.alloc(Math.max(4, groups.length * 4))
  groups.forEach((gid, i) => list.writeUInt32LE(gid, i * 4))
  return outcome(syscall2(SYS_SETGROUPS, groups.length, list))
}

export function geteuid(): number {
  return getuidCall()
}

/** prctl with numbers, such as PR_SET_PDEATHSIG. */
export function prctl(operation: number, value: number): number {
  return outcome(prctlCall(operation, value, 0, 0, 0))
}

/** Names the calling thread in ps and top; 15 bytes are kept. */
export function setThreadName(name: string): number {
  return outcome(prctlTextCall(15, text(name), 0, 0, 0))
}

/** `flags`: CLONE_*. */
export function unshare(flags: number): number {
  return outcome(unshareCall(flags))
}

export function setns(fd: number, flags: number): number {
  return outcome(setnsCall(fd, flags))
}
