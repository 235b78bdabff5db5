import { describe, expect, it } from 'vitest'
import { ASKED_SHAPES, type Shape } from './plan.ts'
import { simulate } from './simulate.ts'

/** Every run of the tests has these; `npm run simulate` has as many as one likes. */
const SEEDS = 150
/** Of each kind that no seed has by itself. */
const ASKED_SEEDS = 20
/** A crowd does much more in each. */
const CROWD_SEEDS = 9

describe('a simulated cluster', () => {
  it('replays a seed, byte for byte', async () => {
    const one = await simulate(7)
    const other = await simulate(7)
    expect(other.lines).toEqual(one.lines)
    expect(other.digest).toBe(one.digest)
    expect(other.digest).not.toBe((await simulate(8)).digest)
  })

  it('keeps every promise', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { problems } = await simulate(seed)
      expect(problems, `seed ${seed}`).toEqual([])
    }
  })

  it.each<Shape>(ASKED_SHAPES)('keeps every promise of %s', async shape => {
    const seeds = shape === 'crowd' ? CROWD_SEEDS : ASKED_SEEDS
    for (let seed = 1; seed <= seeds; seed++) {
      const { problems } = await simulate(seed, { shape })
      expect(problems, `seed ${seed}`).toEqual([])
    }
  })
})
