/**
 * Locks for people: what a statedump says of them, a line each, by GlusterFS's names (`pl_dump_*` in
 * xlators/features/locks/src/posix.c). ACTIVE is held, BLOCKED is waited for.
 */

import { gfidText } from '@ashlar/core'
import type { EntryLock } from './entry-locks.ts'
import type { InodeLocks } from './inode-locks.ts'
import { RANGE_END, type RangeLock } from './range-locks.ts'
import type { Holder } from './waiting.ts'

/** Locks that are told one by one; of the others only how many there are. */
export const LOCKS_SHOWN_MAX = 1000

interface Group<L> {
  readonly granted: readonly L[]
  readonly blocked: readonly L[]
}

type Line = readonly [key: string, text: string]

/** Of all locked inodes, up to `LOCKS_SHOWN_MAX` locks. */
export function dumpLocks(all: Iterable<InodeLocks>): Record<string, string | number> {
  const dump: Record<string, string | number> = {}
  let shown = 0
  let more = 0
  let n = 0
  for (const locks of all) {
    for (const [key, text] of linesOf(locks)) {
      if (shown === LOCKS_SHOWN_MAX) {
        more += 1
        continue
      }
      shown += 1
      dump[`inode.${n}.gfid`] = gfidText(locks.inode.gfid)
      dump[`inode.${n}.${key}`] = text
    }
    n += 1
  }
  return { 'locked-inodes': n, ...dump, ...(more === 0 ? {} : { 'locks-not-shown': more }) }
}

function* linesOf(locks: InodeLocks): Generator<Line> {
  for (const [domain, group] of locks.entries) {
    yield* groupLines(`entrylk.${domain}`, group, entryText)
  }
  for (const [domain, group] of locks.ranges) {
    yield* groupLines(`inodelk.${domain}`, group, rangeText)
  }
  yield* groupLines('posixlk', locks.posix, rangeText)
}

function* groupLines<L extends Holder>(
  title: string,
  group: Group<L>,
  text: (lock: L) => string,
): Generator<Line> {
  for (const [state, locks] of [
    ['ACTIVE', group.granted],
    ['BLOCKED', group.blocked],
  ] as const) {
    for (const [i, lock] of locks.entries()) {
      yield [`${title}[${i}](${state})`, `${text(lock)}, ${holderText(lock)}`]
    }
  }
}

function entryText({ name, type }: EntryLock): string {
  const what = name === undefined ? 'the whole directory' : JSON.stringify(name)
  return `type=${type === 0 ? 'READ' : 'WRITE'}, on=${what}`
}

function rangeText({ write, start, end }: Pick<RangeLock, 'write' | 'start' | 'end'>): string {
  const length = end === RANGE_END ? 0n : end - start + 1n
  return `type=${write ? 'WRITE' : 'READ'}, start=${start}, len=${length}`
}

function holderText({ pid, lkOwner, client }: Holder): string {
  return `pid=${pid}, owner=${Buffer.from(lkOwner, 'latin1').toString('hex')}, client=${client}`
}
