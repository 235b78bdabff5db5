/** Whatever can be said comes through: encode, then decode, gives the same. */

import { Dict, type DictValue, type Gfid, gfidInode, Iatt, makedev, NULL_GFID } from '@ashlar/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AuthFlavor,
  big,
  chain,
  type Codec,
  type Credential,
  decodeCredential,
  dict4,
  encodeCredential,
  hyper,
  iattOld,
  iattx,
  int,
  list,
  opaque,
  optional,
  parseDict,
  Reader,
  serialiseDict,
  struct,
  text,
  token,
  uhyper,
  uint,
  wideGfid,
  WireError,
  Writer,
} from './index.ts'

function through<T>(codec: Codec<T>, value: T): T {
  const writer = new Writer(16)
  codec.encode(writer, value)
  const reader = Reader.of(writer.toBuffer())
  const back = codec.decode(reader)
  expect(reader.remaining).toBe(0)
  return back
}

const gfids = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map(bytes => Buffer.from(bytes).latin1Slice(0, 16) as Gfid)
const names = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map(bytes => Buffer.from(bytes.filter(byte => byte !== 0 && byte !== 0x2f)))
const u32s = fc.integer({ min: 0, max: 0xffff_ffff })
const u53s = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const u64s = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

const iatts = fc
  .record({
    gfid: gfids,
    ino: fc.option(u64s, { nil: undefined }),
    size: u53s,
    blocks: u53s,
    dev: u53s,
    rdev: u53s,
    atime: fc.integer(),
    mtime: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    mtimeNsec: u32s,
    nlink: u32s,
    uid: u32s,
    gid: u32s,
    mode: u32s,
  })
  .map(members => Object.assign(new Iatt(), members))

const values: fc.Arbitrary<DictValue> = fc.oneof(
  fc.record({ kind: fc.constant('int' as const), value: fc.maxSafeInteger() }),
  fc.record({
    kind: fc.constant('int' as const),
    value: fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
  }),
  fc.record({ kind: fc.constant('uint' as const), value: u53s }),
  fc.record({ kind: fc.constant('double' as const), value: fc.double({ noNaN: true }) }),
  fc.record({
    kind: fc.constant('str' as const),
    value: fc.string({ unit: 'grapheme' }).filter(s => !s.includes('\0')),
  }),
  fc.record({
    kind: fc.constant('bin' as const),
    value: fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
  }),
  fc.record({ kind: fc.constant('gfid' as const), value: gfids }),
  fc.record({ kind: fc.constant('iatt' as const), value: iatts }),
)

describe('numbers and texts', () => {
  test('at the edges', () => {
    expect(through(int, -2)).toBe(-2)
    expect(through(uint, 0xffff_ffff)).toBe(0xffff_ffff)
    for (const n of [0, -1, -2, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, -(2 ** 53)]) {
      expect(through(hyper, n)).toBe(n)
    }
    expect(through(big, 2n ** 64n - 1n)).toBe(2n ** 64n - 1n)
  })

  test('any unsigned number', () => {
    fc.assert(fc.property(u53s, n => through(uhyper, n) === n))
  })

  test('a name of any bytes keeps them', () => {
    fc.assert(
      fc.property(names, bytes => {
        const writer = new Writer()
        writer.opaque(bytes)
        const name = Reader.of(writer.toBuffer()).string()
        const again = new Writer()
        again.string(name)
        const back = Reader.of(again.toBuffer()).opaque()
        expect(back.equals(bytes)).toBe(true)
      }),
    )
  })

  test('long and short strings, plain and not', () => {
    for (const unit of ['a', 'ä', '漢', '🙂']) {
      for (const length of [0, 1, 12, 13, 47, 48, 49, 300]) {
        const string = unit.repeat(length)
        expect(through(text, string)).toBe(string)
      }
    }
    expect(through(token, '\0\xff\x80')).toBe('\0\xff\x80')
  })

  test('lists, chains, optionals, structures, wide gfids', () => {
    const point = struct({ x: int, name: text, raw: opaque })
    const value = { x: -5, name: 'n', raw: Buffer.from('abc') }
    expect(through(list(point), [value, value])).toEqual([value, value])
    expect(through(chain(point), [value])).toEqual([value])
    expect(through(chain(point), [])).toEqual([])
    expect(through(optional(point), undefined)).toBeUndefined()
    expect(through(optional(point), value)).toEqual(value)
    expect(point.zero).toEqual({ x: 0, name: '', raw: Buffer.alloc(0) })
    fc.assert(fc.property(gfids, gfid => through(wideGfid, gfid) === gfid))
  })

  test('a hostile count is refused before anything is made', () => {
    const writer = new Writer()
    writer.u32(0xffff_fff0)
    const bytes = writer.toBuffer()
    expect(() => list(int).decode(Reader.of(bytes))).toThrow(WireError)
    expect(() => Reader.of(bytes).opaque()).toThrow(WireError)
    expect(() => Reader.of(bytes).string()).toThrow(WireError)
    expect(() => parseDict(bytes)).toThrow(WireError)
  })
})

/** The number that users see. */
function inodeNumber(stat: Iatt): bigint {
  return stat.ino ?? gfidInode(stat.gfid)
}

