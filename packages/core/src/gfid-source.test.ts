import { describe, expect, test } from 'vitest'
import { systemRandom } from './env.ts'
import { gfidText, parseGfid } from './gfid.ts'
import { GfidSource } from './gfid-source.ts'

describe('GfidSource', () => {
  test('many identities, few beginnings, all of them version 4', () => {
    const source = new GfidSource(systemRandom())
    const made = Array.from({ length: 8192 }, () => source.next())
    expect(new Set(made).size).toBe(made.length)
    expect(new Set(made.map(gfid => gfid.slice(0, 2))).size).toBeLessThanOrEqual(8)
    for (const gfid of made.slice(0, 64)) {
      expect(gfidText(gfid)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/)
      expect(parseGfid(gfidText(gfid))).toBe(gfid)
    }
  })
})
