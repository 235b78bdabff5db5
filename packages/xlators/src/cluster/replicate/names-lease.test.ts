/** Whether a client of a replicated volume may rely on the names that one brick has listed. */

import { Dict, Errno, failure, NAMES_LEASE, systemClock } from '@ashlar/core'
import { BrickSet, FakeClock, good, type SetGraph, until } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { upcall } from '../../features/upcall/index.ts'
import { replicate } from './index.ts'

const MS_MAX = 8000

let bricks: BrickSet
/** Its time stands still: what the bricks have once told it of their heal indices stays fresh. */
let reader: SetGraph
let maker: SetGraph

beforeEach(async () => {
  bricks = await BrickSet.start({
    ...{ count: 3, layers: () => [upcall] },
    // Leases do not run out, however slow this is.
    env: { clock: new FakeClock() },
  })
  const options = { 'quorum-type': 'auto' }
  reader = await bricks.join(replicate, options, { clock: new FakeClock() })
  maker = await bricks.join(replicate, options, { clock: systemClock })
  await bricks.mkdir('/d')
})
afterEach(() => bricks.stop())

/** The lease that the reader is granted, if it is. */
async function lease(): Promise<string | undefined> {
  const { volume } = reader
  const loc = await volume.loc('/d')
  const fd = volume.graph.openFd(loc.inode, { flags: 0, pid: 1 })
  const xdata = new Dict().setString(NAMES_LEASE, 'wanted')
  const reply = good(await volume.top.opendir(volume.ctx, { loc, fd, xdata }))
  fd.bind().unref()
  return reply.xdata?.getString(NAMES_LEASE)
}

const granted = (): Promise<string> => until('a lease', MS_MAX, lease)
const recalled = (): boolean => reader.volume.events.some(each => each.kind === 'names-recall')

test('it is granted by all bricks together, and is the same until one of them breaks it', async () => {
  const first = await granted()
  expect(first.split(' ')).toHaveLength(3)
  expect(await lease()).toBe(first)
  good(await bricks.brick(1).mkdir('/d/by-itself'))
  await until('the news', MS_MAX, recalled)
  expect(await granted()).not.toBe(first)
})

test('it is none without one of the bricks, nor to who does not ask', async () => {
  await granted()
  const { volume } = reader
  const loc = await volume.loc('/d')
  const fd = volume.graph.openFd(loc.inode, { flags: 0, pid: 1 })
  expect(good(await volume.top.opendir(volume.ctx, { loc, fd })).xdata).toBeUndefined()
  fd.unref()
  await reader.cut(2)
  expect(await lease()).toBeUndefined()
})

test('it is none once a name was made without one of the bricks', async () => {
  await granted()
  await maker.cut(0)
  await maker.volume.write('/d/new', 'text')
  // The reader has asked for the heal indices a moment ago, and nothing was in them.
  expect(await lease()).toBeUndefined()
})

test('it is broken by a name that is made without one of the bricks', async () => {
  await granted()
  await maker.cut(0)
  await maker.volume.write('/d/new', 'text')
  expect(recalled()).toBe(true)
})

test('it is broken before the maker of a name that a brick has missed is answered', async () => {
  await granted()
  good(await maker.volume.lookup('/d'))
  let blames = 0
  let goOn = (): void => undefined
  const leased = new Promise<void>(resolve => {
    goOn = resolve
  })
  for (const index of [0, 1, 2])
    maker.meddler(index).interfere(async fop => {
      if (fop === 'create' && index === 0) return failure(Errno.EIO)
      if (fop !== 'xattrop') return undefined
      blames += 1
      await leased
      return undefined
    })
  let answered = false
  const making = maker.volume.create('/d/new').then(({ reply, fd }) => {
    answered = true
    fd.unref()
    return reply
  })
  await until('the blame', MS_MAX, () => blames > 0)
  // The name is made, on two bricks. The third lacks it, and nobody has been told of that yet.
  reader.volume.events.length = 0
  await granted()
  expect([answered, recalled()]).toEqual([false, false])
  goOn()
  expect((await making).ok).toBe(true)
  expect(recalled()).toBe(true)
})
