import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeName, encodeName, nameByteLength } from './names.ts'

describe('names', () => {
  it('of any bytes come back as they were', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        const name = decodeName(Buffer.from(bytes))
        expect(encodeName(name)).toEqual(Buffer.from(bytes))
        expect(nameByteLength(name)).toBe(bytes.length)
      }),
    )
  })

  it('of mixed text and stray bytes come back, too', () => {
    const part = fc.oneof(
      fc.string({ unit: 'grapheme' }).map(text => Buffer.from(text)),
      fc.uint8Array({ maxLength: 3 }).map(bytes => Buffer.from(bytes)),
    )
    fc.assert(
      fc.property(fc.array(part), parts => {
        const bytes = Buffer.concat(parts)
        expect(encodeName(decodeName(bytes))).toEqual(bytes)
      }),
    )
  })

  it('that differ in bytes differ as strings', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (one, other) => {
        const same = Buffer.from(one).equals(Buffer.from(other))
        expect(decodeName(Buffer.from(one)) === decodeName(Buffer.from(other))).toBe(same)
      }),
    )
  })

  it.each([
    ['plain', 'plain', 5],
    ['ünï', 'ünï', 5],
    ['日本語', '日本語', 9],
    ['\u{1f600}', '\u{1f600}', 4],
    ['\ufffd', '\ufffd', 3],
  ])('that are text are that text: %s', (text, name, length) => {
    expect(decodeName(Buffer.from(text))).toBe(name)
    expect(nameByteLength(name)).toBe(length)
  })

  it('with overlong forms, surrogates and cut sequences keep each byte', () => {
    for (const bytes of [
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xe2, 0x82],
      [0xf5, 0x80, 0x80, 0x80],
    ]) {
      const name = decodeName(Buffer.from(bytes))
      expect(name.split('').map(each => each.charCodeAt(0))).toEqual(
        bytes.map(byte => 0xdc00 + byte),
      )
    }
  })

  it('are read from the middle of a buffer', () => {
    expect(decodeName(Buffer.from('xxnamexx'), 2, 6)).toBe('name')
    expect(decodeName(Buffer.from([0x78, 0xff, 0x78]), 1, 2)).toBe('\udcff')
  })
})
