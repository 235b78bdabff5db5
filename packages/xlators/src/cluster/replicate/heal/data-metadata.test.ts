/** Heals of data and attributes over real bricks, set up as an outage leaves them. */

import { defineXlator, Errno, failure, gfidText, SetAttr } from '@ashlar/core'
import { BrickSet, good } from '@ashlar/testkit'
import { afterEach, expect, it } from 'vitest'
import { only } from '../members.ts'
import { replicateOptions } from '../options.ts'
import { ReplicaSet } from '../replica-set.ts'
import { healInode } from './inode.ts'
import { LOOKED_AT_ONCE, Looks } from './looks.ts'

let replica: ReplicaSet
/** A set and nothing more. */
const bare = defineXlator({
  type: 'testing/replica',
  options: replicateOptions,
  create: self => {
    const set = new ReplicaSet(self)
    replica = set
    return {
      notify(event, from) {
        if (event.kind === 'child-up') set.up |= only(from.index)
        if (event.kind === 'child-down') set.up &= ~only(from.index)
      },
    }
  },
})

let bricks: BrickSet
afterEach(() => bricks.stop())

async function start(count: number, options: Record<string, string> = {}): Promise<void> {
  bricks = await BrickSet.start({ count })
  await bricks.join(bare, options)
}

it('heals the data and attributes of one file', async () => {
  await start(3)
  const gfid = await bricks.write('/f', 'old content')
  for (const index of [0, 1]) {
    await bricks.overwrite(index, '/f', 'NEW')
    await bricks.blame(index, '/f', 2, [1, 2, 0])
    const brick = bricks.brick(index)
    good(await brick.setattr('/f', SetAttr.MODE | SetAttr.UID, { mode: 0o600, uid: 7 }))
    good(await brick.setxattr('/f', { 'user.k': Buffer.from('v2') }))
  }
  const old = { 'user.k': Buffer.from('v1'), 'user.gone': Buffer.from('x') }
  good(await bricks.brick(2).setxattr('/f', old))
  expect(bricks.indices(0).xattrop).toEqual([gfidText(gfid)])
  expect(await healInode(replica, gfid)).toEqual({ kind: 'healed' })
  expect(await bricks.contents('/f')).toEqual(['NEW content', 'NEW content', 'NEW content'])
  const stats = await Promise.all(bricks.bricks.map(brick => brick.stat('/f')))
  expect(stats[2]).toMatchObject({ uid: 7, mode: 0o100600, size: 11 })
  expect(bricks.xattr(2, '/f', 'user.k')?.toString()).toBe('v2')
  expect(bricks.xattrNames(2, '/f')).not.toContain('user.gone')
  for (const index of [0, 1]) {
    expect(bricks.xattr(index, '/f', 'trusted.afr.gv0-client-2')).toEqual(Buffer.alloc(12))
    expect(bricks.indices(index)).toEqual({ xattrop: [], dirty: [], entryChanges: {} })
  }
  expect(bricks.xattrNames(2, '/f').filter(name => name.startsWith('trusted.afr'))).toEqual([])
  const times = stats.map(stat => [stat.mtime, stat.mtimeNsec, stat.ctime, stat.ctimeNsec])
  expect([times[0], times[1]]).toContainEqual(times[2])
  expect(await healInode(replica, gfid)).toEqual({ kind: 'clean' })
})

it('does not believe an old look that nobody has the file', async () => {
  await start(3)
  const gfid = await bricks.write('/f', 'old content')
  for (const index of [0, 1]) {
    await bricks.overwrite(index, '/f', 'NEW')
    await bricks.blame(index, '/f', 2, [1, 0, 0])
  }
  const looked = [0, 1, 2].map(() => failure(Errno.ENOENT))
  expect(await healInode(replica, gfid, { looked })).toEqual({ kind: 'healed' })
  expect(await bricks.contents('/f')).toEqual(['NEW content', 'NEW content', 'NEW content'])
})

it('looks at the files of a list together, and again after a brick came or went', async () => {
  await start(2)
  const count = LOOKED_AT_ONCE + 1
  const gfids = []
  for (let n = 0; n < count; n++) gfids.push(await bricks.write(`/f${n}`, 'x'.repeat(n)))
  const looks = new Looks(replica, gfids)
  for (let n = 0; n < count; n++) {
    const copies = await looks.at(n)
    expect(copies).toMatchObject([{ stat: { size: n } }, { stat: { size: n } }])
  }
  replica.generation += 1
  expect(await looks.at(count - 1)).toBeUndefined()
})
