/**
 * The record of a file's names with the file itself: `trusted.gfid2path.<hash>` for each link, and
 * `trusted.pgfid.<parent>` counts when they are wanted. Facts: posix-gfid-path.c.
 */

import { encodeName, type Gfid, gfidText } from '@ashlar/core'
import xxhash from 'xxhash-wasm'
import type { Brick } from './brick.ts'

const PREFIX = 'trusted.gfid2path.'
/** Links past this many are not recorded. */
const RECORDED_LINKS_MAX = 500

const hasher = await xxhash()

function recordKey(text: Buffer): string {
  return PREFIX + hasher.h64Raw(text, 0n).toString(16).padStart(16, '0')
}

function recordText(parent: Gfid, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${gfidText(parent)}/`), encodeName(name)])
}

/**
 * Records a name. That the file system has no room left for it (ext4 keeps one block of xattrs)
 * does not stop the link: the name is only not recorded.
 */
export function recordName(
  brick: Brick,
  path: string,
  link: { parent: Gfid; name: string; links: number },
  fd?: number,
): void {
  const options = brick.self.options
  if (options.gfid2path && link.links <= RECORDED_LINKS_MAX) {
    const text = recordText(link.parent, link.name)
    if (fd === undefined) brick.xattrs.set(path, recordKey(text), text, 0)
    else brick.xattrs.fset(fd, recordKey(text), text, 0)
  }
  if (options['update-link-count-parent']) addToCount(brick, path, link.parent, 1)
}

export function eraseName(brick: Brick, path: string, link: { parent: Gfid; name: string }): void {
  const options = brick.self.options
  if (options.gfid2path) brick.xattrs.remove(path, recordKey(recordText(link.parent, link.name)))
  if (options['update-link-count-parent']) addToCount(brick, path, link.parent, -1)
}

function addToCount(brick: Brick, path: string, parent: Gfid, by: number): void {
  const key = `trusted.pgfid.${gfidText(parent)}`
  const stored = brick.xattrs.get(path, key)
  const count = (typeof stored === 'number' || stored.length < 4 ? 0 : stored.readUInt32BE(0)) + by
  if (count <= 0) {
    brick.xattrs.remove(path, key)
    return
  }
  const value = Buffer.alloc(4)
  value.writeUInt32BE(count)
  brick.xattrs.set(path, key, value, 0)
}

/** Recorded names of an object: parent gfid text and name of each. */
export function recordedNames(brick: Brick, path: string): string[] {
  const names = brick.xattrs.list(path)
  if (typeof names === 'number') return []
  return names
    .filter(name => name.startsWith(PREFIX))
    .flatMap(name => {
      const value = brick.xattrs.get(path, name)
      return typeof value === 'number' ? [] : [value.utf8Slice()]
    })
}
