import type { Subvolume } from '@ashlar/core'
import { FakeClock, gfidOf } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { Placements } from './placements.ts'

describe('placements', () => {
  const [one, two] = [{ index: 0 }, { index: 1 }] as unknown as [Subvolume, Subvolume]
  let clock: FakeClock
  let placements: Placements

  beforeEach(() => {
    clock = new FakeClock()
    placements = new Placements(clock)
  })

  test('a file is where it was seen last', () => {
    placements.note(gfidOf('a'), one)
    placements.note(gfidOf('b'), two)
    expect(placements.find(gfidOf('a'))).toBe(one)
    expect(placements.find(gfidOf('b'))).toBe(two)
    expect(placements.find(gfidOf('c'))).toBeUndefined()
    clock.advance(2500)
    placements.note(gfidOf('a'), two)
    expect(placements.find(gfidOf('a'))).toBe(two)
  })

  test('for two seconds at least, and four at most', () => {
    placements.note(gfidOf('first'), one)
    clock.advance(1999)
    placements.note(gfidOf('a'), one)
    clock.advance(2000)
    expect(placements.find(gfidOf('a'))).toBe(one)
    clock.advance(2000)
    expect(placements.find(gfidOf('a'))).toBeUndefined()

    placements.note(gfidOf('b'), one)
    clock.advance(4000)
    expect(placements.find(gfidOf('b'))).toBeUndefined()
  })

  test('so many at most: the older half makes room', () => {
    const SPAN = 50_000
    for (let i = 0; i < SPAN; i++) placements.note(gfidOf(`f${i}`), one)
    expect(placements.find(gfidOf('f0'))).toBe(one)
    for (let i = SPAN; i < 2 * SPAN; i++) placements.note(gfidOf(`f${i}`), one)
    expect(placements.find(gfidOf('f0'))).toBe(one)
    placements.note(gfidOf('more'), one)
    expect(placements.find(gfidOf('f0'))).toBeUndefined()
    expect(placements.find(gfidOf(`f${2 * SPAN - 1}`))).toBe(one)
  })
})
