/**
 * What glusterd asks a self-heal daemon for (brick operation XLATOR_OP), and the dict of the answer:
 * keys carry the number of the set that glusterd gave it, and of the brick in the set (reference:
 * xlators/cluster/afr/src/afr-self-heald.c).
 */

import { Dict } from '@ashlar/core'
import type { CrawlStatistics, Healer } from '@ashlar/xlators'
import { healIndexView } from './heal-view.ts'

/** rpc/xdr/src/cli1-xdr.x `gf_xl_afr_op_t`. */
export const HealOperation = {
  INDEX: 1,
  FULL: 2,
  INFO: 3,
  STATISTICS: 7,
  COUNTS: 8,
} as const

const NOT_CONNECTED = 'Brick is not connected'

/** The answer of all healers that `input` names; undefined: none of the operations is meant. */
export async function healOperation(
  healers: readonly Healer[],
  input: Dict,
): Promise<Dict | undefined> {
  const operation = input.getNumber('xl-op')
  const output = new Dict()
  for (const healer of healers) {
    const set = input.getNumber(healer.name)
    if (set === undefined) continue
    switch (operation) {
      case HealOperation.INDEX:
      case HealOperation.FULL:
        if (operation === HealOperation.INDEX) healer.healIndex()
        else healer.healFull()
        for (const [n, { up }] of healer.bricks.entries()) {
          output.setString(`${set}-${n}-status`, up ? 'Started self-heal' : NOT_CONNECTED)
        }
        break
      case HealOperation.INFO:
        await writeInfo(output, set, healer, input.getNumber('paths') !== 0)
        break
      case HealOperation.COUNTS:
        writeCounts(output, set, await healer.counts())
        break
      case HealOperation.STATISTICS:
        writeStatistics(output, set, healer)
        break
      default:
        return undefined
    }
  }
  return output
}

/** Of each brick a HealIndexView, as JSON. */
async function writeInfo(output: Dict, set: number, healer: Healer, paths: boolean): Promise<void> {
  for (const [n, index] of (await healer.info({ paths })).entries())
    output.setString(`info-${set}-${n}`, JSON.stringify(healIndexView(index)))
}

function writeCounts(output: Dict, set: number, counts: readonly (number | undefined)[]): void {
  for (const [n, count] of counts.entries()) {
    if (count === undefined) output.setString(`${set}-${n}-status`, NOT_CONNECTED)
    else output.setUint(`${set}-${n}-hardlinks`, count)
  }
}

function writeStatistics(output: Dict, set: number, healer: Healer): void {
  const all = healer.statistics()
  for (const [n, { brick, up }] of healer.bricks.entries()) {
    if (!up) output.setString(`${set}-${n}-status`, NOT_CONNECTED)
    const crawls = all.filter(crawl => crawl.brick === brick)
    output.setUint(`statistics-${set}-${n}-count`, crawls.length)
    for (const [k, crawl] of crawls.entries()) writeCrawl(output, `${set}-${n}-${k}`, crawl)
  }
}

function writeCrawl(output: Dict, tail: string, crawl: CrawlStatistics): void {
  output
    .setString(`statistics_crawl_type-${tail}`, crawl.type)
    .setUint(`statistics_healed_cnt-${tail}`, crawl.healed)
    .setUint(`statistics_sb_cnt-${tail}`, crawl.splitBrain)
    .setUint(`statistics_heal_failed_cnt-${tail}`, crawl.failed)
    .setString(`statistics_strt_time-${tail}`, crawlTime(crawl.started))
    .setInt(`statistics_inprogress-${tail}`, crawl.ended === undefined ? 1 : 0)
    // Ours: for those who want more than a text.
    .setUint(`started-${tail}`, Math.round(crawl.started))
  if (crawl.ended === undefined) return
  output
    .setString(`statistics_end_time-${tail}`, crawlTime(crawl.ended))
    .setUint(`ended-${tail}`, Math.round(crawl.ended))
}

/** `Sun Nov 22 14:34:21 2026`, local time, as ctime(3) has it. */
export function crawlTime(ms: number): string {
  const [weekday, month, day, year, time] = new Date(ms).toString().split(' ') as [
    string,
    string,
    string,
    string,
    string,
  ]
  // `toString` gives `Sun Nov 22 2026 14:34:21 GMT…`.
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`
}
