import { Errno, type Inode, inodeLoc, type Reply } from '@ashlar/core'
import { BrickSet, errnoOf, good, type SetGraph } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { replicate } from './index.ts'
import { SPLIT_BRAIN_STATUS } from './split-brain-status.ts'

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 2 })
  client = await bricks.join(replicate, {
    'data-self-heal': 'off',
    'metadata-self-heal': 'off',
    'entry-self-heal': 'off',
  })
})
afterEach(() => bricks.stop())

async function ask(inode: Inode): Promise<Reply<'getxattr'>> {
  const { top, ctx } = client.volume
  return top.getxattr(ctx, { loc: inodeLoc(inode), name: SPLIT_BRAIN_STATUS })
}

async function statusOf(path: string): Promise<string | undefined> {
  const reply = await ask(await client.volume.inode(path))
  return good(reply).dict.getString(SPLIT_BRAIN_STATUS)
}

// As recorded from GlusterFS 10.3 (splitbrain-policies, splitbrain-source-brick).
it.each([
  ['data', [1, 0, 0], 'data-split-brain:yes    metadata-split-brain:no    Choices:'],
  ['metadata', [0, 1, 0], 'data-split-brain:no    metadata-split-brain:yes    Choices:'],
] as const)('tells of a split-brain of %s, and between whom', async (_kind, counters, text) => {
  await bricks.write('/file', 'content')
  for (const index of [0, 1]) await bricks.blame(index, '/file', 1 - index, [...counters])
  const names = [0, 1].map(index => bricks.childName(index))
  expect(await statusOf('/file')).toBe(`${text}${names.join(',')}`)
})

it('tells that there is none', async () => {
  await bricks.write('/file', 'content')
  const text = 'The file is not under data or metadata split-brain'
  expect(await statusOf('/file')).toBe(text)
  await bricks.blame(0, '/file', 1, [1, 1, 0])
  expect(await statusOf('/file')).toBe(text)
})

it('does not know without bricks', async () => {
  await bricks.write('/file', 'content')
  const inode = await client.volume.inode('/file')
  for (const index of [0, 1]) await client.cut(index)
  expect(errnoOf(await ask(inode))).toBe(Errno.ENOTCONN)
})
