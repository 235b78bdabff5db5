/** Sets of four and five copies: quorum, outages of several bricks, and their heal. */

import { readdirSync } from 'node:fs'
import { Errno } from '@ashlar/core'
import { BrickSet, errnoOf, good, type SetGraph, type TestVolume, until } from '@ashlar/testkit'
import { afterEach, describe, expect, it } from 'vitest'
import { type HealingXlator, type Healer, healerOf } from './healer.ts'
import { replicate } from './index.ts'

const HEAL_MS = 45_000
const COMMON = {
  'granular-entry-heal': 'on',
  'use-anonymous-inode': 'on',
  'volume-id': 'f3663609-b364-4aeb-b13b-4376c3ba237e',
  'quorum-type': 'auto',
}

let bricks: BrickSet
let client: SetGraph
afterEach(() => bricks.stop())

async function start(count: number, options: Record<string, string> = {}): Promise<void> {
  bricks = await BrickSet.start({ count })
  client = await bricks.join(replicate, { ...COMMON, ...options })
}

async function heal(options: Record<string, string> = {}): Promise<void> {
  const graph = await bricks.join(replicate, {
    ...COMMON,
    ...options,
    'self-heal-daemon': 'on',
    'iam-self-heal-daemon': 'on',
    'heal-timeout': '5',
  })
  const healer = healerOf(graph.top as HealingXlator) as Healer
  await until('nothing is pending', HEAL_MS, async () => {
    const swept = healer.statistics().length > 0
    return swept && (await healer.counts()).every(count => count === 0)
  })
}

async function cut(...away: readonly number[]): Promise<void> {
  for (const index of away) await client.cut(index)
}

async function mend(...back: readonly number[]): Promise<void> {
  for (const index of back) await client.mend(index)
}

/** What users see of a brick's root. */
async function namesOn(brick: TestVolume): Promise<string[]> {
  return (await brick.names('/')).filter(name => !name.startsWith('.glusterfs'))
}

async function expectAlike(files: Readonly<Record<string, string>>): Promise<void> {
  for (const brick of bricks.bricks) {
    expect(await namesOn(brick)).toEqual(Object.keys(files).toSorted())
    for (const [name, text] of Object.entries(files)) {
      expect(await brick.read(`/${name}`)).toBe(text)
    }
  }
}

describe('a quorum', { timeout: 60_000 }, () => {
  // Half of an even set counts when the first brick is in it.
  it.each([
    [4, [3], true],
    [4, [0], true],
    [4, [2, 3], true],
    [4, [1, 2], true],
    [4, [0, 1], false],
    [4, [0, 3], false],
    [4, [1, 2, 3], false],
    [5, [3, 4], true],
    [5, [0, 1], true],
    [5, [0, 1, 2], false],
    [5, [2, 3, 4], false],
  ])('of %i bricks without %j: %s', async (count, away, enough) => {
    await start(count)
    await client.volume.write('/before', 'before')
    await cut(...away)
    const made = errnoOf(await client.volume.mkdir('/new'))
    const fd = await client.volume.open('/before').catch(() => undefined)
    if (enough) {
      expect(made).toBe(0)
      expect(await client.volume.read('/before')).toBe('before')
      fd?.unref()
      return
    }
    expect(made).toBe(Errno.ENOTCONN)
    expect(fd).toBeUndefined()
    for (const brick of bricks.bricks) expect(await brick.names('/')).toEqual(['before'])
  })

  it.each([
    ['3', 2, true],
    ['3', 3, false],
    ['1', 4, true],
  ])('that is fixed at %s, of 5 bricks with %i away: %s', async (needed, away, enough) => {
    await start(5, { 'quorum-type': 'fixed', 'quorum-count': needed })
    await cut(...Array.from({ length: away }, (_, i) => i))
    expect(errnoOf(await client.volume.mkdir('/new'))).toBe(enough ? 0 : Errno.ENOTCONN)
  })

  // glusterd writes no quorum into volfiles: what a translator does without one is what users have.
  it.each([
    [2, 1, true],
    [3, 1, true],
    [3, 2, false],
    [4, 3, false],
    [5, 2, true],
    [5, 3, false],
  ])('that nobody has spoken of, of %i bricks with %i away: %s', async (count, away, enough) => {
    const { 'quorum-type': _, ...silent } = COMMON
    bricks = await BrickSet.start({ count })
    client = await bricks.join(replicate, silent)
    await cut(...Array.from({ length: away }, (_, i) => i))
    expect(errnoOf(await client.volume.mkdir('/new'))).toBe(enough ? 0 : Errno.ENOTCONN)
  })

  it('that is lost in the midst of a write refuses it, and the next one heals', async () => {
    await start(5)
    await client.volume.write('/f', 'old')
    const fd = await client.volume.open('/f')
    for (const index of [1, 2, 3]) {
      client.meddler(index).interfere(fop => {
        return fop === 'writev' ? { ok: false, errno: Errno.ENOSPC } : undefined
      })
    }
    const refused = await client.volume.writeFd(fd, 'too few have this')
    expect(errnoOf(refused)).toBe(Errno.ENOSPC)
    for (const index of [1, 2, 3]) client.meddler(index).interfere(undefined)
    good(await client.volume.writeFd(fd, 'everybody has this'))
    fd.unref()
    await heal()
    await expectAlike({ f: 'everybody has this' })
  })
})

