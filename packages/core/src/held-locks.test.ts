import { expect, test } from 'vitest'
import { LockType } from './fops.ts'
import { HeldLocks } from './held-locks.ts'

function range(type: number, start: bigint, len: bigint, lkOwner = 'a') {
  return { type, whence: 0, start, len, pid: 1, lkOwner }
}

const { RDLCK, WRLCK, UNLCK } = LockType

function held(locks: HeldLocks): [number, bigint, bigint, string][] {
  return locks
    .locks()
    .map(
      lock => [lock.type, lock.start, lock.len, lock.lkOwner] as [number, bigint, bigint, string],
    )
    .sort((one, two) => Number(one[1] - two[1]))
}

test('an unlock in the middle leaves two ends', () => {
  const locks = new HeldLocks()
  locks.granted(range(WRLCK, 0n, 0n))
  locks.granted(range(UNLCK, 10n, 10n))
  expect(held(locks)).toEqual([
    [WRLCK, 0n, 10n, 'a'],
    [WRLCK, 20n, 0n, 'a'],
  ])
})

test('a lock replaces what it overlaps of the same owner only', () => {
  const locks = new HeldLocks()
  locks.granted(range(RDLCK, 0n, 100n, 'b'))
  locks.granted(range(RDLCK, 0n, 100n))
  locks.granted(range(WRLCK, 50n, 100n))
  locks.closed('b')
  expect(held(locks)).toEqual([
    [RDLCK, 0n, 50n, 'a'],
    [WRLCK, 50n, 100n, 'a'],
  ])
  locks.closed('a')
  expect(locks.size).toBe(0)
})
