/** Listings of a memory directory, in pieces, by cookies that stay valid while entries come and go. */

import { type DirentPlus, direntType, gfidInode, type ReaddirpReply } from '@ashlar/core'
import type { MemoryFile } from './memory-file.ts'

/** What an entry counts for besides its name, about as GlusterFS counts it. */
const ENTRY_BYTES = 24

export function listDirectory(
  directory: MemoryFile,
  range: { readonly size: number; readonly offset: bigint },
): ReaddirpReply {
  const entries: DirentPlus[] = []
  let room = range.size
  const add = (name: string, file: MemoryFile, offset: bigint): boolean => {
    room -= ENTRY_BYTES + Buffer.byteLength(name)
    if (room < 0) return false
    const stat = file.iatt()
    entries.push({ name, ino: gfidInode(file.gfid), offset, type: direntType(stat.mode), stat })
    return true
  }
  if (range.offset < 1n && !add('.', directory, 1n)) return { ok: true, entries, eof: false }
  if (range.offset < 2n && !add('..', directory.parent ?? directory, 2n))
    return { ok: true, entries, eof: false }
  for (const { name, file, cookie } of directory.entries.values()) {
    if (cookie <= range.offset) continue
    if (!add(name, file, cookie)) return { ok: true, entries, eof: false }
  }
  return { ok: true, entries, eof: true }
}
