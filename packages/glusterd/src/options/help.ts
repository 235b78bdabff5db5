/**
 * What `volume set help` says: every documented key with its default and a line on what it does.
 */

import type { OptionHelp } from '@ashlar/contract'
import { OPTION_DOCS } from './docs.ts'
import { OPTION_TABLE } from './table.ts'

/** Said of keys whose translator this release does not have. */
const UNSERVED = 'Kept with the volume for servers that have it; this release does not act on it.'

/** One entry for each documented key, in the order of the table. */
export function optionHelp(): OptionHelp[] {
  const seen = new Set<string>()
  const entries: OptionHelp[] = []
  for (const row of OPTION_TABLE) {
    if (row.documented !== true || seen.has(row.key)) continue
    seen.add(row.key)
    entries.push({
      key: row.key,
      default: row.mapDefault ?? row.default ?? null,
      description: OPTION_DOCS[row.key] ?? UNSERVED,
    })
  }
  return entries
}
