import { Errno, parseVolfile, silentLog, type LogLevel } from '@ashlar/core'
import { errnoOf, good, memoryStorage, TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ioStats } from './index.ts'

let volume: TestVolume
let time = 0
const levels: LogLevel[] = []
const log = { ...silentLog, child: () => log, setLevel: (level: LogLevel) => levels.push(level) }
const volfile = (options = '') => `
volume m
  type testing/memory
end-volume
volume s
  type debug/io-stats
  ${options}
  subvolumes m
end-volume`
const MEASURE = 'option latency-measurement on\n option count-fop-hits on'

interface Report {
  bytesRead: number
  bytesWritten: number
  seconds: number
  fops: Record<
    string,
    { calls: number; failures: number; min: number; max: number; average: number }
  >
  reads: Record<string, number>
  writes: Record<string, number>
}
const dump = () =>
  volume.graph.xlator('s')?.dump?.() as {
    cumulative: Report
    interval: Report
    openFds: number
    openFdsMax: number
  }

async function start(options: string): Promise<void> {
  levels.length = 0
  time = 0
  const clock = {
    // Every look at the clock takes a millisecond.
    monotonic: () => (time += 1),
    wall: () => ({ sec: 0, nsec: 0 }),
    after: () => ({ cancel: () => {} }),
  }
  volume = await TestVolume.start({
    definitions: [memoryStorage, ioStats],
    volfile: volfile(options),
    env: { clock, log },
  })
}

beforeEach(() => start(MEASURE))
afterEach(() => volume.stop())

describe('debug/io-stats', () => {
  it('counts calls and failures, and measures how long they take', async () => {
    good(await volume.mkdir('/a'))
    good(await volume.mkdir('/b'))
    expect(errnoOf(await volume.mkdir('/a'))).toBe(Errno.EEXIST)
    const { mkdir } = dump().cumulative.fops
    expect(mkdir).toMatchObject({ calls: 3, failures: 1, min: 1000, max: 1000, average: 1000 })
  })

  it('counts bytes, and blocks by powers of two', async () => {
    await volume.write('/f', 'x'.repeat(5000))
    await volume.write('/g', 'x'.repeat(4096))
    await volume.write('/h', 'x')
    await volume.read('/f')
    const { cumulative } = dump()
    expect([cumulative.bytesWritten, cumulative.bytesRead]).toEqual([9097, 5000])
    expect(cumulative.writes).toEqual({ 1: 1, 4096: 2 })
    expect(cumulative.reads).toEqual({ 4096: 1 })
  })

  it('tells what came since it was last asked apart', async () => {
    good(await volume.mkdir('/a'))
    expect(dump().interval.fops['mkdir']?.calls).toBe(1)
    good(await volume.mkdir('/b'))
    good(await volume.mkdir('/c'))
    const report = dump()
    expect([report.interval, report.cumulative].map(each => each.fops['mkdir']?.calls)).toEqual([
      2, 3,
    ])
    expect(dump().interval.fops).toEqual({})
  })

  it('counts open fds', async () => {
    await volume.write('/f', 'x')
    const fds = [await volume.open('/f'), await volume.open('/f')]
    expect(dump()).toMatchObject({ openFds: 2, openFdsMax: 2 })
    for (const fd of fds) fd.unref()
    expect(dump()).toMatchObject({ openFds: 0, openFdsMax: 2 })
  })

  it('counts nothing, and looks at no clock, unless it is told to', async () => {
    await volume.stop()
    await start('')
    const before = time
    good(await volume.lookup('/'))
    expect(time).toBe(before)
    expect(dump().cumulative.fops).toEqual({})
    volume.graph.reconfigure(parseVolfile(volfile(MEASURE)))
    good(await volume.lookup('/'))
    expect(dump().cumulative.fops['lookup']?.calls).toBe(1)
    volume.graph.reconfigure(parseVolfile(volfile('')))
    good(await volume.lookup('/'))
    expect(dump().cumulative.fops['lookup']?.calls).toBe(1)
  })

  it("sets the process's log level as the volume has it, and only then", () => {
    expect(levels).toEqual([])
    volume.graph.reconfigure(parseVolfile(volfile('option log-level DEBUG')))
    expect(levels).toEqual(['debug'])
    volume.graph.reconfigure(parseVolfile(volfile('')))
    volume.graph.reconfigure(parseVolfile(volfile('')))
    expect(levels).toEqual(['debug', 'info'])
  })
})
