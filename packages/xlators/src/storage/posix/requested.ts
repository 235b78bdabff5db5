/**
 * What a request's xdata asks of an object: any extended attribute by name or pattern, and a few
 * words with a meaning of their own. Facts: posix-helpers.c.
 */

import { Dict, globRegExp, type Gfid, type Iatt, type Inode, LISTED_CONTENT } from '@ashlar/core'
import type { Brick } from './brick.ts'
import { CONTENT_KEY } from './content.ts'
import { GFID_KEY } from './handles.ts'
import { MDATA_KEY } from './mdata.ts'

/** Keys that mean something to others, or to the operation itself. */
const IGNORED = new Set([
  'gfid-req',
  'glusterfs-internal-fop',
  'glusterfs.entrylk-count',
  'glusterfs.inodelk-count',
  'glusterfs.posixlk-count',
  'glusterfs.parent-entrylk',
  'glusterfs.inodelk-dom-count',
  'glusterfs.multi-dom-lk-cnt-req',
  'gfidless-lookup',
  'unlinked-lookup',
  'list-xattr',
  'link-count',
  'umask',
  'mode',
  'gf_request_link_count',
  CONTENT_KEY,
  LISTED_CONTENT,
])

/** Distribute's xattrs of directories: a file has none. */
const OF_DIRECTORIES = new Set(['trusted.glusterfs.dht', 'trusted.glusterfs.dht.mds'])
const S_ISVTX = 0o1000
/** How its xattr of linkto files ends: they, and files that are just moved, are sticky. */
const OF_LINKTO_FILES = '.linkto'

/** It need not be looked for: asked of every file, it is on few. */
function isAbsent(key: string, { mode, isDirectory }: Iatt): boolean {
  if (isDirectory) return false
  return OF_DIRECTORIES.has(key) || (key.endsWith(OF_LINKTO_FILES) && (mode & S_ISVTX) === 0)
}

/** Never sent in a listing. */
const HIDDEN_PREFIXES = ['trusted.gfid2path.', 'trusted.pgfid.']
const HIDDEN = new Set([GFID_KEY, MDATA_KEY, 'trusted.glusterfs.volume-id'])

export function isHiddenXattr(name: string): boolean {
  return HIDDEN.has(name) || HIDDEN_PREFIXES.some(prefix => name.startsWith(prefix))
}

export interface Asked {
  readonly inode: Inode | undefined
  readonly gfid: Gfid
  /** For xattr calls. */
  readonly path: string
  readonly stat: Iatt
}

/** The reply xdata for a request's; undefined when it asks nothing. */
export function answer(brick: Brick, xdata: Dict | undefined, asked: Asked): Dict | undefined {
  if (xdata === undefined || xdata.size === 0) return undefined
  const reply = new Dict()
  let names: ReadonlySet<string> | undefined
  for (const key of xdata.keys()) {
    if (IGNORED.has(key) || key.startsWith('glusterfs.inodelk-dom-prefix:')) continue
    if (isAbsent(key, asked.stat)) continue
    if (key === 'glusterfs.open-fd-count' || key === 'glusterfs.open-active-fd-count') {
      reply.setUint(key, openFds(brick, asked.inode))
    } else if (key === 'get-size') {
      reply.setUint(key, asked.stat.size)
    } else {
      names ??= xattrNames(brick, asked.path)
      addXattr(brick, reply, asked.path, names, key)
    }
  }
  if (xdata.has('list-xattr')) {
    names ??= xattrNames(brick, asked.path)
    for (const name of names)
      if (!isHiddenXattr(name)) addXattr(brick, reply, asked.path, names, name)
  }
  return reply.size === 0 ? undefined : reply
}

function openFds(brick: Brick, inode: Inode | undefined): number {
  return inode === undefined ? 0 : (brick.inodes.get(inode)?.openFds ?? 0)
}

function xattrNames(brick: Brick, path: string): ReadonlySet<string> {
  const names = brick.xattrs.list(path)
  return new Set(typeof names === 'number' ? [] : names)
}

const GLOB = /[*?[]/

function addXattr(
  brick: Brick,
  reply: Dict,
  path: string,
  names: ReadonlySet<string>,
  key: string,
): void {
  if (GLOB.test(key)) {
    const pattern = globRegExp(key)
    for (const name of names)
      if (pattern.test(name) && !isHiddenXattr(name)) addXattr(brick, reply, path, names, name)
    return
  }
  if (!names.has(key)) return
  const value = brick.xattrs.get(path, key)
  if (typeof value !== 'number') reply.setBytes(key, value)
}
