/** A brick's heal index as JSON has it: in the answers of the daemon, of glfsheal and of the API. */

import { errnoText, gfidText } from '@ashlar/core'
import type { BrickHealInfo, HealState } from '@ashlar/xlators'

export interface HealEntryView {
  readonly gfid: string
  readonly path: string | null
  readonly state: HealState
  readonly reason: string
  /** Seconds. */
  readonly age: number | null
}

export interface HealIndexView {
  readonly connected: boolean
  /** `Connected`, or why the index could not be read. */
  readonly status: string
  readonly entries: readonly HealEntryView[]
}

export function healIndexView({ entries }: Pick<BrickHealInfo, 'entries'>): HealIndexView {
  if ('errno' in entries) {
    return { connected: false, status: errnoText(entries.errno), entries: [] }
  }
  return {
    connected: true,
    status: 'Connected',
    entries: entries.map(({ gfid, path, state, reason, age }) => ({
      gfid: gfidText(gfid),
      path: path ?? null,
      state,
      reason,
      age: age ?? null,
    })),
  }
}
