/** The direction of heals, case by case: what bricks say of each other, and who is right. */

import { describe, expect, it } from 'vitest'
import { type BrickChangelog, ChangeKind, type Counters, ZERO_COUNTERS } from './changelog.ts'
import { accusedBy, findDirection, isComplete, majority } from './direction.ts'
import { everybody, indices } from './members.ts'

const { DATA, METADATA, ENTRY } = ChangeKind

/** A matrix of data counters: row i is what brick i holds against each; `dirty` per brick. */
function logs(
  matrix: readonly (readonly number[] | undefined)[],
  dirty: readonly number[] = [],
  kind: ChangeKind = DATA,
): (BrickChangelog | undefined)[] {
  const counters = (value: number): Counters => {
    const all: [number, number, number] = [...ZERO_COUNTERS]
    all[kind] = value
    return all
  }
  return matrix.map((row, i) =>
    row === undefined ? undefined : { pending: row.map(counters), dirty: counters(dirty[i] ?? 0) },
  )
}

interface Case {
  readonly what: string
  readonly matrix: readonly (readonly number[] | undefined)[]
  readonly dirty?: readonly number[]
  readonly kind?: ChangeKind
  /** 0: the volume has no quorum. */
  readonly quorum?: number
  readonly sources: readonly number[]
  readonly sinks: readonly number[]
  readonly split?: boolean
  readonly witness?: readonly number[]
}

const cases: readonly Case[] = [
  {
    what: 'nobody accuses anybody',
    matrix: [
      [0, 0],
      [0, 0],
    ],
    sources: [0, 1],
    sinks: [],
  },
  {
    what: 'replica 3, one brick was down: recorded, rep3 /data',
    matrix: [
      [0, 0, 1],
      [0, 0, 1],
      [0, 0, 0],
    ],
    sources: [0, 1],
    sinks: [2],
  },
  {
    what: 'replica 2, the first brick was down: recorded, rep2 /data',
    matrix: [
      [0, 0],
      [1, 0],
    ],
    sources: [1],
    sinks: [0],
  },
  {
    what: 'replica 2 without quorum, both accuse: recorded, splitbrain /data',
    matrix: [
      [0, 1],
      [1, 0],
    ],
    sources: [],
    sinks: [0, 1],
    split: true,
  },
  {
    what: 'replica 3, everybody is accused once: a majority is behind none',
    matrix: [
      [0, 1, 0],
      [0, 0, 1],
      [1, 0, 0],
    ],
    quorum: 2,
    sources: [0, 1, 2],
    sinks: [],
  },
  {
    what: 'replica 3, two are accused by a majority, the third once',
    matrix: [
      [0, 1, 1],
      [0, 0, 1],
      [1, 1, 0],
    ],
    quorum: 2,
    sources: [0],
    sinks: [1, 2],
  },
  {
    what: 'entries are never decided by majority',
    matrix: [
      [0, 1, 0],
      [0, 0, 1],
      [1, 0, 0],
    ],
    quorum: 2,
    kind: ENTRY,
    sources: [],
    sinks: [0, 1, 2],
    split: true,
  },
  {
    what: 'what accuses itself accuses nobody else, and has seen what it says',
    matrix: [
      [2, 1],
      [0, 0],
    ],
    sources: [0, 1],
    sinks: [],
    witness: [3, 0],
  },
  {
    what: 'an accusation by a good brick of one that accuses itself',
    matrix: [
      [1, 1],
      [1, 0],
    ],
    sources: [1],
    sinks: [0],
    witness: [2, 0],
  },
  {
    what: 'an operation was cut off: dirty is a witness',
    matrix: [
      [0, 0],
      [0, 0],
    ],
    dirty: [1, 2],
    sources: [0, 1],
    sinks: [],
    witness: [1, 2],
  },
  {
    what: 'a brick that is down says nothing and is nothing',
    matrix: [[0, 0, 1], [0, 0, 1], undefined],
    sources: [0, 1],
    sinks: [],
  },
  {
    what: 'counters of another kind do not matter',
    matrix: [
      [0, 1],
      [0, 0],
    ],
    kind: METADATA,
    sources: [0],
    sinks: [1],
  },
]

describe('findDirection', () => {
  it.each(cases)('$what', each => {
    const { matrix, dirty, kind = DATA, quorum = 0 } = each
    const given = logs(matrix, dirty, kind)
    const members = given.reduce((all, log, i) => (log === undefined ? all : all | (1 << i)), 0)
    const direction = findDirection(kind, given, members, quorum)
    expect(indices(direction.sources)).toEqual(each.sources)
    expect(indices(direction.sinks)).toEqual(each.sinks)
    expect(direction.splitBrain).toBe(each.split ?? false)
    if (each.witness !== undefined) expect(direction.witness).toEqual(each.witness)
    const others = [DATA, METADATA, ENTRY].filter(other => other !== kind)
    for (const other of others) {
      const unrelated = findDirection(other, given, members, quorum)
      expect(unrelated.pending || unrelated.dirty || unrelated.splitBrain).toBe(false)
    }
  })
})

it('knows who is accused, by whomever', () => {
  const given = logs([[0, 1, 0], [0, 0, 0], undefined])
  expect(indices(accusedBy(DATA, given))).toEqual([1])
  expect(indices(accusedBy(ENTRY, given))).toEqual([])
})

it('counts majorities', () => {
  expect([2, 3, 4, 5].map(majority)).toEqual([2, 2, 3, 3])
  expect(isComplete(everybody(3), 3)).toBe(true)
  expect(isComplete(0b101, 3)).toBe(false)
})
