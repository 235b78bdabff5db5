/**
 * Which translators a volfile's graph is built from: those we have, and for each that may be passed
 * over one that does nothing, with a warning. Refuses a volfile whose meaning we would miss.
 */

import { type AnyXlatorDefinition, type Log, type Volfile } from '@ashlar/core'
import { isPassive, passedOver, xlators } from '@ashlar/xlators'

/** A volfile that must not be served or mounted, with the reason. */
export class UnsupportedVolumeError extends Error {
  override name = 'UnsupportedVolumeError'
}

/** Types that only test or tune: their absence is not worth a word. */
const QUIET = /^(performance|debug)\//

/** Throws UnsupportedVolumeError for a volfile with a translator that cannot be done without. */
export function definitionsFor(
  volfile: Volfile,
  log: Log,
): ReadonlyMap<string, AnyXlatorDefinition> {
  const definitions = new Map(xlators)
  const missing: string[] = []
  for (const node of volfile.nodes) {
    if (definitions.has(node.type)) continue
    if (!isPassive(node)) {
      throw new UnsupportedVolumeError(
        `volume '${node.name}' needs the translator ${node.type}, which this release does not have; its files would be read wrongly without it`,
      )
    }
    definitions.set(node.type, passedOver(node.type))
    if (!QUIET.test(node.type)) missing.push(node.type)
  }
  if (missing.length > 0)
    log.warning('translators without effect here are passed over', { types: missing.join(' ') })
  return definitions
}
