import type { Fd } from '@ashlar/core'
import { BrickSet, good, type SetGraph, until } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { replicate } from '../index.ts'

let bricks: BrickSet
let client: SetGraph
// The last of three bricks is read when it is good.
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, { 'read-subvolume-index': '2', 'data-self-heal': 'off' })
})
afterEach(() => bricks.stop())

/** A write waits to begin on two bricks while the third, which it is without, comes back. */
async function overtaken(fd: Fd, meanwhile: () => Promise<unknown>): Promise<void> {
  await client.cut(2)
  let begin: () => void = () => {}
  const begun = new Promise<void>(resolve => {
    begin = resolve
  })
  let waiting = 0
  for (const index of [0, 1]) {
    client.meddler(index).interfere(async fop => {
      if (fop !== 'inodelk') return undefined
      waiting += 1
      await begun
      return undefined
    })
  }
  const written = client.volume.writeFd(fd, 'longer by now')
  await until('both are about to write', 5000, () => waiting >= 2)
  await client.mend(2)
  await meanwhile()
  begin()
  good(await written)
}

// All were asked whether something is to be healed just after one was back, and just before a write was
// noted that it had no part in.
it('a brick that comes back during a write without it is not taken for good', async () => {
  await bricks.write('/file', 'short')
  await bricks.write('/other', 'asked about')
  const { volume } = client
  const fd = await volume.open('/file')
  const asked = (): number => [0, 1, 2].reduce((sum, i) => sum + client.meddler(i).requests, 0)
  await overtaken(fd, () =>
    // A lookup that one brick answers for all: they have said that nothing is to be healed.
    until('all agree', 5000, async () => {
      const before = asked()
      good(await volume.lookup('/other'))
      return asked() - before === 1
    }),
  )
  fd.unref()
  expect(good(await volume.lookup('/file')).stat.size).toBe(13)
})

// Found by a program that asks for the size after each change while bricks are killed and started.
it('nor is it by an open file that was looked at meanwhile', async () => {
  await bricks.write('/file', 'short')
  const { volume } = client
  const fd = await volume.open('/file')
  const size = async (): Promise<number> =>
    good(await volume.top.fstat(volume.ctx, { fd })).stat.size
  expect(await size()).toBe(5)
  await overtaken(fd, size)
  expect(await size()).toBe(13)
  fd.unref()
})
