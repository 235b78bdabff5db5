/**
 * Dict: the map of string keys to typed values that rides with every fop (xdata), carries extended
 * attributes and describes management requests.
 * Source: libglusterfs/src/dict.c; value kinds as in rpc/xdr glusterfs4-xdr.x (`gfx_value`).
 *
 * The kind of a value is kept, because the other side acts on it: a user's extended attribute is
 * `bin` (exact bytes), a text that GlusterFS made itself is `str` (a NUL is added on the wire).
 */

import './buffer.ts'
import { type Gfid, gfidToBytes, gfidFromBytes } from './gfid.ts'
import type { Iatt } from './iatt.ts'

export interface Mdata {
  atime: number
  mtime: number
  ctime: number
  atimeNsec: number
  mtimeNsec: number
  ctimeNsec: number
}

export type DictValue =
  | { readonly kind: 'int'; readonly value: number | bigint }
  | { readonly kind: 'uint'; readonly value: number | bigint }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'str'; readonly value: string }
  /** A string of which only the bytes are known (old serialised form, type STR_OLD). */
  | { readonly kind: 'oldstr'; readonly value: Buffer }
  | { readonly kind: 'bin'; readonly value: Buffer }
  | { readonly kind: 'gfid'; readonly value: Gfid }
  | { readonly kind: 'iatt'; readonly value: Iatt }
  | { readonly kind: 'mdata'; readonly value: Mdata }

export class Dict {
  readonly #values = new Map<string, DictValue>()

  static from(values: Readonly<Record<string, string | number | Buffer>>): Dict {
    const dict = new Dict()
    for (const [key, value] of Object.entries(values)) {
      if (typeof value === 'string') dict.setString(key, value)
      else if (typeof value === 'number') dict.setInt(key, value)
      else dict.setBytes(key, value)
    }
    return dict
  }

  get size(): number {
    return this.#values.size
  }

  has(key: string): boolean {
    return this.#values.has(key)
  }

  get(key: string): DictValue | undefined {
    return this.#values.get(key)
  }

  set(key: string, value: DictValue): this {
    this.#values.set(key, value)
    return this
  }

  delete(key: string): boolean {
    return this.#values.delete(key)
  }

  keys(): IterableIterator<string> {
    return this.#values.keys()
  }

  [Symbol.iterator](): IterableIterator<[string, DictValue]> {
    return this.#values.entries()
  }

  setInt(key: string, value: number | bigint): this {
    return this.set(key, { kind: 'int', value })
  }

  setUint(key: string, value: number | bigint): this {
    return this.set(key, { kind: 'uint', value })
  }

  setString(key: string, value: string): this {
    return this.set(key, { kind: 'str', value })
  }

  /** Exact bytes: an extended attribute's value, or any binary. */
  setBytes(key: string, value: Buffer): this {
    return this.set(key, { kind: 'bin', value })
  }

  setGfid(key: string, value: Gfid): this {
    return this.set(key, { kind: 'gfid', value })
  }

  setIatt(key: string, value: Iatt): this {
    return this.set(key, { kind: 'iatt', value })
  }

  /** The number under `key`, converting texts as GlusterFS's getters do; undefined when there is none. */
  getNumber(key: string): number | undefined {
    const entry = this.#values.get(key)
    if (entry === undefined) return undefined
    if (entry.kind === 'int' || entry.kind === 'uint' || entry.kind === 'double')
      return Number(entry.value)
    const text = valueText(entry)
    if (text === undefined || text === '') return undefined
    const number = Number(text)
    return Number.isNaN(number) ? undefined : number
  }

  /** The text under `key` without its terminating NUL. */
  getString(key: string): string | undefined {
    const entry = this.#values.get(key)
    return entry === undefined ? undefined : valueText(entry)
  }

  /** The bytes under `key`: of a text without NUL, of a gfid its 16 bytes; undefined for other kinds. */
  getBytes(key: string): Buffer | undefined {
    const entry = this.#values.get(key)
    return entry === undefined ? undefined : valueBytes(entry)
  }

  getGfid(key: string): Gfid | undefined {
    const entry = this.#values.get(key)
    if (entry?.kind === 'gfid') return entry.value
    if ((entry?.kind === 'bin' || entry?.kind === 'oldstr') && entry.value.length >= 16) {
      return gfidFromBytes(entry.value)
    }
    return undefined
  }

  getIatt(key: string): Iatt | undefined {
    const entry = this.#values.get(key)
    return entry?.kind === 'iatt' ? entry.value : undefined
  }

  /** GlusterFS's booleans: on/off, yes/no, true/false, enable/disable, 1/0. */
  getBoolean(key: string): boolean | undefined {
    const number = this.getNumber(key)
    if (number !== undefined) return number !== 0
    const text = this.getString(key)?.toLowerCase()
    if (text === undefined) return undefined
    return text === 'on' || text === 'yes' || text === 'true' || text === 'enable'
  }

  clone(): Dict {
    const copy = new Dict()
    for (const [key, value] of this.#values) copy.#values.set(key, value)
    return copy
  }

  /** Adds every entry of `other`, replacing equal keys. */
  merge(other: Dict | undefined): this {
    if (other !== undefined) for (const [key, value] of other) this.#values.set(key, value)
    return this
  }
}

/** Text of a value; numbers in decimal. Undefined for iatt and mdata. */
export function valueText(entry: DictValue): string | undefined {
  switch (entry.kind) {
    case 'str':
      return entry.value
    case 'int':
    case 'uint':
    case 'double':
      return String(entry.value)
    case 'bin':
    case 'oldstr': {
      const end = entry.value.indexOf(0)
      return entry.value.utf8Slice(0, end === -1 ? entry.value.length : end)
    }
    default:
      return undefined
  }
}

export function valueBytes(entry: DictValue): Buffer | undefined {
  switch (entry.kind) {
    case 'bin':
    case 'oldstr':
      return entry.value
    case 'str':
      return Buffer.from(entry.value, 'utf8')
    case 'gfid':
      return gfidToBytes(entry.value)
    case 'int':
    case 'uint':
    case 'double':
      return Buffer.from(String(entry.value))
    default:
      return undefined
  }
}
