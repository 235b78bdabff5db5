/** Heals of data and attributes over real bricks, set up as an outage leaves them. */

import { defineXlator, Dict, type Gfid, gfidText, SetAttr, Xattrop } from '@ashlar/core'
import { BrickSet, good } from '@ashlar/testkit'
import { afterEach, expect, it } from 'vitest'
import { encodeCounters, type Counters } from '../changelog.ts'
import { replicateOptions } from '../options.ts'
import { ReplicaSet } from '../replica-set.ts'
import { only } from '../members.ts'
import { healInode } from './inode.ts'

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
  bricks = await BrickSet.start({ count, top: bare, options })
}

/** The same file on all bricks. */
async function everywhere(path: string, content: string): Promise<Gfid> {
  const gfid = bricks.volume.env.random.uuid()
  for (const brick of bricks.bricks) {
    const xdata = new Dict().setGfid('gfid-req', gfid)
    const { reply, fd } = await brick.create(path, { xdata })
    good(reply)
    good(await brick.writeFd(fd, content))
    fd.unref()
  }
  return gfid
}

async function blame(
  brick: number,
  path: string,
  accused: number,
  counters: Counters,
): Promise<void> {
  const volume = bricks.bricks[brick]!
  const dict = new Dict().setBytes(`trusted.afr.gv0-client-${accused}`, encodeCounters(counters))
  const loc = await volume.loc(path)
  good(await volume.top.xattrop(volume.ctx, { loc, op: Xattrop.ADD_ARRAY, dict }))
}

async function contents(path: string): Promise<string[]> {
  return Promise.all(bricks.bricks.map(brick => brick.read(path)))
}

async function overwrite(brick: number, path: string, text: string, offset = 0): Promise<void> {
  const volume = bricks.bricks[brick]!
  const fd = await volume.open(path)
  good(await volume.writeFd(fd, text, offset))
  fd.unref()
}

it('heals the data and attributes of one file', async () => {
  await start(3)
  const gfid = await everywhere('/f', 'old content')
  for (const good of [0, 1]) {
    await overwrite(good, '/f', 'NEW')
    await blame(good, '/f', 2, [1, 2, 0])
    await bricks.bricks[good]!.setattr('/f', SetAttr.MODE | SetAttr.UID, { mode: 0o600, uid: 7 })
    await bricks.bricks[good]!.setxattr('/f', { 'user.k': Buffer.from('v2') })
  }
  await bricks.bricks[2]!.setxattr('/f', {
    'user.k': Buffer.from('v1'),
    'user.gone': Buffer.from('x'),
  })
  expect(bricks.indices(0).xattrop).toEqual([gfidText(gfid)])
  expect(await healInode(replica, gfid)).toEqual({ kind: 'healed' })
  expect(await contents('/f')).toEqual(['NEW content', 'NEW content', 'NEW content'])
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
