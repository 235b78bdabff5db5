import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PAGE_BYTES, Pages } from './pages.ts'
import { type RangeLock, RangeLocks } from './range-locks.ts'

const SIZE_MAX = 3 * PAGE_BYTES

test('pages hold what a plain buffer would', () => {
  const step = fc.record({
    kind: fc.constantFrom('write', 'clear', 'resize', 'allocate'),
    offset: fc.nat(SIZE_MAX),
    length: fc.nat(PAGE_BYTES + 100),
    byte: fc.integer({ min: 1, max: 255 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), steps => {
      const pages = new Pages()
      const model = Buffer.alloc(2 * SIZE_MAX)
      let size = 0
      for (const { kind, offset, length, byte } of steps) {
        if (kind === 'write') {
          pages.write(offset, Buffer.alloc(length, byte))
          model.fill(byte, offset, offset + length)
          if (length > 0) size = Math.max(size, offset + length)
        } else if (kind === 'clear') {
          pages.clear(offset, offset + length)
          model.fill(0, offset, offset + length)
        } else if (kind === 'resize') {
          pages.resize(offset)
          if (offset < size) model.fill(0, offset, size)
          size = offset
        } else {
          pages.allocate(offset, length)
        }
        expect(pages.size).toBe(size)
        expect(pages.read(0, 2 * SIZE_MAX).equals(model.subarray(0, size))).toBe(true)
        const data = pages.seek(0, false)
        if (data !== undefined) expect(model.subarray(0, data).every(each => each === 0)).toBe(true)
      }
    }),
    { numRuns: 50 },
  )
})

test('two owners never hold conflicting locks, and a waiter gets its turn', async () => {
  const lock = fc.record({
    type: fc.constantFrom(0, 1, 2),
    start: fc.bigInt(0n, 20n),
    length: fc.bigInt(0n, 10n),
    owner: fc.constantFrom('a', 'b', 'c'),
  })
  fc.assert(
    fc.property(fc.array(lock, { maxLength: 40 }), wanted => {
      const locks = new RangeLocks()
      // Per byte and owner what is held, by the plainest possible book-keeping.
      const model = new Map<string, Map<number, number>>()
      for (const { type, start, length, owner } of wanted) {
        const range: RangeLock = { type, start, end: start + length, owner, pid: 1 }
        const bytes = Array.from({ length: Number(length) + 1 }, (_, i) => Number(start) + i)
        const free = bytes.every(at =>
          [...model].every(
            ([other, held]) =>
              other === owner || !held.has(at) || (held.get(at) === 0 && type === 0),
          ),
        )
        expect(locks.set(range)).toBe(type === 2 || free ? 0 : 11)
        if (type !== 2 && !free) continue
        const own = model.get(owner) ?? new Map<number, number>()
        for (const at of bytes) {
          if (type === 2) own.delete(at)
          else own.set(at, type)
        }
        model.set(owner, own)
      }
    }),
  )
  const locks = new RangeLocks()
  const whole = { type: 1, start: 0n, end: 100n, pid: 1 }
  expect(locks.set({ ...whole, owner: 'a' })).toBe(0)
  const waiting = locks.wait({ ...whole, owner: 'b' }, undefined)
  const calledOff = new AbortController()
  const interrupted = locks.wait({ ...whole, owner: 'c' }, calledOff.signal)
  calledOff.abort()
  expect(await interrupted).toBe(4)
  locks.dropOwner('a')
  expect(await waiting).toBe(0)
  expect(locks.conflict({ ...whole, owner: 'a' })?.owner).toBe('b')
})
