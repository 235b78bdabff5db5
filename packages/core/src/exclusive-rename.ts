/**
 * A rename that must not replace anything (RENAME_NOREPLACE). The protocol has no flags for renames;
 * a key of ours in the request's xdata says it. Our bricks refuse with EEXIST in the same stroke as
 * they would rename; GlusterFS's do not know the key, and there the look before it is all there is.
 */

import { Dict } from './dict.ts'
import type { FopArgs } from './fops.ts'

const KEY = 'ashlar.rename-noreplace'

/** xdata of such a rename. */
export function exclusiveXdata(): Dict {
  return new Dict().setUint(KEY, 1)
}

export function isExclusive({ xdata }: FopArgs['rename']): boolean {
  return xdata?.has(KEY) === true
}
