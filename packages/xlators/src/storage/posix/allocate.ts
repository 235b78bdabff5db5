/** Space: fallocate, discard, zerofill, seek, copy_file_range, and checksums of ranges. */

import { createHash } from 'node:crypto'
import {
  type Ctx,
  Dict,
  Errno,
  failure,
  type Fd,
  type FopArgs,
  type Inode,
  MdataFlag,
  type Reply,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick } from './brick.ts'
import { noRoom } from './create.ts'

const DATA_TOUCH = MdataFlag.MTIME | MdataFlag.CTIME
const ZEROS_BYTES = 128 * 1024
/** Longest range of one checksum; heals ask for a mebibyte at most. */
const CHECKSUM_BYTES_MAX = 64 * 1024 * 1024

/** A change of a file's space, made on a thread. */
async function changeSpace(
  brick: Brick,
  ctx: Ctx,
  fd: Fd,
  change: (descriptor: number) => Promise<number>,
): Promise<Reply<'fallocate'>> {
  const borrowed = brick.borrow(fd, sys.O.RDWR)
  if (typeof borrowed === 'number') return failure(-borrowed)
  try {
    const { inode } = fd
    const path = brick.handles.path(inode.gfid)
    let result = sys.fstat(borrowed.fd, brick.stat)
    if (result < 0) return failure(-result)
    const prestat = brick.iatt(inode, path)
    result = await change(borrowed.fd)
    if (result < 0) return failure(-result)
    sys.fstat(borrowed.fd, brick.stat)
    brick.touch(ctx, inode, path, DATA_TOUCH)
    return { ok: true, prestat, poststat: brick.iatt(inode, path) }
  } finally {
    borrowed.done()
  }
}

export async function fallocate(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['fallocate'],
): Promise<Reply<'fallocate'>> {
  if (noRoom(brick, ctx, args.xdata)) return failure(Errno.ENOSPC)
  return changeSpace(brick, ctx, args.fd, fd =>
    sys.fallocateAsync(fd, args.flags, args.offset, args.length),
  )
}

export function discard(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['discard'],
): Promise<Reply<'discard'>> {
  const mode = sys.FALLOC_FL_PUNCH_HOLE | sys.FALLOC_FL_KEEP_SIZE
  return changeSpace(brick, ctx, args.fd, fd =>
    sys.fallocateAsync(fd, mode, args.offset, args.length),
  )
}

/** Zeros a range; the file grows to hold it. */
export async function zerofill(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['zerofill'],
): Promise<Reply<'zerofill'>> {
  if (noRoom(brick, ctx, args.xdata)) return failure(Errno.ENOSPC)
  return changeSpace(brick, ctx, args.fd, async fd => {
    const result = await sys.fallocateAsync(fd, sys.FALLOC_FL_ZERO_RANGE, args.offset, args.length)
    return result === -Errno.EOPNOTSUPP ? writeZeros(fd, args.offset, args.length) : result
  })
}

async function writeZeros(fd: number, offset: number, length: number): Promise<number> {
  const zeros = Buffer.alloc(Math.min(length, ZEROS_BYTES))
  for (let done = 0; done < length; ) {
    const written = await sys.pwriteAsync(
      fd,
      zeros.subarray(0, Math.min(zeros.length, length - done)),
      offset + done,
    )
    if (written <= 0) return written < 0 ? written : -Errno.ENOSPC
    done += written
  }
  return 0
}

export function seek(brick: Brick, _ctx: Ctx, args: FopArgs['seek']): Reply<'seek'> {
  const borrowed = brick.borrow(args.fd, sys.O.RDONLY)
  if (typeof borrowed === 'number') return failure(-borrowed)
  try {
    const offset = sys.lseek(
      borrowed.fd,
      args.offset,
      args.what === 0 ? sys.SEEK_DATA : sys.SEEK_HOLE,
    )
    return offset < 0 ? failure(-offset) : { ok: true, offset }
  } finally {
    borrowed.done()
  }
}

export async function copyFileRange(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['copy_file_range'],
): Promise<Reply<'copy_file_range'>> {
  if (noRoom(brick, ctx, args.xdata)) return failure(Errno.ENOSPC)
  const source = brick.borrow(args.source, sys.O.RDONLY)
  if (typeof source === 'number') return failure(-source)
  const target = brick.borrow(args.target, sys.O.RDWR)
  if (typeof target === 'number') {
    source.done()
    return failure(-target)
  }
  try {
    const before = attributes(brick, args.target.inode, target.fd)
    const copied = await sys.copyFileRangeAsync({
      source: source.fd,
      sourceOffset: args.sourceOffset,
      target: target.fd,
      targetOffset: args.targetOffset,
      length: args.length,
    })
    if (copied < 0) return failure(-copied)
    sys.fstat(target.fd, brick.stat)
    brick.touch(ctx, args.target.inode, brick.handles.path(args.target.inode.gfid), DATA_TOUCH)
    const poststat = brick.iatt(args.target.inode, brick.handles.path(args.target.inode.gfid))
    return {
      ok: true,
      copied,
      stat: attributes(brick, args.source.inode, source.fd),
      prestat: before,
      poststat,
    }
  } finally {
    source.done()
    target.done()
  }
}

function attributes(brick: Brick, inode: Inode, fd: number): ReturnType<Brick['iatt']> {
  sys.fstat(fd, brick.stat)
  return brick.iatt(inode, brick.handles.path(inode.gfid))
}

/** Weak and strong sums of a range, by which heals tell what differs. */
export async function rchecksum(
  brick: Brick,
  _ctx: Ctx,
  args: FopArgs['rchecksum'],
): Promise<Reply<'rchecksum'>> {
  const borrowed = brick.borrow(args.fd, sys.O.RDONLY)
  if (typeof borrowed === 'number') return failure(-borrowed)
  try {
    if (args.length > CHECKSUM_BYTES_MAX) return failure(Errno.EINVAL)
    const buffer = Buffer.alloc(args.length)
    const length = await sys.preadAsync(borrowed.fd, buffer, args.offset)
    if (length < 0) return failure(-length)
    const data = buffer.subarray(0, length)
    const fips = brick.self.options['fips-mode-rchecksum']
    const strong = Buffer.alloc(32)
    createHash(fips ? 'sha256' : 'md5')
      .update(data)
      .digest()
      .copy(strong)
    const xdata = new Dict()
    if (fips) xdata.setInt('fips-mode-rchecksum', 1)
    if (args.xdata?.has('check-zero-filled') === true)
      xdata.setUint('buf-has-zeroes', data.every(byte => byte === 0) ? 1 : 0)
    return { ok: true, flags: fips ? 1 : 0, weak: weakChecksum(data), strong, xdata }
  } finally {
    borrowed.done()
  }
}

/** rsync's rolling sum over signed bytes: two 16-bit halves. */
export function weakChecksum(data: Buffer): number {
  let low = 0
  let high = 0
  for (let i = 0; i < data.length; i++) {
    low = (low + data.readInt8(i)) | 0
    high = (high + low) | 0
  }
  return ((low & 0xffff) + (high << 16)) >>> 0
}
