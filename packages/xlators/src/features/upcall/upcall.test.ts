/** Which client hears of which change that another one made. */

import { statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import {
  type CacheInvalidation,
  Dict,
  Errno,
  type Gfid,
  parseVolfile,
  ROOT_GFID,
  SetAttr,
  UpcallFlag,
  Xattrop,
} from '@ashlar/core'
import { errnoOf, good, TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { posix } from '../../storage/posix/index.ts'
import { upcall } from './index.ts'

let root: string
let volume: TestVolume
let seconds = 0

const volfile = (option: string): string => `
volume p
  type storage/posix
  option directory ${root}
end-volume
volume u
  type features/upcall
  option cache-invalidation ${option}
  option cache-invalidation-timeout 60
  subvolumes p
end-volume`

async function start(option: string, lruLimit = 0): Promise<void> {
  seconds = 0
  volume = await TestVolume.start({
    brick: true,
    lruLimit,
    definitions: [posix, upcall],
    volfile: volfile(option),
    env: {
      clock: {
        monotonic: () => seconds * 1000,
        wall: () => ({ sec: 1_700_000_000 + seconds, nsec: 0 }),
        after: () => ({ cancel: () => {} }),
      },
    },
  })
  volume.ctx = { ...volume.ctx, client: 'one' }
}

beforeEach(async () => {
  root = await mkdtemp(`${tmpdir()}/upcall-`)
  await start('on')
})
afterEach(async () => {
  await volume.stop()
  await rm(root, { recursive: true })
})

/** Runs as another client. */
async function as<R>(client: string, action: () => Promise<R>): Promise<R> {
  const before = volume.ctx
  volume.ctx = { ...before, client }
  try {
    return await action()
  } finally {
    volume.ctx = before
  }
}

const news = (): [string, Gfid, number][] =>
  volume.events
    .splice(0)
    .flatMap(event =>
      event.kind === 'cache-invalidation'
        ? [
            [event.client as string, event.change.gfid, event.change.flags] as [
              string,
              Gfid,
              number,
            ],
          ]
        : [],
    )
const lastChange = (): CacheInvalidation | undefined => {
  const event = volume.events.findLast(each => each.kind === 'cache-invalidation')
  return event?.kind === 'cache-invalidation' ? event.change : undefined
}
const { NLINK, TIMES, SIZE, MODE, PERM, OWN, RENAME, PARENT_TIMES, XATTR, XATTR_RM, FORGET } =
  UpcallFlag

describe('features/upcall', () => {
  it('tells who used a file of a write by another, not the writer', async () => {
    const { gfid } = await volume.write('/f', 'x')
    await as('two', () => volume.lookup('/f'))
    await as('three', () => volume.lookup('/f'))
    news()
    const fd = await as('two', () => volume.open('/f'))
    const reply = good(await as('two', () => volume.writeFd(fd, 'longer')))
    expect(lastChange()?.stat).toEqual(reply.poststat)
    expect(lastChange()?.expireTime).toBe(60)
    expect(news()).toEqual([
      ['one', gfid, SIZE | TIMES],
      ['three', gfid, SIZE | TIMES],
    ])
    fd.unref()
  })

  it.each<[string, number, () => Promise<{ ok: boolean }>]>([
    [
      'setattr of the mode',
      TIMES | MODE | PERM,
      () => volume.setattr('/f', SetAttr.MODE, { mode: 0o600 }),
    ],
    [
      'setattr of the owner',
      TIMES | OWN,
      () => volume.setattr('/f', SetAttr.UID, { uid: statSync(root).uid }),
    ],
    [
      'truncate',
      SIZE | TIMES,
      async () => volume.top.truncate(volume.ctx, { loc: await volume.loc('/f'), offset: 0 }),
    ],
    ['unlink', NLINK | TIMES, () => volume.unlink('/f')],
    ['link', NLINK | TIMES, () => volume.link('/f', '/g')],
    ['rename', RENAME, () => volume.rename('/f', '/g')],
  ])('tells of %s', async (_what, flags, change) => {
    const { gfid } = await volume.write('/f', 'x')
    news()
    good(await as('two', change))
    expect(news().filter(([client, of]) => client === 'one' && of === gfid)).toEqual([
      ['one', gfid, flags],
    ])
  })

  it('tells who used a directory of its entries', async () => {
    good(await volume.mkdir('/d'))
    const { gfid } = await volume.stat('/d')
    const parent = TIMES | PARENT_TIMES
    const steps: (() => Promise<unknown>)[] = [
      () => volume.mkdir('/d/e'),
      () => volume.write('/d/f', 'x'),
      () => volume.symlink('/d/s', 'x'),
      () => volume.rename('/d/f', '/d/g'),
      () => volume.unlink('/d/g'),
      () => volume.rmdir('/d/e'),
    ]
    for (const step of steps) {
      news()
      await as('two', step)
      expect(news().filter(([client, of]) => client === 'one' && of === gfid)).toEqual([
        ['one', gfid, parent],
      ])
    }
    news()
    await as('two', () => volume.rename('/d/s', '/s'))
    expect(news().filter(([client, of]) => client === 'one' && of === ROOT_GFID)).toHaveLength(1)
  })

  it('tells of a file that a rename replaces', async () => {
    const { gfid } = await volume.write('/to', 'old')
    await as('two', () => volume.write('/from', 'new'))
    news()
    await as('two', () => volume.rename('/from', '/to'))
    expect(news()).toContainEqual(['one', gfid, NLINK | TIMES])
  })

  it('tells nobody who has not used a file for too long', async () => {
    await volume.write('/f', 'x')
    const set = () => as('two', () => volume.setattr('/f', SetAttr.MODE, { mode: 0o600 }))
    news()
    seconds = 59
    await set()
    expect(news()).toHaveLength(1)
    seconds = 61
    await set()
    expect(news()).toEqual([])
    // Not forgotten, though: being used again is enough.
    await volume.stat('/f')
    await set()
    expect(news()).toHaveLength(1)
  })

  it('is not asked by internal operations, and tells no client that is gone', async () => {
    await volume.write('/f', 'x')
    await as('', () => volume.stat('/f'))
    news()
    await as('', () => volume.setattr('/f', SetAttr.MODE, { mode: 0o600 }))
    expect(news()).toEqual([])
    volume.graph.clientGone('one')
    await as('two', () => volume.setattr('/f', SetAttr.MODE, { mode: 0o644 }))
    expect(news()).toEqual([])
  })

  it('tells of xattrs that clients have named, by pattern, and of no others', async () => {
    const { gfid } = await volume.write('/f', 'x')
    const xdata = new Dict().setInt('security.capability', 1).setInt('user.mine.*', 1)
    good(await volume.top.ipc(volume.ctx, { op: 2, xdata }))
    news()
    const set = (values: Record<string, Buffer>) => as('two', () => volume.setxattr('/f', values))
    await set({ 'user.other': Buffer.from('1') })
    expect(news()).toEqual([])
    await set({ 'user.mine.a': Buffer.from('1'), 'user.other': Buffer.from('2') })
    expect([...(lastChange()?.xdata?.keys() ?? [])]).toEqual(['user.mine.a'])
    expect(news()).toEqual([['one', gfid, XATTR]])
    const loc = await volume.loc('/f')
    const remove = (name: string, names?: Dict) =>
      as('two', () => volume.top.removexattr(volume.ctx, { loc, name, xdata: names }))
    good(await remove('user.mine.a'))
    expect(news()).toEqual([['one', gfid, XATTR_RM]])
    await set({ 'user.mine.b': Buffer.from('1') })
    news()
    good(await remove('', new Dict().setInt('user.mine.b', 0)))
    expect(news()).toEqual([['one', gfid, XATTR_RM]])
  })

  it('tells of counters of replication that change, not of those that are read', async () => {
    const { gfid } = await volume.write('/f', 'x')
    good(await volume.top.ipc(volume.ctx, { op: 2, xdata: new Dict().setInt('trusted.afr.*', 1) }))
    const loc = await volume.loc('/f')
    const add = (value: number) =>
      as('two', () => {
        const dict = new Dict().setBytes('trusted.afr.gv0-client-0', Buffer.alloc(12, value))
        return volume.top.xattrop(volume.ctx, { loc, op: Xattrop.ADD_ARRAY, dict })
      })
    news()
    good(await add(0))
    expect(news()).toEqual([])
    good(await add(1))
    expect(news()).toEqual([['one', gfid, XATTR]])
  })

  it('takes names of xattrs up to a limit', async () => {
    const many = new Dict()
    for (let i = 0; i < 300; i++) many.setInt(`user.${i}`, 1)
    expect(errnoOf(await volume.top.ipc(volume.ctx, { op: 2, xdata: many }))).toBe(Errno.EINVAL)
    const long = new Dict().setInt('x'.repeat(300), 1)
    expect(errnoOf(await volume.top.ipc(volume.ctx, { op: 2, xdata: long }))).toBe(Errno.EINVAL)
  })

  it('tells users of an inode that the brick forgets it', async () => {
    const { gfid } = await volume.write('/f', 'x')
    const inode = volume.graph.inodes.find(gfid)
    if (inode === undefined) throw new Error('the inode is not known')
    news()
    volume.graph.inodes.evict(inode)
    expect(news()).toEqual([['one', gfid, FORGET]])
  })

  it('says nothing while it is off, and can be switched on', async () => {
    await volume.stop()
    await start('off')
    await volume.write('/f', 'x')
    const set = () => as('two', () => volume.setattr('/f', SetAttr.MODE, { mode: 0o600 }))
    good(await set())
    expect(news()).toEqual([])
    volume.graph.reconfigure(parseVolfile(volfile('on')))
    await volume.stat('/f')
    good(await set())
    expect(news()).toHaveLength(1)
  })
})
