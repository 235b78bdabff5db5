/** Open flags between the kernel, the graph (Linux x86 numbers, as on the wire) and back. */

import { OpenFlag } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { Fopen, Init } from '../protocol/constants.ts'
import type { Node } from './nodes.ts'
import type { BridgeState } from './state.ts'

/** The flags that some architectures number differently. */
const PERMUTED = [
  [sys.O.DIRECT, OpenFlag.DIRECT],
  [sys.O.LARGEFILE, OpenFlag.LARGEFILE],
  [sys.O.DIRECTORY, OpenFlag.DIRECTORY],
  [sys.O.NOFOLLOW, OpenFlag.NOFOLLOW],
] as const
const PERMUTED_MASK = PERMUTED.reduce((mask, [, wire]) => mask | wire, 0)
const SAME_NUMBERS = PERMUTED.every(([own, wire]) => own === (wire as number))

/** The kernel's open flags as the graph understands them. */
export function graphOpenFlags(flags: number): number {
  if (SAME_NUMBERS) return flags
  let mapped = flags & ~PERMUTED_MASK
  for (const [own, wire] of PERMUTED) if ((flags & own) !== 0) mapped |= wire
  return mapped
}

/**
 * How the kernel shall treat a file that was just opened (`FOPEN_*`). All files open on one inode
 * go through the page cache, or none does: the first one decides.
 */
export function kernelOpenFlags(state: BridgeState, node: Node): number {
  const { directIoMode, fopenKeepCache, autoInvalidation } = state.options
  if (node.opened <= 1) node.directIo = directIoMode === 'on'
  if (node.directIo) return Fopen.DIRECT_IO | Fopen.PARALLEL_DIRECT_WRITES
  const kernelDrops = autoInvalidation && ((state.session?.flags ?? 0) & Init.AUTO_INVAL_DATA) !== 0
  const keep = fopenKeepCache === 'on' || (fopenKeepCache === 'auto' && kernelDrops)
  return keep ? Fopen.KEEP_CACHE : 0
}
