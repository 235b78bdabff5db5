/**
 * getxattr, setxattr, removexattr: stored attributes, and the names by which a brick answers
 * questions. Facts: posix-inode-fd-ops.c.
 */

import {
  type Ctx,
  Dict,
  Errno,
  failure,
  type FopArgs,
  type Inode,
  MdataFlag,
  parseGfid,
  type Reply,
  XattrFlag,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick, ObjectPath } from './brick.ts'
import { xattrBytes } from './create.ts'
import { GFID_KEY } from './handles.ts'
import { MDATA_KEY } from './mdata.ts'
import { recordedNames } from './names-record.ts'
import { isHiddenXattr } from './requested.ts'

const REAL_FILENAME = 'glusterfs.get_real_filename:'
const MDATA_REQUEST = 'set-ctime-mdata'
const PATHINFO = new Set(['trusted.glusterfs.pathinfo', 'glusterfs.pathinfo'])
const NODE_UUID = new Set(['trusted.glusterfs.node-uuid', 'trusted.glusterfs.list-node-uuids'])
const GFID_TO_PATH = new Set(['glusterfs.gfidtopath', 'glusterfs.gfid2path'])
/** Names that are commands to some translator: never stored. */
const COMMANDS = new Set(['trusted.io-stats-dump', 'glusterfs.clear-stats'])

/** Attributes around a change of xattrs, for caches above (md-cache): GF_PRESTAT, GF_POSTSTAT. */
const PRESTAT = 'virt-gf-prestat'
const POSTSTAT = 'virt-gf-poststat'

export function getxattr(brick: Brick, ctx: Ctx, args: FopArgs['getxattr']): Reply<'getxattr'> {
  return read(brick, ctx, args.loc.inode, args.name)
}

export function fgetxattr(brick: Brick, ctx: Ctx, args: FopArgs['fgetxattr']): Reply<'fgetxattr'> {
  return read(brick, ctx, args.fd.inode, args.name)
}

function read(brick: Brick, ctx: Ctx, inode: Inode, name: string): Reply<'getxattr'> {
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(-object)
  if (name === '') return listAll(brick, object)
  if (PATHINFO.has(name)) return text(name, pathinfo(brick, inode, object))
  if (NODE_UUID.has(name))
    return text(
      name,
      brick.self.options['glusterd-uuid'] ?? brick.self.graph.process.glusterdUuid ?? '',
    )
  if (GFID_TO_PATH.has(name)) return gfidToPath(brick, object, name)
  if (name.startsWith(REAL_FILENAME)) return realFilename(object, name)
  if (name === 'glusterfs.open-fd-count')
    return { ok: true, dict: new Dict().setUint(name, brick.state(inode).openFds ?? 0) }
  if (name === MDATA_KEY && ctx.pid >= 0) return failure(Errno.ENODATA)
  if (name.startsWith('trusted.gfid2path.')) return failure(Errno.ENODATA)
  const value = brick.xattrs.get(object.path, name)
  if (typeof value === 'number') return failure(-value)
  return { ok: true, dict: new Dict().setBytes(name, value) }
}

function text(name: string, value: string): Reply<'getxattr'> {
  return { ok: true, dict: new Dict().setString(name, value) }
}

function listAll(brick: Brick, object: ObjectPath): Reply<'getxattr'> {
  const names = brick.xattrs.list(object.path)
  if (typeof names === 'number') return failure(-names)
  const dict = new Dict()
  for (const name of names) {
    if (isHiddenXattr(name)) continue
    const value = brick.xattrs.get(object.path, name)
    if (typeof value !== 'number') dict.setBytes(name, value)
  }
  return { ok: true, dict }
}

function pathinfo(brick: Brick, inode: Inode, object: ObjectPath): string {
  const { process } = brick.self.graph
  const host = brick.self.options['node-uuid-pathinfo']
    ? (process.glusterdUuid ?? '')
    : process.hostname
  const relative = object.directory ? brick.handles.pathOf(inode.gfid) : filePaths(brick, object)[0]
  const path =
    relative === undefined
      ? brick.handles.path(inode.gfid)
      : `${brick.root}${relative === '/' ? '' : relative}`
  return `<POSIX(${brick.root}):${host}:${path}>`
}

/** Paths of a file from the brick's root, by its recorded names. */
function filePaths(brick: Brick, object: ObjectPath): string[] {
  return recordedNames(brick, object.path).flatMap(record => {
    const parent = parseGfid(record.slice(0, 36))
    const directory = parent === undefined ? undefined : parentPath(brick, parent)
    return directory === undefined ? [] : [`${directory}${record.slice(36)}`]
  })
}

