import { LockCommand, LockType } from '@ashlar/core'
import { BrickSet, good, type SetGraph, until } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { decodeCounters } from '../changelog.ts'
import { replicate } from '../index.ts'

const LEFT_MS = 8000
const DOMAIN = 'gv0-replicate-0'

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, { 'quorum-type': 'auto' })
  await bricks.write('/file', 'content')
})
afterEach(() => bricks.stop())

/** The counter of data on a brick. */
function dataCounter(index: number, accused: number | 'dirty'): number {
  const key = accused === 'dirty' ? accused : bricks.childName(accused)
  return decodeCounters(bricks.xattr(index, '/file', `trusted.afr.${key}`))[0]
}

async function write(text: string): Promise<void> {
  const fd = await client.volume.open('/file')
  good(await client.volume.writeFd(fd, text))
  fd.unref()
}

// Found by simulation: the brick had lost what it had not synced, synced the rest, and was clean.
it('blames a brick that was lost under the lock, though it is back', async () => {
  await write('changed')
  await client.cut(2)
  await client.mend(2)
  await until('the lock is left', LEFT_MS, () => dataCounter(0, 'dirty') === 0)
  expect([dataCounter(0, 2), dataCounter(1, 2)]).toEqual([1, 1])
  // Without its lock nobody but a healer may say that it is clean.
  expect(dataCounter(2, 'dirty')).toBe(1)
})

// Found by simulation: both took back what one had raised, and −1 was never healed.
it('takes nothing back that a healer has taken back while the lock was waited for', async () => {
  const other = bricks.brick(1)
  const loc = await other.loc('/file')
  const flock = { whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: 'other' }
  const lock = (type: number): Promise<unknown> =>
    other.top.inodelk(
      { ...other.ctx, lkOwner: 'other' },
      { loc, domain: DOMAIN, command: LockCommand.SETLK, flock: { ...flock, type } },
    )
  await lock(LockType.WRLCK)
  const writing = write('changed')
  await until('dirty is raised', LEFT_MS, () => dataCounter(2, 'dirty') === 1)
  await bricks.blame(2, '/file', 'dirty', [-1, 0, 0])
  await lock(LockType.UNLCK)
  await writing
  await until('the lock is left', LEFT_MS, () => dataCounter(0, 'dirty') === 0)
  await until('there, too', LEFT_MS, () => dataCounter(2, 'dirty') === 0)
})
