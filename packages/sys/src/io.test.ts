import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import * as sys from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'ashlar-sys-io-'))
afterAll(() => rmSync(directory, { recursive: true }))

function open(name: string): number {
  return sys.openat(
    sys.AT_FDCWD,
    join(directory, name),
    sys.O.CREAT | sys.O.RDWR | sys.O.CLOEXEC,
    0o600,
  )
}

test('reads and writes at offsets, far ones too', async () => {
  const fd = open('data')
  const far = 2 ** 40
  expect(sys.pwrite(fd, Buffer.from('hello'), far)).toBe(5)
  expect(await sys.pwriteAsync(fd, Buffer.from('HE'), far)).toBe(2)
  expect(sys.pwritev(fd, [Buffer.from('LL'), Buffer.from('O!')], far + 2)).toBe(4)
  const buffer = Buffer.alloc(10)
  expect(sys.pread(fd, buffer, far)).toBe(6)
  expect(buffer.toString('utf8', 0, 6)).toBe('HELLO!')
  buffer.fill(0)
  expect(await sys.preadAsync(fd, buffer, far + 1)).toBe(5)
  expect(buffer.toString('utf8', 0, 5)).toBe('ELLO!')
  const nowait = sys.preadv2(fd, buffer, far, sys.RWF_NOWAIT)
  expect([6, -11, -95]).toContain(nowait)
  expect(sys.lseek(fd, 0, sys.SEEK_DATA)).toBe(far)
  expect(sys.lseek(fd, far + 6, sys.SEEK_DATA)).toBe(-6)
  expect(sys.lseek(fd, 0, sys.SEEK_HOLE)).toBe(0)
  sys.close(fd)
  expect(await sys.preadAsync(fd, buffer, 0)).toBe(-9)
})

test('allocates, punches, zeroes and copies', async () => {
  const fd = open('alloc')
  expect(sys.fallocate(fd, 0, 0, 65_536)).toBe(0)
  expect(sys.pwrite(fd, Buffer.alloc(65_536, 'a'), 0)).toBe(65_536)
  expect(
    await sys.fallocateAsync(fd, sys.FALLOC_FL_PUNCH_HOLE | sys.FALLOC_FL_KEEP_SIZE, 4096, 4096),
  ).toBe(0)
  const other = open('copy')
  const range = { source: fd, sourceOffset: 4000, target: other, targetOffset: 100, length: 5000 }
  expect(sys.copyFileRange(range)).toBe(5000)
  expect(await sys.copyFileRangeAsync({ ...range, targetOffset: 6000 })).toBe(5000)
  const want = readFileSync(join(directory, 'alloc')).subarray(4000, 9000)
  const got = readFileSync(join(directory, 'copy'))
  expect(want.includes(0)).toBe(true)
  expect(got.subarray(100, 5100).equals(want)).toBe(true)
  expect(got.subarray(6000, 11_000).equals(want)).toBe(true)
  const nothing = { ...range, source: 9999 }
  expect(sys.copyFileRange(nothing)).toBe(-9)
  expect(await sys.copyFileRangeAsync(nothing)).toBe(-9)
  for (const fdOfTwo of [fd, other]) {
    expect(sys.fsync(fdOfTwo)).toBe(0)
    expect(await sys.fsyncAsync(fdOfTwo)).toBe(0)
    expect(await sys.fdatasyncAsync(fdOfTwo)).toBe(0)
    expect(await sys.syncfsAsync(fdOfTwo)).toBe(0)
    sys.close(fdOfTwo)
  }
  expect(sys.fdatasync(9999)).toBe(-9)
  expect(await sys.fsyncAsync(9999)).toBe(-9)
})

test('locks of open files exclude each other', async () => {
  writeFileSync(join(directory, 'locks'), '')
  const one = open('locks')
  const two = open('locks')
  const lock = { type: sys.F_WRLCK, whence: 0, start: 10, len: 2 ** 35, pid: 0 }
  expect(sys.fcntlLock(one, sys.F_OFD_SETLK, lock)).toBe(0)
  expect(sys.fcntlLock(two, sys.F_OFD_SETLK, lock)).toBe(-11)
  const query = { type: sys.F_RDLCK, whence: 0, start: 0, len: 0, pid: 0 }
  expect(sys.fcntlLock(two, sys.F_OFD_GETLK, query)).toBe(0)
  expect(query).toMatchObject({ type: sys.F_WRLCK, start: 10, len: 2 ** 35 })
  expect(sys.flock(one, sys.LOCK_EX | sys.LOCK_NB)).toBe(0)
  expect(sys.flock(two, sys.LOCK_SH | sys.LOCK_NB)).toBe(-11)
  const waiting = sys.flockAsync(two, sys.LOCK_EX)
  expect(sys.flock(one, sys.LOCK_UN)).toBe(0)
  expect(await waiting).toBe(0)
  expect(sys.fcntl(one, sys.F_GETFL) & sys.O.ACCMODE).toBe(sys.O.RDWR)
  sys.close(one)
  sys.close(two)
})

