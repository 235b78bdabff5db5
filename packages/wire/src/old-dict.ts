/**
 * The old serialised form of a dict (libglusterfs/src/dict.c): handshakes,
 * management, callbacks. Kinds are not transmitted: everything read is `oldstr`, whose getters
 * convert.
 */

import { Dict, type DictValue, encodeName, gfidToBytes } from '@ashlar/core'
import type { Codec } from './codec.ts'
import { WireError } from './error.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const NUL = Buffer.alloc(1)
/** Shortest pair: two lengths and the NUL of an empty key. */
const PAIR_BYTES_MIN = 9

/** The bytes of a dict, without the XDR length before them. */
export function serialiseDict(dict: Dict): Buffer {
  const writer = new Writer(1024)
  writeDict(writer, dict)
  return writer.toBuffer()
}

/** Throws WireError when `bytes` are no dict; an absent dict (no bytes) is an empty one. */
export function parseDict(bytes: Buffer): Dict {
  if (bytes.length === 0) return new Dict()
  return readDict(Reader.of(bytes))
}

/** A dict inside `opaque<>`; undefined is the absent one, of length zero. */
export const dictS: Codec<Dict | undefined> = {
  encode(w, dict) {
    const start = w.position
    w.u32(0)
    if (dict === undefined) return
    writeDict(w, dict)
    const length = w.position - start - 4
    w.patch(start, length)
    w.pad(length)
  },
  decode(r) {
    const bytes = r.opaque()
    return bytes.length === 0 ? undefined : readDict(Reader.of(bytes))
  },
  zero: undefined,
}

function writeDict(w: Writer, dict: Dict): void {
  w.u32(dict.size)
  for (const [key, value] of dict) {
    const name = encodeName(key)
    const bytes = valueBytes(key, value)
    w.u32(name.length)
    w.u32(bytes.length)
    w.raw(name)
    w.raw(NUL)
    w.raw(bytes)
  }
}

function valueBytes(key: string, entry: DictValue): Buffer {
  switch (entry.kind) {
    case 'str':
      return Buffer.concat([encodeName(entry.value), NUL])
    case 'int':
    case 'uint':
      return Buffer.from(`${entry.value}\0`)
    case 'double':
      return Buffer.from(`${entry.value.toFixed(6)}\0`)
    case 'bin':
    case 'oldstr':
      return entry.value
    case 'gfid':
      return gfidToBytes(entry.value)
    default:
      throw new WireError(`'${key}' of kind ${entry.kind} has no old form`)
  }
}

function readDict(r: Reader): Dict {
  const dict = new Dict()
  const count = r.count(PAIR_BYTES_MIN)
  for (let i = 0; i < count; i++) {
    const keyLength = r.u32()
    const valueLength = r.u32()
    if (keyLength + 1 + valueLength > r.remaining) {
      throw new WireError('a dict is shorter than its lengths say')
    }
    const key = r.name(keyLength)
    r.skip(1)
    dict.set(key, { kind: 'oldstr', value: r.fixed(valueLength) })
  }
  return dict
}
