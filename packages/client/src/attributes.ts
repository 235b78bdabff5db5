/** Attributes to be set, from what callers give: times as seconds since 1970, their text, or a Date. */

import { Iatt, SetAttr } from '@ashlar/core'

export type TimeLike = number | string | Date

/** Attributes that hold both times. Throws TypeError for what is no time. */
export function timesOf(atime: TimeLike, mtime: TimeLike): Iatt {
  const stat = new Iatt()
  ;[stat.atime, stat.atimeNsec] = timeOf(atime)
  ;[stat.mtime, stat.mtimeNsec] = timeOf(mtime)
  return stat
}

function timeOf(time: TimeLike): [sec: number, nsec: number] {
  const seconds = time instanceof Date ? time.getTime() / 1000 : Number(time)
  if (!Number.isFinite(seconds)) throw new TypeError(`${String(time)} is not a time`)
  const sec = Math.floor(seconds)
  // A double holds microseconds of this century, no more.
  return [sec, Math.round((seconds - sec) * 1e6) * 1000]
}

/** Attributes of a change of owners, and which of them count: -1 leaves one as it is. */
export function owner(uid: number, gid: number): [Iatt, number] {
  const stat = new Iatt()
  stat.uid = uid
  stat.gid = gid
  return [stat, (uid === -1 ? 0 : SetAttr.UID) | (gid === -1 ? 0 : SetAttr.GID)]
}
