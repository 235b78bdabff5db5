/** Open flags: node:fs's texts and numbers, as the wire has them. */

import { constants } from 'node:fs'
import { OpenFlag } from '@ashlar/core'

const { RDONLY, WRONLY, RDWR, CREAT, EXCL, TRUNC, APPEND, SYNC } = OpenFlag

const TEXTS: Readonly<Record<string, number>> = {
  r: RDONLY,
  rs: RDONLY | SYNC,
  'r+': RDWR,
  'rs+': RDWR | SYNC,
  w: WRONLY | CREAT | TRUNC,
  wx: WRONLY | CREAT | TRUNC | EXCL,
  'w+': RDWR | CREAT | TRUNC,
  'wx+': RDWR | CREAT | TRUNC | EXCL,
  a: WRONLY | CREAT | APPEND,
  ax: WRONLY | CREAT | APPEND | EXCL,
  as: WRONLY | CREAT | APPEND | SYNC,
  'a+': RDWR | CREAT | APPEND,
  'ax+': RDWR | CREAT | APPEND | EXCL,
  'as+': RDWR | CREAT | APPEND | SYNC,
}
const SPELLINGS: Readonly<Record<string, string>> = {
  sr: 'rs',
  'sr+': 'rs+',
  xw: 'wx',
  'xw+': 'wx+',
  xa: 'ax',
  'xa+': 'ax+',
  sa: 'as',
  'sa+': 'as+',
}

/** Flags that differ between machines, by what the machine's numbers mean on the wire. */
const MEANINGS: readonly (readonly [number, number])[] = [
  [constants.O_CREAT, CREAT],
  [constants.O_EXCL, EXCL],
  [constants.O_TRUNC, TRUNC],
  [constants.O_APPEND, APPEND],
  [constants.O_DIRECTORY, OpenFlag.DIRECTORY],
  [constants.O_NOFOLLOW, OpenFlag.NOFOLLOW],
  [constants.O_NOATIME, OpenFlag.NOATIME],
  [constants.O_DIRECT, OpenFlag.DIRECT],
  [constants.O_DSYNC, OpenFlag.DSYNC],
  [constants.O_SYNC, SYNC],
]

/** Throws TypeError for a text that is no flag. */
export function openFlags(flags: string | number | undefined, otherwise: string): number {
  if (typeof flags === 'number') {
    let result = flags & OpenFlag.ACCMODE
    for (const [own, wire] of MEANINGS) if ((flags & own) === own) result |= wire
    return result
  }
  const text = flags ?? otherwise
  const known = TEXTS[SPELLINGS[text] ?? text]
  if (known === undefined) throw new TypeError(`'${text}' is not a flag of open`)
  return known
}

export function isWritable(flags: number): boolean {
  return (flags & OpenFlag.ACCMODE) !== RDONLY
}
