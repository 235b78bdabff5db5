/**
 * One sweep of a brick's heal index: everything in it is healed, several files at a time, and again
 * as long as that helps (a file waits for its directory, a new directory brings new names).
 * Source: xlators/cluster/afr/src/afr-self-heald.c.
 */

import { type Ctx, Errno, type Gfid, gfidText, ROOT_CTX, SpecialPid } from '@ashlar/core'
import type { ReplicaSet } from '../replica-set.ts'
import type { Copies } from './copies.ts'
import { clearIndex, healInode, isGoneEverywhere } from './inode.ts'
import { IndexKind, IndexView, type Indexed } from './index-view.ts'
import { Looks } from './looks.ts'
import type { HealMemory } from './memory.ts'
import { eachAtOnce } from './pool.ts'

export const HEAL_CTX: Ctx = { ...ROOT_CTX, pid: SpecialPid.SELF_HEALD, priority: 'heal' }
/** Passes over one index in one sweep: each must have healed something. */
const PASSES_MAX = 1000

/** Directories within each other that are healed before files have their turn again. */
const DEPTH_MAX = 32

/** Counted while it goes. */
export interface Tally {
  healed: number
  splitBrain: number
  failed: number
}

/** Of one pass: how many of the failed were in each other's way. */
interface Pass extends Tally {
  busy: number
}

export interface Sweeper {
  readonly set: ReplicaSet
  readonly memory: HealMemory
  /** Files at a time. */
  readonly atOnce: number
  readonly stopped: () => boolean
}

/** One index of a brick, and who sweeps it. */
interface SweptIndex {
  readonly sweeper: Sweeper
  readonly view: IndexView
  readonly kind: typeof IndexKind.PENDING | typeof IndexKind.DIRTY
}

/** Sweeps the index of brick `index`, then forgets names that are noted of directories long gone. */
export async function sweepIndex(sweeper: Sweeper, index: number, tally: Tally): Promise<void> {
  await sweepPending(sweeper, index, tally)
  if (!sweeper.stopped()) await forgetNames(sweeper, index)
}

/** What could not be healed in the last pass is counted as such. */
async function sweepPending(sweeper: Sweeper, index: number, tally: Tally): Promise<void> {
  let alone = false
  for (let pass = 0; pass < PASSES_MAX && !sweeper.stopped(); pass++) {
    const found: Pass = { healed: 0, splitBrain: 0, failed: 0, busy: 0 }
    const pace = alone ? { ...sweeper, atOnce: 1 } : sweeper
    const view = new IndexView(sweeper.set, index, HEAL_CTX)
    for (const kind of [IndexKind.PENDING, IndexKind.DIRTY] as const) {
      const swept = { sweeper: pace, view, kind }
      await healDirectories(swept, found)
      await healAll(swept, entry => !entry.directory, found)
    }
    tally.healed += found.healed
    tally.splitBrain = found.splitBrain
    tally.failed = found.failed
    // After a pass that healed something there may be more: new entries come into the index.
    if (found.healed > 0) continue
    // Heals that were in each other's way have another chance, one by one.
    if (found.busy === 0 || alone) return
    alone = true
  }
}

/** Names of a directory that any brick has, or may have, stay noted: its heal goes by them. */
async function forgetNames({ set, stopped }: Sweeper, index: number): Promise<void> {
  const view = new IndexView(set, index, HEAL_CTX)
  const gone: Gfid[] = []
  const failed = await view.each(IndexKind.NAMES, async entries => {
    for (const { gfid, directory } of entries) {
      if (!directory && (await isGoneEverywhere(set, gfid))) gone.push(gfid)
    }
    return !stopped()
  })
  if (failed !== undefined && failed.errno !== Errno.ENOTCONN)
    set.env.log.debug('noted names cannot be read', { brick: view.brick, errno: failed.errno })
  for (const gfid of gone) await view.removeAllNames(gfid)
}

/**
 * Directories go first, and as long as that helps: what is in them is then there to be healed, further
 * directories among it.
 */
async function healDirectories(index: SweptIndex, tally: Pass): Promise<void> {
  let round: Pass = { healed: 0, splitBrain: 0, failed: 0, busy: 0 }
  for (let depth = 0; depth < DEPTH_MAX && !index.sweeper.stopped(); depth++) {
    round = { healed: 0, splitBrain: 0, failed: 0, busy: 0 }
    await healAll(index, entry => entry.directory, round)
    tally.healed += round.healed
    if (round.healed === 0 || round.failed === 0) break
  }
  tally.splitBrain += round.splitBrain
  tally.failed += round.failed
  tally.busy += round.busy
}

/** Heals what the index has of a sort. */
async function healAll(
  index: SweptIndex,
  isMeant: (entry: Indexed) => boolean,
  tally: Pass,
): Promise<void> {
  const { sweeper, view, kind } = index
  const failed = await view.each(kind, async entries => {
    const meant = entries.filter(isMeant)
    const looks = new Looks(
      sweeper.set,
      meant.map(entry => entry.gfid),
    )
    await eachAtOnce(meant, sweeper.atOnce, async ({ gfid }, n) => {
      if (!sweeper.stopped()) await healEntry(index, gfid, await looks.at(n), tally)
    })
    return !sweeper.stopped()
  })
  if (failed !== undefined && failed.errno !== Errno.ENOTCONN)
    sweeper.set.env.log.warning('a heal index cannot be read', {
      brick: view.brick,
      errno: failed.errno,
    })
}

async function healEntry(
  { sweeper: { set, memory }, view, kind }: SweptIndex,
  gfid: Gfid,
  looked: Copies | undefined,
  tally: Pass,
): Promise<void> {
  const outcome = await healInode(set, gfid, { looked })
  const before = memory.reason(gfid)
  memory.note(gfid, outcome)
  switch (outcome.kind) {
    case 'gone':
      await view.remove(kind, gfid)
      return
    case 'clean':
      await clearIndex(set, gfid)
      return
    case 'busy':
      return
    case 'healed':
      tally.healed += 1
      set.env.log.debug('healed', { gfid: gfidText(gfid) })
      return
    case 'failed':
      if (outcome.splitBrain) tally.splitBrain += 1
      else tally.failed += 1
      if (outcome.errno === Errno.EAGAIN) tally.busy += 1
      // Once for each reason: the next sweep will meet the same.
      if (outcome.reason !== before)
        set.env.log.info('not healed', { gfid: gfidText(gfid), reason: outcome.reason })
  }
}
