/**
 * Link: what the fops of a client need of its connection: a call in the caller's name, numbers of
 * fds, identities of locs.
 */

import {
  type ContextKey,
  type Ctx,
  type Dict,
  Errno,
  type Failure,
  failure,
  type Fd,
  type Gfid,
  type Loc,
  NULL_GFID,
  OpenFlag,
  type XlatorSelf,
} from '@ashlar/core'
import { NOT_CONNECTED } from '@ashlar/transport'
import { type Credential, fopProgram, type Procedure } from '@ashlar/wire'
import { credentialOf } from './caller.ts'
import type { Collected } from './compound.ts'
import type { Cookies } from './cookies.ts'
import type { ClientOptions } from './options.ts'
import type { Peer } from './peer.ts'
import { type RemoteFd, RemoteFds } from './remote-fd.ts'

/** What every reply of program 400 begins with. */
interface Head {
  readonly ret: number
  readonly errno: number
  readonly xdata?: Dict | undefined
}

/** `__O_SYNC`: Linux's O_SYNC has this bit more than `GF_O_SYNC` of the wire. */
const SYNC_EXTRA = OpenFlag.SYNC & ~OpenFlag.DSYNC

/** Open flags as the wire has them (rpc/xdr/src/glusterfs3.h). */
export function openFlagsToWire(flags: number): number {
  return flags & ~SYNC_EXTRA
}

export class Link {
  readonly peer: Peer
  readonly cookies: Cookies
  readonly fds: RemoteFds
  readonly self: XlatorSelf<ClientOptions>
  /** While the steps of a compound are gathered: calls are not sent, but put here. */
  collecting: Collected | undefined

  constructor(self: XlatorSelf<ClientOptions>, peer: Peer, cookies: Cookies) {
    this.self = self
    this.peer = peer
    this.cookies = cookies
    this.fds = new RemoteFds(self.contextKey() as ContextKey<RemoteFd>)
  }

  /** Calls a fop; a reply with op_ret −1 comes back as a failure. */
  async call<Q, R extends Head>(row: Procedure<Q, R>, ctx: Ctx, args: Q): Promise<R | Failure> {
    const { peer } = this
    if (!peer.ready) return NOT_CONNECTED
    const reply = await (this.collecting?.add(row, ctx, args) ??
      peer.rpc.call(fopProgram, row, args, this.credential(ctx), ctx.lazy))
    if ('ok' in reply) return reply
    return reply.ret < 0 ? failure(reply.errno, reply.xdata) : reply
  }

  credential(ctx: Ctx): Credential {
    return credentialOf(ctx, this.self.options['send-gids'])
  }

  /** The fd's number on the brick, or why it cannot be used. */
  fdNumber(fd: Fd): number | Failure {
    const opening = this.collecting?.fdOf(fd)
    if (opening !== undefined) return opening
    const remote = this.fds.get(fd)
    if (remote?.locksLost === true && this.self.options['strict-locks']) {
      return failure(Errno.EBADFD)
    }
    return this.fds.numberOf(fd)
  }
}

/** The object's gfid, from the loc or its inode. */
export function gfidOf(loc: Loc): Gfid {
  return loc.gfid === NULL_GFID ? loc.inode.gfid : loc.gfid
}

export function parentGfidOf(loc: Loc): Gfid {
  return loc.pargfid === NULL_GFID && loc.parent !== undefined ? loc.parent.gfid : loc.pargfid
}
