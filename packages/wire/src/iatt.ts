/**
 * Attributes on the wire: `gfx_iattx` (148 bytes, rpc/xdr glusterfs4-xdr.x) of program 400, and the
 * older `gf_iatt` (100 bytes) that callbacks carry. Written by hand: every reply has up to five.
 */

import { EMPTY_IATT, Iatt, majorOf, makedev, minorOf } from '@ashlar/core'
import type { Codec } from './codec.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

export const IATTX_BYTES = 148
export const IATT_OLD_BYTES = 100

/** `ia_rdev` has the major number in its upper half and the minor in its lower (iatt.h ia_makedev). */
function writeDevice(w: Writer, dev: number): void {
  if (dev === 0) {
    w.u64(0)
    return
  }
  w.u32(majorOf(dev))
  w.u32(minorOf(dev))
}

function readDevice(r: Reader): number {
  const major = r.u32()
  return makedev(major, r.u32())
}

export const iattx: Codec<Iatt> = {
  encode(w, v) {
    w.gfid(v.gfid)
    w.u64(v.flags)
    w.inodeNumber(v.gfid, v.ino)
    w.u64(v.dev)
    writeDevice(w, v.rdev)
    w.u64(v.size)
    w.u64(v.blocks)
    w.u64(v.attributes)
    w.u64(v.attributesMask)
    w.u64(v.atime)
    w.u64(v.mtime)
    w.u64(v.ctime)
    w.u64(v.btime)
    w.u32(v.atimeNsec)
    w.u32(v.mtimeNsec)
    w.u32(v.ctimeNsec)
    w.u32(v.btimeNsec)
    w.u32(v.nlink)
    w.u32(v.uid)
    w.u32(v.gid)
    w.u32(v.blksize)
    w.u32(v.mode)
  },
  decode(r) {
    const v = new Iatt()
    v.gfid = r.gfid()
    v.flags = r.u64()
    v.ino = r.inodeNumber(8)
    v.dev = r.u64()
    v.rdev = readDevice(r)
    v.size = r.u64()
    v.blocks = r.u64()
    v.attributes = r.u64()
    v.attributesMask = r.u64()
    v.atime = r.i64()
    v.mtime = r.i64()
    v.ctime = r.i64()
    v.btime = r.i64()
    v.atimeNsec = r.u32()
    v.mtimeNsec = r.u32()
    v.ctimeNsec = r.u32()
    v.btimeNsec = r.u32()
    v.nlink = r.u32()
    v.uid = r.u32()
    v.gid = r.u32()
    v.blksize = r.u32()
    v.mode = r.u32()
    return v
  },
  zero: EMPTY_IATT,
}

/** Seconds have 32 bits here; flags and birth time are not carried. */
export const iattOld: Codec<Iatt> = {
  encode(w, v) {
    w.gfid(v.gfid)
    w.inodeNumber(v.gfid, v.ino)
    w.u64(v.dev)
    w.u32(v.mode)
    w.u32(v.nlink)
    w.u32(v.uid)
    w.u32(v.gid)
    writeDevice(w, v.rdev)
    w.u64(v.size)
    w.u32(v.blksize)
    w.u64(v.blocks)
    w.u32(v.atime)
    w.u32(v.atimeNsec)
    w.u32(v.mtime)
    w.u32(v.mtimeNsec)
    w.u32(v.ctime)
    w.u32(v.ctimeNsec)
  },
  decode(r) {
    const v = new Iatt()
    v.gfid = r.gfid()
    v.ino = r.inodeNumber(0)
    v.dev = r.u64()
    v.mode = r.u32()
    v.nlink = r.u32()
    v.uid = r.u32()
    v.gid = r.u32()
    v.rdev = readDevice(r)
    v.size = r.u64()
    v.blksize = r.u32()
    v.blocks = r.u64()
    v.atime = r.u32()
    v.atimeNsec = r.u32()
    v.mtime = r.u32()
    v.mtimeNsec = r.u32()
    v.ctime = r.u32()
    v.ctimeNsec = r.u32()
    return v
  },
  zero: EMPTY_IATT,
}
