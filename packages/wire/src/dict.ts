/**
 * The typed form of a dict (`gfx_dict`, rpc/xdr/src/glusterfs4-xdr.x): xdata and
 * extended attributes of every fop of program 400.
 */

import { Dict, type DictValue } from '@ashlar/core'
import type { Codec } from './codec.ts'
import { WireError } from './error.ts'
import { iattx } from './iatt.ts'
import { KeyTable } from './key-table.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** `gf_dict_data_type_t` in glusterfs-fops.h. */
const DictType = {
  UNKNOWN: 0,
  STR_OLD: 1,
  INT: 2,
  UINT: 3,
  DOUBLE: 4,
  STR: 5,
  PTR: 6,
  GFUUID: 7,
  IATT: 8,
  MDATA: 9,
} as const

/** Shortest pair: a key's length, a type and an empty value. */
const PAIR_BYTES_MIN = 12

const keys = new KeyTable()

/** undefined is the NULL dict of C (count −1), which means the same as an empty one. */
export const dict4: Codec<Dict | undefined> = {
  encode(w, dict) {
    if (dict === undefined) {
      w.u32(0)
      w.u32(0xffff_ffff)
      w.u32(0)
      return
    }
    const start = w.position
    w.u32(0)
    w.u32(dict.size)
    w.u32(dict.size)
    for (const [key, value] of dict) {
      w.string(key, 1)
      encodeValue(w, value)
    }
    // Receivers find a payload behind the dict by this word alone (`GF_CONTENT_KEY`).
    w.patch(start, w.position - start - 12)
  },
  decode(r) {
    r.u32()
    const count = r.i32()
    const pairs = r.count(PAIR_BYTES_MIN)
    if (count < 0 && pairs === 0) return undefined
    const dict = new Dict()
    for (let i = 0; i < pairs; i++) {
      const key = r.intern(keys.find)
      const value = decodeValue(r)
      if (value !== undefined) dict.set(key, value)
    }
    return dict
  },
  zero: new Dict(),
}

function encodeValue(w: Writer, entry: DictValue): void {
  switch (entry.kind) {
    case 'int':
      w.u32(DictType.INT)
      integer(w, entry.value)
      break
    case 'uint':
      w.u32(DictType.UINT)
      integer(w, entry.value)
      break
    case 'double':
      w.u32(DictType.DOUBLE)
      w.double(entry.value)
      break
    case 'str':
      w.u32(DictType.STR)
      w.string(entry.value, 1)
      break
    case 'oldstr':
      w.u32(DictType.STR_OLD)
      w.opaque(entry.value)
      break
    case 'bin':
      w.u32(DictType.PTR)
      w.opaque(entry.value)
      break
    case 'gfid':
      w.u32(DictType.GFUUID)
      w.gfid(entry.value)
      break
    case 'iatt':
      w.u32(DictType.IATT)
      iattx.encode(w, entry.value)
      break
    case 'mdata':
      w.u32(DictType.MDATA)
      w.u64(entry.value.atime)
      w.u64(entry.value.mtime)
      w.u64(entry.value.ctime)
      w.u32(entry.value.atimeNsec)
      w.u32(entry.value.mtimeNsec)
      w.u32(entry.value.ctimeNsec)
      break
  }
}

function integer(w: Writer, value: number | bigint): void {
  if (typeof value === 'bigint') w.big64(value)
  else w.u64(value)
}

function decodeValue(r: Reader): DictValue | undefined {
  const type = r.u32()
  switch (type) {
    case DictType.UNKNOWN:
      return undefined
    case DictType.STR_OLD:
      return { kind: 'oldstr', value: r.opaque() }
    case DictType.INT:
      return { kind: 'int', value: r.i64OrBig() }
    case DictType.UINT:
      return { kind: 'uint', value: r.u64OrBig() }
    case DictType.DOUBLE:
      return { kind: 'double', value: r.double() }
    case DictType.STR:
      return { kind: 'str', value: r.terminated() }
    case DictType.PTR:
      return { kind: 'bin', value: r.opaque() }
    case DictType.GFUUID:
      return { kind: 'gfid', value: r.gfid() }
    case DictType.IATT:
      return { kind: 'iatt', value: iattx.decode(r) }
    case DictType.MDATA:
      return {
        kind: 'mdata',
        value: {
          atime: r.i64(),
          mtime: r.i64(),
          ctime: r.i64(),
          atimeNsec: r.u32(),
          mtimeNsec: r.u32(),
          ctimeNsec: r.u32(),
        },
      }
    default:
      throw new WireError(`a dict value of unknown type ${type}`)
  }
}
