import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeDirectoryOffset, encodeDirectoryOffset } from './directory-offset.ts'

const leaves = fc
  .integer({ min: 2, max: 200 })
  .chain(count =>
    fc.record({ count: fc.constant(count), leaf: fc.integer({ min: 0, max: count - 1 }) }),
  )

describe('directory offsets', () => {
  it('of a volume with one brick are the brick’s', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), cookie => {
        expect(encodeDirectoryOffset(cookie, 0, 1)).toBe(cookie)
        expect(decodeDirectoryOffset(cookie, 1)).toEqual({ leaf: 0, cookie })
      }),
    )
  })

  it('that are small come back whole, with their leaf', () => {
    fc.assert(
      fc.property(leaves, fc.bigInt({ min: 1n, max: 2n ** 53n }), ({ count, leaf }, cookie) => {
        const offset = encodeDirectoryOffset(cookie, leaf, count)
        expect(decodeDirectoryOffset(offset, count)).toEqual({ leaf, cookie })
      }),
    )
  })

  it('that are large keep their leaf and all but their low bits', () => {
    fc.assert(
      fc.property(
        leaves,
        fc.bigInt({ min: 2n ** 61n, max: 2n ** 63n - 1n }),
        ({ count, leaf }, cookie) => {
          const offset = encodeDirectoryOffset(cookie, leaf, count)
          expect(offset < 2n ** 63n).toBe(true)
          const back = decodeDirectoryOffset(offset, count)
          const lost = 1n << BigInt(Math.ceil(Math.log2(count)) + 1)
          expect(back).toEqual({ leaf, cookie: cookie - (cookie % lost) })
        },
      ),
    )
  })

  it('at the start and the end stay what they are', () => {
    for (const end of [0n, 2n ** 64n - 1n]) expect(encodeDirectoryOffset(end, 3, 5)).toBe(end)
  })

  it('are multiplied and shifted as in libglusterfs/src/gf-dirent.c', () => {
    expect(encodeDirectoryOffset(1000n, 2, 3)).toBe(3002n)
    // Three leaves take two bits: from bit 60 on a cookie is too large to be multiplied.
    expect(encodeDirectoryOffset(2n ** 60n - 1n, 1, 3)).toBe((2n ** 60n - 1n) * 3n + 1n)
    expect(encodeDirectoryOffset(2n ** 60n, 1, 3)).toBe((2n ** 62n) | (2n ** 59n) | 1n)
  })
})
