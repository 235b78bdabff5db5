/**
 * What is to be healed: each brick's index, with what the copies say of each entry now. Without
 * locks, and changing nothing.
 * Source: xlators/cluster/afr/src/afr-common.c (`afr_get_heal_info`), heal/src/glfs-heal.c.
 */

import { failure, type Failure, Errno, type Gfid } from '@ashlar/core'
import { type BrickChangelog, ChangeKind, isZero } from '../changelog.ts'
import type { BrickHealInfo, HealEntry, HealInfoWanted, HealState } from '../healer.ts'
import { type Members, NOBODY, only, size } from '../members.ts'
import type { ReplicaSet } from '../replica-set.ts'
import {
  brickNames,
  type Copies,
  directionOf,
  isAbsent,
  isCopy,
  lookAtAllCopies,
  present,
} from './copies.ts'
import { IndexKind, IndexView } from './index-view.ts'
import { needsOf, type Needs } from './inode.ts'
import { HealJob } from './job.ts'
import { askLocks, isBeingHealed, isUnderWay } from './lock-counts.ts'
import type { HealMemory } from './memory.ts'
import { pathOf } from './paths.ts'
import { eachAtOnce } from './pool.ts'
import { HEAL_CTX } from './sweep.ts'

/** Files that are looked at together, and how many such groups at a time. */
const GROUP_FILES = 16
const GROUPS_AT_ONCE = 2

type Tell = (gfids: readonly Gfid[]) => Promise<(HealEntry | undefined)[]>

export function healInfo(
  set: ReplicaSet,
  memory: HealMemory,
  { paths = true }: HealInfoWanted,
): Promise<BrickHealInfo[]> {
  // Bricks note the same files: their copies are looked at once.
  const told = new Map<Gfid, Promise<HealEntry | undefined>>()
  const tell: Tell = gfids => {
    const fresh = gfids.filter(gfid => !told.has(gfid))
    const entries = entriesFor(set, memory, fresh, paths)
    for (const [k, gfid] of fresh.entries()) {
      told.set(
        gfid,
        entries.then(all => all[k]),
      )
    }
    return Promise.all(gfids.map(async gfid => told.get(gfid)))
  }
  return Promise.all(
    set.children.map(async (child, index) => ({
      brick: child.name,
      entries: set.isUp(index) ? await entriesOf(set, index, tell) : failure(Errno.ENOTCONN),
    })),
  )
}

/** Number of entries of each brick's index. */
export async function healCounts(set: ReplicaSet): Promise<(number | undefined)[]> {
  const counts = await set.onAll(set.up, (_child, index) =>
    new IndexView(set, index, HEAL_CTX).count(),
  )
  return counts.map(count => (typeof count === 'number' ? count : undefined))
}

async function entriesOf(
  set: ReplicaSet,
  index: number,
  tell: Tell,
): Promise<HealEntry[] | Failure> {
  const view = new IndexView(set, index, HEAL_CTX)
  const seen = new Set<Gfid>()
  const entries: HealEntry[] = []
  for (const kind of [IndexKind.PENDING, IndexKind.DIRTY] as const) {
    const failed = await view.each(kind, async page => {
      const fresh = page.map(({ gfid }) => gfid).filter(gfid => !seen.has(gfid))
      for (const gfid of fresh) seen.add(gfid)
      const groups = groupsOf(fresh, GROUP_FILES)
      const found: (HealEntry | undefined)[][] = []
      await eachAtOnce([...groups.entries()], GROUPS_AT_ONCE, async ([k, gfids]) => {
        found[k] = await tell(gfids)
      })
      entries.push(...found.flat().filter(entry => entry !== undefined))
      return true
    })
    if (failed !== undefined) return failed
  }
  return entries
}

function groupsOf<T>(items: readonly T[], size: number): T[][] {
  const groups: T[][] = []
  for (let at = 0; at < items.length; at += size) groups.push(items.slice(at, at + size))
  return groups
}