function parentPath(
  brick: Brick,
  gfid: NonNullable<ReturnType<typeof parseGfid>>,
): string | undefined {
  const path = brick.handles.pathOf(gfid)
  return path === '/' ? '' : path
}

function gfidToPath(brick: Brick, object: ObjectPath, name: string): Reply<'getxattr'> {
  const paths = filePaths(brick, object)
  if (paths.length === 0) return failure(Errno.ENODATA)
  return text(name, paths.join(brick.self.options['gfid2path-separator']))
}

/** The real spelling of a name that is asked without regard to case. */
function realFilename(object: ObjectPath, name: string): Reply<'getxattr'> {
  if (!object.directory) return failure(Errno.EINVAL)
  const wanted = name.slice(REAL_FILENAME.length).toLowerCase()
  const fd = sys.openat(sys.AT_FDCWD, object.path, sys.O.RDONLY | sys.O.DIRECTORY | sys.O.CLOEXEC)
  if (fd < 0) return failure(-fd)
  try {
    const reader = new sys.DirectoryReader()
    for (
      let entries = reader.read(fd);
      typeof entries !== 'number' && entries.length > 0;
      entries = reader.read(fd)
    ) {
      const match = entries.find(entry => entry.name.toLowerCase() === wanted)
      if (match !== undefined) return text(name, match.name)
    }
    return failure(Errno.ENODATA)
  } finally {
    sys.close(fd)
  }
}

export function setxattr(brick: Brick, ctx: Ctx, args: FopArgs['setxattr']): Reply<'setxattr'> {
  return write(brick, ctx, args.loc.inode, args.dict, args.flags)
}

export function fsetxattr(brick: Brick, ctx: Ctx, args: FopArgs['fsetxattr']): Reply<'fsetxattr'> {
  return write(brick, ctx, args.fd.inode, args.dict, args.flags)
}

function write(brick: Brick, ctx: Ctx, inode: Inode, dict: Dict, flags: number): Reply<'setxattr'> {
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(-object)
  for (const [key, value] of dict) {
    if (COMMANDS.has(key)) continue
    if (key === MDATA_REQUEST) {
      if (value.kind === 'mdata' && brick.mdata(inode, object.path) === null)
        brick.setTimes(inode, object.path, { ...value.value })
      continue
    }
    if (key === GFID_KEY || key === 'trusted.glusterfs.volume-id') return failure(Errno.EPERM)
    const bytes = xattrBytes(value)
    if (bytes === undefined) return failure(Errno.EINVAL)
    if (key === MDATA_KEY) delete brick.state(inode).mdata
    const result = brick.xattrs.set(
      object.path,
      key,
      bytes,
      flags & (XattrFlag.CREATE | XattrFlag.REPLACE),
    )
    if (result < 0) return failure(-result)
  }
  return touched(brick, ctx, inode, object)
}

export function removexattr(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['removexattr'],
): Reply<'removexattr'> {
  return remove(brick, ctx, args.loc.inode, args.name, args.xdata)
}

export function fremovexattr(
  brick: Brick,
  ctx: Ctx,
  args: FopArgs['fremovexattr'],
): Reply<'fremovexattr'> {
  return remove(brick, ctx, args.fd.inode, args.name, args.xdata)
}

function remove(
  brick: Brick,
  ctx: Ctx,
  inode: Inode,
  name: string,
  xdata: Dict | undefined,
): Reply<'removexattr'> {
  const object = brick.object(inode)
  if (typeof object === 'number') return failure(-object)
  if (name === GFID_KEY || name === 'trusted.glusterfs.volume-id') return failure(Errno.EPERM)
  // Several at once: their names are the keys of xdata.
  const names = name === '' ? [...(xdata?.keys() ?? [])] : [name]
  for (const each of names) {
    const result = brick.xattrs.remove(object.path, each)
    if (result < 0 && (names.length === 1 || result !== -Errno.ENODATA)) return failure(-result)
  }
  return touched(brick, ctx, inode, object)
}

/** The change of an xattr is a change of the inode; ACLs change its mode too. */
function touched(brick: Brick, ctx: Ctx, inode: Inode, object: ObjectPath): Reply<'setxattr'> {
  const prestat = brick.iatt(inode, object.path)
  sys.statat(sys.AT_FDCWD, object.path, brick.stat)
  brick.touch(ctx, inode, object.path, MdataFlag.CTIME)
  const stat = brick.iatt(inode, object.path)
  return { ok: true, xdata: new Dict().setIatt(PRESTAT, prestat).setIatt(POSTSTAT, stat) }
}
