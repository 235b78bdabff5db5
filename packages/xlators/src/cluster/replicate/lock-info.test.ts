/** Locks of a program that moves from one client graph to the next, on all bricks of a set. */

import { type Ctx, Errno, LOCK_INFO, LockCommand, LockType, type Reply } from '@ashlar/core'
import { BrickSet, errnoOf, good, type SetGraph, type TestVolume } from '@ashlar/testkit'
import { parseDict } from '@ashlar/wire'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { replicate } from './index.ts'

const COUNT = 3
const flock = { type: LockType.WRLCK, whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: 'one' }

let bricks: BrickSet
let old: SetGraph
let next: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: COUNT })
  await bricks.write('/file', 'content')
  old = await bricks.join(replicate, { 'quorum-type': 'auto' })
  next = await bricks.join(replicate, { 'quorum-type': 'auto' })
})
afterEach(() => bricks.stop())

const owner = (volume: TestVolume): Ctx => ({ ...volume.ctx, lkOwner: 'one', pid: 1 })

async function tryLock({ volume }: SetGraph, lkOwner: string): Promise<Reply<'lk'>> {
  const fd = await volume.open('/file')
  const ctx = { ...volume.ctx, lkOwner }
  const command = LockCommand.SETLK
  const reply = await volume.top.lk(ctx, { fd, command, flock: { ...flock, lkOwner } })
  fd.unref()
  return reply
}

/** What the dump of a brick tells of file locks. */
function locksOn(index: number): string[] {
  const dump = bricks.brick(index).graph.xlator('locks')?.dump?.() ?? {}
  return Object.keys(dump).filter(key => key.includes('posixlk'))
}

it.each([
  ['all bricks are up', [], []],
  ['a brick is away', [2], []],
  ['the last brick has just come', [], [2]],
] as const)('all move when %s', async (_name, away, late) => {
  for (const index of [...away, ...late]) await old.cut(index)
  for (const index of away) await next.cut(index)
  const { volume } = old
  const before = await volume.open('/file')
  const command = LockCommand.SETLK
  good(await volume.top.lk(owner(volume), { fd: before, command, flock }))
  const info = good(await volume.top.fgetxattr(volume.ctx, { fd: before, name: LOCK_INFO }))
  const named = parseDict(info.dict.getBytes(LOCK_INFO) as Buffer)
  expect(named.size).toBe(COUNT - away.length - late.length)

  const { top, ctx } = next.volume
  const after = await next.volume.open('/file')
  good(await top.fsetxattr(ctx, { fd: after, dict: info.dict, flags: 0 }))
  await bricks.leave(old)
  const last = await bricks.join(replicate, { 'quorum-type': 'auto' })
  expect(errnoOf(await tryLock(last, 'two'))).toBe(Errno.EAGAIN)
  good(await top.lk(owner(next.volume), { fd: after, command, flock }))
  // Closing the file must reach the bricks: they have its locks.
  good(await top.flush(owner(next.volume), { fd: after }))
  good(await tryLock(last, 'two'))
  before.unref()
  after.unref()
})

it('nobody is blamed, and nothing is left behind', async () => {
  const { volume } = old
  const before = await volume.open('/file')
  const command = LockCommand.SETLK
  good(await volume.top.lk(owner(volume), { fd: before, command, flock }))
  const info = good(await volume.top.fgetxattr(volume.ctx, { fd: before, name: LOCK_INFO }))
  const { top, ctx } = next.volume
  const after = await next.volume.open('/file')
  good(await top.fsetxattr(ctx, { fd: after, dict: info.dict, flags: 0 }))
  before.unref()
  await bricks.leave(old)
  good(await top.flush(owner(next.volume), { fd: after }))
  for (let index = 0; index < COUNT; index++) {
    expect(locksOn(index)).toEqual([])
    expect(bricks.indices(index)).toMatchObject({ xattrop: [], dirty: [] })
    expect(bricks.xattrNames(index, '/file').filter(name => name.includes('afr'))).toEqual([])
  }
  after.unref()
})
