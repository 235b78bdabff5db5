/** Cold reads on the loop and on threads: when which, and that both read the same. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Errno, type Fd, type Loc } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { FakeClock, good, TestVolume } from '@ashlar/testkit'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { posix } from './index.ts'
import { DiskPace } from './disk-pace.ts'

vi.mock('@ashlar/sys', async original => {
  const real = await original<typeof sys>()
  return {
    ...real,
    preadv2: vi.fn(real.preadv2),
    pread: vi.fn(real.pread),
    preadAsync: vi.fn(real.preadAsync),
    statat: vi.fn(real.statat),
    warmXattrs: vi.fn(real.warmXattrs),
  }
})

const SIZE = 4096

describe('small cold reads', () => {
  let clock: FakeClock
  let pace: DiskPace
  beforeEach(() => {
    clock = new FakeClock()
    pace = new DiskPace(clock)
  })

  /** So many reads that take so long each; how many of them were tried on the loop. */
  function read(count: number, ms: number, size = SIZE): number {
    let tried = 0
    for (let i = 0; i < count; i++) {
      if (!pace.isQuick(size) && !pace.isTried(size)) continue
      tried += 1
      pace.measured(() => {
        clock.advance(ms)
        return size
      })
    }
    return tried
  }

  test('are tried on the loop now and then, and done there while they are quick', () => {
    expect(pace.isQuick(SIZE)).toBe(false)
    expect(read(7, 0.1)).toBe(0)
    expect(read(4, 0.1)).toBe(4)
    expect(pace.isQuick(SIZE)).toBe(true)
  })

  test('a large one never is', () => {
    read(100, 0.1)
    expect(pace.isQuick(16 * 1024)).toBe(true)
    expect(pace.isQuick(16 * 1024 + 1)).toBe(false)
    expect(pace.isTried(16 * 1024 + 1)).toBe(false)
  })

  test('a disk that answers late is not waited for again for a second', () => {
    read(100, 0.1)
    expect(read(100, 5)).toBe(1)
    clock.advance(900)
    expect(read(100, 5)).toBe(0)
    clock.advance(100)
    expect(read(100, 5)).toBe(1)
  })

  test('one that is slow by a little is left to threads but for a few; one slow answer is forgiven', () => {
    read(100, 0.1)
    expect(read(1, 0.5)).toBe(1)
    expect(pace.isQuick(SIZE)).toBe(true)
    expect(read(800, 0.5)).toBeLessThan(110)
    expect(pace.isQuick(SIZE)).toBe(false)
  })
})

describe('a brick', () => {
  let volume: TestVolume
  beforeEach(async () => {
    const home = mkdtempSync(`${tmpdir()}/cold-`)
    mkdirSync(`${home}/brick`)
    volume = await TestVolume.start({
      definitions: [posix],
      brick: true,
      volfile: `volume b\n  type storage/posix\n  option directory ${home}/brick\nend-volume`,
    })
    return async () => {
      vi.mocked(sys.preadv2).mockReset()
      vi.mocked(sys.statat).mockReset()
      vi.mocked(sys.warmXattrs).mockReset()
      await volume.stop()
      rmSync(home, { recursive: true })
    }
  })

  test.each([
    ['nothing', 0],
    ['a part', 3],
  ])('reads the same on the loop as on a thread, with %s in memory', async (_, known) => {
    const { preadv2 } = await vi.importActual<typeof sys>('@ashlar/sys')
    vi.mocked(sys.preadv2).mockImplementation((fd, buffer, offset, flags) =>
      known === 0 ? -Errno.EAGAIN : preadv2(fd, buffer.subarray(0, known), offset, flags),
    )
    await volume.write('/f', 'abcdefghij')
    const fd = await volume.open('/f')
    const read = async (size: number, offset: number): Promise<unknown> => {
      const { data, eof } = good(await volume.top.readv(volume.ctx, { fd, size, offset, flags: 0 }))
      return [data.toString(), eof]
    }
    vi.mocked(sys.pread).mockClear()
    vi.mocked(sys.preadAsync).mockClear()
    for (let i = 0; i < 50; i++) {
      expect(await read(5, 1)).toEqual(['bcdef', false])
      expect(await read(100, 4)).toEqual(['efghij', true])
      expect(await read(100, 10)).toEqual(['', true])
    }
    expect(vi.mocked(sys.pread)).toHaveBeenCalled()
    expect(vi.mocked(sys.preadAsync)).toHaveBeenCalled()
    fd.unref()
  })

  /** The root, opened, on a disk where each entry's attributes take so many milliseconds. */
  async function slowRoot(ms: number): Promise<{ fd: Fd; loc: Loc }> {
    const { statat } = await vi.importActual<typeof sys>('@ashlar/sys')
    vi.mocked(sys.statat).mockImplementation((directory, name, stat) => {
      const end = performance.now() + ms
      while (performance.now() < end);
      return statat(directory, name, stat)
    })
    const loc = await volume.loc('/')
    const fd = volume.graph.openFd(loc.inode, { flags: 0, pid: 1 })
    good(await volume.top.opendir(volume.ctx, { loc, fd }))
    return { fd: fd.bind(), loc }
  }

  test('reads the attributes of a cold directory on threads', async () => {
    const names = Array.from({ length: 200 }, (__, i) => `f${i}`)
    for (const name of names) await volume.write(`/${name}`, '')
    vi.mocked(sys.warmXattrs).mockClear()
    const { fd } = await slowRoot(0.2)
    const list = volume.top.readdirp(volume.ctx, { fd, size: 1_000_000, offset: 0n })
    const { entries } = good(await list)
    const listed = entries.filter(({ stat }) => stat.isRegular).map(({ name }) => name)
    expect(listed.toSorted()).toEqual(names.toSorted())
    const warmed = vi.mocked(sys.warmXattrs).mock.calls.length
    expect(warmed).toBeGreaterThan(100)
    fd.unref()
  })

  test('answers others while it lists a large cold directory', async () => {
    for (let i = 0; i < 200; i++) await volume.write(`/f${i}`, '')
    // Threads answer at once, and give nobody a turn by that.
    vi.mocked(sys.warmXattrs).mockResolvedValue(0)
    const { fd, loc } = await slowRoot(0.1)
    let listed = false
    const list = volume.top
      .readdirp(volume.ctx, { fd, size: 1_000_000, offset: 0n })
      .then(() => (listed = true))
    await new Promise(resolve => setImmediate(resolve))
    await volume.top.statfs(volume.ctx, { loc })
    expect(listed).toBe(false)
    await list
    fd.unref()
  })
})
