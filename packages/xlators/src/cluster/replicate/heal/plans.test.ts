/** Decisions of heals, case by case: who wins, what is copied where, what becomes of a name. */

import {
  type AnyXlatorDefinition,
  defineXlator,
  Errno,
  failure,
  type Gfid,
  Graph,
  Iatt,
  offlineNetwork,
  parseVolfile,
  S_IFDIR,
  S_IFREG,
  silentLog,
  systemClock,
  systemRandom,
} from '@ashlar/core'
import { describe, expect, it } from 'vitest'
import { type BrickChangelog, type Counters, ZERO_COUNTERS } from '../changelog.ts'
import { indices } from '../members.ts'
import { replicateOptions } from '../options.ts'
import { ReplicaSet } from '../replica-set.ts'
import type { Copies, Copy } from './copies.ts'
import { planData, settleSources } from './data-plan.ts'
import { entrySource, planName } from './name-plan.ts'
import { Pool } from './pool.ts'
import { newEntryMarks } from './recreate.ts'
import { byPolicy, Refusal } from './split-brain.ts'
import { undoCounters } from './undo.ts'

/** A set of `count` bricks that are nowhere. */
function setOf(count: number, options: Readonly<Record<string, string>> = {}): ReplicaSet {
  let set: ReplicaSet | undefined
  const top = defineXlator({
    type: 'testing/top',
    options: replicateOptions,
    create: self => {
      set = new ReplicaSet(self)
      return {}
    },
  })
  const leaf = defineXlator({ type: 'testing/leaf', options: {}, create: () => ({}) })
  const names = Array.from({ length: count }, (_, i) => `b${i}`)
  const texts = Object.entries(options).map(([key, value]) => `  option ${key} ${value}\n`)
  const leaves = names.map(name => `volume ${name}\n  type testing/leaf\nend-volume\n`)
  new Graph({
    volfile: parseVolfile(
      `${leaves.join('')}volume r\n  type testing/top\n${texts.join('')}  subvolumes ${names.join(' ')}\nend-volume\n`,
    ),
    definitions: new Map<string, AnyXlatorDefinition>([
      [top.type, top],
      [leaf.type, leaf],
    ]),
    env: { clock: systemClock, random: systemRandom(), log: silentLog, network: offlineNetwork },
    process: { uuid: '', name: 'test', hostname: 'here', pid: 1, volfileId: 'v' },
  })
  const made = set as ReplicaSet | undefined
  if (made === undefined) throw new Error('no set was made')
  made.up = made.all
  return made
}

interface Given {
  readonly size?: number
  readonly mtime?: number
  readonly ctime?: number
  readonly gfid?: string
  readonly type?: number
  /** Counters of data against each brick. */
  readonly data?: readonly number[]
  readonly dirty?: number
}

const gfid = (text: string): Gfid => text.padEnd(16, '-') as Gfid

function copy(given: Given, count: number): Copy {
  const stat = new Iatt()
  stat.gfid = gfid(given.gfid ?? 'f')
  stat.mode = given.type ?? S_IFREG
  stat.size = given.size ?? 0
  stat.mtime = given.mtime ?? 0
  stat.ctime = given.ctime ?? 0
  const pending = Array.from({ length: count }, (_, j): Counters => [given.data?.[j] ?? 0, 0, 0])
  const log: BrickChangelog = { pending, dirty: [given.dirty ?? 0, 0, 0] }
  return { stat, log, xdata: undefined }
}

function copies(...given: readonly (Given | 'absent' | 'down')[]): Copies {
  return given.map(each => {
    if (each === 'absent') return failure(Errno.ENOENT)
    return each === 'down' ? failure(Errno.ENOTCONN) : copy(each, given.length)
  })
}

describe('favorite-child-policy', () => {
  const three = copies(
    { size: 5, mtime: 1, ctime: 9 },
    { size: 7, mtime: 1, ctime: 3 },
    { size: 5, mtime: 1, ctime: 2 },
  )
  it.each([
    ['none', undefined],
    ['size', 1],
    ['ctime', 0],
    ['mtime', undefined],
    ['majority', 0],
  ] as const)('%s chooses %s', (policy, winner) => {
    expect(byPolicy(three, 0b111, policy)).toBe(winner)
  })

  it('knows no majority of two', () => {
    expect(byPolicy(copies({ size: 1 }, { size: 2 }), 0b11, 'majority')).toBeUndefined()
  })
})

