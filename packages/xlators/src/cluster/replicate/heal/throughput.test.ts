/** How many requests heals take: what an outage leaves behind is healed at the pace of round trips. */

import { BrickSet, until } from '@ashlar/testkit'
import { afterEach, expect, it } from 'vitest'
import { healerOf, type HealingXlator } from '../healer.ts'
import { replicate } from '../index.ts'

const FILES = 1000
const HEAL_MS = 60_000
const OPTIONS = { 'granular-entry-heal': 'on', 'quorum-type': 'auto' }

let bricks: BrickSet
afterEach(() => bricks.stop())

it.each([
  ['a directory that was there', false],
  ['a directory in one that are new as well', true],
])(
  'heals a thousand new files of 64 KiB in %s with few requests each',
  async (_, fresh) => {
    bricks = await BrickSet.start({ count: 3 })
    const content = Buffer.alloc(64 * 1024, 'x')
    await bricks.mkdir('/top', fresh ? [0, 1] : [0, 1, 2])
    await bricks.mkdir('/top/d', fresh ? [0, 1] : [0, 1, 2])
    if (fresh) {
      for (const index of [0, 1]) {
        await bricks.blame(index, '/', 2, [0, 0, 1], ['top'])
        await bricks.blame(index, '/top', 2, [1, 1, 1], ['d'])
        await bricks.blame(index, '/top/d', 2, [1, 1, 0])
      }
    }
    const names = Array.from({ length: FILES }, (_, i) => `f${i}`)
    for (const [n, name] of names.entries()) {
      await bricks.write(`/top/d/${name}`, content, [0, 1])
      // As a client leaves it that made the file while brick 2 was down.
      for (const index of [0, 1]) {
        await bricks.blame(index, `/top/d/${name}`, 2, [1, 1, 0])
        await bricks.blame(index, '/top/d', 2, [0, 0, 1], [name])
      }
      if (n % 100 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    const graph = await bricks.join(replicate, {
      ...OPTIONS,
      'iam-self-heal-daemon': 'on',
      'data-self-heal': 'on',
      'metadata-self-heal': 'on',
      'entry-self-heal': 'on',
    })
    const healer = healerOf(graph.top as HealingXlator)
    await until('nothing is pending', HEAL_MS, async () =>
      (await healer?.counts())?.every(count => count === 0),
    )
    const requests = [0, 1, 2].map(index => graph.meddler(index).requests / FILES)
    // The brick that gets the files: 8, each of the others: 5.
    expect(Math.max(...requests)).toBeLessThan(9)
    expect(Math.min(...requests)).toBeLessThan(6)
    expect(await bricks.brick(2).read('/top/d/f999')).toBe(content.toString())
  },
  120_000,
)
