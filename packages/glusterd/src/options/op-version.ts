/**
 * The op-versions a volume needs: of servers because of all its options, of clients because of
 * those that clients see.
 */

import { parseBoolean } from '@ashlar/core'
import { isOn } from '../volgen/switches.ts'
import type { Volume } from '../volume/volume.ts'
import { rowsOf } from './lookup.ts'

/** GD_OP_VERSION_3_6_0: disperse came then. */
const DISPERSE_OP_VERSION = 30_600
/** GD_OP_VERSION_7_0: thin arbiters. */
const THIN_ARBITER_OP_VERSION = 70_000
/** open-behind, on by default, needs 2. */
const OPEN_BEHIND_OP_VERSION = 2

/** Writes the two numbers that follow from the volume's type and options into it. */
export function updateOpVersions(volume: Volume): void {
  let server = 1
  let client = 1
  const need = (version: number, clients: boolean): void => {
    server = Math.max(server, version)
    if (clients) client = Math.max(client, version)
  }
  for (const [key, value] of volume.options) {
    for (const row of rowsOf(key)) {
      // A switch that is off asks nothing of anybody.
      if (row.toggle === true && parseBoolean(value) === false) continue
      need(row.opVersion, row.client === true)
    }
  }
  if (isOn(volume.options, 'performance.open-behind')) need(OPEN_BEHIND_OP_VERSION, true)
  if (volume.kind === 'disperse') need(DISPERSE_OP_VERSION, true)
  if (volume.thinArbiterCount > 0) need(THIN_ARBITER_OP_VERSION, true)
  volume.opVersion = server
  volume.clientOpVersion = client
}
