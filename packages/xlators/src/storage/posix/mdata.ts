/**
 * The times a file shows: `trusted.glusterfs.mdata`, set from the clock of the client that made the
 * change, so that all copies of a file agree. Facts: posix-metadata.c.
 *
 * Read once and kept with the inode, as nobody else writes them. Times that follow from writing data
 * or entries are stored a little later, with the next sync, close or second: a crash of the server
 * loses at most that second of them, as a local file system does.
 */

import { type Clock, type Ctx, type Iatt, type Mdata, MdataFlag } from '@ashlar/core'

export const MDATA_KEY = 'trusted.glusterfs.mdata'
const MDATA_BYTES = 57
const VERSION = 1

/** Undefined for bytes of another length or version. */
export function parseMdata(value: Buffer): Mdata | undefined {
  if (value.length < MDATA_BYTES || value[0] !== VERSION) return undefined
  const at = (offset: number): number =>
    value.readUInt32BE(offset) * 2 ** 32 + value.readUInt32BE(offset + 4)
  return {
    ctime: at(9),
    ctimeNsec: at(17),
    mtime: at(25),
    mtimeNsec: at(33),
    atime: at(41),
    atimeNsec: at(49),
  }
}

export function printMdata(mdata: Mdata): Buffer {
  const value = Buffer.alloc(MDATA_BYTES)
  value[0] = VERSION
  const put = (number: number, offset: number): void => {
    value.writeUInt32BE(Math.floor(number / 2 ** 32) >>> 0, offset)
    value.writeUInt32BE(number >>> 0, offset + 4)
  }
  put(mdata.ctime, 9)
  put(mdata.ctimeNsec, 17)
  put(mdata.mtime, 25)
  put(mdata.mtimeNsec, 33)
  put(mdata.atime, 41)
  put(mdata.atimeNsec, 49)
  return value
}

/** Which times an operation touches, at what moment. */
export interface Touch {
  readonly sec: number
  readonly nsec: number
  readonly ctime: boolean
  readonly mtime: boolean
  readonly atime: boolean
}

/**
 * What the caller wants touched: as its credential says, or as the operation implies when it says
 * nothing. `parent` picks the flags for the directory of the entry.
 */
export function touchOf(
  clock: Clock,
  ctx: Ctx,
  implied: number,
  parent = false,
): Touch | undefined {
  const given = ctx.time
  const all = given === undefined || given.sec === 0 ? implied : given.flags
  const flags = parent ? all >> 3 : all & 7
  if (flags === 0) return undefined
  const now = given === undefined || given.sec === 0 ? clock.wall() : given
  return {
    sec: now.sec,
    nsec: now.nsec,
    ctime: (flags & MdataFlag.CTIME) !== 0,
    mtime: (flags & MdataFlag.MTIME) !== 0,
    atime: (flags & MdataFlag.ATIME) !== 0,
  }
}

/** All three times at one moment: a new object. */
export function freshMdata(touch: { sec: number; nsec: number }): Mdata {
  return {
    ctime: touch.sec,
    ctimeNsec: touch.nsec,
    mtime: touch.sec,
    mtimeNsec: touch.nsec,
    atime: touch.sec,
    atimeNsec: touch.nsec,
  }
}

/** Times never go back by a touch. True when something changed. */
export function applyTouch(mdata: Mdata, touch: Touch): boolean {
  let changed = false
  if (touch.ctime && isLater(touch, mdata.ctime, mdata.ctimeNsec)) {
    mdata.ctime = touch.sec
    mdata.ctimeNsec = touch.nsec
    changed = true
  }
  if (touch.mtime && isLater(touch, mdata.mtime, mdata.mtimeNsec)) {
    mdata.mtime = touch.sec
    mdata.mtimeNsec = touch.nsec
    changed = true
  }
  if (touch.atime && isLater(touch, mdata.atime, mdata.atimeNsec)) {
    mdata.atime = touch.sec
    mdata.atimeNsec = touch.nsec
    changed = true
  }
  return changed
}

function isLater(touch: Touch, sec: number, nsec: number): boolean {
  return touch.sec > sec || (touch.sec === sec && touch.nsec > nsec)
}

/** The file system's own times, for an object without mdata. */
export function mdataOf(
  stat: Pick<Iatt, 'atime' | 'atimeNsec' | 'mtime' | 'mtimeNsec' | 'ctime' | 'ctimeNsec'>,
): Mdata {
  return {
    atime: stat.atime,
    atimeNsec: stat.atimeNsec,
    mtime: stat.mtime,
    mtimeNsec: stat.mtimeNsec,
    ctime: stat.ctime,
    ctimeNsec: stat.ctimeNsec,
  }
}
