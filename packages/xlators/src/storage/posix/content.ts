/**
 * The content of a small file, sent along with its lookup (`glusterfs.content`), so that reading it
 * takes no further request. Content in memory is read at once, content on the disk by a thread: a
 * slow disk keeps nobody waiting but who asked for it.
 */

import { type Ctx, Dict, Errno, type FopArgs, type LookupReply, type Reply } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick } from './brick.ts'

/** The value asked is the most bytes wanted. */
export const CONTENT_KEY = 'glusterfs.content'
/** Larger files are not sent along, whatever is asked. */
const CONTENT_BYTES_MAX = 1024 * 1024

/** The reply of a lookup with the content it asks for. */
export function withContent(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['lookup'],
  reply: Reply<'lookup'>,
): Reply<'lookup'> | Promise<Reply<'lookup'>> {
  const limit = reply.ok ? args.xdata?.getNumber(CONTENT_KEY) : undefined
  if (!reply.ok || limit === undefined || !isWanted(ctx, reply, limit)) return reply
  const { size, gfid } = reply.stat
  const content = Buffer.allocUnsafe(size)
  if (size === 0) return filled(reply, content)
  // By its handle, which is this very file whatever has happened to the name.
  const path = brick.handles.path(gfid)
  const fd = sys.openat(sys.AT_FDCWD, path, sys.O.RDONLY | sys.O.NOFOLLOW | sys.O.CLOEXEC)
  if (fd < 0) return reply
  const length = sys.preadv2(fd, content, 0, sys.RWF_NOWAIT)
  if (length !== -Errno.EAGAIN && length !== -Errno.EOPNOTSUPP && length >= size) {
    sys.close(fd)
    return filled(reply, content)
  }
  return sys.preadAsync(fd, content, 0).then(read => {
    sys.close(fd)
    return read === size ? filled(reply, content) : reply
  })
}

function filled(reply: LookupReply, content: Buffer): LookupReply {
  return { ...reply, xdata: (reply.xdata ?? new Dict()).setBytes(CONTENT_KEY, content) }
}

const S_IRUSR = 0o400
const S_IROTH = 0o004

/**
 * Attributes are for everybody who may search the directory, content is not. ACLs are not looked at:
 * where they might say otherwise, the caller has to open the file.
 */
function isWanted(ctx: Ctx, { stat }: LookupReply, limit: number): boolean {
  if (!stat.isRegular || stat.size > Math.min(limit, CONTENT_BYTES_MAX)) return false
  if (ctx.uid === 0) return true
  return (stat.mode & (ctx.uid === stat.uid ? S_IRUSR : S_IROTH)) !== 0
}
