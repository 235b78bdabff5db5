import { Iatt, S_IFDIR, S_IFREG } from '@ashlar/core'
import { describe, expect, it } from 'vitest'
import { type BrickChangelog, type Counters, ZERO_COUNTERS } from './changelog.ts'
import { type CopyAnswer, interpret } from './inode-state.ts'

type Blame = Readonly<Record<number, Counters>>

function copy(
  blame: Blame = {},
  more: Partial<{
    size: number
    dir: boolean
    locked: boolean
    bad: boolean
    dirty: Counters
  }> = {},
): CopyAnswer {
  const stat = new Iatt()
  stat.mode = (more.dir === true ? S_IFDIR : S_IFREG) | 0o644
  stat.size = more.size ?? 10
  const changelog: BrickChangelog = {
    pending: [0, 1, 2].map(j => blame[j] ?? ZERO_COUNTERS),
    dirty: more.dirty ?? ZERO_COUNTERS,
  }
  return { stat, changelog, bad: more.bad ?? false, locked: more.locked ?? false }
}

const DATA: Counters = [1, 0, 0]
const METADATA: Counters = [0, 1, 0]
const ENTRY: Counters = [0, 0, 1]

describe('which copies are good', () => {
  it.each([
    ['all, when nobody blames', [copy(), copy(), copy()], -1, 0b111, 0b111],
    ['not one blamed for data', [copy({ 2: DATA }), copy({ 2: DATA }), copy()], -1, 0b011, 0b111],
    ['not one blamed for attributes', [copy({ 0: METADATA }), copy(), copy()], -1, 0b111, 0b110],
    ['nobody, when they blame each other', [copy({ 1: DATA }), copy({ 0: DATA })], -1, 0, 0b11],
    ['not one that blames itself', [copy({ 0: DATA }), copy()], -1, 0b10, 0b11],
    ['not one that is damaged', [copy({}, { bad: true }), copy(), copy()], -1, 0b110, 0b110],
    ['not one that is not there', [undefined, copy(), copy()], -1, 0b110, 0b110],
    ['never an arbiter', [copy(), copy(), copy({}, { size: 0 })], 2, 0b011, 0b011],
    ['not one shorter than the others', [copy(), copy({}, { size: 5 }), copy()], -1, 0b101, 0b111],
    [
      'shorter ones too, while somebody writes',
      [copy({}, { locked: true }), copy({}, { size: 5 }), copy()],
      -1,
      0b111,
      0b111,
    ],
    [
      'a long copy that is blamed makes no other short',
      [copy({ 1: DATA }), copy({}, { size: 50 }), copy()],
      -1,
      0b101,
      0b111,
    ],
    [
      'directories by their entries, whatever sizes they show',
      [
        copy({ 1: ENTRY }, { dir: true }),
        copy({}, { dir: true, size: 4096 }),
        copy({ 2: DATA }, { dir: true, size: 1 }),
      ],
      -1,
      0b101,
      0b111,
    ],
  ])('%s', (_, answers, arbiter, data, metadata) => {
    const found = interpret(answers, arbiter)
    expect({ data: found.data, metadata: found.metadata }).toEqual({ data, metadata })
  })

  it('something is to be healed where somebody blames or is dirty', () => {
    expect(interpret([copy(), copy()], -1).needsHeal).toBe(false)
    expect(interpret([copy({ 1: METADATA }), copy()], -1).needsHeal).toBe(true)
    expect(interpret([copy({}, { dirty: DATA }), copy()], -1).needsHeal).toBe(true)
  })
})

describe('attributes that nobody knows', () => {
  it.each([
    ['when copies accuse each other', [copy({ 1: METADATA }), copy({ 0: METADATA })], -1, true],
    ['not when one is good', [copy({ 1: METADATA }), copy()], -1, false],
    ['not when data alone are in dispute', [copy({ 1: DATA }), copy({ 0: DATA })], -1, false],
    ['not when an arbiter has them', [undefined, copy(), copy({ 1: METADATA })], 2, false],
    ['not when nobody answers', [undefined, undefined], -1, false],
  ])('%s', (_, answers, arbiter, disputed) => {
    expect(interpret(answers, arbiter).disputed).toBe(disputed)
  })
})
