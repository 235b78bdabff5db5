/**
 * The crawls of one brick from the dict in which a self-heal daemon tells of them; a daemon of
 * GlusterFS tells times as texts only.
 */

import type { CrawlView } from '@ashlar/contract'
import type { Dict } from '@ashlar/core'

/** Brick number `brick` of set number `set`; oldest first. */
export function crawlsOf(output: Dict, set: number, brick: number): CrawlView[] {
  const count = output.getNumber(`statistics-${set}-${brick}-count`) ?? 0
  return Array.from({ length: count }, (_, n) => {
    const tail = `${set}-${brick}-${n}`
    const number = (key: string): number => output.getNumber(`${key}-${tail}`) ?? 0
    const running = number('statistics_inprogress') !== 0
    const startedText = output.getString(`statistics_strt_time-${tail}`) ?? ''
    const endedText = output.getString(`statistics_end_time-${tail}`)
    return {
      type: output.getString(`statistics_crawl_type-${tail}`) ?? '',
      started: output.getNumber(`started-${tail}`) ?? millis(startedText),
      ended: running ? null : (output.getNumber(`ended-${tail}`) ?? millis(endedText)),
      startedText,
      endedText: running ? null : (endedText ?? null),
      healed: number('statistics_healed_cnt'),
      splitBrain: number('statistics_sb_cnt'),
      failed: number('statistics_heal_failed_cnt'),
    }
  })
}

function millis(text: string | undefined): number {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? 0 : time
}
