/**
 * Gfid: the 16-byte identity of a file, directory or link on every brick of a volume.
 *
 * Held as a string of 16 characters, one per byte (latin-1), so that it is immutable, compares
 * with `===`, and is a Map key; `gfidText` gives the canonical 36-character form that people and
 * the brick's `.glusterfs` directory use.
 */

import './buffer.ts'
import { assert } from './assert.ts'

declare const brand: unique symbol
export type Gfid = string & { readonly [brand]: 'Gfid' }

export const GFID_BYTES = 16

/** All zeros: "not known", never the identity of a file. */
export const NULL_GFID = '\0'.repeat(16) as Gfid
/** 15 zeros and a one: the root of every volume. */
export const ROOT_GFID = ('\0'.repeat(15) + '\x01') as Gfid

const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) =>
  i.toString(16).padStart(2, '0'),
)

/** Reads 16 bytes at `offset`. */
export function gfidFromBytes(bytes: Buffer, offset = 0): Gfid {
  assert(offset + GFID_BYTES <= bytes.length, 'gfid beyond the end of its buffer')
  return bytes.latin1Slice(offset, offset + GFID_BYTES) as Gfid
}

export function gfidToBytes(gfid: Gfid): Buffer {
  return Buffer.from(gfid, 'latin1')
}

/** Writes the 16 bytes at `offset` of `target`. */
export function writeGfid(gfid: Gfid, target: Buffer, offset: number): void {
  target.latin1Write(gfid, offset, GFID_BYTES)
}

/** Canonical lower-case text, 36 characters. */
export function gfidText(gfid: Gfid): string {
  let text = ''
  for (let i = 0; i < GFID_BYTES; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += HEX[gfid.charCodeAt(i)]
  }
  return text
}

const TEXT_FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Undefined when `text` is not a UUID in canonical form. */
export function parseGfid(text: string): Gfid | undefined {
  if (!TEXT_FORM.test(text)) return undefined
  return Buffer.from(text.replaceAll('-', ''), 'hex').latin1Slice(0, 16) as Gfid
}

/**
 * The inode number shown to users: the last 8 bytes, big-endian (libglusterfs
 * `gfid_to_ino`); the null gfid gives 0.
 */
export function gfidInode(gfid: Gfid): bigint {
  let high = 0
  let low = 0
  for (let i = 8; i < 12; i++) high = high * 256 + gfid.charCodeAt(i)
  for (let i = 12; i < 16; i++) low = low * 256 + gfid.charCodeAt(i)
  return (BigInt(high) << 32n) | BigInt(low)
}

/** A version 4 UUID from 16 random bytes, as uuid_generate(3) makes them. */
export function gfidFromRandom(random: Buffer): Gfid {
  assert(random.length === GFID_BYTES, 'a gfid takes 16 random bytes')
  random[6] = ((random[6] as number) & 0x0f) | 0x40
  random[8] = ((random[8] as number) & 0x3f) | 0x80
  return gfidFromBytes(random)
}
