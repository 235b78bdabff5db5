/** The first exchange with the kernel: INIT, in which both say what they can do. */

import { MAX_REQUEST_BYTES } from '../device.ts'
import { FUSE_MAJOR, FUSE_MINOR, FUSE_MINOR_MIN, Init, Init2 } from '../protocol/constants.ts'
import { INIT_EXT_IN, INIT_IN, INIT_OUT } from '../protocol/table.ts'
import type { FullBridgeOptions } from './options.ts'
import type { Request } from './request.ts'

/** What was agreed. */
export interface Session {
  readonly minor: number
  /** Bits of Init. */
  readonly flags: number
  /** Bits of Init2. */
  readonly flags2: number
}

export interface Negotiation {
  readonly session: Session
  /** Body of the reply, INIT_OUT.size bytes, is written by this. */
  readonly reply: (buffer: Buffer, at: number) => void
}

const PAGE_BYTES = 4096

function wantedFlags(options: FullBridgeOptions): number {
  let flags =
    Init.ASYNC_READ |
    Init.POSIX_LOCKS |
    Init.FLOCK_LOCKS |
    Init.ATOMIC_O_TRUNC |
    Init.DONT_MASK |
    Init.BIG_WRITES |
    Init.ASYNC_DIO |
    Init.PARALLEL_DIROPS |
    Init.MAX_PAGES |
    Init.HANDLE_KILLPRIV_V2 |
    Init.CACHE_SYMLINKS |
    Init.INIT_EXT
  // Not READDIRPLUS_AUTO: `ls -l` reads the whole directory before it asks for attributes, from
  // which the kernel would conclude that nobody wants them.
  if (options.useReaddirp) flags |= Init.DO_READDIRPLUS
  if (options.autoInvalidation) flags |= Init.AUTO_INVAL_DATA
  if (options.kernelWritebackCache) flags |= Init.WRITEBACK_CACHE
  if (options.acl) flags |= Init.POSIX_ACL | Init.SETXATTR_EXT
  return flags
}

/** Answers INIT. Undefined when the kernel speaks another major or too old a minor version. */
export function negotiate(request: Request, options: FullBridgeOptions): Negotiation | undefined {
  const offer = request.take(INIT_IN)
  if (offer.major !== FUSE_MAJOR || offer.minor < FUSE_MINOR_MIN) return undefined
  const extended =
    (offer.flags & Init.INIT_EXT) !== 0 && request.at + INIT_EXT_IN.size <= request.end
  const offered2 = extended ? request.take(INIT_EXT_IN).flags2 : 0
  const session: Session = {
    minor: Math.min(offer.minor, FUSE_MINOR),
    flags: (wantedFlags(options) & offer.flags) >>> 0,
    flags2: (Init2.DIRECT_IO_ALLOW_MMAP & offered2) >>> 0,
  }
  const bigRequests = (session.flags & Init.MAX_PAGES) !== 0
  return {
    session,
    reply: (buffer, at) =>
      INIT_OUT.encode(buffer, at, {
        major: FUSE_MAJOR,
        minor: session.minor,
        maxReadahead: Math.max(offer.maxReadahead, MAX_REQUEST_BYTES),
        flags: session.flags,
        maxBackground: options.backgroundQueueLength,
        congestionThreshold: options.congestionThreshold,
        // Without MAX_PAGES the kernel sends 32 pages at most.
        maxWrite: bigRequests ? MAX_REQUEST_BYTES : 32 * PAGE_BYTES,
        timeGran: 1,
        maxPages: bigRequests ? MAX_REQUEST_BYTES / PAGE_BYTES : 0,
        mapAlignment: 0,
        flags2: session.flags2,
        maxStackDepth: 0,
        requestTimeout: 0,
      }),
  }
}
