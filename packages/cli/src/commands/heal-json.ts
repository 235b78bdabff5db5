/** `volume heal V info …` in JSON: what is shown of each brick is what the text shows, and more. */

import type { HealInfoView } from '@ashlar/contract'
import { type HealInfoForm, shownEntries, stateCounts } from './heal-text.ts'

/** All entries, or those in split-brain; of a summary numbers only, null where nobody knows. */
export function healInfoJson(answer: HealInfoView, form: HealInfoForm): object {
  if (form === 'all') return answer
  const bricks = answer.bricks.map(brick => {
    if (form === 'split-brain') return { ...brick, entries: shownEntries(brick, form) }
    const { entries, ...head } = brick
    const states = brick.connected ? stateCounts(entries) : undefined
    return {
      ...head,
      total: brick.connected ? entries.length : null,
      pending: states?.pending ?? null,
      splitBrain: states?.['split-brain'] ?? null,
      healing: states?.healing ?? null,
    }
  })
  return { ...answer, bricks }
}
