import { Errno, failure, Iatt, inodeLoc, SetAttr } from '@ashlar/core'
import { BrickSet, errnoOf, type SetGraph } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ChangeKind, decodeCounters } from '../changelog.ts'
import { replicate } from '../index.ts'

type Counters = readonly [number, number, number]

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, {
    'data-self-heal': 'off',
    'metadata-self-heal': 'off',
    'entry-self-heal': 'off',
  })
  await bricks.write('/file', 'content')
})
afterEach(() => bricks.stop())

/**
 * The second brick is known to be outdated, the third is away; and between the client's look at the
 * copies and its lock another client has had the others blame the first: the third has all, alone.
 */
async function outdate(path: string, counters: Counters, lock: string): Promise<void> {
  await client.volume.inode(path)
  for (const index of [0, 2]) await bricks.blame(index, path, 1, counters)
  await client.cut(2)
  let blamed = false
  client.meddler(0).interfere(async fop => {
    if (fop !== lock || blamed) return undefined
    blamed = true
    for (const index of [1, 2]) await bricks.blame(index, path, 0, counters)
    return undefined
  })
}

/** What the first two hold against the third. */
function heldAgainstThird(path: string, kind: ChangeKind): number[] {
  return [0, 1].map(index => {
    const bytes = bricks.xattr(index, path, `trusted.afr.${bricks.childName(2)}`)
    return bytes === undefined ? 0 : decodeCounters(bytes)[kind]
  })
}

// Found by appends of two clients, each of which had lost another brick, while a third was full: all
// three accused each other, in a volume with quorum.
it('what outdated copies alone have written is not held against the good one', async () => {
  await outdate('/file', [1, 0, 0], 'inodelk')
  const { volume } = client
  const fd = await volume.open('/file')
  expect(errnoOf(await volume.writeFd(fd, 'changed'))).toBe(Errno.EIO)
  fd.unref()
  expect(heldAgainstThird('/file', ChangeKind.DATA)).toEqual([0, 0])
})

// Taken back where it was never noted, it came below zero, which no heal clears.
it('nor is anything taken back by who could not note it', async () => {
  await bricks.stop()
  bricks = await BrickSet.start({ count: 4 })
  client = await bricks.join(replicate, { 'data-self-heal': 'off' })
  await bricks.write('/file', 'content')
  const { volume } = client
  const fd = await volume.open('/file')
  await client.cut(3)
  let blamed = false
  client.meddler(0).interfere(async fop => {
    if (fop !== 'inodelk' || blamed) return undefined
    blamed = true
    for (const index of [0, 1]) await bricks.blame(index, '/file', 1 - index, [1, 0, 0])
    return undefined
  })
  let refused = false
  client.meddler(2).interfere(async fop => {
    if (fop !== 'fxattrop' || refused) return undefined
    refused = true
    return failure(Errno.ENOSPC)
  })
  expect(errnoOf(await volume.writeFd(fd, 'changed'))).toBe(Errno.EIO)
  fd.unref()
  expect(refused).toBe(true)
  const held = [0, 1, 2].map(index => {
    const bytes = bricks.xattr(index, '/file', `trusted.afr.${bricks.childName(3)}`)
    return bytes === undefined ? 0 : decodeCounters(bytes)[ChangeKind.DATA]
  })
  expect(held).toEqual([0, 0, 0])
})

it('nor are attributes', async () => {
  await outdate('/file', [0, 1, 0], 'inodelk')
  const { volume } = client
  const loc = inodeLoc(await volume.inode('/file'))
  const stat = Object.assign(new Iatt(), { mode: 0o100600 })
  const reply = await volume.top.setattr(volume.ctx, { loc, stat, valid: SetAttr.MODE })
  expect(errnoOf(reply)).toBe(Errno.EIO)
  expect(heldAgainstThird('/file', ChangeKind.METADATA)).toEqual([0, 0])
})

it('no name is taken away where the only good copy of its directory is not there', async () => {
  await outdate('/', [0, 0, 1], 'entrylk')
  expect(errnoOf(await client.volume.unlink('/file'))).toBe(Errno.EIO)
  expect(await bricks.brick(0).names('/')).toEqual(['file'])
  await expect.poll(() => heldAgainstThird('/', ChangeKind.ENTRY)).toEqual([0, 0])
})
