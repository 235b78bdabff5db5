import { Errno, failure, LockCommand, LockType, SetAttr } from '@ashlar/core'
import { BrickSet, errnoOf, good, type SetGraph, until } from '@ashlar/testkit'
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

/** Another client takes or gives back the file's lock on one brick. */
async function othersLock(type: number): Promise<void> {
  const { top, ctx } = bricks.brick(1)
  const loc = await bricks.brick(1).loc('/file')
  const flock = { type, whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: 'other' }
  const command = LockCommand.SETLK
  good(await top.inodelk({ ...ctx, lkOwner: 'other' }, { loc, domain: DOMAIN, command, flock }))
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
  await othersLock(LockType.WRLCK)
  const writing = write('changed')
  await until('dirty is raised', LEFT_MS, () => dataCounter(2, 'dirty') === 1)
  await bricks.blame(2, '/file', 'dirty', [-1, 0, 0])
  await othersLock(LockType.UNLCK)
  await writing
  await until('the lock is left', LEFT_MS, () => dataCounter(0, 'dirty') === 0)
  await until('there, too', LEFT_MS, () => dataCounter(2, 'dirty') === 0)
})

// Found by simulation: copies that are outdated did what the only good one could not, and blamed it.
it('does nothing for good that no good copy has done', async () => {
  for (const accused of [0, 1]) {
    await bricks.blame(2, '/file', accused, [1, 1, 0])
    await bricks.blame(2, '/', accused, [0, 0, 1])
  }
  const changing = new Set(['writev', 'setattr', 'mkdir'])
  client.meddler(2).interfere(fop => (changing.has(fop) ? failure(Errno.ENOSPC) : undefined))
  const fd = await client.volume.open('/file')
  expect(errnoOf(await client.volume.writeFd(fd, 'changed'))).toBe(Errno.ENOSPC)
  fd.unref()
  expect(errnoOf(await client.volume.setattr('/file', SetAttr.MODE, { mode: 0o600 }))).toBe(
    Errno.ENOSPC,
  )
  expect(errnoOf(await client.volume.mkdir('/directory'))).toBe(Errno.ENOSPC)
  for (const path of ['/file', '/']) {
    const key = `trusted.afr.${bricks.childName(2)}`
    expect(decodeCounters(bricks.xattr(0, path, key)), path).toEqual([0, 0, 0])
  }
})

// Found by simulation: one brick had the change and the others not, and nothing said so.
it('leaves a note of attributes that too few have changed', async () => {
  for (const index of [0, 1])
    client.meddler(index).interfere(fop => (fop === 'setattr' ? failure(Errno.EIO) : undefined))
  expect(errnoOf(await client.volume.setattr('/file', SetAttr.MODE, { mode: 0o600 }))).toBe(
    Errno.EIO,
  )
  expect(decodeCounters(bricks.xattr(2, '/file', 'trusted.afr.dirty'))).toEqual([0, 1, 0])
})

// Found by simulation: in a volume with an arbiter nobody had the data any more.
it('does not blame the only good copy for a flush that fails', async () => {
  for (const accused of [0, 1]) await bricks.blame(2, '/file', accused, [1, 0, 0])
  client.meddler(2).interfere(fop => (fop === 'fsync' ? failure(Errno.EIO) : undefined))
  await write('changed')
  const flock = { type: LockType.WRLCK, whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: 'other' }
  const { top, ctx } = bricks.brick(0)
  const loc = await bricks.brick(0).loc('/file')
  const command = LockCommand.SETLKW
  await top.inodelk({ ...ctx, lkOwner: 'other' }, { loc, domain: DOMAIN, command, flock })
  expect([dataCounter(0, 2), dataCounter(1, 2)]).toEqual([0, 0])
  expect([dataCounter(0, 'dirty'), dataCounter(2, 'dirty')]).toEqual([1, 1])
})

it('goes on without a lost brick, and waits for no disk', async () => {
  const fd = await client.volume.open('/file')
  good(await client.volume.writeFd(fd, 'before'))
  for (const index of [0, 2]) {
    client.meddler(index).interfere(fop => (fop === 'fsync' ? new Promise(() => {}) : undefined))
  }
  await client.cut(1)
  good(await client.volume.writeFd(fd, 'behind'))
  expect([dataCounter(0, 1), dataCounter(2, 1)]).toEqual([1, 1])
  for (const index of [0, 2]) client.meddler(index).interfere(undefined)
  fd.unref()
})

// Found by simulation: nobody said who had lost it, and a heal chose that copy.
it('blames who may have lost it, though but one copy is left to say so', async () => {
  await client.cut(0)
  await write('changed')
  await client.cut(2)
  await until('it is blamed', LEFT_MS, () => dataCounter(1, 2) === 1)
})

// Found by simulation: a brick had lost what it had not synced, and was read by who had not heard.
it('does not read from a brick that was blamed while the lock was waited for', async () => {
  const { volume } = await bricks.join(replicate, { 'quorum-type': 'auto', 'read-hash-mode': '0' })
  await bricks.overwrite(0, '/file', 'erased!')
  const fd = await volume.open('/file')
  await othersLock(LockType.WRLCK)
  const writing = volume.writeFd(fd, '!', 7)
  await until('dirty is raised', LEFT_MS, () => dataCounter(2, 'dirty') === 1)
  for (const index of [1, 2]) await bricks.blame(index, '/file', 0, [1, 0, 0])
  await othersLock(LockType.UNLCK)
  good(await writing)
  const read = good(await volume.top.readv(volume.ctx, { fd, size: 99, offset: 0, flags: 0 }))
  expect(read.data.toString()).toBe('content!')
  fd.unref()
})

// Found by simulation: two outdated copies were written, and all three blamed each other.
it('does not write when the only good copy is lost while the lock is waited for', async () => {
  for (const index of [0, 2]) await bricks.blame(index, '/file', 1, [1, 0, 0])
  for (const index of [1, 2]) await bricks.blame(index, '/file', 0, [1, 0, 0])
  const fd = await client.volume.open('/file')
  await othersLock(LockType.WRLCK)
  const writing = client.volume.writeFd(fd, 'changed')
  await until('dirty is raised', LEFT_MS, () => dataCounter(2, 'dirty') === 1)
  await client.cut(2)
  await othersLock(LockType.UNLCK)
  expect(errnoOf(await writing)).toBe(Errno.EIO)
  expect([dataCounter(0, 2), dataCounter(1, 2)]).toEqual([0, 0])
  fd.unref()
})
