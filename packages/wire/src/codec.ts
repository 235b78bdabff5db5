/**
 * Codecs as data: how a value is put on the wire, how it is read, and what stands there when a call
 * has failed. Structures are made of fields in the order of the wire.
 */

import { NULL_GFID, type Gfid } from '@ashlar/core'
import type { Reader } from './reader.ts'
import { WireError } from './error.ts'
import type { Writer } from './writer.ts'

export interface Codec<T> {
  encode(writer: Writer, value: T): void
  /** Throws WireError. */
  decode(reader: Reader): T
  /** The value with all bytes zero: what a failed reply carries. */
  readonly zero: T
}

/** The type a codec is for. */
export type ValueOf<C> = C extends Codec<infer T> ? T : never

export const int: Codec<number> = { encode: (w, v) => w.u32(v), decode: r => r.i32(), zero: 0 }
export const uint: Codec<number> = { encode: (w, v) => w.u32(v), decode: r => r.u32(), zero: 0 }
export const hyper: Codec<number> = { encode: (w, v) => w.u64(v), decode: r => r.i64(), zero: 0 }
export const uhyper: Codec<number> = { encode: (w, v) => w.u64(v), decode: r => r.u64(), zero: 0 }
/** 64 bits that may not fit a number: directory cookies, lock ranges. */
export const big: Codec<bigint> = { encode: (w, v) => w.big64(v), decode: r => r.big64(), zero: 0n }
export const gfid: Codec<Gfid> = {
  encode: (w, v) => w.gfid(v),
  decode: r => r.gfid(),
  zero: NULL_GFID,
}
export const text: Codec<string> = {
  encode: (w, v) => w.string(v),
  decode: r => r.string(),
  zero: '',
}
/** Bytes held as a string of as many characters. */
export const token: Codec<string> = {
  encode: (w, v) => w.latin1(v),
  decode: r => r.latin1(),
  zero: '',
}
export const opaque: Codec<Buffer> = {
  encode: (w, v) => w.opaque(v),
  decode: r => r.opaque(),
  zero: Buffer.alloc(0),
}
/** File data that follows a structure, unpadded, to the end of the record. */
export const payload: Codec<Buffer> = {
  encode: (w, v) => w.payload(v),
  decode: r => r.rest(),
  zero: Buffer.alloc(0),
}
/** `unsigned char x[16]` of glusterd's structures: a word for each byte (glusterd1-xdr.x). */
export const wideGfid: Codec<Gfid> = {
  encode(w, v) {
    for (let i = 0; i < 16; i++) w.u32(v.charCodeAt(i))
  },
  decode(r) {
    let text = ''
    for (let i = 0; i < 16; i++) text += String.fromCharCode(r.u32() & 0xff)
    return text as Gfid
  },
  zero: NULL_GFID,
}

type StructOf<F> = { -readonly [K in keyof F]: ValueOf<F[K]> }

/**
 * A structure of named fields, in the order they are written down. Encoder and decoder are made as
 * straight code, one call per field: a loop over the fields costs three times as much, because
 * every field then goes through the same few call sites.
 */
// oxlint-disable-next-line typescript/no-explicit-any
export function struct<F extends Record<string, Codec<any>>>(fields: F): Codec<StructOf<F>> {
  const names = Object.keys(fields)
  const codecs = Object.values(fields)
  for (const name of names) if (!/^[a-zA-Z]\w*$/.test(name)) throw new TypeError(`field ${name}`)
  const args = codecs.map((_, i) => `c${i}`)
  const writes = names.map((name, i) => `c${i}.encode(w, v.${name});`).join(' ')
  const reads = names.map((name, i) => `${name}: c${i}.decode(r)`).join(', ')
  // The names are checked above and come from this package's tables only.
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function(
    ...args,
    `return { encode(w, v) { ${writes} }, decode(r) { return { ${reads} } } }`,
  ) as (...codecs: unknown[]) => Omit<Codec<StructOf<F>>, 'zero'>
  const zero = Object.fromEntries(names.map((name, i) => [name, codecs[i]?.zero])) as StructOf<F>
  return { ...make(...codecs), zero }
}

/** Count, then the elements; `bytes` is the least an element takes. */
export function list<T>(element: Codec<T>, bytes = 4): Codec<readonly T[]> {
  return {
    encode(w, values) {
      w.u32(values.length)
      for (const value of values) element.encode(w, value)
    },
    decode(r) {
      const count = r.count(bytes)
      const values: T[] = []
      for (let i = 0; i < count; i++) values.push(element.decode(r))
      return values
    },
    zero: [],
  }
}

/** A linked list: 1 before each element, 0 behind the last. */
export function chain<T>(element: Codec<T>): Codec<readonly T[]> {
  return {
    encode(w, values) {
      for (const value of values) {
        w.u32(1)
        element.encode(w, value)
      }
      w.u32(0)
    },
    decode(r) {
      const values: T[] = []
      for (let more = r.u32(); more !== 0; more = r.u32()) {
        if (more !== 1) throw new WireError(`${more} where a list goes on or ends`)
        values.push(element.decode(r))
      }
      return values
    },
    zero: [],
  }
}

/** 1 and the value, or 0. */
export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    encode(w, value) {
      w.u32(value === undefined ? 0 : 1)
      if (value !== undefined) codec.encode(w, value)
    },
    decode(r) {
      const present = r.u32()
      if (present > 1) throw new WireError(`${present} where a value is present or not`)
      return present === 0 ? undefined : codec.decode(r)
    },
    zero: undefined,
  }
}

/** Nothing at all: procedures without arguments. */
export const nothing: Codec<undefined> = {
  encode: () => {},
  decode: () => undefined,
  zero: undefined,
}
