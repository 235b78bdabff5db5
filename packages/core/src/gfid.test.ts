import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  gfidFromBytes,
  gfidFromRandom,
  gfidInode,
  gfidText,
  gfidToBytes,
  NULL_GFID,
  parseGfid,
  ROOT_GFID,
  writeGfid,
} from './gfid.ts'

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes))

describe('gfids', () => {
  it('come back from bytes and from text', () => {
    fc.assert(
      fc.property(bytes16, bytes => {
        const gfid = gfidFromBytes(bytes)
        expect(gfidToBytes(gfid)).toEqual(bytes)
        expect(parseGfid(gfidText(gfid))).toBe(gfid)
        expect(parseGfid(gfidText(gfid).toUpperCase())).toBe(gfid)
        const target = Buffer.alloc(20, 9)
        writeGfid(gfid, target, 2)
        expect(target.subarray(2, 18)).toEqual(bytes)
        expect([target[1], target[18]]).toEqual([9, 9])
        expect(gfidInode(gfid)).toBe(bytes.readBigUInt64BE(8))
      }),
    )
  })

  it('have the texts that bricks use', () => {
    expect(gfidText(ROOT_GFID)).toBe('00000000-0000-0000-0000-000000000001')
    expect(gfidInode(ROOT_GFID)).toBe(1n)
    expect(gfidText(NULL_GFID)).toBe('00000000-0000-0000-0000-000000000000')
  })

  it.each(['', 'x', '00000000-0000-0000-0000-00000000000', '0000000g-0000-0000-0000-000000000001'])(
    'are not read from %j',
    text => {
      expect(parseGfid(text)).toBeUndefined()
    },
  )

  it('made at random are UUIDs of version 4', () => {
    fc.assert(
      fc.property(bytes16, bytes => {
        expect(gfidText(gfidFromRandom(bytes))).toMatch(
          /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
        )
      }),
    )
  })

  it('are not read beyond their buffer', () => {
    expect(() => gfidFromBytes(Buffer.alloc(15))).toThrow()
    expect(() => gfidFromBytes(Buffer.alloc(20), 5)).toThrow()
  })
})
