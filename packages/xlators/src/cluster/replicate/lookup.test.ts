import { inodeLoc } from '@ashlar/core'
import { BrickSet, good, type SetGraph } from '@ashlar/testkit'
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
