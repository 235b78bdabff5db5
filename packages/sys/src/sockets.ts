/** Sockets between processes: pairs, descriptors passed along, and poll. */

import { Errno, type Patience } from '@ashlar/core'
import { addressOf, native, outcome } from './ffi.ts'

const socketpairCall = native('int socketpair(int, int, int, void *)')
const recvmsgCall = native('long recvmsg(int, void *, int)')
const pollCall = native('int poll(void *, unsigned long, int)')
const setsockoptCall = native('int setsockopt(int, int, int, void *, unsigned int)')
const ioctlCall = native('int ioctl(int, unsigned long, void *)')

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_CMSG_CLOEXEC = 0x40000000
const IPPROTO_TCP = 6
/** netinet/tcp.h. */
const TcpOption = { KEEPIDLE: 4, KEEPINTVL: 5, KEEPCNT: 6, USER_TIMEOUT: 18 } as const

/** Two connected unix stream sockets, closed in children unless handed over, or −errno. */
export function socketpair(): readonly [number, number] | number {
  const fds = Buffer.alloc(8)
  const result = outcome(socketpairCall(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
  return result < 0 ? result : [fds.readInt32LE(0), fds.readInt32LE(4)]
}

/** Waits for a message that carries one descriptor and returns that, or −errno. */
export function receiveDescriptor(socket: number): number {
  const data = Buffer.alloc(8)
  const control = Buffer.alloc(64)
  const vector = Buffer.alloc(16)
  vector.writeBigUInt64LE(addressOf(data), 0)
  vector.writeBigUInt64LE(BigInt(data.length), 8)
  // struct msghdr of 64-bit Linux: name, its length, vector, its count, control, its length, flags.
  const header = Buffer.alloc(56)
  header.writeBigUInt64LE(addressOf(vector), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(addressOf(control), 32)
  header.writeBigUInt64LE(BigInt(control.length), 40)
  const received = outcome(recvmsgCall(socket, header, MSG_CMSG_CLOEXEC))
  if (received < 0) return received
  const controlLength = Number(header.readBigUInt64LE(40))
  // struct cmsghdr: length of 20 with one descriptor, level, type, descriptor.
  const carried =
    controlLength >= 20 &&
    control.readInt32LE(8) === SOL_SOCKET &&
    control.readInt32LE(12) === SCM_RIGHTS
  return carried && data.length > 0 && vector.length > 0 ? control.readInt32LE(16) : -Errno.ENODATA
}

/** When the silent peer of a TCP socket counts as gone. 0 or −errno of the first that is refused. */
export function setPatience(socket: number, patience: Patience): number {
  const options = [
    [TcpOption.KEEPIDLE, patience.idle],
    [TcpOption.KEEPINTVL, patience.interval],
    [TcpOption.KEEPCNT, patience.probes],
    [TcpOption.USER_TIMEOUT, patience.unacknowledged * 1000],
  ] as const
  const value = Buffer.alloc(4)
  for (const [option, number] of options) {
    value.writeInt32LE(number)
    const result = outcome(setsockoptCall(socket, IPPROTO_TCP, option, value, value.length))
    if (result < 0) return result
  }
  return 0
}

const pollScratch = Buffer.alloc(8)

/** The events (POLL*) of one descriptor within `timeoutMs`; 0 for none, or −errno. */
export function poll(fd: number, events: number, timeoutMs: number): number {
  pollScratch.writeInt32LE(fd, 0)
  pollScratch.writeInt16LE(events, 4)
  pollScratch.writeInt16LE(0, 6)
  const result = outcome(pollCall(pollScratch, 1, timeoutMs))
  return result > 0 ? pollScratch.readUInt16LE(6) : result
}

/** An ioctl whose argument is memory. */
export function ioctl(fd: number, request: number, argument: Buffer): number {
  return outcome(ioctlCall(fd, request, argument))
}
