/**
 * The xattr `trusted.glusterfs.lockinfo`: which fd of this brick has locks, so that they can be
 * claimed by the next connection of the same client, which goes over to another graph. Facts:
 * `pl_fgetxattr_handle_lockinfo` and `pl_fsetxattr_handle_lockinfo`, xlators/features/locks/src/posix.c.
 */

import { Dict, Errno, LOCK_INFO } from '@ashlar/core'
import { parseDict, serialiseDict, WireError } from '@ashlar/wire'

/** What an fd with locks answers; `brick` tells this brick's fds from those of its replicas. */
export function printLockInfo(brick: string, fd: number): Dict {
  return new Dict().setBytes(LOCK_INFO, serialiseDict(new Dict().setUint(brick, fd)))
}

/**
 * The fd of this brick whose locks are claimed; undefined when they are all on other bricks. EINVAL
 * for a value that is none.
 */
export function parseLockInfo(
  dict: Dict,
  brick: string,
): { readonly fd: number | undefined } | Errno {
  const bytes = dict.getBytes(LOCK_INFO)
  if (bytes === undefined) return Errno.EINVAL
  try {
    const fds = parseDict(bytes)
    const fd = fds.getNumber(brick)
    return fd === undefined && fds.has(brick) ? Errno.EINVAL : { fd }
  } catch (error) {
    if (error instanceof WireError) return Errno.EINVAL
    throw error
  }
}
