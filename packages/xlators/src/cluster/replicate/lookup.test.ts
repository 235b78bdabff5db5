import { Errno, failure, inodeLoc, SetAttr } from '@ashlar/core'
import { BrickSet, errnoOf, good, type SetGraph } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { replicate } from './index.ts'

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, { 'quorum-type': 'auto' })
})
afterEach(() => bricks.stop())

// Found by simulation: the brick that had missed the removal alone answered, and was believed.
it('does not take the last copy of a removed file for a good one', async () => {
  await bricks.write('/file', 'content')
  const { volume } = client
  const fd = await volume.open('/file')
  await client.cut(0)
  good(await volume.writeFd(fd, 'changed'))
  good(await volume.unlink('/file'))
  await client.mend(0)
  good(await volume.top.lookup(volume.ctx, { loc: inodeLoc(fd.inode) }))
  const read = good(await volume.top.readv(volume.ctx, { fd, size: 99, offset: 0, flags: 0 }))
  expect(read.data.toString()).toBe('changed')
  fd.unref()
})

// Found by simulation: they were those of the data brick in reach, which had missed a chmod.
it('tells the attributes that an arbiter alone has', async () => {
  await bricks.write('/file', 'content')
  for (const index of [0, 2])
    good(await bricks.brick(index).setattr('/file', SetAttr.MODE, { mode: 0o600 }))
  await bricks.blame(2, '/file', 1, [0, 1, 0])
  const options = { 'quorum-type': 'auto', 'arbiter-count': '1' }
  const other = await bricks.join(replicate, options)
  await other.cut(0)
  const { stat } = good(await other.volume.lookup('/file'))
  expect([stat.mode & 0o777, stat.size]).toEqual([0o600, 7])
})

// Found by simulation: two bricks said that the name is another file's by now, and the third was believed.
it('does not take a name for that of a file which most bricks have under it no more', async () => {
  await bricks.write('/file', 'content')
  for (const index of [0, 1]) await bricks.blame(index, '/', 2, [0, 0, 1], ['file'])
  await client.volume.inode('/file')
  for (const index of [0, 1]) good(await bricks.brick(index).unlink('/file'))
  const gfid = await bricks.write('/file', 'another', [0, 1])
  expect(good(await client.volume.lookup('/file')).stat.gfid).toBe(gfid)
})

// Met by two clients in one directory: the arbiter had been asked a moment later than the brick with data.
it.each([
  ['a moment ago', 1, 0],
  ['and stays so', 99, Errno.ENOTCONN],
])('looks again when a name was on the arbiter alone %s', async (_when, misses, errno) => {
  await bricks.write('/file', 'content')
  const other = await bricks.join(replicate, { 'quorum-type': 'auto', 'arbiter-count': '1' })
  await other.cut(0)
  let left = misses
  other.meddler(1).interfere((fop, args) => {
    if (fop !== 'lookup' || !('loc' in args) || args.loc.name !== 'file' || left === 0) return
    left -= 1
    return failure(Errno.ENOENT)
  })
  expect(errnoOf(await other.volume.lookup('/file'))).toBe(errno)
})

it('tells the size by those whose data is good, though other ones have the attributes', async () => {
  await bricks.write('/file', 'short')
  for (const index of [1, 2]) {
    await bricks.overwrite(index, '/file', 'longer by now')
    await bricks.blame(index, '/file', 0, [1, 0, 0])
  }
  good(await bricks.brick(0).setattr('/file', SetAttr.MODE, { mode: 0o600 }))
  for (const index of [1, 2]) await bricks.blame(0, '/file', index, [0, 1, 0])
  const { stat } = good(await client.volume.lookup('/file'))
  expect([stat.mode & 0o777, stat.size]).toEqual([0o600, 13])
})

it('tells the size of the longest copy when no one can be read', async () => {
  const other = await bricks.join(replicate, {
    'data-self-heal': 'off',
    'read-subvolume-index': '0',
  })
  await bricks.write('/file', '')
  await bricks.overwrite(2, '/file', 'not empty')
  for (const index of [0, 1, 2]) await bricks.blame(index, '/file', (index + 1) % 3, [1, 0, 0])
  expect(good(await other.volume.lookup('/file')).stat.size).toBe(9)
})

// Found under load: programs were told ENOENT of files that only a brick that was away had.
it('does not say that a name is not there when only outdated copies say so', async () => {
  await bricks.blame(2, '/', 1, [0, 0, 1])
  await client.cut(0)
  expect(errnoOf(await client.volume.lookup('/file'))).toBe(Errno.ENOENT)
  await client.mend(0)
  await bricks.blame(1, '/', 2, [0, 0, 1])
  await client.cut(0)
  expect(errnoOf(await client.volume.lookup('/file'))).toBe(Errno.EIO)
  // Bricks that are all there can say all that there is to say.
  await client.mend(0)
  expect(errnoOf(await client.volume.lookup('/file'))).toBe(Errno.ENOENT)
})

// Found with outages one after the other: a removed file was read, from one of two outdated copies.
it('does not say that a name is there when only an outdated copy says so', async () => {
  await bricks.write('/removed', 'text', [0])
  await bricks.blame(0, '/', 2, [0, 0, 1])
  await bricks.blame(2, '/', 0, [0, 0, 1])
  await client.cut(1)
  expect(errnoOf(await client.volume.lookup('/removed'))).toBe(Errno.EIO)
})