describe('an outage', { timeout: 120_000 }, () => {
  it.each([4, 5])('of two of %i bricks is healed', async count => {
    await start(count)
    for (const name of ['data', 'gone', 'moves']) await client.volume.write(`/${name}`, name)
    await cut(count - 1, count - 2)
    await client.volume.write('/made', 'made')
    const fd = await client.volume.open('/data')
    good(await client.volume.writeFd(fd, 'changed'))
    fd.unref()
    good(await client.volume.unlink('/gone'))
    good(await client.volume.rename('/moves', '/moved'))
    await mend(count - 1, count - 2)
    expect(await client.volume.read('/data')).toBe('changed')
    await heal()
    await expectAlike({ data: 'changed', made: 'made', moved: 'moves' })
  })

  it('of one brick after the other leaves something to heal on each, and a source for all', async () => {
    await start(5)
    await client.volume.write('/f', 'f0')
    const files: Record<string, string> = {}
    for (const away of [0, 1, 2, 3, 4]) {
      await cut(away)
      await client.volume.write(`/without-${away}`, `${away}`)
      files[`without-${away}`] = `${away}`
      const fd = await client.volume.open('/f')
      good(await client.volume.writeFd(fd, `${away}`, away))
      fd.unref()
      await mend(away)
      // The copy that was away must be good before the next one goes, or no copy has everything.
      await heal()
    }
    await expectAlike({ ...files, f: '01234' })
  })

  it('of all bricks but one without a quorum is healed from that one', async () => {
    await start(5, { 'quorum-type': 'none' })
    await client.volume.write('/f', 'old')
    await cut(0, 1, 3, 4)
    await client.volume.write('/g', 'new')
    const fd = await client.volume.open('/f')
    good(await client.volume.writeFd(fd, 'from the third'))
    fd.unref()
    await mend(0, 1, 3, 4)
    await heal({ 'quorum-type': 'none' })
    await expectAlike({ f: 'from the third', g: 'new' })
  })

  // Found by simulation: each of two bricks that had put the same directory aside kept it, because the
  // other one still had it.
  it('in which two bricks miss a removal leaves nothing put aside', async () => {
    await start(4)
    good(await client.volume.mkdir('/gone'))
    good(await client.volume.mkdir('/gone/too'))
    await client.volume.write('/gone/file', 'text')
    await cut(2, 3)
    good(await client.volume.unlink('/gone/file'))
    good(await client.volume.rmdir('/gone/too'))
    good(await client.volume.rmdir('/gone'))
    await mend(2, 3)
    await heal()
    await until('nothing is put aside any more', HEAL_MS, () =>
      bricks.roots.every(root => putAside(root).length === 0),
    )
    await expectAlike({})
  })
})

/** What a brick has put aside, by gfid. */
function putAside(root: string): string[] {
  const names = readdirSync(root).filter(name => name.startsWith('.glusterfs-anonymous-inode'))
  return names.flatMap(name => readdirSync(`${root}/${name}`))
}

describe('a file that has been removed while it is open', () => {
  it('is not read from a brick that missed a write, though no index tells of it any more', async () => {
    await start(3, { 'read-subvolume-index': '2', 'eager-lock': 'off' })
    const { volume } = client
    await volume.write('/other', 'other')
    const { reply, fd } = await volume.create('/f')
    good(reply)
    good(await volume.writeFd(fd, 'old'))
    await cut(2)
    good(await volume.writeFd(fd, 'new'))
    await mend(2)
    good(await volume.unlink('/f'))
    await heal({ 'eager-lock': 'off' })
    for (const index of [0, 1, 2]) expect(bricks.indices(index).xattrop).toEqual([])
    // What was known of copies is void then, and soon all bricks say that nothing is to be healed.
    await cut(1)
    await mend(1)
    const end = performance.now() + 1500
    while (performance.now() < end) expect(await volume.read('/other')).toBe('other')
    const read = good(await volume.top.readv(volume.ctx, { fd, size: 16, offset: 0, flags: 0 }))
    expect(read.data.toString()).toBe('new')
    fd.unref()
  })
})
