import { Errno, failure } from '@ashlar/core'
import { BrickSet, errnoOf, good, type SetGraph } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { decodeCounters } from '../changelog.ts'
import { replicate } from '../index.ts'

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, { 'quorum-type': 'auto' })
})
afterEach(() => bricks.stop())

const brokenFops = new Set(['mkdir', 'create', 'link'])

/** The second brick makes nothing any more. */
function breakSecond(): void {
  client.meddler(1).interfere(fop => (brokenFops.has(fop) ? failure(Errno.EIO) : undefined))
}

// Found by simulation: the second mkdir made another directory on the brick that had failed, and
// the two of different gfids were never healed.
it('takes a name away again that too few bricks have made', async () => {
  await bricks.write('/old', 'content')
  await client.cut(0)
  breakSecond()
  expect(errnoOf(await client.volume.mkdir('/directory'))).toBe(Errno.EIO)
  const { reply, fd } = await client.volume.create('/file')
  fd.unref()
  expect(errnoOf(reply)).toBe(Errno.EIO)
  expect(errnoOf(await client.volume.link('/old', '/other'))).toBe(Errno.EIO)
  expect(await bricks.brick(2).names('/')).toEqual(['old'])

  client.meddler(1).interfere(undefined)
  good(await client.volume.mkdir('/directory'))
  const [one, other] = [
    await bricks.brick(1).stat('/directory'),
    await bricks.brick(2).stat('/directory'),
  ]
  expect(other.gfid).toBe(one.gfid)
})

it('leaves a file alone that a create has found', async () => {
  await bricks.write('/file', 'content')
  await client.cut(0)
  breakSecond()
  const { reply, fd } = await client.volume.create('/file')
  fd.unref()
  expect(reply.ok).toBe(false)
  expect(await bricks.brick(2).read('/file')).toBe('content')
})

// Found by simulation: the brick that had missed what is in it let it go, and a heal went by that brick.
it('removes no directory that is empty only where names were missed', async () => {
  for (const path of ['/directory', '/other']) await bricks.mkdir(path)
  await bricks.write('/directory/file', 'content', [0, 1])
  for (const index of [0, 1]) await bricks.blame(index, '/directory', 2, [0, 0, 1], ['file'])
  const { volume } = client
  expect(errnoOf(await volume.rmdir('/directory'))).toBe(Errno.ENOTEMPTY)
  expect(errnoOf(await volume.rename('/other', '/directory'))).toBe(Errno.ENOTEMPTY)
  expect((await bricks.brick(2).names('/')).toSorted()).toEqual(['directory', 'other'])
})

// Found by simulation: one brick had the one file under that name and the others the other one.
it('moves nothing over a file that too few bricks have', async () => {
  await bricks.write('/file', 'content')
  await bricks.write('/new', 'changed', [0, 1])
  for (const index of [0, 1]) await bricks.blame(index, '/', 2, [0, 0, 1], ['new'])
  const { volume } = client
  await client.cut(1)
  expect((await volume.rename('/new', '/file')).ok).toBe(false)
  expect(await bricks.contents('/file')).toEqual(['content', 'content', 'content'])
})

// Found by simulation: it had another file under the name, moved that, and counted as good.
it('blames a brick that has moved another file', async () => {
  await bricks.write('/file', 'content', [0, 1])
  await bricks.write('/file', 'outdated', [2])
  for (const index of [0, 1]) await bricks.blame(index, '/', 2, [0, 0, 1], ['file'])
  client.meddler(2).interfere(fop => (fop === 'lookup' ? failure(Errno.EIO) : undefined))
  await client.volume.inode('/file')
  good(await client.volume.rename('/file', '/new'))
  const key = `trusted.afr.${bricks.childName(2)}`
  for (const index of [0, 1])
    expect(decodeCounters(bricks.xattr(index, '/', key))).toEqual([0, 0, 3])
})
