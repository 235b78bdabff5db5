/**
 * Booleans of a volume that put translators in or out.
 */

import { parseBoolean } from '@ashlar/core'
import { OPTION_TABLE } from '../options/table.ts'

/** A key may have several rows; the one with a default of the table's own is the switch. */
const DEFAULTS = new Map(
  OPTION_TABLE.flatMap(row => (row.mapDefault === undefined ? [] : [[row.key, row.mapDefault]])),
)

/** What the key is on this volume: set, else the table's default, else false. */
export function isOn(options: ReadonlyMap<string, string>, key: string): boolean {
  const text = options.get(key) ?? DEFAULTS.get(key)
  return text !== undefined && parseBoolean(text) === true
}