describe('planData', () => {
  it('copies from a good brick to those it accuses', () => {
    const given = copies({ data: [0, 0, 1] }, { data: [0, 0, 1] }, {})
    const plan = planData(setOf(3), given, undefined)
    expect(plan).toMatchObject({ sinks: 0b100 })
  })

  it('takes the largest of good copies that differ in size, and the others as sinks', () => {
    const given = copies({ size: 4 }, { size: 9 }, { size: 4 })
    expect(planData(setOf(3), given, undefined)).toEqual({ source: 1, sinks: 0b101 })
  })

  it('takes who has seen most after an operation was cut off, then the newest', () => {
    const given = copies({ dirty: 1, ctime: 5 }, { dirty: 2, ctime: 3 }, { dirty: 2, ctime: 4 })
    expect(indices(settleSources(given, 0b111, [1, 2, 2]))).toEqual([2])
    expect(planData(setOf(3), given, undefined)).toEqual({ source: 2, sinks: 0b011 })
  })

  it('never copies from an arbiter, nor measures it', () => {
    const set = setOf(3, { 'arbiter-count': '1' })
    const fine = copies({ size: 9 }, { size: 9 }, { size: 0 })
    expect(planData(set, fine, undefined)).toMatchObject({ sinks: 0 })
    // Only the arbiter was reached: there is nothing to copy, but its dirty is to go.
    const dirty = copies({ size: 9 }, { size: 9 }, { dirty: 1 })
    expect(planData(set, dirty, undefined)).toMatchObject({ sinks: 0b100 })
    const bad = copies({ size: 9 }, { size: 9 }, { data: [1, 1, 0] })
    expect(planData(set, bad, undefined)).toMatchObject({ kind: 'failed' })
  })

  // Found by simulation: a brick that was cut off had blamed one of those that went on without it.
  it('does not count what a brick says that a quorum accuses, when the arbiter alone is left', () => {
    const set = setOf(3, { 'arbiter-count': '1', 'quorum-type': 'auto' })
    const given = copies({ size: 4, data: [0, 1, 0] }, { size: 9, data: [1, 0, 0] }, { data: [1] })
    expect(planData(set, given, undefined)).toEqual({ source: 1, sinks: 0b001 })
    const each = copies({ size: 4, data: [0, 1] }, { size: 9 }, { data: [1] })
    expect(planData(set, each, undefined)).toMatchObject({ kind: 'failed' })
  })

  it('heals a split-brain of empty files from the first', () => {
    const given = copies({ data: [0, 1] }, { data: [1, 0] })
    expect(planData(setOf(2), given, undefined)).toEqual({ source: 0, sinks: 0b10 })
  })

  it('guesses nothing in a split-brain', () => {
    const given = copies({ data: [0, 1], size: 3 }, { data: [1, 0], size: 3, mtime: 1 })
    const set = setOf(2)
    expect(planData(set, given, undefined)).toMatchObject({ splitBrain: true, errno: Errno.EIO })
    const bigger = planData(set, given, { policy: 'bigger-file' })
    expect(bigger).toMatchObject({ reason: Refusal.NO_BIGGER })
    const latest = planData(set, given, { policy: 'latest-mtime' })
    expect(latest).toEqual({ source: 1, sinks: 0b01 })
    const brick = planData(set, given, { policy: 'source-brick', brick: 'b0' })
    expect(brick).toEqual({ source: 0, sinks: 0b10 })
    const none = planData(set, given, { policy: 'source-brick', brick: 'b9' })
    expect(none).toMatchObject({ reason: Refusal.NO_SUCH_BRICK })
  })

  it('follows the policy of the volume in a split-brain', () => {
    const given = copies({ data: [0, 1], size: 3 }, { data: [1, 0], size: 5 })
    const set = setOf(2, { 'favorite-child-policy': 'size' })
    expect(planData(set, given, undefined)).toEqual({ source: 1, sinks: 0b01 })
  })

  it('resolves nothing that is not in split-brain', () => {
    const given = copies({ data: [0, 1] }, {})
    const plan = planData(setOf(2), given, { policy: 'bigger-file' })
    expect(plan).toMatchObject({ reason: Refusal.NOT_SPLIT })
  })
})

