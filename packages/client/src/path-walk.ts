/**
 * Walking a path from the root of the volume: one lookup for each name, symbolic links followed
 * here. What is found is held until the walk is released, so that pruning cannot take it meanwhile.
 */

import { inspect } from 'node:util'
import {
  decodeName,
  entryLoc,
  Errno,
  type Failure,
  failure,
  type Graph,
  type Iatt,
  type Inode,
  inodeLoc,
  type Loc,
  nameByteLength,
  NULL_GFID,
  S_IFDIR,
} from '@ashlar/core'
import type { Session } from './session.ts'

/** Linux's limits (limits.h PATH_MAX, NAME_MAX; MAXSYMLINKS). */
const PATH_BYTES_MAX = 4096
const NAME_BYTES_MAX = 255
const LINKS_MAX = 40

/** A path: absolute, or relative to the root of the volume. */
export type PathLike = string | Buffer | URL

/** In the words of node:fs. */
class NullByteError extends TypeError {
  readonly code = 'ERR_INVALID_ARG_VALUE'

  constructor(path: string) {
    super(
      `The argument 'path' must be a string, Uint8Array, or URL without null bytes. Received ${inspect(path)}`,
    )
  }
}

/** The text of a path; URLs by their path. Throws TypeError when it holds a NUL. */
export function pathText(path: PathLike): string {
  const text =
    typeof path === 'string'
      ? path
      : Buffer.isBuffer(path)
        ? decodeName(path)
        : decodeURIComponent(path.pathname)
  if (text.includes('\0')) throw new NullByteError(text)
  return text
}

export interface WalkOptions {
  /** A symbolic link at the end is followed. */
  readonly follow?: boolean
  /** The last name need not exist. */
  readonly mayMiss?: boolean
  /** Nothing that the table remembers is believed. */
  readonly fresh?: boolean
}

/** Where a path leads. */
export interface Place {
  /** The directory that holds the last name; the root itself for the root. */
  readonly parent: Inode
  /** '' for the root, and for a path that ends in `..`. */
  readonly name: string
  /** Undefined when there is nothing (`mayMiss`). */
  readonly inode: Inode | undefined
  /** Attributes as the lookup brought them; undefined for the root or for nothing. */
  readonly stat: Iatt | undefined
  /** The path said, by a slash at its end, that it is a directory. */
  readonly slash: boolean
  /** The real path: without links, `.` and `..`. */
  readonly path: string
  release(): void
}

interface Step {
  readonly inode: Inode
  readonly name: string
  readonly stat: Iatt | undefined
}

/** Follows `path`. What a Place holds is released by its taker. */
export async function walk(
  session: Session,
  graph: Graph,
  path: string,
  options: WalkOptions = {},
): Promise<Place | Failure> {
  const { inodes } = graph
  if (nameByteLength(path) >= PATH_BYTES_MAX) return failure(Errno.ENAMETOOLONG)
  if (path === '') return failure(Errno.ENOENT)
  const held: Inode[] = []
  const release = (): void => {
    for (const inode of held.splice(0)) inodes.unref(inode)
  }
  const root: Step = { inode: inodes.root, name: '', stat: undefined }
  let steps: Step[] = [root]
  let dots = false
  let links = 0
  const pending = components(path)
  const slash = path.endsWith('/')
  const fail = (problem: Failure): Failure => {
    release()
    return problem
  }
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const { inode: parent } = steps.at(-1) as Step
    if (parent.type !== S_IFDIR) return fail(failure(Errno.ENOTDIR))
    dots = name === '..'
    if (dots) {
      if (steps.length > 1) steps.pop()
      continue
    }
    if (nameByteLength(name) > NAME_BYTES_MAX) return fail(failure(Errno.ENAMETOOLONG))
    const last = pending.length === 0
    const found = await lookup(session, graph, parent, name, options.fresh === true)
    if (!found.ok) {
      if (found.errno !== Errno.ENOENT || !last || options.mayMiss !== true) return fail(found)
      const directory = steps.map(step => step.name).join('/')
      return {
        parent,
        name,
        inode: undefined,
        stat: undefined,
        slash,
        path: `${directory}/${name}`,
        release,
      }
    }
    held.push(found.inode)
    if (found.stat.isSymlink && (!last || options.follow === true || slash)) {
      links += 1
      if (links > LINKS_MAX) return fail(failure(Errno.ELOOP))
      const link = await graph.top.readlink(session.ctx, {
        loc: inodeLoc(found.inode),
        size: PATH_BYTES_MAX,
      })
      if (!link.ok) return fail(link)
      if (link.target.startsWith('/')) steps = [root]
      pending.push(...components(link.target))
      continue
    }
    steps.push({ inode: found.inode, name, stat: found.stat })
  }
  const end = steps.at(-1) as Step
  if (slash && end.inode.type !== S_IFDIR) return fail(failure(Errno.ENOTDIR))
  return {
    parent: (steps.at(-2) ?? end).inode,
    name: dots ? '' : end.name,
    inode: end.inode,
    stat: end.stat,
    slash,
    path: steps.map(step => step.name).join('/') || '/',
    release,
  }
}

