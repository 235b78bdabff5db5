/**
 * Setup: opening a brick — is it one, is it ours — and making the directories it needs.
 * Facts: xlators/storage/posix/src/posix-common.c.
 */

import { Errno, errnoText, gfidText, gfidToBytes, parseGfid, ROOT_GFID } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { GFID_KEY, type OpenedBrick } from './handles.ts'
import { trustedSpace, UserSpace, type XattrSpace } from './xattr-space.ts'

const VOLUME_ID_KEY = 'trusted.glusterfs.volume-id'

/** A brick that must not be served, with what to do about it. */
export class BrickError extends Error {
  override name = 'BrickError'
}

/** Opens and checks the brick at `root`. Throws BrickError. */
export function openBrick(root: string, volumeId: string | undefined): OpenedBrick {
  const rootFd = sys.openat(sys.AT_FDCWD, root, sys.O.RDONLY | sys.O.DIRECTORY | sys.O.CLOEXEC)
  if (rootFd < 0)
    throw new BrickError(`the brick directory ${root} cannot be opened: ${errnoText(-rootFd)}`)
  const isRoot = sys.geteuid() === 0
  const xattrs = isRoot ? trustedSpace : new UserSpace(`${root}/.glusterfs/sidecar`)
  try {
    checkVolumeId(xattrs, root, volumeId)
    checkRootGfid(xattrs, root)
    sys.umask(0)
    makeDirectories(root, isRoot)
    makeRootHandle(root, rootFd)
    emptyUnlinked(root)
  } catch (error) {
    sys.close(rootFd)
    throw error
  }
  return { root, rootFd, xattrs, isRoot }
}

function checkVolumeId(xattrs: XattrSpace, root: string, volumeId: string | undefined): void {
  const stored = xattrs.get(root, VOLUME_ID_KEY)
  if (typeof stored === 'number' && stored !== -Errno.ENODATA) {
    throw new BrickError(
      `extended attributes of ${root} cannot be read: ${errnoText(-stored)}. Use a file system that has them`,
    )
  }
  if (volumeId === undefined) return
  const expected = parseGfid(volumeId)
  if (expected === undefined) throw new BrickError(`volume-id '${volumeId}' is not a UUID`)
  if (typeof stored === 'number') {
    throw new BrickError(
      `${root} carries no volume id. Is its file system mounted? (expected ${volumeId})`,
    )
  }
  if (!stored.equals(gfidToBytes(expected))) {
    throw new BrickError(
      `${root} is a brick of another volume: its volume id is ${describe(stored)}, expected ${volumeId}`,
    )
  }
}

function describe(id: Buffer): string {
  return id.length === 16 ? gfidText(id.latin1Slice() as typeof ROOT_GFID) : id.toString('hex')
}

function checkRootGfid(xattrs: XattrSpace, root: string): void {
  const stored = xattrs.get(root, GFID_KEY)
  if (typeof stored !== 'number') {
    if (!stored.equals(gfidToBytes(ROOT_GFID)))
      throw new BrickError(`${root} has the gfid of another directory: ${describe(stored)}`)
    return
  }
  const result = xattrs.set(root, GFID_KEY, gfidToBytes(ROOT_GFID), sys.XATTR_CREATE)
  if (result < 0)
    throw new BrickError(`the gfid of ${root} cannot be stored: ${errnoText(-result)}`)
}

function makeDirectories(root: string, isRoot: boolean): void {
  const home = `${root}/.glusterfs`
  const made = sys.mkdirat(sys.AT_FDCWD, home, 0o700)
  const stat = new sys.Stat()
  if (made < 0 && made !== -Errno.EEXIST)
    throw new BrickError(`${home} cannot be made: ${errnoText(-made)}`)
  if (sys.statat(sys.AT_FDCWD, home, stat) < 0 || (stat.mode & 0o170000) !== 0o040000) {
    throw new BrickError(`${home} is not a directory; move it away`)
  }
  for (let i = 0; i < 256; i++)
    sys.mkdirat(sys.AT_FDCWD, `${home}/${i.toString(16).padStart(2, '0')}`, 0o700)
  sys.mkdirat(sys.AT_FDCWD, `${home}/00/00`, 0o700)
  sys.mkdirat(sys.AT_FDCWD, `${home}/unlink`, isRoot ? 0o600 : 0o700)
  sys.mkdirat(sys.AT_FDCWD, `${home}/landfill`, 0o755)
  if (!isRoot) sys.mkdirat(sys.AT_FDCWD, `${home}/sidecar`, 0o700)
}

function makeRootHandle(root: string, rootFd: number): void {
  const path = `${root}/.glusterfs/00/00/${gfidText(ROOT_GFID)}`
  const result = sys.symlinkat('../../..', sys.AT_FDCWD, path)
  if (result < 0 && result !== -Errno.EEXIST)
    throw new BrickError(`${path} cannot be made: ${errnoText(-result)}`)
  const there = new sys.Stat()
  const here = new sys.Stat()
  if (
    sys.statat(sys.AT_FDCWD, path, there, true) < 0 ||
    sys.fstat(rootFd, here) < 0 ||
    there.ino !== here.ino
  ) {
    throw new BrickError(`${path} does not lead to ${root}; remove it and start again`)
  }
}

/** Files that were unlinked and open when the brick last stopped: nobody has them open any more. */
function emptyUnlinked(root: string): void {
  removeEntries(`${root}/.glusterfs/unlink`)
}

/** Removes the files of a directory, not its subdirectories. */
export function removeEntries(path: string): void {
  const fd = sys.openat(sys.AT_FDCWD, path, sys.O.RDONLY | sys.O.DIRECTORY | sys.O.CLOEXEC)
  if (fd < 0) return
  const reader = new sys.DirectoryReader()
  const names: string[] = []
  for (
    let entries = reader.read(fd);
    typeof entries !== 'number' && entries.length > 0;
    entries = reader.read(fd)
  ) {
    for (const entry of entries)
      if (entry.name !== '.' && entry.name !== '..') names.push(entry.name)
  }
  for (const name of names) sys.unlinkat(fd, name)
  sys.close(fd)
}
