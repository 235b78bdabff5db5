import { expect, test } from 'vitest'
import { allocatorStatistics } from './index.ts'

const glibc = 'glibcVersionRuntime' in (process.report.getReport() as { header: object }).header

test.runIf(glibc)('a buffer of the C library is seen in its statistics', () => {
  const before = allocatorStatistics()
  // Beyond the largest threshold of mmap, so that it has a mapping of its own.
  const bytes = 64 * 1024 * 1024
  const buffer = Buffer.alloc(bytes)
  const after = allocatorStatistics()
  expect(before?.arena).toBeGreaterThan(0)
  expect(before?.uordblks).toBeGreaterThan(0)
  expect((before?.uordblks ?? 0) + (before?.fordblks ?? 0)).toBe(before?.arena)
  expect((after?.hblkhd ?? 0) - (before?.hblkhd ?? 0)).toBeGreaterThanOrEqual(bytes)
  expect(buffer.length).toBe(bytes)
})

test.skipIf(glibc)('another C library does not tell', () => {
  expect(allocatorStatistics()).toBeUndefined()
})
