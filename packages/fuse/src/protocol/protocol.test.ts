import { Iatt, parseGfid } from '@ashlar/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { completeOptions } from '../bridge/options.ts'
import { mountDeviceNumber } from '../bridge/read-ahead.ts'
import { parseGroups } from '../bridge/callers.ts'
import { Request } from '../bridge/request.ts'
import { negotiate } from '../bridge/session.ts'
import { Init, Opcode } from './constants.ts'
import { printReply, printRequest } from './print.ts'
import { big64, i64, owner64, u64 } from './struct.ts'
import {
  ATTR_OUT,
  COPY_FILE_RANGE_IN,
  CREATE_IN,
  ENTRY_OUT,
  FALLOCATE_IN,
  IN_HEADER,
  INIT_OUT,
  LK_IN,
  OPERATIONS,
  READ_IN,
  SETATTR_IN,
  STATFS_OUT,
  WRITE_IN,
} from './table.ts'

/** Sizes of the structures of include/uapi/linux/fuse.h. */
test.each([
  ['fuse_in_header', IN_HEADER, 40],
  ['fuse_entry_out', ENTRY_OUT, 128],
  ['fuse_attr_out', ATTR_OUT, 104],
  ['fuse_setattr_in', SETATTR_IN, 88],
  ['fuse_create_in', CREATE_IN, 16],
  ['fuse_read_in', READ_IN, 40],
  ['fuse_write_in', WRITE_IN, 40],
  ['fuse_statfs_out', STATFS_OUT, 80],
  ['fuse_lk_in', LK_IN, 48],
  ['fuse_init_out', INIT_OUT, 64],
  ['fuse_fallocate_in', FALLOCATE_IN, 32],
  ['fuse_copy_file_range_in', COPY_FILE_RANGE_IN, 56],
] as const)('%s has its size', (_name, layout, size) => {
  expect(layout.size).toBe(size)
})

test('64-bit numbers are undone by reading them', () => {
  const buffer = Buffer.alloc(8)
  fc.assert(
    fc.property(fc.maxSafeNat(), value => {
      u64.write(buffer, 0, value)
      expect(buffer.readBigUInt64LE(0)).toBe(BigInt(value))
      expect(u64.read(buffer, 0)).toBe(value)
    }),
  )
  fc.assert(
    fc.property(fc.maxSafeInteger(), value => {
      i64.write(buffer, 0, value)
      expect(buffer.readBigInt64LE(0)).toBe(BigInt(value))
      expect(i64.read(buffer, 0)).toBe(value)
    }),
  )
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), value => {
      big64.write(buffer, 0, value)
      expect(big64.read(buffer, 0)).toBe(value)
      const owner = owner64.read(buffer, 0)
      const other = Buffer.alloc(8)
      owner64.write(other, 0, owner)
      expect(other.equals(buffer)).toBe(true)
    }),
  )
})

test('a structure is encoded where C puts its members', () => {
  const stat = new Iatt()
  stat.gfid = parseGfid('01020304-0506-0708-090a-0b0c0d0e0f10') ?? stat.gfid
  stat.mode = 0o100644
  stat.size = 2 ** 40 + 5
  stat.mtime = -3
  stat.mtimeNsec = 7
  const buffer = Buffer.alloc(ENTRY_OUT.size, 0xff)
  ENTRY_OUT.encode(buffer, 0, {
    nodeid: 9,
    generation: 0,
    entryValid: 1,
    attrValid: 2,
    entryValidNsec: 3,
    attrValidNsec: 4,
    attr: stat,
  })
  expect(buffer.readBigUInt64LE(0)).toBe(9n)
  expect(buffer.readBigUInt64LE(16)).toBe(1n)
  expect(buffer.readUInt32LE(36)).toBe(4)
  expect(buffer.readBigUInt64LE(40)).toBe(0x090a0b0c0d0e0f10n)
  expect(buffer.readBigUInt64LE(48)).toBe(2n ** 40n + 5n)
  expect(buffer.readBigInt64LE(72)).toBe(-3n)
  expect(buffer.readUInt32LE(92)).toBe(7)
  expect(buffer.readUInt32LE(100)).toBe(0o100644)
})

