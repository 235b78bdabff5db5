/**
 * What a self-heal daemon is asked about a volume: the operation, and each set with its number.
 */

import { Dict } from '@ashlar/core'
import { distributeCount, type Volume } from '../volume/volume.ts'

/** The input of XLATOR_OP for all sets of the volume. `paths`: of what is to be healed (INFO). */
export function healRequest(volume: Volume, operation: number, paths = true): Dict {
  const sets = distributeCount(volume)
  const input = new Dict()
    .setString('volname', volume.name)
    .setInt('heal-op', operation)
    .setInt('xl-op', operation)
    .setInt('count', sets)
    .setInt('paths', paths ? 1 : 0)
  for (let set = 0; set < sets; set++) {
    const translator = `${volume.name}-${volume.kind}-${set}`
    input.setString(`xl-${set}`, translator).setInt(translator, set)
  }
  return input
}
