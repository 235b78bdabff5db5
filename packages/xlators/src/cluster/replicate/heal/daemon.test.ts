/** When the self-heal daemon sweeps: also for what no return of a brick tells it of. */

import { writeFileSync } from 'node:fs'
import { defineXlator, Errno, failure } from '@ashlar/core'
import { BrickSet, until } from '@ashlar/testkit'
import { afterEach, expect, it } from 'vitest'
import { type Healer, healerOf, type HealingXlator } from '../healer.ts'
import { replicate } from '../index.ts'

/** The indices are looked at every five seconds; heal-timeout is ten minutes. */
const HEAL_MS = 20_000
const ROOM_MS = 14_000
const OPTIONS = { 'granular-entry-heal': 'on', 'quorum-type': 'auto' }
const DAEMON = {
  ...OPTIONS,
  'iam-self-heal-daemon': 'on',
  'data-self-heal': 'on',
  'metadata-self-heal': 'on',
  'entry-self-heal': 'on',
}

let bricks: BrickSet
afterEach(() => bricks.stop())

it('heals what a client has missed on a brick that the daemon never lost', async () => {
  bricks = await BrickSet.start({ count: 3 })
  const daemon = await bricks.join(replicate, DAEMON)
  const healer = healerOf(daemon.top as HealingXlator)
  const client = await bricks.join(replicate, OPTIONS)
  await client.cut(1)
  await client.volume.write('/f', 'written without brick 1')
  await client.mend(1)
  await until('all is healed', HEAL_MS, async () => {
    const counts = (await healer?.counts()) ?? []
    return (await bricks.brick(1).read('/f')) !== undefined && counts.every(count => count === 0)
  })
  expect(await bricks.brick(1).read('/f')).toBe('written without brick 1')
}, 40_000)

it('heals what a full brick has missed soon after it has room again', async () => {
  let full = true
  const tank = defineXlator({
    type: 'testing/tank',
    options: {},
    create: ({ child }) => ({
      writev: (ctx, args) =>
        full ? Promise.resolve(failure(Errno.ENOSPC)) : child.writev(ctx, args),
      async statfs(ctx, args) {
        const reply = await child.statfs(ctx, args)
        return reply.ok && full ? { ...reply, statfs: { ...reply.statfs, bavail: 0 } } : reply
      },
    }),
  })
  bricks = await BrickSet.start({ count: 3, layers: index => (index === 1 ? [tank] : []) })
  const daemon = await bricks.join(replicate, DAEMON)
  const healer = healerOf(daemon.top as HealingXlator) as Healer
  const client = await bricks.join(replicate, OPTIONS)
  await client.volume.write('/f', 'written without brick 1')
  const given = (): boolean => {
    const crawls = healer.statistics()
    return crawls.some(each => each.failed > 0) && crawls.every(each => each.ended !== undefined)
  }
  await until('a sweep has given up', HEAL_MS, given)
  full = false
  // The next sweep would come fifteen seconds later, the one after it thirty.
  await until('all is healed', ROOM_MS, async () =>
    (await healer.counts()).every(count => count === 0),
  )
  expect(await bricks.brick(1).read('/f')).toBe('written without brick 1')
}, 60_000)

// Found with two of three bricks full: refused writes had left copies that differ, and nobody looked.
it('heals what nobody is blamed for', async () => {
  bricks = await BrickSet.start({ count: 3 })
  await bricks.write('/f', 'short')
  const daemon = await bricks.join(replicate, DAEMON)
  const healer = healerOf(daemon.top as HealingXlator) as Healer
  const swept = (): boolean => {
    const crawls = healer.statistics()
    return crawls.length > 0 && crawls.every(each => each.ended !== undefined)
  }
  await until('the first sweep has ended', HEAL_MS, swept)
  await bricks.overwrite(1, '/f', 'longer by far')
  for (const index of [0, 1, 2]) await bricks.blame(index, '/f', 'dirty', [1, 0, 0])
  await until('all copies are equal', HEAL_MS, async () => {
    const contents = await bricks.contents('/f')
    return contents.every(each => each === contents[0])
  })
}, 60_000)

it('does not sweep over and over for what cannot be healed', async () => {
  bricks = await BrickSet.start({ count: 3 })
  await bricks.write('/torn', 'whole', [0, 1, 2])
  for (const [index, root] of bricks.roots.entries()) {
    writeFileSync(`${root}/torn`, `by ${index}`)
    for (const other of [0, 1, 2])
      if (other !== index) await bricks.blame(index, '/torn', other, [1, 0, 0])
  }
  const daemon = await bricks.join(replicate, DAEMON)
  const healer = healerOf(daemon.top as HealingXlator)
  const crawls = (): number => healer?.statistics().filter(each => each.splitBrain > 0).length ?? 0
  // Of each brick's index.
  const ended = (): boolean =>
    healer?.statistics().every(each => each.ended !== undefined) === true && crawls() >= 3
  await until('the first sweep has ended', HEAL_MS, ended)
  const before = crawls()
  const requests = (): number => daemon.meddler(0).requests
  const quiet = requests()
  await until('the indices were looked at', HEAL_MS, () => requests() >= quiet + 2)
  expect(ended()).toBe(true)
  expect(crawls()).toBe(before)
}, 60_000)
