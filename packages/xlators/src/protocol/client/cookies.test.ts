import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Cookies } from './cookies.ts'

/** The arithmetic of libglusterfs/src/gf-dirent.c, without short cuts. */
function encode(x: bigint, max: bigint, id: bigint): bigint {
  if (max === 1n || x === 0n || x === 2n ** 64n - 1n) return x
  let bits = 0n
  while (1n << bits < max) bits += 1n
  if (x >> (62n - bits) !== 0n) return (1n << 62n) | ((x >> 1n) & ~((1n << bits) - 1n)) | id
  return x * max + id
}

describe('directory cookies', () => {
  test('as GlusterFS computes them', () => {
    const offsets = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 32n }),
      fc.bigInt({ min: 2n ** 58n, max: 2n ** 63n }),
    )
    fc.assert(
      fc.property(offsets, fc.integer({ min: 1, max: 40 }), fc.nat(), (x, max, n) => {
        const id = n % max
        const cookies = new Cookies(max, id)
        const cookie = cookies.encode(x)
        expect(cookie).toBe(encode(x, BigInt(max), BigInt(id)))
        const back = cookies.decode(cookie)
        if ((cookie & (1n << 62n)) === 0n) expect(back).toBe(x)
      }),
    )
  })

  test('a huge offset comes back but for its low bits', () => {
    const cookies = new Cookies(4, 3)
    const x = 0x7abc_def0_1234_5678n
    expect(cookies.decode(cookies.encode(x)) >> 3n).toBe(x >> 3n)
  })
})
