/**
 * The content of a small file, sent along with its lookup (`glusterfs.content`) or with a listing, so
 * that reading it takes no further request. Content in memory is read at once, content on the disk by a thread: a
 * slow disk keeps nobody waiting but who asked for it.
 */

import { setImmediate } from 'node:timers/promises'
import {
  type Ctx,
  Dict,
  type DirentPlus,
  type FopArgs,
  type Iatt,
  LISTED_CONTENT,
  type LookupReply,
  type Reply,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick } from './brick.ts'

/** The value asked is the most bytes wanted. */
export const CONTENT_KEY = 'glusterfs.content'
/** Larger files are not sent along, whatever is asked. */
export const CONTENT_BYTES_MAX = 1024 * 1024

/** So long others wait for a listing at a time. */
export const TURN_MS = 4
/** Contents that are read side by side for a listing. */
const BATCH = 16

/** The reply of a lookup with the content it asks for. */
export function withContent(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['lookup'],
  reply: Reply<'lookup'>,
): Reply<'lookup'> | Promise<Reply<'lookup'>> {
  const limit = reply.ok ? args.xdata?.getNumber(CONTENT_KEY) : undefined
  if (!reply.ok || limit === undefined || !isWanted(ctx, reply.stat, limit)) return reply
  const content = contentOf(brick, reply.stat)
  if (content instanceof Promise)
    return content.then(read => (read === undefined ? reply : filled(reply, read)))
  return content === undefined ? reply : filled(reply, content)
}

/** Whether so much content goes along with a listing as the entry has. */
export function isListed(ctx: Ctx, xdata: Dict | undefined, stat: Iatt): boolean {
  const limit = xdata?.getNumber(LISTED_CONTENT)
  return limit !== undefined && isWanted(ctx, stat, limit)
}

/** The entries of a listing with the contents of those that `isListed`. */
export async function withContents(
  brick: Brick,
  ctx: Ctx,
  xdata: Dict | undefined,
  entries: readonly DirentPlus[],
): Promise<DirentPlus[]> {
  const described: DirentPlus[] = []
  const { clock } = brick.self.env
  let turn = clock.monotonic()
  for (let from = 0; from < entries.length; from += BATCH) {
    if (clock.monotonic() - turn > TURN_MS) {
      await setImmediate()
      turn = clock.monotonic()
    }
    const batch = entries.slice(from, from + BATCH)
    const read = await Promise.all(
      batch.map(async ({ stat }) =>
        isListed(ctx, xdata, stat) ? contentOf(brick, stat) : undefined,
      ),
    )
    for (const [i, entry] of batch.entries()) {
      const content = read[i]
      if (content === undefined) described.push(entry)
      else {
        const dict = (entry.dict ?? new Dict()).setBytes(LISTED_CONTENT, content)
        described.push({ ...entry, dict })
      }
    }
  }
  return described
}

/** A file's content; undefined when it cannot be read, or is not of that size any more. */
function contentOf(
  brick: Brick,
  { gfid, size }: Iatt,
): Buffer | undefined | Promise<Buffer | undefined> {
  const content = Buffer.allocUnsafe(size)
  if (size === 0) return content
  // By its handle, which is this very file whatever has happened to the name.
  const path = brick.handles.path(gfid)
  const fd = sys.openat(sys.AT_FDCWD, path, sys.O.RDONLY | sys.O.NOFOLLOW | sys.O.CLOEXEC)
  if (fd < 0) return undefined
  const { pace } = brick
  if (!pace.isQuick(size) && sys.preadv2(fd, content, 0, sys.RWF_NOWAIT) >= size) {
    sys.close(fd)
    return content
  }
  if (pace.isTried(size)) {
    const read = pace.measured(() => sys.pread(fd, content, 0))
    sys.close(fd)
    return read === size ? content : undefined
  }
  return sys.preadAsync(fd, content, 0).then(read => {
    sys.close(fd)
    return read === size ? content : undefined
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
function isWanted(ctx: Ctx, stat: Iatt, limit: number): boolean {
  if (!stat.isRegular || stat.size > Math.min(limit, CONTENT_BYTES_MAX)) return false
  if (ctx.uid === 0) return true
  return (stat.mode & (ctx.uid === stat.uid ? S_IRUSR : S_IROTH)) !== 0
}