test('extended attributes, by name and by descriptor', () => {
  const fd = open('xattrs')
  const path = join(directory, 'xattrs')
  expect(sys.lsetxattr(path, 'user.one', Buffer.from([0, 1, 2]))).toBe(0)
  expect(sys.lsetxattr(path, 'user.one', Buffer.alloc(1), sys.XATTR_CREATE)).toBe(-17)
  expect(sys.fsetxattr(fd, 'user.two', Buffer.alloc(0), sys.XATTR_REPLACE)).toBe(-61)
  expect(sys.fsetxattr(fd, 'user.two', Buffer.alloc(0))).toBe(0)
  expect(sys.lgetxattr(path, 'user.one')).toEqual(Buffer.from([0, 1, 2]))
  expect(sys.fgetxattr(fd, 'user.two')).toEqual(Buffer.alloc(0))
  const small = Buffer.alloc(2)
  expect(sys.lgetxattrInto(path, 'user.one', small)).toBe(-34)
  expect(sys.fgetxattrInto(fd, 'user.one', Buffer.alloc(3))).toBe(3)
  expect(sys.lgetxattr(path, 'user.none')).toBe(-61)
  expect(sys.llistxattr(path)).toEqual(expect.arrayContaining(['user.one', 'user.two']))
  expect(sys.fremovexattr(fd, 'user.one')).toBe(0)
  expect(sys.lremovexattr(path, 'user.one')).toBe(-61)
  expect((sys.flistxattr(fd) as string[]).filter(name => name.startsWith('user.'))).toEqual([
    'user.two',
  ])
  sys.close(fd)
})

test('totals of the file system', () => {
  const totals = sys.statvfs(directory)
  expect(totals).toMatchObject({ namemax: 255 })
  if (typeof totals !== 'number') {
    expect(totals.blocks).toBeGreaterThan(totals.bfree)
    expect(totals.bfree).toBeGreaterThanOrEqual(totals.bavail)
  }
  expect(sys.statvfs(join(directory, 'nothing'))).toBe(-2)
})

test('poll, socket pairs', () => {
  const pair = sys.socketpair()
  expect(typeof pair).toBe('object')
  if (typeof pair === 'number') return
  expect(sys.poll(pair[0], sys.POLLIN, 0)).toBe(0)
  expect(sys.writev(pair[1], [Buffer.from('a'), Buffer.from('bc')])).toBe(3)
  expect(sys.poll(pair[0], sys.POLLIN, 1000)).toBe(sys.POLLIN)
  const buffer = Buffer.alloc(10)
  expect(sys.read(pair[0], buffer)).toBe(3)
  sys.close(pair[1])
  expect(sys.receiveDescriptor(pair[0])).toBe(-61)
  sys.close(pair[0])
})

test('runs more calls on threads than it has memory for, and loses none', async () => {
  const results = await Promise.all(
    Array.from({ length: 500 }, (_, i) => sys.warmXattrs(i % 2 === 0 ? directory : '/nowhere')),
  )
  expect(results.filter(result => result >= 0)).toHaveLength(250)
  expect(results.filter(result => result === -2)).toHaveLength(250)
})

test('closes descriptors of removed files, however many at once', async () => {
  const fds = Array.from({ length: 200 }, (_, i) => open(`removed-${i}`))
  expect(stillOpen()).toBe(200)
  for (const [i, fd] of fds.entries()) {
    sys.unlinkat(sys.AT_FDCWD, join(directory, `removed-${i}`))
    sys.closeRemoved(fd)
  }
  await vi.waitFor(() => expect(stillOpen()).toBe(0), 10_000)
})

function stillOpen(): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('removed-')
    } catch {
      return false
    }
  }).length
}