describe('planName', () => {
  const good = { source: 0, sources: 0b011, sinks: 0b100 }
  const merge = { source: -1, sources: 0, sinks: 0b111 }
  const set = setOf(3)

  it('makes what only the sources have', () => {
    const plan = planName(set, good, copies({}, {}, 'absent'))
    expect(plan).toEqual([{ kind: 'create', on: 2, from: 0 }])
  })
  it('removes what no source has', () => {
    expect(planName(set, good, copies('absent', 'absent', {}))).toEqual([{ kind: 'remove', on: 2 }])
  })
  it('replaces what is something else', () => {
    const other = planName(set, good, copies({}, {}, { gfid: 'g' }))
    expect(other).toEqual([{ kind: 'replace', on: 2, from: 0 }])
  })
  it('removes nothing that some source has', () => {
    const plan = planName(set, good, copies('absent', {}, {}))
    expect(plan).toEqual([{ kind: 'create', on: 0, from: 1 }])
  })
  it('removes nothing in a merge', () => {
    const plan = planName(set, merge, copies('absent', {}, 'absent'))
    expect(plan).toEqual([
      { kind: 'create', on: 0, from: 1 },
      { kind: 'create', on: 2, from: 1 },
    ])
  })
  // Found by simulation: a file that was removed while a brick was away came back with it.
  it('removes from an accused brick what no other has, though something may be under way', () => {
    const pending = { pending: true, dirty: true, splitBrain: false }
    const direction = { sources: 0b110, sinks: 0b001, witness: [0, 2, 2], ...pending }
    const at = entrySource(direction, 0b111)
    expect(at).toEqual({ source: -1, sources: 0b110, sinks: 0b111 })
    expect(planName(set, at, copies({}, 'absent', 'absent'))).toEqual([{ kind: 'remove', on: 0 }])
    expect(planName(set, at, copies({ gfid: 'old' }, {}, 'absent'))).toEqual([
      { kind: 'replace', on: 0, from: 1 },
      { kind: 'create', on: 2, from: 1 },
    ])
  })
  // Found by simulation: a rename had failed half way, and the bricks had different files for ever.
  it('goes by a quorum when nobody is accused of having missed anything', () => {
    const three = copies({ gfid: 'g' }, {}, {})
    const plan = [{ kind: 'replace', on: 0, from: 1 }]
    const strict = setOf(3, { 'quorum-type': 'auto' })
    expect(planName(strict, merge, three)).toEqual(plan)
    expect(planName(strict, { ...merge, disputed: true }, three)).toMatchObject({ kind: 'failed' })
    const lax = setOf(3, { 'quorum-type': 'none' })
    expect(planName(lax, merge, three)).toMatchObject({ kind: 'failed', splitBrain: true })
    const two = { ...merge, sinks: 0b11 }
    expect(planName(setOf(2, { 'quorum-type': 'auto' }), two, copies({ gfid: 'g' }, {}))).toEqual([
      { kind: 'replace', on: 1, from: 0 },
    ])
  })
  it('leaves two kinds of things alone', () => {
    const plan = planName(set, merge, copies({}, { type: S_IFDIR, gfid: 'd' }, 'absent'))
    expect(plan).toMatchObject({ kind: 'failed', splitBrain: true })
  })
  it('leaves two files alone, unless one is chosen', () => {
    const two = copies({ size: 1 }, { gfid: 'g', size: 2 }, 'absent')
    expect(planName(set, merge, two)).toMatchObject({ kind: 'failed', splitBrain: true })
    expect(planName(set, merge, two, { policy: 'bigger-file' })).toEqual([
      { kind: 'replace', on: 0, from: 1 },
      { kind: 'create', on: 2, from: 1 },
    ])
  })
  it('decides nothing without an answer of every brick', () => {
    expect(planName(set, good, copies({}, {}, 'down'))).toMatchObject({ errno: Errno.ENOTCONN })
  })
})

it('marks new entries for all that they can have', () => {
  const of = (mode: number): Iatt => Object.assign(new Iatt(), { mode })
  expect(newEntryMarks(of(S_IFREG), true)).toEqual([1, 1, 0])
  expect(newEntryMarks(of(S_IFDIR), true)).toEqual([1, 1, 1])
  expect(newEntryMarks(of(S_IFDIR), false)).toEqual([0, 1, 1])
  expect(newEntryMarks(of(0o120000), true)).toEqual([0, 1, 0])
})

describe('undoing', () => {
  const counters = (bytes: Buffer | undefined): number[] =>
    [0, 4, 8].map(at => bytes?.readInt32BE(at) ?? Number.NaN)

  it('takes back what was read, and blames anew who could not be healed', () => {
    const set = setOf(3)
    const given = copies({ data: [0, 2, 3], dirty: 1 }, {}, {})
    const undone = { kind: 0, copies: given, sinks: 0b110, healed: 0b010 } as const
    const own = undoCounters(set, undone, 0)
    expect(counters(own.getBytes('trusted.afr.b1'))).toEqual([-2, 0, 0])
    expect(counters(own.getBytes('trusted.afr.b2'))).toEqual([1, 0, 0])
    expect(counters(own.getBytes('trusted.afr.dirty'))).toEqual([-1, 0, 0])
    const sink = undoCounters(set, undone, 2)
    expect(counters(sink.getBytes('trusted.afr.dirty'))).toEqual([...ZERO_COUNTERS])
  })
})

describe('Pool', () => {
  it('runs so many at a time, lets so many wait, and refuses the rest', async () => {
    const pool = new Pool<string, string>(() => ({ running: 1, waiting: 1 }))
    const ends: (() => void)[] = []
    const work = (name: string) => () =>
      new Promise<string>(resolve => ends.push(() => resolve(name)))
    const one = pool.run('one', work('one'))
    const again = pool.run('one', work('another'))
    const two = pool.run('two', work('two'))
    expect(pool.run('three', work('three'))).toBeUndefined()
    expect([pool.active, pool.waiting]).toEqual([1, 1])
    await Promise.resolve()
    ends.shift()?.()
    expect(await one).toBe('one')
    expect(await again).toBe('one')
    await Promise.resolve()
    ends.shift()?.()
    expect(await two).toBe('two')
    expect([pool.active, pool.waiting]).toEqual([0, 0])
  })

  it('runs nothing when it may not', () => {
    const pool = new Pool<string, void>(() => ({ running: 0, waiting: 9 }))
    expect(pool.run('one', () => Promise.resolve())).toBeUndefined()
  })
})
