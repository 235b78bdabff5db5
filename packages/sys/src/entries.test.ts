import { lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import * as sys from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'ashlar-sys-entries-'))
const dirfd = sys.openat(sys.AT_FDCWD, directory, sys.O.RDONLY | sys.O.DIRECTORY | sys.O.CLOEXEC)
afterAll(() => {
  sys.close(dirfd)
  rmSync(directory, { recursive: true })
})

test('a file lives through make, link, rename, chmod, times and unlink', () => {
  const fd = sys.openat(dirfd, 'a', sys.O.CREAT | sys.O.EXCL | sys.O.RDWR | sys.O.CLOEXEC, 0o640)
  expect(fd).toBeGreaterThan(2)
  expect(sys.openat(dirfd, 'a', sys.O.CREAT | sys.O.EXCL | sys.O.RDWR, 0o640)).toBe(-17)
  expect(sys.linkat(dirfd, 'a', dirfd, 'b')).toBe(0)
  expect(sys.renameat2(dirfd, 'a', dirfd, 'b', sys.RENAME_NOREPLACE)).toBe(-17)
  expect(sys.mkdirat(dirfd, 'd', 0o755)).toBe(0)
  expect(sys.renameat2(dirfd, 'b', dirfd, 'd/c')).toBe(0)
  expect(sys.fchmodat(dirfd, 'a', 0o604)).toBe(0)
  const times = { atime: -5, atimeNsec: 7, mtime: 0, mtimeNsec: sys.UTIME_OMIT }
  const before = lstatSync(join(directory, 'a'), { bigint: true }).mtimeNs
  expect(sys.utimensat(dirfd, 'a', times)).toBe(0)
  const stat = new sys.Stat()
  sys.fstat(fd, stat)
  expect([stat.mode & 0o7777, stat.nlink, stat.atime, stat.atimeNsec]).toEqual([0o604, 2, -5, 7])
  expect(BigInt(stat.mtime) * 1_000_000_000n + BigInt(stat.mtimeNsec)).toBe(before)
  expect(sys.futimens(fd, { atime: 1, atimeNsec: 2, mtime: 3, mtimeNsec: 4 })).toBe(0)
  expect(sys.ftruncate(fd, 2 ** 33)).toBe(0)
  sys.fstat(fd, stat)
  expect([stat.atime, stat.atimeNsec, stat.mtime === 3, stat.size]).toEqual([1, 2, false, 2 ** 33])
  expect(sys.truncate(join(directory, 'a'), 5)).toBe(0)
  expect(sys.faccessat(dirfd, 'a', 4)).toBe(0)
  expect(sys.unlinkat(dirfd, 'd')).toBe(-21)
  expect(sys.unlinkat(dirfd, 'd', sys.AT_REMOVEDIR)).toBe(-39)
  expect(sys.unlinkat(dirfd, 'd/c')).toBe(0)
  expect(sys.unlinkat(dirfd, 'a')).toBe(0)
  expect(sys.unlinkat(dirfd, 'd', sys.AT_REMOVEDIR)).toBe(0)
  expect(sys.close(fd)).toBe(0)
  expect(sys.close(fd)).toBe(-9)
})

test('links and special files', () => {
  expect(sys.symlinkat('to/nowhere', dirfd, 'l')).toBe(0)
  const target = Buffer.alloc(4096)
  const length = sys.readlinkat(dirfd, 'l', target)
  expect(target.toString('utf8', 0, length)).toBe('to/nowhere')
  expect(sys.mknodat(dirfd, 'fifo', 0o010644, 0)).toBe(0)
  expect(lstatSync(join(directory, 'fifo')).isFIFO()).toBe(true)
  if (sys.geteuid() === 0) {
    expect(sys.fchownat(dirfd, 'l', 12, sys.KEEP_ID)).toBe(0)
    expect(lstatSync(join(directory, 'l'))).toMatchObject({ uid: 12, gid: 0 })
    expect(sys.mknodat(dirfd, 'null', 0o020644, sys.makedev(1, 3))).toBe(0)
    const stat = new sys.Stat()
    sys.statat(dirfd, 'null', stat)
    expect([sys.majorOf(stat.rdev), sys.minorOf(stat.rdev)]).toEqual([1, 3])
  }
})

test('names that are not UTF-8 keep their bytes', () => {
  const name = 'caf\udce9-\u00e9\u4e2d'
  const fd = sys.openat(dirfd, name, sys.O.CREAT | sys.O.WRONLY | sys.O.CLOEXEC, 0o600)
  expect(fd).toBeGreaterThan(2)
  sys.close(fd)
  const raw = readdirSync(Buffer.from(directory), { encoding: 'buffer' })
  expect(raw.map(each => each.toString('hex'))).toContain('636166e92dc3a9e4b8ad')
  sys.seekDirectory(dirfd, 0n)
  const entries = new sys.DirectoryReader().read(dirfd)
  expect((entries as { name: string }[]).map(entry => entry.name)).toContain(name)
  expect(sys.unlinkat(dirfd, name)).toBe(0)
})

test('a directory is read in pieces and from any cookie', () => {
  sys.mkdirat(dirfd, 'many', 0o755)
  for (let i = 0; i < 300; i++)
    writeFileSync(join(directory, 'many', `n${'x'.repeat(i % 40)}${i}`), '')
  const fd = sys.openat(dirfd, 'many', sys.O.RDONLY | sys.O.DIRECTORY | sys.O.CLOEXEC)
  const reader = new sys.DirectoryReader(1024)
  const all: { name: string; offset: bigint; type: number; ino: bigint }[] = []
  for (;;) {
    const entries = reader.read(fd)
    expect(typeof entries).toBe('object')
    if (typeof entries === 'number' || entries.length === 0) break
    all.push(...entries)
  }
  expect(
    all
      .map(entry => entry.name)
      .filter(name => name !== '.' && name !== '..')
      .sort(),
  ).toEqual(readdirSync(join(directory, 'many')).sort())
  const known = all[150] as (typeof all)[0]
  const ino = lstatSync(join(directory, 'many', known.name), { bigint: true }).ino
  expect([known.ino, known.type]).toEqual([ino, 8])
  expect(sys.seekDirectory(fd, known.offset)).toBe(0)
  expect((reader.read(fd) as typeof all)[0]?.name).toBe(all[151]?.name)
  sys.close(fd)
})
