// What the loss of one brick of three costs a writer, and how soon the brick has everything again.
// The bounds leave room for a machine that does other things; `npm run bench -- failover` measures.
import * as fs from 'node:fs/promises'
import { constants } from 'node:fs'
import { Cluster, isAlive, type Mount, signal, succeed, until } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obstacle } from './mounted.ts'
import { type Pace, streamTo } from './stream.ts'

const VICTIM = 2
/** Longest write when the connection of a brick is reset. */
const RESET_MS_MAX = 1_000
const PING_TIMEOUT_SECONDS = 4
/** On top of the ping-timeout, for a machine that is busy. */
const BUSY_MS = 1_500
const HEARD_MS_MAX = 10_000
/** From the return of a brick until nothing is pending: the daemon's back-off, its sweep, and room. */
const HEALED_MS_MAX = 20_000
const FILES = 300
const FILE_BYTES = 64 * 1024

describe.skipIf(obstacle !== undefined)('the loss of one brick of three', () => {
  let cluster: Cluster
  let mount: Mount
  const at = (name: string): string => `${mount.path}/${name}`

  beforeAll(async () => {
    cluster = await Cluster.start()
    await cluster.volume('gv0', 3, {}, ['replica', '3'])
    mount = await cluster.mount('gv0')
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  async function healed(): Promise<void> {
    await until('all is healed', HEALED_MS_MAX, async () => {
      const info = await cluster.command('volume', 'heal', 'gv0', 'info', 'summary')
      const totals = info.match(/^Total Number of entries: .*$/gm) ?? []
      return totals.length === 3 && totals.every(total => total.endsWith(': 0'))
    })
  }

  /** What users see is the same on all bricks. */
  async function alike(): Promise<void> {
    for (const brick of [2, 3]) {
      const paths = [cluster.brickPath('gv0', 1), cluster.brickPath('gv0', brick)]
      await succeed('diff', ['-r', '-x', '.glusterfs*', ...paths])
    }
  }

  /** Resolves when the writer has gone on for a while. */
  const goesOn = (pace: Pace): Promise<unknown> => {
    const from = pace.count
    return until('the writer goes on', 30_000, () => pace.count > from + 100)
  }

  test.each([
    ['buffered', 0],
    ['synchronous', constants.O_SYNC],
  ])('%s writes go on when a brick is killed, and none is lost', async (name, flags) => {
    const stream = await streamTo(at(name), flags)
    await goesOn(stream)
    const pid = cluster.brickPid('gv0', VICTIM) as number
    stream.mark()
    signal(pid, 'SIGKILL')
    await until('the brick is dead', 5_000, () => !isAlive(pid))
    await goesOn(stream)
    await stream.end()
    expect(stream.errors).toEqual([])
    expect(stream.longestSinceMark).toBeLessThan(RESET_MS_MAX)
    await stream.expectIn(at(name))

    await cluster.command('volume', 'start', 'gv0', 'force')
    await healed()
    await alike()
    await stream.expectIn(`${cluster.brickPath('gv0', VICTIM)}/${name}`)
  })

  test('a brick hangs: writes wait for the ping-timeout that was set last', async () => {
    const heard = async (): Promise<number> =>
      (await fs.readFile(mount.log, 'utf8')).split('options changed').length
    const before = await heard()
    const option = ['network.ping-timeout', String(PING_TIMEOUT_SECONDS)]
    await cluster.command('volume', 'set', 'gv0', ...option)
    await until('the mount has heard of it', HEARD_MS_MAX, async () => (await heard()) > before)
    const stream = await streamTo(at('hang'), constants.O_SYNC)
    await goesOn(stream)
    const pid = cluster.brickPid('gv0', VICTIM) as number
    stream.mark()
    signal(pid, 'SIGSTOP')
    try {
      await goesOn(stream)
    } finally {
      signal(pid, 'SIGCONT')
    }
    await stream.end()
    expect(stream.errors).toEqual([])
    expect(stream.longestSinceMark).toBeLessThan(PING_TIMEOUT_SECONDS * 1000 + BUSY_MS)
    // It did hang: otherwise nothing was tested.
    expect(stream.longestSinceMark).toBeGreaterThan((PING_TIMEOUT_SECONDS * 1000) / 2)
    await stream.expectIn(at('hang'))

    expect(cluster.brickPid('gv0', VICTIM)).toBe(pid)
    await healed()
    await alike()
    await stream.expectIn(`${cluster.brickPath('gv0', VICTIM)}/hang`)
  })

  test(`${FILES} files that were made without a brick are there soon after it is back`, async () => {
    const pid = cluster.brickPid('gv0', VICTIM) as number
    signal(pid, 'SIGKILL')
    await until('the brick is dead', 5_000, () => !isAlive(pid))
    await fs.mkdir(at('new'))
    const content = (n: number): Buffer => Buffer.alloc(FILE_BYTES, `content of ${n} `)
    for (let n = 0; n < FILES; n++) await fs.writeFile(at(`new/${n}`), content(n))
    await cluster.command('volume', 'start', 'gv0', 'force')
    await healed()
    for (let n = 0; n < FILES; n++) {
      const copy = await fs.readFile(`${cluster.brickPath('gv0', VICTIM)}/new/${n}`)
      expect(copy.equals(content(n))).toBe(true)
    }
    await alike()
  })
})
