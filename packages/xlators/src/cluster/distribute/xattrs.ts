/**
 * Extended attributes: a file's lie with its data, a directory's on every copy, led by its metadata
 * subvolume whose `…dht.mds` counter says whether the other copies have them too.
 * Facts: `dht_setxattr` and `dht_getxattr`, xlators/cluster/dht/src/dht-common.c.
 */

import {
  type Ctx,
  Dict,
  Errno,
  failure,
  type Failure,
  type FopArgs,
  type Loc,
  type Reply,
  type Subvolume,
  Xattrop,
} from '@ashlar/core'
import { isFailure, locate, onFile } from './locate.ts'
import { type Distribution, internalCtx, worstFailure } from './volume.ts'

const HEALABLE_PREFIXES = ['user.']
const HEALABLE = new Set([
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.glusterfs.quota.limit-set',
  'trusted.glusterfs.quota.limit-objects',
  'security.selinux',
  'trusted.glusterfs.mdata',
])

function isHealable(key: string): boolean {
  return HEALABLE.has(key) || HEALABLE_PREFIXES.some(prefix => key.startsWith(prefix))
}

/** Layouts and linkto names are distribute's: users and applications do not write them. */
function isReserved(volume: Distribution, ctx: Ctx, key: string): boolean {
  return ctx.pid >= 0 && (key === volume.layoutKey || key.startsWith(`${volume.layoutKey}.`))
}

type Change = (child: Subvolume) => Promise<{ ok: true; xdata?: Dict | undefined } | Failure>

/** Sets or removes xattrs of an inode: `keys` are their names. */
async function change(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  keys: readonly string[],
  call: Change,
): Promise<Reply<'setxattr'>> {
  if (keys.some(key => isReserved(volume, ctx, key))) return failure(Errno.EPERM)
  if (volume.single) return call(volume.children[0] as Subvolume)
  const state = await locate(volume, ctx, loc.inode)
  if (isFailure(state)) return state
  if (state.cached !== undefined) return onFile<'setxattr'>(volume, ctx, loc.inode, call)
  if (loc.inode.isRoot || state.mds === undefined || !keys.some(isHealable))
    return onAllCopies(volume, call)
  return changeLed(volume, ctx, loc, state.mds, call)
}

async function onAllCopies(volume: Distribution, call: Change): Promise<Reply<'setxattr'>> {
  const replies = await Promise.all(volume.upChildren().map(child => call(child)))
  const failures = replies.filter((reply): reply is Failure => !reply.ok)
  if (failures.length > 0) return worstFailure(failures)
  return replies[0] ?? failure(Errno.ENOTCONN)
}

/** Counted down before, up after: a counter below zero tells that a copy may lack the change. */
async function changeLed(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  mds: Subvolume,
  call: Change,
): Promise<Reply<'setxattr'>> {
  if (volume.childUp[mds.index] !== true) return failure(Errno.ENOTCONN)
  const root = internalCtx(ctx)
  const marked = await count(volume, root, loc, mds, -1)
  if (!marked.ok) return marked
  const first = await call(mds)
  if (!first.ok) {
    await count(volume, root, loc, mds, 1)
    return first
  }
  const others = volume.children.filter(child => child !== mds)
  const replies = await Promise.all(
    others.map(child =>
      volume.childUp[child.index] === true ? call(child) : Promise.resolve(failure(Errno.ENOTCONN)),
    ),
  )
  if (replies.every(reply => reply.ok || reply.errno === Errno.ENODATA))
    await count(volume, root, loc, mds, 1)
  return first
}

function count(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  mds: Subvolume,
  by: number,
): Promise<Reply<'xattrop'>> {
  const delta = Buffer.alloc(4)
  delta.writeInt32BE(by)
  return mds.xattrop(ctx, {
    loc,
    op: Xattrop.ADD_ARRAY,
    dict: new Dict().setBytes(volume.mdsKey, delta),
  })
}

export function setxattr(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['setxattr'],
): Promise<Reply<'setxattr'>> {
  return change(volume, ctx, args.loc, [...args.dict.keys()], child => child.setxattr(ctx, args))
}

export function fsetxattr(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['fsetxattr'],
  loc: Loc,
): Promise<Reply<'fsetxattr'>> {
  return change(volume, ctx, loc, [...args.dict.keys()], child => child.fsetxattr(ctx, args))
}

export function removexattr(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['removexattr'],
): Promise<Reply<'removexattr'>> {
  return change(volume, ctx, args.loc, [args.name], child => child.removexattr(ctx, args))
}

export function fremovexattr(
  volume: Distribution,
  ctx: Ctx,
  args: FopArgs['fremovexattr'],
  loc: Loc,
): Promise<Reply<'fremovexattr'>> {
  return change(volume, ctx, loc, [args.name], child => child.fremovexattr(ctx, args))
}

const PATHINFO = 'trusted.glusterfs.pathinfo'
const GATHERED = new Set(['trusted.glusterfs.node-uuid', 'trusted.glusterfs.list-node-uuids'])

/** Reads xattrs; `call` asks one subvolume. */
export async function readXattrs(
  volume: Distribution,
  ctx: Ctx,
  loc: Loc,
  name: string,
  call: (child: Subvolume) => Promise<Reply<'getxattr'>>,
): Promise<Reply<'getxattr'>> {
  const state = await locate(volume, ctx, loc.inode)
  if (isFailure(state)) return state
  if (name === PATHINFO || name === 'glusterfs.pathinfo')
    return pathinfo(volume, state.cached, name, call)
  if (state.cached !== undefined)
    return hide(volume, name, await onFile<'getxattr'>(volume, ctx, loc.inode, call))
  if (GATHERED.has(name) && !volume.single) return gather(volume, name, call)
  const child =
    state.mds !== undefined && volume.childUp[state.mds.index] === true
      ? state.mds
      : volume.firstUp()
  if (child === undefined) return failure(Errno.ENOTCONN)
  return hide(volume, name, await call(child))
}

/** A listing without layouts and linkto names; by name they can still be read. */
function hide(volume: Distribution, name: string, reply: Reply<'getxattr'>): Reply<'getxattr'> {
  if (!reply.ok || name !== '') return reply
  for (const key of reply.dict.keys()) {
    if (key === volume.layoutKey || key.startsWith(`${volume.layoutKey}.`)) reply.dict.delete(key)
  }
  return reply
}

async function pathinfo(
  volume: Distribution,
  cached: Subvolume | undefined,
  name: string,
  call: (child: Subvolume) => Promise<Reply<'getxattr'>>,
): Promise<Reply<'getxattr'>> {
  const children = cached === undefined ? volume.upChildren() : [cached]
  const replies = await Promise.all(children.map(child => call(child)))
  const texts = replies.flatMap(reply => (reply.ok ? [reply.dict.getString(name) ?? ''] : []))
  if (texts.length === 0)
    return worstFailure(replies.filter((reply): reply is Failure => !reply.ok))
  const label = volume.self.name
  return {
    ok: true,
    dict: new Dict().setString(name, `(<DISTRIBUTE:${label}> ${texts.join(' ')})`),
  }
}

async function gather(
  volume: Distribution,
  name: string,
  call: (child: Subvolume) => Promise<Reply<'getxattr'>>,
): Promise<Reply<'getxattr'>> {
  const replies = await Promise.all(volume.upChildren().map(child => call(child)))
  const texts = replies.flatMap(reply => (reply.ok ? [reply.dict.getString(name) ?? ''] : []))
  if (texts.length === 0) return failure(Errno.ENODATA)
  return { ok: true, dict: new Dict().setString(name, texts.join(' ')) }
}
