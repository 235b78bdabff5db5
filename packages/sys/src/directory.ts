/**
 * Directories read by getdents64(2): many entries per call, with the kernel's own cookies.
 *
 * A cookie (`offset`) is what `seekDirectory` takes to go on after that entry; on ext4 it is a hash
 * of up to 63 bits, hence bigint. Records as in linux/dirent.h `struct linux_dirent64`.
 */

import { type Dirent, decodeName } from '@ashlar/core'
import { native, outcome } from './ffi.ts'

const getdentsCall = native('long getdents64(int, void *, size_t)')
const lseekCall = native('int64_t lseek(int, int64_t, int)')

/** Bytes of one call: about a thousand entries. */
export const DIRECTORY_BUFFER_BYTES = 65_536
const NAME_OFFSET = 19

/** Goes to a cookie; 0n is the start. 0 or −errno. */
export function seekDirectory(fd: number, cookie: bigint): number {
  const result = lseekCall(fd, cookie, 0)
  return result < 0 ? outcome(result) : 0
}

/** A buffer for reading directories; one serves any number of them, one after the other. */
export class DirectoryReader {
  readonly #bytes: Buffer
  readonly #longs: BigUint64Array
  readonly #signed: BigInt64Array

  constructor(size = DIRECTORY_BUFFER_BYTES) {
    const memory = new ArrayBuffer(size & ~7)
    this.#bytes = Buffer.from(memory)
    this.#longs = new BigUint64Array(memory)
    this.#signed = new BigInt64Array(memory)
  }

  /** The next entries of an open directory, with `.` and `..`; none at its end; or −errno. */
  read(fd: number): Dirent[] | number {
    const length = getdentsCall(fd, this.#bytes, this.#bytes.length)
    if (length < 0) return outcome(length)
    const entries: Dirent[] = []
    const bytes = this.#bytes
    for (let at = 0; at < length; ) {
      const record = (bytes[at + 16] as number) | ((bytes[at + 17] as number) << 8)
      // The record is padded to 8 bytes: the name's NUL is in its last 8.
      let end = at + Math.max(NAME_OFFSET, record - 8)
      while (bytes[end] !== 0) end += 1
      entries.push({
        name: decodeName(bytes, at + NAME_OFFSET, end),
        ino: this.#longs[at >>> 3] as bigint,
        offset: this.#signed[(at >>> 3) + 1] as bigint,
        type: bytes[at + 18] as number,
      })
      at += record
    }
    return entries
  }
}
