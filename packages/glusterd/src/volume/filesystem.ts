/**
 * The file system below a brick, for `volume status … detail`.
 */

import { readFileSync } from 'node:fs'
import type { BrickFilesystem } from '@ashlar/contract'
import { statvfs } from '@ashlar/sys'

/** Undefined when the directory cannot be looked at. */
export function brickFilesystem(path: string): BrickFilesystem | undefined {
  const totals = statvfs(path)
  const mount = mountOf(path)
  if (typeof totals === 'number' || mount === undefined) return undefined
  return {
    type: mount.type,
    device: mount.device,
    mountOptions: mount.options,
    inodeSize: INODE_BYTES[mount.type] ?? 'N/A',
    blockSize: totals.bsize,
    bytesTotal: totals.blocks * totals.frsize,
    bytesFree: totals.bfree * totals.frsize,
    inodesTotal: totals.files,
    inodesFree: totals.ffree,
  }
}

/** What mkfs makes by default; the real size is in the superblock, which only root may read. */
const INODE_BYTES: Readonly<Record<string, string>> = { xfs: '512', ext4: '256', ext3: '256' }

interface Mount {
  device: string
  type: string
  options: string
}

/** The mount with the longest path that holds `path`. */
function mountOf(path: string): Mount | undefined {
  let best: Mount | undefined
  let bestLength = -1
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [device, point, type, options] = line.split(' ')
    if (device === undefined || point === undefined || type === undefined) continue
    const folder = unescapeOctal(point)
    const holds = folder === '/' || path === folder || path.startsWith(`${folder}/`)
    if (!holds || folder.length < bestLength) continue
    bestLength = folder.length
    best = { device, type, options: options ?? '' }
  }
  return best
}

/** Blanks in mount points are written as `\040`. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
