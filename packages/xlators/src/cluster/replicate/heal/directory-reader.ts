/**
 * Reading a directory of one brick to its end, a page at a time.
 */

import {
  type Ctx,
  Dict,
  type Dirent,
  type DirentPlus,
  Errno,
  failure,
  type Failure,
  type Inode,
  inodeLoc,
  OpenFlag,
  type Subvolume,
} from '@ashlar/core'
import type { ReplicaSet } from '../replica-set.ts'

const PAGE_BYTES = 128 * 1024
/** More pages than this: the listing runs in circles. */
const PAGES_MAX = 1_000_000

export interface Reading {
  readonly set: ReplicaSet
  readonly child: Subvolume
  readonly ctx: Ctx
  readonly directory: Inode
  /** Attributes of each entry, too. */
  readonly plus?: boolean
  readonly xdata?: Dict
}

/** Calls `page` with the entries as they come; it says false to stop. A failure of the brick. */
export async function readDirectory(
  reading: Reading,
  page: (entries: readonly (Dirent & Partial<DirentPlus>)[]) => Promise<boolean>,
): Promise<Failure | undefined> {
  const { child, ctx, directory, plus = false, xdata } = reading
  const fd = reading.set.self.openFd(directory, { flags: OpenFlag.DIRECTORY, pid: ctx.pid })
  try {
    const opened = await child.opendir(ctx, { loc: inodeLoc(directory), fd })
    if (!opened.ok) return opened
    fd.bind()
    let offset = 0n
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const args = { fd, size: PAGE_BYTES, offset, xdata }
      const reply = plus ? await child.readdirp(ctx, args) : await child.readdir(ctx, args)
      if (!reply.ok) return reply.errno === Errno.ENOENT ? undefined : reply
      const { entries } = reply
      const last = entries.at(-1)
      const wanted = entries.filter(entry => entry.name !== '.' && entry.name !== '..')
      if (wanted.length > 0 && !(await page(wanted))) return undefined
      if (last === undefined || reply.eof) return undefined
      offset = last.offset
    }
    return failure(Errno.ELOOP)
  } finally {
    fd.unref()
  }
}
