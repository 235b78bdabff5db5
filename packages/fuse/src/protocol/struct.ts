/**
 * C structures as rows of named fields: the decoder, the encoder and the printer of a structure all
 * come from the same rows.
 *
 * The protocol is in host byte order, and the hosts are little-endian.
 */

import { assert, gfidInode, type Iatt } from '@ashlar/core'

/** One kind of field: its size and how it is read, written and printed. */
export interface Kind<T> {
  readonly size: number
  read(buffer: Buffer, at: number): T
  write(buffer: Buffer, at: number, value: T): void
  print?(value: T): string
}

const TWO_32 = 2 ** 32

export const u16: Kind<number> = {
  size: 2,
  read: (buffer, at) => buffer.readUInt16LE(at),
  write: (buffer, at, value) => void buffer.writeUInt16LE(value, at),
}

export const u32: Kind<number> = {
  size: 4,
  read: (buffer, at) => buffer.readUInt32LE(at),
  write: (buffer, at, value) => void buffer.writeUInt32LE(value, at),
}

export const i32: Kind<number> = {
  size: 4,
  read: (buffer, at) => buffer.readInt32LE(at),
  write: (buffer, at, value) => void buffer.writeInt32LE(value, at),
}

/** Flags and modes print best in octal or hexadecimal. */
export const hex32: Kind<number> = { ...u32, print: value => `0x${value.toString(16)}` }
export const mode32: Kind<number> = { ...u32, print: value => `0${value.toString(8)}` }

/** An unsigned 64-bit number of ours (nodeid, handle) or a size: exact up to 2^53. */
export const u64: Kind<number> = {
  size: 8,
  read: (buffer, at) => buffer.readUInt32LE(at + 4) * TWO_32 + buffer.readUInt32LE(at),
  write(buffer, at, value) {
    buffer.writeUInt32LE(value % TWO_32, at)
    buffer.writeUInt32LE(Math.floor(value / TWO_32), at + 4)
  },
}

/** A signed one: times before 1970, offsets. */
export const i64: Kind<number> = {
  size: 8,
  read: (buffer, at) => buffer.readInt32LE(at + 4) * TWO_32 + buffer.readUInt32LE(at),
  write(buffer, at, value) {
    const high = Math.floor(value / TWO_32)
    buffer.writeUInt32LE(value - high * TWO_32, at)
    buffer.writeInt32LE(high, at + 4)
  },
}

/** All 64 bits: directory cookies and lock ranges. */
export const big64: Kind<bigint> = {
  size: 8,
  read: (buffer, at) => buffer.readBigUInt64LE(at),
  write: (buffer, at, value) => void buffer.writeBigUInt64LE(BigInt.asUintN(64, value), at),
}

/** A lock owner: 8 bytes as they stand, which is how GlusterFS sends them. */
export const owner64: Kind<string> = {
  size: 8,
  read: (buffer, at) => buffer.latin1Slice(at, at + 8),
  write: (buffer, at, value) => void buffer.latin1Write(value, at, 8),
  print: value => Buffer.from(value, 'latin1').toString('hex'),
}

/** The block size that GlusterFS shows for every file: its page size. */
const BLOCK_SIZE = 131_072

/** `struct fuse_attr` from an Iatt. The inode number is the tail of the gfid. */
export const attr: Kind<Iatt> = {
  size: 88,
  read() {
    throw new Error('the kernel sends no fuse_attr')
  },
  write(buffer, at, iatt) {
    writeInode(buffer, at, iatt)
    u64.write(buffer, at + 8, iatt.size)
    u64.write(buffer, at + 16, iatt.blocks)
    i64.write(buffer, at + 24, iatt.atime)
    i64.write(buffer, at + 32, iatt.mtime)
    i64.write(buffer, at + 40, iatt.ctime)
    buffer.writeUInt32LE(iatt.atimeNsec, at + 48)
    buffer.writeUInt32LE(iatt.mtimeNsec, at + 52)
    buffer.writeUInt32LE(iatt.ctimeNsec, at + 56)
    buffer.writeUInt32LE(iatt.mode, at + 60)
    buffer.writeUInt32LE(iatt.nlink, at + 64)
    buffer.writeUInt32LE(iatt.uid, at + 68)
    buffer.writeUInt32LE(iatt.gid, at + 72)
    buffer.writeUInt32LE(kernelDevice(iatt.rdev), at + 76)
    buffer.writeUInt32LE(BLOCK_SIZE, at + 80)
    buffer.writeUInt32LE(0, at + 84)
  },
  print: iatt =>
    `ino=${gfidInode(iatt.gfid)} mode=0${iatt.mode.toString(8)} nlink=${iatt.nlink} ` +
    `uid=${iatt.uid} gid=${iatt.gid} size=${iatt.size}`,
}

/** The last 8 bytes of a gfid are the inode number, big-endian. */
export function writeInode(buffer: Buffer, at: number, iatt: Iatt): void {
  if (iatt.ino !== undefined) {
    buffer.writeBigUInt64LE(BigInt.asUintN(64, iatt.ino), at)
    return
  }
  for (let i = 0; i < 8; i++) buffer[at + i] = iatt.gfid.charCodeAt(15 - i)
}

/** The kernel's 32-bit encoding of a device number (`new_encode_dev`): makedev's lower half. */
function kernelDevice(rdev: number): number {
  return rdev % TWO_32
}

type Fields = Readonly<Record<string, Kind<unknown>>>
type ValueOf<K> = K extends Kind<infer T> ? T : never
/** What a structure decodes to and encodes from. Fields whose name starts with `pad` are left out. */
export type StructValue<F> = {
  [K in keyof F as K extends `pad${string}` ? never : K]: ValueOf<F[K]>
}

/** A structure of fixed size. */
export interface Struct<V> {
  readonly size: number
  decode(buffer: Buffer, at: number): V
  /** Writes all `size` bytes, padding as zeros. */
  encode(buffer: Buffer, at: number, value: V): void
  print(value: V): string
}

interface Row {
  readonly name: string
  readonly at: number
  readonly kind: Kind<unknown>
}

/** Declares a structure. Fields follow each other without gaps: write padding down as `pad…`. */
export function struct<const F extends Fields>(fields: F): Struct<StructValue<F>> {
  const rows: Row[] = []
  const padding: { at: number; size: number }[] = []
  let size = 0
  for (const [name, kind] of Object.entries(fields)) {
    if (name.startsWith('pad')) padding.push({ at: size, size: kind.size })
    else rows.push({ name, at: size, kind: kind as Kind<unknown> })
    size += kind.size
  }
  assert(size % 4 === 0, 'a FUSE structure is made of words')
  return {
    size,
    decode(buffer, at) {
      assert(at + size <= buffer.length, 'a structure beyond its buffer')
      const value: Record<string, unknown> = {}
      for (const row of rows) value[row.name] = row.kind.read(buffer, at + row.at)
      return value as StructValue<F>
    },
    encode(buffer, at, value) {
      for (const pad of padding) buffer.fill(0, at + pad.at, at + pad.at + pad.size)
      const values = value as Readonly<Record<string, unknown>>
      for (const row of rows) row.kind.write(buffer, at + row.at, values[row.name])
    },
    print(value) {
      const values = value as Readonly<Record<string, unknown>>
      return rows
        .map(row => `${row.name}=${row.kind.print?.(values[row.name]) ?? String(values[row.name])}`)
        .join(' ')
    },
  }
}
