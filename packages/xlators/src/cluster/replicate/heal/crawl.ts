/**
 * A crawl of the whole set, from the root: names that bricks disagree about, and every file and
 * directory, are looked at and healed. For what no index leads to: bricks that lost files, or
 * counters.
 * Source: xlators/cluster/afr/src/afr-self-heald.c (full sweep).
 */

import { type Gfid, gfidText, ROOT_GFID, S_IFDIR } from '@ashlar/core'
import { ASIDE_PREFIX } from './aside.ts'
import { isCopy } from './copies.ts'
import { readDirectory } from './directory-reader.ts'
import { lookAtName } from './look-at-name.ts'
import { healInode } from './inode.ts'
import { HealJob } from './job.ts'
import { healNameOutcome } from './name.ts'
import { eachAtOnce } from './pool.ts'
import type { Sweeper, Tally } from './sweep.ts'

/** Crawls by the listing of brick `index`. */
export async function crawl(sweeper: Sweeper, index: number, tally: Tally): Promise<void> {
  await healOne(sweeper, ROOT_GFID, tally)
  // Depth first, so that no more than a path's siblings are waiting.
  const waiting: Gfid[] = [ROOT_GFID]
  for (let gfid = waiting.pop(); gfid !== undefined; gfid = waiting.pop()) {
    if (sweeper.stopped()) return
    waiting.push(...(await crawlDirectory(sweeper, index, gfid, tally)))
  }
}

/** The directories in it. */
async function crawlDirectory(
  sweeper: Sweeper,
  index: number,
  gfid: Gfid,
  tally: Tally,
): Promise<Gfid[]> {
  const { set } = sweeper
  const job = new HealJob(set, gfid, S_IFDIR)
  const directories: Gfid[] = []
  try {
    const { ctx, inode: directory } = job
    const failed = await readDirectory(
      { set, child: set.child(index), ctx, directory },
      async entries => {
        const names = entries
          .map(entry => entry.name)
          .filter(name => !(directory.isRoot && name.startsWith(ASIDE_PREFIX)))
        await eachAtOnce(names, sweeper.atOnce, async name => {
          if (sweeper.stopped()) return
          const found = await crawlName(sweeper, job, name, tally)
          if (found === undefined) return
          await healOne(sweeper, found.gfid, tally)
          if (found.directory) directories.push(found.gfid)
        })
        return !sweeper.stopped()
      },
    )
    if (failed !== undefined) {
      tally.failed += 1
      set.env.log.warning('a directory cannot be crawled', {
        gfid: gfidText(gfid),
        errno: failed.errno,
      })
    }
  } finally {
    job.end()
  }
  return directories
}

/** What the name leads to, once the bricks agree about it. */
async function crawlName(
  { set, memory }: Sweeper,
  job: HealJob,
  name: string,
  tally: Tally,
): Promise<{ gfid: Gfid; directory: boolean } | undefined> {
  let copies = await lookAtName(job, name)
  const [one] = copies.filter(isCopy)
  if (one === undefined) return undefined
  const agreed = copies.every(copy => isCopy(copy) && copy.stat.gfid === one.stat.gfid)
  if (!agreed) {
    const outcome = await healNameOutcome(set, job.inode.gfid, name)
    if (outcome.kind === 'failed') {
      memory.note(one.stat.gfid, outcome)
      if (outcome.splitBrain) tally.splitBrain += 1
      else tally.failed += 1
      return undefined
    }
    if (outcome.kind === 'healed') tally.healed += 1
    copies = await lookAtName(job, name)
  }
  const found = copies.find(isCopy)
  return found === undefined
    ? undefined
    : { gfid: found.stat.gfid, directory: found.stat.isDirectory }
}

async function healOne({ set, memory }: Sweeper, gfid: Gfid, tally: Tally): Promise<void> {
  const outcome = await healInode(set, gfid)
  memory.note(gfid, outcome)
  if (outcome.kind === 'healed') tally.healed += 1
  if (outcome.kind !== 'failed') return
  if (outcome.splitBrain) tally.splitBrain += 1
  else tally.failed += 1
}