function message(opcode: number, body: Buffer): Buffer {
  const header = Buffer.alloc(40)
  header.writeUInt32LE(40 + body.length, 0)
  header.writeUInt32LE(opcode, 4)
  header.writeBigUInt64LE(6n, 8)
  header.writeBigUInt64LE(1n, 16)
  header.writeUInt32LE(1000, 24)
  header.writeUInt32LE(100, 28)
  header.writeUInt32LE(42, 32)
  return Buffer.concat([header, body])
}

test('requests and replies print on one line', () => {
  expect(printRequest(message(Opcode.LOOKUP, Buffer.from('na\nme\0')))).toBe(
    'LOOKUP unique=6 nodeid=1 uid=1000 gid=100 pid=42 "na\\nme"',
  )
  const mkdir = Buffer.concat([Buffer.from([0xed, 1, 0, 0, 18, 0, 0, 0]), Buffer.from('d\0')])
  expect(printRequest(message(Opcode.MKDIR, mkdir))).toContain('mode=0755 umask=022 "d"')
  expect(printReply(6, -2, 16)).toBe('unique=6 ENOENT')
  expect(printReply(6, 0, 144)).toBe('unique=6 ok +128 bytes')
})

test('the printer takes any bytes', () => {
  fc.assert(
    fc.property(fc.nat(60), fc.uint8Array({ maxLength: 120 }), (opcode, body) => {
      const text = printRequest(message(opcode, Buffer.from(body)))
      expect(text.includes('\n')).toBe(false)
    }),
  )
  expect(printRequest(Buffer.alloc(3))).toBe('short request of 3 bytes')
})

test('every opcode has its row', () => {
  for (const [name, opcode] of Object.entries(Opcode)) expect(OPERATIONS[opcode]?.name).toBe(name)
})

function initRequest(minor: number, flags: number): Request {
  const body = Buffer.alloc(64)
  body.writeUInt32LE(7, 0)
  body.writeUInt32LE(minor, 4)
  body.writeUInt32LE(131_072, 8)
  body.writeUInt32LE(flags >>> 0, 12)
  const bytes = message(Opcode.INIT, body)
  return new Request(bytes, bytes.length)
}

test('INIT asks for nothing that the kernel does not offer', () => {
  const options = completeOptions({ acl: true })
  const old = negotiate(initRequest(26, Init.BIG_WRITES | Init.ASYNC_READ), options)
  expect(old?.session).toEqual({ minor: 26, flags: Init.BIG_WRITES | Init.ASYNC_READ, flags2: 0 })
  const reply = Buffer.alloc(INIT_OUT.size)
  old?.reply(reply, 0)
  expect(INIT_OUT.decode(reply, 0)).toMatchObject({ major: 7, minor: 26, maxWrite: 131_072 })
  const present = negotiate(initRequest(99, -1), completeOptions({}))
  expect(present?.session.minor).toBe(45)
  expect((present?.session.flags ?? 0) & Init.POSIX_ACL).toBe(0)
  present?.reply(reply, 0)
  expect(INIT_OUT.decode(reply, 0)).toMatchObject({ maxWrite: 1 << 20, maxPages: 256 })
  expect(negotiate(initRequest(22, -1), options)).toBeUndefined()
})

test('groups and device numbers are found in what /proc shows', () => {
  expect(parseGroups('Name:\tx\nGroups:\t4 24 1000 \nNStgid:\t1\n')).toEqual([4, 24, 1000])
  expect(parseGroups('Name:\tx\nGroups:\t\nNStgid:\t1\n')).toEqual([])
  expect(parseGroups('')).toEqual([])
  const info =
    '36 35 0:40 / /mnt/a\\040b rw - fuse.glusterfs h:/v rw\n37 35 0:41 / /mnt rw - ext4 x rw\n'
  expect(mountDeviceNumber(info, '/mnt/a b')).toBe('0:40')
  expect(mountDeviceNumber(info, '/nowhere')).toBeUndefined()
})
