import { describe, expect, it } from 'vitest'
import { Dict } from './dict.ts'
import { ROOT_GFID } from './gfid.ts'
import { Iatt } from './iatt.ts'

describe('Dict', () => {
  it('keeps the kind of a value', () => {
    const dict = Dict.from({ text: 'a', number: 1, bytes: Buffer.from('b') })
    dict.setUint('unsigned', 2n).setGfid('gfid', ROOT_GFID).setIatt('iatt', new Iatt())
    const kinds = [...dict].map(([key, value]) => [key, value.kind])
    expect(kinds).toEqual([
      ['text', 'str'],
      ['number', 'int'],
      ['bytes', 'bin'],
      ['unsigned', 'uint'],
      ['gfid', 'gfid'],
      ['iatt', 'iatt'],
    ])
  })

  it('gives numbers of numbers and of texts that are some', () => {
    const dict = Dict.from({ int: 5, text: '42', word: 'on', empty: '', bytes: Buffer.from('7\0') })
    expect(
      ['int', 'text', 'word', 'empty', 'bytes', 'none'].map(key => dict.getNumber(key)),
    ).toEqual([5, 42, undefined, undefined, 7, undefined])
    expect(dict.setInt('big', 2n ** 40n).getNumber('big')).toBe(2 ** 40)
  })

  it('gives texts without their NUL', () => {
    const dict = Dict.from({ bytes: Buffer.from('name\0rest'), int: -3 })
    dict.set('old', { kind: 'oldstr', value: Buffer.from('old\0') })
    expect(['bytes', 'int', 'old'].map(key => dict.getString(key))).toEqual(['name', '-3', 'old'])
    expect(dict.setIatt('iatt', new Iatt()).getString('iatt')).toBeUndefined()
  })

  it('gives bytes and gfids of what has them', () => {
    const dict = new Dict().setGfid('gfid', ROOT_GFID).setString('text', 'ü')
    expect(dict.getBytes('gfid')).toEqual(Buffer.from(ROOT_GFID, 'latin1'))
    expect(dict.getBytes('text')).toEqual(Buffer.from('ü'))
    expect(dict.setBytes('bin', Buffer.from(ROOT_GFID, 'latin1')).getGfid('bin')).toBe(ROOT_GFID)
    expect(dict.setBytes('short', Buffer.alloc(15)).getGfid('short')).toBeUndefined()
    expect(dict.getGfid('text')).toBeUndefined()
  })

  it.each([
    ['on', true],
    ['YES', true],
    ['enable', true],
    ['1', true],
    ['off', false],
    ['0', false],
    ['other', false],
  ])('takes %s as a boolean', (text, value) => {
    expect(Dict.from({ key: text }).getBoolean('key')).toBe(value)
  })

  it('copies and merges without sharing', () => {
    const one = Dict.from({ a: 1, b: 2 })
    const copy = one.clone().setInt('a', 9)
    expect([one.getNumber('a'), copy.getNumber('a')]).toEqual([1, 9])
    one.merge(Dict.from({ b: 3, c: 4 })).merge(undefined)
    expect([...one.keys()]).toEqual(['a', 'b', 'c'])
    expect(one.getNumber('b')).toBe(3)
    expect([one.delete('a'), one.delete('a'), one.has('a'), one.size]).toEqual([
      true,
      false,
      false,
      2,
    ])
  })
})
