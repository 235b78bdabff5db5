import { systemClock } from '@ashlar/core'
import { BrickSet, type SetGraph, until } from '@ashlar/testkit'
import { describe, expect, it } from 'vitest'
import { replicate } from './index.ts'
import { Latencies } from './latencies.ts'
import { everybody, only } from './members.ts'

describe('latencies', () => {
  it('choose the first as long as nobody has answered', () => {
    const latencies = new Latencies(5)
    expect(latencies.quickest(everybody(5))).toBe(0)
    expect(latencies.quickest(only(2) | only(4))).toBe(2)
    latencies.note(4, 9)
    expect(latencies.quickest(everybody(5))).toBe(4)
    expect(latencies.quickest(everybody(4))).toBe(0)
  })

  it('follow what is measured, and not one slow answer', () => {
    const latencies = new Latencies(2)
    for (let i = 0; i < 20; i++) {
      latencies.note(0, 1)
      latencies.note(1, 4)
    }
    latencies.note(0, 5)
    expect(latencies.of(0)).toBe(2)
    expect(latencies.quickest(everybody(2))).toBe(0)
    for (let i = 0; i < 8; i++) latencies.note(0, 9)
    expect(latencies.quickest(everybody(2))).toBe(1)
  })

  it('weigh reads under way', () => {
    const latencies = new Latencies(3)
    for (const [index, ms] of [2, 5, 3].entries()) latencies.note(index, ms)
    const reading = [2, 0, 1]
    const times = (index: number): number => (reading[index] as number) + 1
    expect(latencies.quickest(everybody(3), times)).toBe(1)
    expect(latencies.quickest(everybody(3))).toBe(0)
  })
})

/** Time passes this much faster for the client: it asks the bricks more often. */
const HASTE = 8
const SLOW_MS = 25
const NOTICED_MS = 20_000

/** A brick takes its time. */
function slowness(): Promise<void> {
  return new Promise(resolve => {
    systemClock.after(SLOW_MS, resolve)
  })
}

/** Which brick a file's data was read from. */
async function readFrom(client: SetGraph, slow: number): Promise<number> {
  let from = -1
  for (const index of [0, 1, 2]) {
    client.meddler(index).interfere(async fop => {
      if (fop === 'readv') from = index
      if (index === slow && fop === 'lookup') await slowness()
      return undefined
    })
  }
  expect(await client.volume.read('/file')).toBe('text')
  return from
}

it.each(['4', '5'])('read-hash-mode %s reads from whichever brick is quick now', async mode => {
  const bricks = await BrickSet.start({ count: 3 })
  try {
    await bricks.write('/file', 'text')
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() * HASTE }
    const client = await bricks.join(
      replicate,
      { 'read-hash-mode': mode, 'choose-local': 'off' },
      { clock },
    )
    for (const slow of [0, 1, 2, 0]) {
      await until(`brick ${slow} is avoided`, NOTICED_MS, async () => {
        return (await readFrom(client, slow)) !== slow
      })
    }
    const others = new Set<number>()
    await until('bricks that are slow no more are read from again', NOTICED_MS, async () => {
      others.add(await readFrom(client, others.size % 3))
      return others.size > 1
    })
  } finally {
    await bricks.stop()
  }
})
