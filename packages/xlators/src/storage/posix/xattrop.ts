/**
 * xattrop: counters in extended attributes, changed and read in one step. Atomic because nothing
 * else runs between reading and writing. Facts: `do_xattrop`, posix-inode-fd-ops.c.
 */

import {
  type Ctx,
  Dict,
  Errno,
  failure,
  type FopArgs,
  type Inode,
  type Reply,
  valueBytes,
  Xattrop,
} from '@ashlar/core'
import type { Brick } from './brick.ts'
import { answer } from './requested.ts'

export function xattrop(brick: Brick, _ctx: Ctx, args: FopArgs['xattrop']): Reply<'xattrop'> {
  return operate(brick, args.loc.inode, args.op, args.dict, args.xdata)
}

export function fxattrop(brick: Brick, _ctx: Ctx, args: FopArgs['fxattrop']): Reply<'fxattrop'> {
  return operate(brick, args.fd.inode, args.op, args.dict, args.xdata)
}

function operate(
  brick: Brick,
  inode: Inode,
  op: number,
  dict: Dict,
  xdata: Dict | undefined,
): Reply<'xattrop'> {
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(-object)
  const reply = new Dict()
  for (const [key, value] of dict) {
    const operand = valueBytes(value)
    if (operand === undefined) return failure(Errno.EINVAL)
    const found = brick.xattrs.get(object.path, key)
    if (typeof found === 'number' && found !== -Errno.ENODATA) return failure(-found)
    const stored = typeof found === 'number' ? undefined : found
    const result = combine(op, stored, operand)
    if (typeof result === 'number') return failure(-result)
    if (result.store !== undefined) {
      const written = brick.xattrs.set(object.path, key, result.store, 0)
      if (written < 0) return failure(-written)
    }
    if (result.reply !== undefined) reply.setBytes(key, result.reply)
  }
  const stat = brick.iatt(inode, object.path)
  return {
    ok: true,
    dict: reply,
    xdata: answer(brick, xdata, { inode, gfid: inode.gfid, path: object.path, stat }),
  }
}

/** What to store (if anything) and what to answer; −errno for an operation that cannot be. Pure. */
export function combine(
  op: number,
  stored: Buffer | undefined,
  operand: Buffer,
): { store?: Buffer; reply?: Buffer } | number {
  switch (op) {
    case Xattrop.GET_AND_SET:
      return stored === undefined ? { store: operand } : { store: operand, reply: stored }
    case Xattrop.ADD_ARRAY:
      return add(stored, operand, 4)
    case Xattrop.ADD_ARRAY64:
      return add(stored, operand, 8)
    case Xattrop.ADD_ARRAY_WITH_DEFAULT:
      return addWithDefault(stored, operand, 4)
    case Xattrop.ADD_ARRAY64_WITH_DEFAULT:
      return addWithDefault(stored, operand, 8)
    default:
      return operand.every(byte => byte === 0) ? { reply: operand } : -Errno.EINVAL
  }
}

function add(
  stored: Buffer | undefined,
  operand: Buffer,
  width: 4 | 8,
): { store?: Buffer; reply: Buffer } | number {
  if (operand.length % width !== 0) return -Errno.EINVAL
  if (stored !== undefined && stored.length > operand.length) return -Errno.ERANGE
  const sum = Buffer.alloc(operand.length)
  stored?.copy(sum)
  // All zero only reads.
  if (operand.every(byte => byte === 0)) return { reply: sum }
  addInto(sum, operand, width)
  return { store: sum, reply: sum }
}

function addWithDefault(
  stored: Buffer | undefined,
  operand: Buffer,
  width: 4 | 8,
): { store?: Buffer; reply: Buffer } | number {
  const half = operand.length / 2
  if (half % width !== 0) return -Errno.EINVAL
  if (stored !== undefined && stored.length > half) return -Errno.ERANGE
  const sum = Buffer.alloc(half)
  stored?.copy(sum)
  for (let at = 0; at < half; at += width) {
    if (sum.subarray(at, at + width).every(byte => byte === 0))
      operand.copy(sum, at, half + at, half + at + width)
  }
  addInto(sum, operand.subarray(0, half), width)
  return { store: sum, reply: sum }
}

function addInto(sum: Buffer, operand: Buffer, width: 4 | 8): void {
  for (let at = 0; at < sum.length; at += width) {
    if (width === 4) sum.writeInt32BE((sum.readInt32BE(at) + operand.readInt32BE(at)) | 0, at)
    else
      sum.writeBigInt64BE(
        BigInt.asIntN(64, sum.readBigInt64BE(at) + operand.readBigInt64BE(at)),
        at,
      )
  }
}