/** undefined: nothing of it is to be healed. */
async function entriesFor(
  set: ReplicaSet,
  memory: HealMemory,
  gfids: readonly Gfid[],
  paths: boolean,
): Promise<(HealEntry | undefined)[]> {
  const jobs = gfids.map(gfid => new HealJob(set, gfid))
  try {
    const all = await lookAtAllCopies(set, jobs, askLocks)
    return await Promise.all(
      jobs.map((job, k) => entryOf(job, all[k] as Copies, { memory, paths })),
    )
  } finally {
    for (const job of jobs) job.end()
  }
}

async function entryOf(
  job: HealJob,
  copies: Copies,
  { memory, paths }: { readonly memory: HealMemory; readonly paths: boolean },
): Promise<HealEntry | undefined> {
  const { set, inode } = job
  const members = present(copies)
  if (members === NOBODY) return undefined
  const needs = needsOf(set, copies)
  if (!needs.data && !needs.metadata && !needs.entry) return undefined
  if (isUnderWay(job, copies)) return undefined
  const state = stateOf(job, copies, needs)
  return {
    gfid: inode.gfid,
    path: paths ? await pathOf(job, members) : undefined,
    state,
    reason: reasonOf(set, copies, state, memory.reason(inode.gfid)),
    age: ageOf(set, copies),
  }
}

function stateOf(job: HealJob, copies: Copies, needs: Needs): HealState {
  const split = (kind: ChangeKind): boolean => directionOf(job.set, copies, kind).splitBrain
  const torn =
    (needs.data && split(ChangeKind.DATA)) ||
    (needs.metadata && split(ChangeKind.METADATA)) ||
    (needs.entry && split(ChangeKind.ENTRY))
  if (torn) return 'split-brain'
  return isBeingHealed(job, copies) ? 'healing' : 'pending'
}

/** Who has missed what, in a sentence, and what the last heal met. */
function reasonOf(
  set: ReplicaSet,
  copies: Copies,
  state: HealState,
  last: string | undefined,
): string {
  const parts = [accusation(set, copies, state)]
  const absent = copies.flatMap((copy, index) => (isAbsent(copy) ? [set.child(index).name] : []))
  if (absent.length > 0) parts.push(`it is not on ${absent.join(', ')} yet`)
  const down = set.all & ~set.up
  if (down !== NOBODY) parts.push(`waits for ${brickNames(set, down)}`)
  else if (last !== undefined) parts.push(`the last heal: ${last}`)
  return parts.join('; ')
}

function accusation(set: ReplicaSet, copies: Copies, state: HealState): string {
  const logs = copies.map(copy => (isCopy(copy) ? copy.log : undefined))
  const blamed = blamedBy(logs)
  if (state === 'split-brain') {
    return `${brickNames(set, blamed.accusers | blamed.accused)} accuse each other, so none is known to be right`
  }
  if (blamed.accused !== NOBODY) {
    const have = size(blamed.accusers) === 1 ? 'has' : 'have'
    return `${brickNames(set, blamed.accused)} missed changes that ${brickNames(set, blamed.accusers)} ${have}`
  }
  const dirty = logs.some(log => log !== undefined && !isZero(log.dirty))
  return dirty ? 'an operation was cut off' : 'the copies differ'
}

function blamedBy(logs: readonly (BrickChangelog | undefined)[]): {
  accusers: Members
  accused: Members
} {
  let accusers: Members = NOBODY
  let accused: Members = NOBODY
  for (const [i, log] of logs.entries()) {
    for (const [j, counters] of log?.pending.entries() ?? []) {
      if (isZero(counters)) continue
      accusers = accusers | only(i)
      accused = accused | only(j)
    }
  }
  return { accusers, accused }
}

/**
 * Seconds since the last change of a copy that accuses another. Index entries are links to one file
 * and have no times of their own.
 */
function ageOf(set: ReplicaSet, copies: Copies): number | undefined {
  const changed = copies.flatMap(copy =>
    isCopy(copy) && !copy.log.pending.every(isZero) ? [copy.stat.ctime] : [],
  )
  if (changed.length === 0) return undefined
  return Math.max(0, set.env.clock.wall().sec - Math.max(...changed))
}
