import {
  linkSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { AT_FDCWD, close, fstat, O, openat, Stat, statat } from './index.ts'
import { majorOf, makedev, minorOf } from './stat.ts'

const directory = mkdtempSync(join(tmpdir(), 'ashlar-sys-stat-'))
afterAll(() => rmSync(directory, { recursive: true }))

test('statat and fstat agree with Node on every member', () => {
  const path = join(directory, 'file')
  writeFileSync(path, 'x'.repeat(10_000))
  linkSync(path, join(directory, 'other'))
  utimesSync(path, new Date(1_000_000_000_250), new Date(-86_400_000))
  const known = statSync(path, { bigint: true })
  const byName = new Stat()
  expect(statat(AT_FDCWD, path, byName)).toBe(0)
  const fd = openat(AT_FDCWD, path, O.RDONLY | O.CLOEXEC)
  const byFd = new Stat()
  expect(fstat(fd, byFd)).toBe(0)
  expect(close(fd)).toBe(0)
  for (const stat of [byName, byFd]) {
    expect(stat.mode).toBe(Number(known.mode))
    expect(stat.nlink).toBe(2)
    expect(stat.size).toBe(10_000)
    expect(stat.blocks).toBe(Number(known.blocks))
    expect(stat.blksize).toBe(Number(known.blksize))
    expect(BigInt(stat.ino)).toBe(known.ino)
    expect(BigInt(stat.dev)).toBe(known.dev)
    expect([stat.uid, stat.gid]).toEqual([Number(known.uid), Number(known.gid)])
    expect([stat.atime, stat.atimeNsec]).toEqual([1_000_000_000, 250_000_000])
    expect([stat.mtime, stat.mtimeNsec]).toEqual([-86_400, 0])
    expect(BigInt(stat.ctime) * 1_000_000_000n + BigInt(stat.ctimeNsec)).toBe(known.ctimeNs)
    expect(BigInt(stat.btime) * 1_000_000_000n + BigInt(stat.btimeNsec)).toBe(known.birthtimeNs)
  }
})

test('a link itself is judged unless it is followed; device numbers are read', () => {
  symlinkSync('/dev/null', join(directory, 'null'))
  const stat = new Stat()
  expect(statat(AT_FDCWD, join(directory, 'null'), stat)).toBe(0)
  expect(stat.mode & 0o170000).toBe(0o120000)
  expect(statat(AT_FDCWD, join(directory, 'null'), stat, true)).toBe(0)
  expect([majorOf(stat.rdev), minorOf(stat.rdev)]).toEqual([1, 3])
  expect(statat(AT_FDCWD, join(directory, 'nothing'), stat)).toBe(-2)
})

test.each([
  [0, 0],
  [8, 1],
  [259, 70_000],
  [0xfffff, 0xffffffff],
])('makedev %i %i is undone by its halves', (major, minor) => {
  const dev = makedev(major, minor)
  expect([majorOf(dev), minorOf(dev)]).toEqual([major, minor])
})
