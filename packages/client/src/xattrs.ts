/** Extended attributes of files, which node:fs does not know. */

import { Dict, Errno, type Failure, failure, type Graph, valueBytes } from '@ashlar/core'
import type { Operation } from './errors.ts'
import { type Place, placeInode, type PathLike, type WalkOptions } from './path-walk.ts'
import type { Session } from './session.ts'

/** Runs `work` where a path leads (Volume's own way). */
type At = <T>(
  operation: string | Operation,
  path: PathLike,
  options: WalkOptions,
  work: (graph: Graph, place: Place) => Promise<T | Failure>,
) => Promise<T>

export interface XattrOptions {
  /** A symbolic link is followed, which is the default. */
  readonly follow?: boolean
}
export interface SetXattrOptions extends XattrOptions {
  /** `create`: fails with EEXIST when it is there; `replace`: with ENODATA when it is not. */
  readonly only?: 'create' | 'replace'
}

const FLAGS = { create: 1, replace: 2 } as const
/** Keys by which clients and bricks talk: no attributes of files. */
const INTERNAL = /^glusterfs\./

export class Xattrs {
  readonly #session: Session
  readonly #at: At

  constructor(session: Session, at: At) {
    this.#session = session
    this.#at = at
  }

  /** Rejects with ENODATA when there is none of that name. */
  async get(path: PathLike, name: string, options: XattrOptions = {}): Promise<Buffer> {
    const { follow = true } = options
    return this.#at('getxattr', path, { follow }, async (graph, place) => {
      const loc = placeInode(place)
      const reply = await graph.top.getxattr(this.#session.ctx, { loc, name })
      if (!reply.ok) return reply
      const entry = reply.dict.get(name)
      return (entry === undefined ? undefined : valueBytes(entry)) ?? failure(Errno.ENODATA)
    })
  }

  async set(
    path: PathLike,
    name: string,
    value: string | Uint8Array,
    options: SetXattrOptions = {},
  ): Promise<void> {
    const { follow = true, only } = options
    const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value)
    const dict = new Dict().setBytes(name, bytes)
    const flags = only === undefined ? 0 : FLAGS[only]
    await this.#at('setxattr', path, { follow }, (graph, place) =>
      graph.top.setxattr(this.#session.ctx, { loc: placeInode(place), dict, flags }),
    )
  }

  /** Names. */
  async list(path: PathLike, options: XattrOptions = {}): Promise<string[]> {
    const { follow = true } = options
    return this.#at('listxattr', path, { follow }, async (graph, place) => {
      const loc = placeInode(place)
      const reply = await graph.top.getxattr(this.#session.ctx, { loc, name: '' })
      return reply.ok ? [...reply.dict.keys()].filter(name => !INTERNAL.test(name)) : reply
    })
  }

  async remove(path: PathLike, name: string, options: XattrOptions = {}): Promise<void> {
    const { follow = true } = options
    await this.#at('removexattr', path, { follow }, (graph, place) =>
      graph.top.removexattr(this.#session.ctx, { loc: placeInode(place), name }),
    )
  }
}
