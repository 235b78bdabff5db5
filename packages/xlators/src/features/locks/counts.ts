/**
 * Lock counts that requests ask for in xdata: how many locks stand on an inode, by kind and domain.
 * Clients use them to tell whether somebody waits for what they hold.
 * Facts: xlators/features/locks/src/posix.c.
 */

import { Dict } from '@ashlar/core'
import type { InodeLocks } from './inode-locks.ts'

const INODELK = 'glusterfs.inodelk-count'
const INODELK_DOMAIN = 'glusterfs.inodelk-dom-count'
const ENTRYLK = 'glusterfs.entrylk-count'
const POSIXLK = 'glusterfs.posixlk-count'
const PARENT_ENTRYLK = 'glusterfs.parent-entrylk'
const MULTI = 'glusterfs.multi-dom-lk-cnt-req'
const MULTI_PREFIX = 'glusterfs.inodelk-dom-prefix:'
const ASKED = [INODELK, INODELK_DOMAIN, ENTRYLK, POSIXLK, PARENT_ENTRYLK, MULTI]

export function asksCounts(xdata: Dict | undefined): xdata is Dict {
  return xdata !== undefined && ASKED.some(key => xdata.has(key))
}

/** The request for the layers below, without the questions that are answered here. */
export function withoutCounts(xdata: Dict): Dict {
  const rest = new Dict()
  for (const [key, value] of xdata)
    if (!ASKED.includes(key) && !key.startsWith(MULTI_PREFIX)) rest.set(key, value)
  return rest
}

export interface Counted {
  readonly locks: InodeLocks | undefined
  /** For `parent-entrylk`: the directory of the entry and its name. */
  readonly parentLocks?: InodeLocks | undefined
  readonly name?: string
}

/** Adds the answers to a reply's xdata. */
export function addCounts(request: Dict, reply: Dict | undefined, counted: Counted): Dict {
  const dict = reply ?? new Dict()
  const { locks } = counted
  const ranges = [...(locks?.ranges.values() ?? [])]
  const entries = [...(locks?.entries.values() ?? [])]
  const sum = (parts: readonly { count: number }[]): number =>
    parts.reduce((total, part) => total + part.count, 0)
  if (request.has(INODELK)) dict.setInt(INODELK, sum(ranges))
  const domain = request.getString(INODELK_DOMAIN)
  if (domain !== undefined) dict.setInt(INODELK, locks?.ranges.get(domain)?.count ?? 0)
  if (request.has(ENTRYLK)) dict.setInt(ENTRYLK, sum(entries))
  if (request.has(POSIXLK)) dict.setInt(POSIXLK, locks?.posix.count ?? 0)
  if (request.has(PARENT_ENTRYLK)) dict.setInt(PARENT_ENTRYLK, nameIsLocked(counted) ? 1 : 0)
  if (request.has(MULTI)) {
    for (const [key] of request) {
      if (key.startsWith(MULTI_PREFIX))
        dict.setInt(key, locks?.ranges.get(key.slice(MULTI_PREFIX.length))?.count ?? 0)
    }
  }
  return dict
}

function nameIsLocked({ parentLocks, name }: Counted): boolean {
  if (parentLocks === undefined || name === undefined) return false
  return [...parentLocks.entries.values()].some(locks =>
    locks.granted.some(held => held.name === name),
  )
}
