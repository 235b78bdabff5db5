import { OpenFlag } from '@ashlar/core'
import { BrickSet, good, type SetGraph } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { replicate } from './index.ts'

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, {
    // The third brick lists.
    'read-subvolume-index': '2',
    'data-self-heal': 'off',
    'metadata-self-heal': 'off',
    'entry-self-heal': 'off',
  })
})
afterEach(() => bricks.stop())

/** Sizes by name, as a listing with attributes tells them; undefined: to be looked up. */
async function sizes(): Promise<Record<string, number | undefined>> {
  const { volume } = client
  const root = volume.graph.inodes.root
  const fd = volume.graph.openFd(root, { flags: OpenFlag.DIRECTORY, pid: 1 })
  good(await volume.top.opendir(volume.ctx, { loc: await volume.loc('/'), fd }))
  const reply = good(await volume.top.readdirp(volume.ctx, { fd, size: 65_536, offset: 0n }))
  fd.unref()
  return Object.fromEntries(
    reply.entries
      .filter(({ name }) => !name.startsWith('.'))
      .map(({ name, stat }) => [name, stat.isEmpty ? undefined : stat.size]),
  )
}

// Found under load: a file that a heal had made on a brick and not filled yet was read as empty.
it('tells nothing of a copy that only others accuse', async () => {
  const gfid = await bricks.write('/healing', 'content', [0, 1])
  await bricks.write('/healing', '', [2], gfid)
  for (const index of [0, 1]) await bricks.blame(index, '/healing', 2, [1, 1, 0])
  await client.volume.lookup('/')
  expect(await sizes()).toEqual({ healing: undefined })
  // What is known of the file from before the brick came back does not count.
  expect((await client.volume.stat('/healing')).size).toBe(7)
  await client.cut(2)
  await client.mend(2)
  expect(await sizes()).toEqual({ healing: undefined })
})
