import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { NameHash, RSYNC_REGEX_DEFAULT } from './hash.ts'
import {
  keepOverlap,
  Layout,
  NO_LAYOUT,
  absentRange,
  parseRange,
  planLayout,
  printRange,
  type Range,
} from './layout.ts'

// Recordings of GlusterFS 10.3 (fixtures/dht/README.md).
function fixture<T>(name: string): T {
  return JSON.parse(
    readFileSync(new URL(`../../../fixtures/dht/${name}`, import.meta.url), 'utf8'),
  ) as T
}

interface Directory {
  dir: string
  gfid: string
  layout: (string | null)[]
}
interface Recorded {
  bricks: string[]
  directories: Directory[]
  placement: Record<string, Record<string, string[]>>
}

interface Stage extends Recorded {
  stage: string
}

const hex = (text: string): Buffer => Buffer.from(text.slice(2), 'hex')
const names = new NameHash({ rsyncRegex: RSYNC_REGEX_DEFAULT })

function layoutOf(directory: Directory): Layout {
  return new Layout(
    directory.layout.map((value, i) =>
      value === null ? absentRange(i, NO_LAYOUT) : (parseRange(i, hex(value)) as Range),
    ),
  )
}

/** Where a name hashes: the brick with the data, or with the linkto file when it lies elsewhere. */
function expectedBrick(holders: string[]): number {
  const linkto = holders.find(holder => holder.startsWith('L'))
  return Number((linkto ?? holders[0] ?? '').replace('L', ''))
}

function checkPlacement(recorded: Recorded): number {
  let checked = 0
  for (const directory of recorded.directories) {
    const placed = recorded.placement[directory.dir]
    if (placed === undefined) continue
    const layout = layoutOf(directory)
    for (const [name, holders] of Object.entries(placed)) {
      expect(layout.search(names.hash(name)), `${directory.dir}/${name}`).toBe(
        expectedBrick(holders),
      )
      checked += 1
    }
  }
  return checked
}

describe('name hash', () => {
  it('gives the recorded hashes', () => {
    const values = fixture<{ names: Record<string, { hashed: string; hash: string }> }>(
      'hash-values.json',
    ).names
    expect(Object.keys(values).length).toBeGreaterThan(1000)
    for (const [name, { hashed, hash }] of Object.entries(values)) {
      expect(names.munge(name)).toBe(hashed)
      expect(names.hash(name), name).toBe(Number(hash))
    }
  })
})

describe('layout', () => {
  it('places every recorded name of a 3-brick volume', () => {
    expect(checkPlacement(fixture<Recorded>('dist3-placement.json'))).toBeGreaterThan(2000)
  })

  it('places names on 1, 2, 4, 5, 7 and 12 bricks and plans the recorded layouts', () => {
    for (const recorded of fixture<Recorded[] & { volume: string }[]>(
      'layouts-1-2-4-5-7-12-bricks.json',
    )) {
      const volume = (recorded as unknown as { volume: string }).volume
      const children = recorded.bricks.map((_, i) => `${volume}-client-${i}`)
      checkPlacement(recorded)
      for (const directory of recorded.directories) {
        if (directory.layout[0] === null) continue // the root of a single brick has none
        const commitHash = hex(directory.layout[0] as string).readUInt32BE(0)
        const planned = planLayout({
          names: children,
          usable: children.map(() => true),
          weights: children.map(() => 1),
          startHash: names.hash(directory.dir),
          spread: children.length,
          commitHash,
        })
        expect(
          planned.ranges.map(range => `0x${printRange(range).toString('hex')}`),
          directory.dir,
        ).toEqual(directory.layout)
        expect(planned.anomalies()).toMatchObject({ holes: 0, overlaps: 0, missing: 0 })
      }
    }
  })

  it('places names under each recorded regex', () => {
    interface Result extends Omit<Recorded, 'directories' | 'placement'> {
      options: Record<string, string>
      layout: Directory[]
      placement: Record<string, string[]>
    }
    let checked = 0
    for (const result of fixture<{ results: Result[] }>('hash-regex.json').results) {
      const directory = result.layout?.[0]
      if (directory === undefined || result.placement === undefined) continue
      const hash = new NameHash({
        extraRegex: result.options['cluster.extra-hash-regex'],
        rsyncRegex: result.options['cluster.rsync-hash-regex'] ?? RSYNC_REGEX_DEFAULT,
      })
      const layout = layoutOf(directory)
      for (const [name, holders] of Object.entries(result.placement)) {
        expect(layout.search(hash.hash(name)), `${JSON.stringify(result.options)} ${name}`).toBe(
          expectedBrick(holders),
        )
        checked += 1
      }
    }
    expect(checked).toBeGreaterThan(300)
  })

  it('places names at every recorded stage of a rebalance', () => {
    let checked = 0
    for (const stage of fixture<{ stages: Stage[] }>('rebalance.json').stages) {
      // After fix-layout alone the files still lie where the old layout had put them.
      if (!stage.stage.includes('fix-layout')) checked += checkPlacement(stage)
    }
    expect(checked).toBeGreaterThan(50)
  })

  it('plans the recorded layouts of fix-layout and remove-brick', () => {
    const stages = fixture<{ stages: Stage[] }>('rebalance.json').stages
    const stage = (word: string): Stage => stages.find(each => each.stage.includes(word)) as Stage
    const cases = [
      { before: stage('add-brick'), after: stage('fix-layout'), usable: [true, true, true, true] },
      {
        before: stage('start force'),
        after: stage('remove-brick'),
        usable: [false, true, true, true],
      },
    ]
    for (const { before, after, usable } of cases) {
      const children = usable.map((_, i) => `dist3-client-${i}`)
      for (const directory of after.directories) {
        const old = before.directories.find(each => each.dir === directory.dir) as Directory
        const planned = planLayout({
          names: children,
          usable,
          weights: children.map(() => 1),
          startHash: names.hash(directory.dir),
          spread: children.length,
          commitHash: 0,
        })
        const kept = keepOverlap(planned, layoutOf(old), { names: children, usable })
        const ring = (value: string | null): string => (value as string).slice(-16)
        expect(
          kept.ranges.map(range => printRange(range).toString('hex').slice(-16)),
          `${after.stage} ${directory.dir}`,
        ).toEqual(directory.layout.map(ring))
      }
    }
  })

  it('covers the ring without holes for any weights', () => {
    for (let bricks = 1; bricks <= 9; bricks++) {
      for (let seed = 0; seed < 20; seed++) {
        const weights = Array.from(
          { length: bricks },
          (_, i) => 1 + ((seed * 7919 + i * 104729) % 5000),
        )
        const layout = planLayout({
          names: weights.map((_, i) => `v-client-${i}`),
          usable: weights.map((_, i) => bricks === 1 || i !== seed % bricks),
          weights,
          startHash: seed * 2654435761,
          spread: bricks,
          commitHash: 0,
        })
        expect(layout.anomalies()).toMatchObject({ holes: 0, overlaps: 0 })
      }
    }
  })
})
