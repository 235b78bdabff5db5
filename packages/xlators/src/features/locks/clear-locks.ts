/**
 * clear-locks: removing locks by hand, through getxattr of a name that says which
 * (`glusterfs.clrlk.t<type>.k<kind>[.<args>]`), and calling off a waiting fcntl lock whose process
 * was interrupted (`glusterfs.intrlk…`). Facts: xlators/features/locks/src/clear.c.
 */

import { Errno } from '@ashlar/core'
import type { InodeLocks } from './inode-locks.ts'
import { RANGE_END } from './range-locks.ts'

const FORM = /^glusterfs\.(clrlk|intrlk)\.t(inode|entry|posix)\.k(blocked|granted|all)(?:\.(.*))?$/s

export interface ClearRequest {
  /** An interrupt reaches only the caller's own waiting locks. */
  readonly interrupt: boolean
  readonly type: 'inode' | 'entry' | 'posix'
  readonly kinds: { readonly blocked: boolean; readonly granted: boolean }
  readonly range: { readonly start: bigint; readonly end: bigint } | undefined
  readonly name: string | undefined
}

/** Undefined when the name is no such request. */
export function parseClearLocks(name: string): ClearRequest | undefined {
  const match = FORM.exec(name)
  if (match === null) return undefined
  const [, verb, type, kind, args] = match as unknown as [
    string,
    string,
    ClearRequest['type'],
    string,
    string | undefined,
  ]
  return {
    interrupt: verb === 'intrlk',
    type,
    kinds: { blocked: kind !== 'granted', granted: kind !== 'blocked' },
    range: type === 'entry' ? undefined : parseRange(args),
    name: type === 'entry' && args !== '' ? args : undefined,
  }
}

function parseRange(args: string | undefined): ClearRequest['range'] {
  const match = /^\d+,(\d+)-(\d+)$/.exec(args ?? '')
  if (match === null) return undefined
  const start = BigInt(match[1] as string)
  const length = BigInt(match[2] as string)
  return { start, end: length === 0n ? RANGE_END : start + length - 1n }
}

/** Removes the locks and says how many. */
export function clearLocks(
  locks: InodeLocks,
  request: ClearRequest,
  caller: { client: string; pid: number },
): { blocked: number; granted: number } {
  const inRange = (lock: { start: bigint; end: bigint }): boolean =>
    request.range === undefined ||
    (lock.start === request.range.start && lock.end === request.range.end)
  const total = { blocked: 0, granted: 0 }
  const add = (part: { blocked: number; granted: number }): void => {
    total.blocked += part.blocked
    total.granted += part.granted
  }
  if (request.interrupt) {
    total.blocked = locks.posix.refuse(
      lock => inRange(lock) && lock.client === caller.client && lock.caller === caller.pid,
      Errno.EINTR,
    )
  } else if (request.type === 'inode') {
    for (const domain of locks.ranges.values()) add(domain.clear(inRange, request.kinds))
  } else if (request.type === 'entry') {
    for (const domain of locks.entries.values()) {
      add(
        domain.clear(
          lock => request.name === undefined || lock.name === request.name,
          request.kinds,
        ),
      )
    }
  } else {
    if (request.kinds.blocked) total.blocked = locks.posix.refuse(inRange, Errno.EINTR)
    if (request.kinds.granted) {
      const kept = locks.posix.granted.filter(lock => inRange(lock))
      add(locks.posix.drop(lock => kept.includes(lock)))
    }
  }
  locks.settle()
  return total
}
