import { BrickSet, good, type SetGraph } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { replicate } from '../index.ts'

let bricks: BrickSet
let client: SetGraph
// The first of four bricks is asked first, and has missed what was written; nobody heals it.
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 4 })
  client = await bricks.join(replicate, {
    'read-subvolume-index': '0',
    'data-self-heal': 'off',
    'metadata-self-heal': 'off',
    'entry-self-heal': 'off',
  })
  await bricks.write('/file', 'short')
  for (const index of [1, 2, 3]) {
    await bricks.overwrite(index, '/file', 'longer by now')
    await bricks.blame(index, '/file', 0, [1, 0, 0])
  }
})
afterEach(() => bricks.stop())

// Found by asking for the size after each change while bricks came and went: what was known of the
// copies counts no more when one goes, and attributes of the stale one were shown.
it('attributes are told by a copy that has missed nothing, though a brick goes meanwhile', async () => {
  const { volume } = client
  await volume.inode('/file')
  client.meddler(2).interfere(async fop => {
    if (fop === 'rename') await client.cut(3)
    return undefined
  })
  expect(good(await volume.rename('/file', '/other')).stat.size).toBe(13)
})
