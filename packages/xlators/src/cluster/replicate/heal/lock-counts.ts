/**
 * Who holds locks on an inode: tells an operation that is under way from one that was cut off, and a
 * heal that is under way from one that is to come.
 * Source: xlators/features/locks/src/posix.c (multi-domain counts), afr-common.c.
 */

import { Dict } from '@ashlar/core'
import { isZero } from '../changelog.ts'
import { type Copies, isCopy } from './copies.ts'
import type { HealJob } from './job.ts'

const MULTI = 'glusterfs.multi-dom-lk-cnt-req'
const PREFIX = 'glusterfs.inodelk-dom-prefix:'

/** xdata that asks for the locks of transactions and of heals. */
export function askLocks(job: HealJob): Dict {
  return new Dict()
    .setInt(MULTI, 1)
    .setInt(`${PREFIX}${job.domain}`, 0)
    .setInt(`${PREFIX}${job.healDomain}`, 0)
}

function held(copies: Copies, domain: string): boolean {
  return copies.some(copy => isCopy(copy) && (copy.xdata?.getNumber(`${PREFIX}${domain}`) ?? 0) > 0)
}

/** Some heal holds the file. */
export function isBeingHealed(job: HealJob, copies: Copies): boolean {
  return held(copies, job.healDomain)
}

/**
 * Nothing is known to be amiss, but that an operation has begun, and somebody holds the lock of one:
 * it will end by itself.
 */
export function isUnderWay(job: HealJob, copies: Copies): boolean {
  const found = copies.filter(isCopy)
  const pending = found.some(copy => !copy.log.pending.every(isZero))
  const dirty = found.some(copy => !isZero(copy.log.dirty))
  const twice = found.some(copy => copy.log.dirty.some(value => value > 1))
  return !pending && dirty && !twice && held(copies, job.domain)
}