describe('attributes', () => {
  test('gfx_iattx', () => {
    fc.assert(
      fc.property(iatts, stat => {
        const back = through(iattx, stat)
        expect(inodeNumber(back)).toBe(inodeNumber(stat))
        expect(back).toEqual(Object.assign(stat, { ino: back.ino }))
      }),
    )
  })

  test('the old form is 100 bytes, the new one 148', () => {
    for (const [codec, length] of [
      [iattx, 148],
      [iattOld, 100],
    ] as const) {
      const writer = new Writer()
      codec.encode(writer, codec.zero)
      expect(writer.length).toBe(length)
      expect(codec.decode(Reader.of(writer.toBuffer())).gfid).toBe(NULL_GFID)
    }
  })

  test('a device is its major number in 32 bits, then its minor, as GlusterFS has it', () => {
    const stat = new Iatt()
    stat.rdev = makedev(7, 0x12345)
    const writer = new Writer()
    iattx.encode(writer, stat)
    const at = 16 + 8 * 3
    expect(
      writer
        .toBuffer()
        .subarray(at, at + 8)
        .toString('hex'),
    ).toBe('0000000700012345')
    expect(through(iattx, stat).rdev).toBe(stat.rdev)
  })
})

describe('dicts', () => {
  const dicts = fc.dictionary(
    fc.string({ minLength: 1, maxLength: 80 }).filter(key => !key.includes('\0')),
    values,
  )

  test('typed form', () => {
    fc.assert(
      fc.property(dicts, entries => {
        const dict = new Dict()
        for (const [key, value] of Object.entries(entries)) dict.set(key, value)
        const back = through(dict4, dict) as Dict
        expect(back.size).toBe(dict.size)
        for (const [key, value] of dict) {
          const other = back.get(key)
          if (value.kind === 'iatt') expect(other?.kind).toBe('iatt')
          else expect(other).toEqual(value)
        }
      }),
    )
    expect(through(dict4, undefined)).toBeUndefined()
  })

  test('old form keeps bytes and converts on reading', () => {
    const dict = new Dict()
      .setString('a', 'xy')
      .setInt('n', 5)
      .setBytes('b', Buffer.from([1, 0, 2]))
    const bytes = serialiseDict(dict)
    const back = parseDict(bytes)
    expect(back.getString('a')).toBe('xy')
    expect(back.getNumber('n')).toBe(5)
    expect(back.getBytes('b')).toEqual(Buffer.from([1, 0, 2]))
    expect(serialiseDict(back)).toEqual(bytes)
    const example = new Dict().setString('a', 'xy').setInt('n', 5)
    expect(serialiseDict(example).length).toBe(29)
  })

  test('a key is found again by its bytes only', () => {
    for (const key of ['k1', 'k2', 'k'.repeat(64), 'k'.repeat(65), 'ключ', 'k1']) {
      const back = through(dict4, new Dict().setInt(key, 1)) as Dict
      expect([...back.keys()]).toEqual([key])
    }
  })
})

describe('credentials', () => {
  const credential: Credential = {
    flavor: AuthFlavor.GLUSTERFS_V3,
    pid: -6,
    uid: 1000,
    gid: 100,
    groups: [1, 2, 3],
    lkOwner: '\x01\xff\0abcde',
    flags: 5,
    sec: 1_700_000_000,
    nsec: 999_999_999,
  }

  function back(value: Credential): Credential {
    const writer = new Writer()
    encodeCredential(writer, value)
    return decodeCredential(Reader.of(writer.toBuffer()))
  }

  test('versions 2 and 3', () => {
    expect(back(credential)).toEqual(credential)
    const v2 = { ...credential, flavor: AuthFlavor.GLUSTERFS_V2, flags: 0, sec: 0, nsec: 0 }
    expect(back(v2)).toEqual(v2)
  })

  test('groups that do not fit are left out', () => {
    const groups = Array.from({ length: 300 }, (_, i) => i)
    expect(back({ ...credential, groups }).groups.length).toBe(91 - 8)
    expect(back({ ...credential, groups, flavor: AuthFlavor.GLUSTERFS_V2 }).groups.length).toBe(87)
  })

  test('an unknown flavour is nobody', () => {
    const writer = new Writer()
    writer.u32(4711)
    writer.opaque(Buffer.from('whatever'))
    expect(decodeCredential(Reader.of(writer.toBuffer()))).toMatchObject({ uid: 0, lkOwner: '' })
  })

  test('AUTH_UNIX gives uid and groups', () => {
    const body = new Writer()
    body.u32(1)
    body.string('host')
    body.u32(7)
    body.u32(8)
    body.u32(1)
    body.u32(9)
    const writer = new Writer()
    writer.u32(AuthFlavor.UNIX)
    writer.opaque(body.toBuffer())
    expect(decodeCredential(Reader.of(writer.toBuffer()))).toMatchObject({
      uid: 7,
      gid: 8,
      groups: [9],
    })
  })

  test('a body that lies about its length is refused', () => {
    const writer = new Writer()
    encodeCredential(writer, credential)
    const bytes = writer.toBuffer()
    bytes.writeUInt32BE(8, 4)
    expect(() => decodeCredential(Reader.of(bytes))).toThrow(WireError)
    bytes.writeUInt32BE(401, 4)
    expect(() => decodeCredential(Reader.of(bytes))).toThrow(WireError)
  })
})
