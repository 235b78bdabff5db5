/**
 * The file system below a brick, for `volume status … detail`.
 */

import type { BrickFilesystem } from '@ashlar/contract'
import { type Mounted, mounts, statvfs } from '@ashlar/sys'

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

/** The mount with the longest path that holds `path`; of several there, the last. */
function mountOf(path: string): Mounted | undefined {
  let best: Mounted | undefined
  for (const mount of mounts()) {
    const holds = mount.path === '/' || path === mount.path || path.startsWith(`${mount.path}/`)
    if (holds && mount.path.length >= (best?.path.length ?? 0)) best = mount
  }
  return best
}