/** Names of a path, the last one first; `.` and empty ones mean nothing. */
function components(path: string): string[] {
  return path
    .split('/')
    .filter(name => name !== '' && name !== '.')
    .reverse()
}

interface Found {
  readonly ok: true
  /** Held for the caller. */
  readonly inode: Inode
  readonly stat: Iatt
}

async function lookup(
  session: Session,
  graph: Graph,
  parent: Inode,
  name: string,
  fresh: boolean,
): Promise<Found | Failure> {
  const { inodes, top } = graph
  const known = fresh ? undefined : inodes.child(parent, name)
  let loc = entryLoc(parent, name, known ?? inodes.create())
  let reply = await top.lookup(
    session.ctx,
    loc.inode.linked ? { loc } : { loc, xdata: session.identity() },
  )
  if (!reply.ok && known !== undefined) {
    // What we knew is not so any more: ask without prejudice.
    inodes.unlink(parent, name)
    loc = { ...loc, inode: inodes.create(), gfid: NULL_GFID }
    reply = await top.lookup(session.ctx, { loc, xdata: session.identity() })
  }
  if (!reply.ok) return reply
  if (reply.stat.gfid === NULL_GFID) return failure(Errno.EIO)
  return { ok: true, inode: linkInode(graph, loc, reply.stat), stat: reply.stat }
}

/** Takes what a fop on `loc` has found or made into the table. The result is held for the caller. */
export function linkInode(graph: Graph, loc: Loc, stat: Iatt): Inode {
  const { inodes } = graph
  const fits = !loc.inode.linked || loc.inode.gfid === stat.gfid
  const candidate = inodes.ref(fits ? loc.inode : inodes.create())
  const identity = { gfid: stat.gfid, type: stat.type }
  const inode = inodes.link(candidate, identity, loc.parent, loc.name === '' ? undefined : loc.name)
  inodes.ref(inode)
  inodes.unref(candidate)
  // Known to a holder, it stays on the lru list for the next walk.
  if (inode.nlookup === 0 && !inode.isRoot) inodes.lookup(inode)
  return inode
}

/** The loc of a new name in a place's directory. */
export function newEntry(graph: Graph, place: Place): Loc {
  return entryLoc(place.parent, place.name, graph.inodes.create())
}

/** The loc of what a place holds: by its name when it has one. */
export function placeLoc(place: Place): Loc {
  const inode = place.inode as Inode
  return place.name === '' ? inodeLoc(inode) : entryLoc(place.parent, place.name, inode)
}

/** The loc of what a place holds, whatever its name. */
export function placeInode(place: Place): Loc {
  return inodeLoc(place.inode as Inode)
}
