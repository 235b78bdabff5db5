/**
 * Brick: the graph below the server as requests need it: inodes by gfid, fds by number, results as
 * the wire wants them.
 */

import {
  type Ctx,
  Errno,
  type Fd,
  failure,
  type Failure,
  type Gfid,
  type Iatt,
  type Inode,
  type InodeTable,
  NULL_GFID,
  OpenFlag,
  type Subvolume,
  type XlatorSelf,
} from '@ashlar/core'
import { EntryLoc, InodeLoc } from './brick-loc.ts'
import type { ServerOptions } from './options.ts'
import type { Session } from './session.ts'

/** Highest number that a client uses for "no fd of mine: open the gfid yourself". */
const FD_ANONYMOUS_MAX = -1
/** What an anonymous fd may do: the client has checked. */
const ANONYMOUS_FLAGS = OpenFlag.RDWR | OpenFlag.LARGEFILE

/** `GF_O_SYNC` on the wire is Linux's O_DSYNC bit alone (rpc/xdr/src/glusterfs3.h). */
export function openFlagsFromWire(flags: number): number {
  return (flags & OpenFlag.DSYNC) === 0 ? flags : flags | OpenFlag.SYNC
}

export class Brick {
  readonly child: Subvolume
  readonly inodes: InodeTable
  readonly #self: XlatorSelf<ServerOptions>

  constructor(self: XlatorSelf<ServerOptions>, child: Subvolume) {
    this.#self = self
    this.child = child
    this.inodes = self.inodes
  }

  /** A fresh fd for an open or create, not bound yet. */
  newFd(inode: Inode, flags: number, ctx: Ctx): Fd {
    return this.#self.openFd(inode, { flags, pid: ctx.pid })
  }

  /** Runs a fop on an object. */
  async onInode<R>(
    session: Session,
    gfid: Gfid,
    run: (loc: InodeLoc) => Promise<R>,
  ): Promise<R | Failure> {
    if (gfid === NULL_GFID) return failure(Errno.EINVAL)
    const loc = new InodeLoc(this.inodes, session.inward(gfid))
    try {
      return await run(loc)
    } finally {
      loc.release()
    }
  }

  /** Runs a fop on an entry. */
  async onEntry<R>(
    session: Session,
    pargfid: Gfid,
    name: string,
    run: (loc: EntryLoc) => Promise<R>,
  ): Promise<R | Failure> {
    const refusal = badEntry(pargfid, name)
    if (refusal !== undefined) return refusal
    const loc = new EntryLoc(this.inodes, session.inward(pargfid), name)
    try {
      return await run(loc)
    } finally {
      loc.release()
    }
  }

  /** Runs a fop on an open file, or on its gfid when the client has none open (fd −2 or −1). */
  async onFd<R>(
    session: Session,
    number: number,
    gfid: Gfid,
    run: (fd: Fd) => Promise<R>,
  ): Promise<R | Failure> {
    const fd = this.fdOf(session, number, gfid)
    if (typeof fd === 'number') return failure(fd)
    try {
      return await run(fd)
    } finally {
      fd.unref()
    }
  }

  /** A referenced fd, or the errno that says why there is none. */
  fdOf(session: Session, number: number, gfid: Gfid): Fd | Errno {
    if (number <= FD_ANONYMOUS_MAX) {
      if (gfid === NULL_GFID) return Errno.EINVAL
      return this.#self
        .anonymousFd(this.inodes.obtain(session.inward(gfid)), ANONYMOUS_FLAGS)
        .bind()
    }
    return session.fds.get(number)?.ref() ?? Errno.EBADF
  }

  /** A looked up or new object: gives the inode of its loc, if one was made, its identity. */
  learn(loc: EntryLoc, stat: Iatt): void {
    loc.learn(stat.gfid, stat.type)
  }
}

/** EPERM for a name with a slash, as GlusterFS has it; EINVAL for names that lead elsewhere. */
export function badEntry(pargfid: Gfid, name: string): Failure | undefined {
  if (pargfid === NULL_GFID) return failure(Errno.EINVAL)
  if (name.includes('/')) return failure(Errno.EPERM)
  if (name === '' || name === '.' || name === '..') return failure(Errno.EINVAL)
  return undefined
}
