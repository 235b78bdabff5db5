/**
 * The directory of a brick before a process serves it: whether it may become one, and the marks
 * that make it belong to a volume (glusterd-utils.c, glusterd-volume-ops.c).
 */

import { existsSync, lstatSync, mkdirSync, rmdirSync, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import { ManagementError } from '@ashlar/contract'
import { gfidToBytes, parseGfid, gfidFromBytes, gfidText } from '@ashlar/core'
import { lgetxattr, lremovexattr, lsetxattr, statvfs } from '@ashlar/sys'
import { errnoText } from './errno-text.ts'

export interface BrickDirectory {
  readonly host: string
  readonly path: string
}

export interface BrickRules {
  readonly force: boolean
  readonly workDirectory: string
  readonly rootPath: string
}

/** Names in messages are always the official ones. */
const VOLUME_ID = 'trusted.glusterfs.volume-id'
const GFID = 'trusted.gfid'
const TEST = 'trusted.glusterfs.test'

const IS_ROOT = process.geteuid?.() === 0

/** The name on disk: without root a brick keeps its attributes under `user.`, as posix does. */
function own(name: string): string {
  return IS_ROOT ? name : `user.${name}`
}

function invalid(message: string): ManagementError {
  return new ManagementError('BRICK_INVALID', message)
}

/** Bytes of a path with its end, and of a name (limits.h). */
const PATH_MAX = 4096
const NAME_MAX = 255

/** Things that a failed `volume create` takes back, newest first. */
export type Undo = (() => void)[]

/**
 * Makes the directory if it is missing and checks that it may become a brick. Throws
 * ManagementError with GlusterFS's message. What was changed can be taken back by `undo`.
 */
export function prepareBrick(brick: BrickDirectory, rules: BrickRules, undo: Undo): void {
  const { path } = brick
  refuseLong(brick)
  refuseUnwritable(brick)
  ensureDirectory(brick, undo)
  if (`${path}/`.startsWith(`${rules.workDirectory}/`)) {
    throw invalid("Brick isn't allowed to be created inside glusterd's working directory.")
  }
  if (!rules.force) refusePartition(brick, rules.rootPath)
  testAttributes(brick)
  if (!rules.force) refuseUsed(path)
}

function refuseLong({ host, path }: BrickDirectory): void {
  const names = path.split('/').map(name => Buffer.byteLength(name))
  if (Buffer.byteLength(path) < PATH_MAX && names.every(length => length <= NAME_MAX)) return
  throw invalid(`brick path ${host}:${path} is too long.`)
}

/** Volfiles quote what has blanks, and have no way to quote these. */
function refuseUnwritable({ host, path }: BrickDirectory): void {
  if (!/["\n\r]|\\$/.test(path)) return
  throw invalid(
    `brick path ${host}:${path} has a quotation mark, a line break, or a backslash at its end: choose another.`,
  )
}

function ensureDirectory({ host, path }: BrickDirectory, undo: Undo): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats !== undefined) {
    if (stats.isDirectory()) return
    throw invalid(`The provided path ${path} which is already present, is not a directory`)
  }
  try {
    mkdirSync(path, 0o755)
    undo.push(() => rmdirSync(path))
  } catch (error) {
    throw invalid(
      `Failed to create brick directory for brick ${host}:${path}. Reason : ${errnoText(error)} `,
    )
  }
}

function refusePartition({ host, path }: BrickDirectory, rootPath: string): void {
  const brick = lstatSync(path)
  const parent = lstatSync(dirname(path))
  const advice = "Or use 'force' at the end of the command if you want to override this behavior."
  if (brick.dev !== parent.dev) {
    throw invalid(
      `The brick ${host}:${path} is a mount point. Please create a sub-directory under the ` +
        `mount point and use that as the brick directory. ${advice}`,
    )
  }
  if (parent.dev === (lstatSync(rootPath) as Stats).dev) {
    throw invalid(
      `The brick ${host}:${path} is being created in the root partition. It is recommended ` +
        `that you don't use the system's root partition for storage backend. ${advice}`,
    )
  }
}

function testAttributes({ host, path }: BrickDirectory): void {
  const set = lsetxattr(path, own(TEST), Buffer.from('working\0'))
  if (set < 0) {
    throw invalid(
      `Glusterfs is not supported on brick: ${host}:${path}.\n` +
        `Setting extended attributes failed, reason: ${errnoText(set)}.`,
    )
  }
  const removed = lremovexattr(path, own(TEST))
  if (removed < 0) {
    throw invalid(`Removing test extended attribute failed, reason: ${errnoText(removed)}`)
  }
}

/** A directory below a brick, or one that was a brick, is not taken without force. */
function refuseUsed(path: string): void {
  for (let at = path; ; at = dirname(at)) {
    const used = [VOLUME_ID, GFID].some(name => typeof lgetxattr(at, own(name)) !== 'number')
    if (used) {
      const where = at === path ? path : `parent directory ${at}`
      throw new ManagementError('BRICK_IN_USE', `${where} is already part of a volume`)
    }
    if (at === dirname(at)) return
  }
}

/** Marks the directory as a brick of the volume. */
export function claimBrick(brick: BrickDirectory, volumeId: string, undo: Undo): void {
  const before = lgetxattr(brick.path, own(VOLUME_ID))
  const result = setVolumeId(brick.path, volumeId)
  if (result < 0) {
    throw invalid(`Failed to set extended attributes ${VOLUME_ID}, reason: ${errnoText(result)}`)
  }
  undo.push(() => {
    if (typeof before === 'number') lremovexattr(brick.path, own(VOLUME_ID))
    else lsetxattr(brick.path, own(VOLUME_ID), before)
  })
  const handles = join(brick.path, '.glusterfs')
  if (existsSync(handles)) return
  try {
    // As GlusterFS's; only root can use a directory without its execute bit.
    mkdirSync(handles, process.geteuid?.() === 0 ? 0o600 : 0o700)
    undo.push(() => rmdirSync(handles))
  } catch (error) {
    throw invalid(
      `Failed to create .glusterfs directory for brick ${brick.host}:${brick.path}. ` +
        `Reason : ${errnoText(error)} `,
    )
  }
}

function setVolumeId(path: string, volumeId: string): number {
  const id = parseGfid(volumeId)
  return id === undefined ? -22 : lsetxattr(path, own(VOLUME_ID), gfidToBytes(id))
}

/** Checks before a process is started on the brick; `force` sets a volume id that is missing. */
export function verifyBrick(
  brick: BrickDirectory,
  volume: { name: string; id: string },
  force: boolean,
): void {
  const { host, path } = brick
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) {
    throw new ManagementError(
      'BRICK_MISMATCH',
      `Failed to find brick directory ${path} for volume ${volume.name}. ` +
        `Reason : ${errnoText(-2)}`,
    )
  }
  const value = lgetxattr(path, own(VOLUME_ID))
  if (typeof value === 'number') {
    if (force && setVolumeId(path, volume.id) >= 0) return
    throw new ManagementError(
      'BRICK_MISMATCH',
      `Failed to get extended attribute ${VOLUME_ID} for brick dir ${path}. ` +
        `Reason : ${errnoText(value)}`,
    )
  }
  const found = value.length >= 16 ? gfidText(gfidFromBytes(value)) : value.toString('hex')
  if (found !== volume.id) {
    throw new ManagementError(
      'BRICK_MISMATCH',
      `Volume id mismatch for brick ${host}:${path}. ` +
        `Expected volume id ${volume.id}, volume id ${found} found`,
    )
  }
}

/** statvfs f_fsid of the brick's file system as text, '0' when it cannot be had. */
export function filesystemId(path: string): string {
  const statfs = statvfs(path)
  return typeof statfs === 'number' ? '0' : String(statfs.fsid)
}

/** The brick's path below its mount point, with a leading slash. */
export function mountDirectory(path: string): string {
  const { dev } = lstatSync(path)
  let mount = path
  while (mount !== dirname(mount) && lstatSync(dirname(mount)).dev === dev) mount = dirname(mount)
  const below = path.slice(mount === '/' ? 0 : mount.length)
  return below === '' ? '/' : below
}
