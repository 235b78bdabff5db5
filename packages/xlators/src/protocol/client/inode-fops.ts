/**
 * Fops on an inode by its gfid: attributes, extended attributes, opening, and the rarer ones.
 */

import { Dict, Errno, failure, type Fops, NULL_GFID, OpenFlag, ROOT_GFID } from '@ashlar/core'
import { fopProgram } from '@ashlar/wire'
import { gfidOf, type Link, openFlagsToWire } from './link.ts'
import { RemoteFd } from './remote-fd.ts'

const P = fopProgram.procedures

type InodeFops = Pick<
  Fops,
  | 'stat'
  | 'access'
  | 'readlink'
  | 'open'
  | 'opendir'
  | 'truncate'
  | 'statfs'
  | 'setattr'
  | 'setxattr'
  | 'getxattr'
  | 'removexattr'
  | 'xattrop'
  | 'ipc'
  | 'lease'
  | 'getactivelk'
  | 'setactivelk'
>

/** The fops of the inode family over one link. */
export function inodeFops(link: Link): InodeFops {
  return {
    async stat(ctx, { loc, xdata }) {
      const gfid = gfidOf(loc)
      if (gfid === NULL_GFID) return failure(Errno.EINVAL)
      const reply = await link.call(P.STAT, ctx, { gfid, xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, stat: reply.stat }
    },

    async access(ctx, { loc, mask, xdata }) {
      const reply = await link.call(P.ACCESS, ctx, { gfid: gfidOf(loc), mask, xdata })
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async readlink(ctx, { loc, size, xdata }) {
      const reply = await link.call(P.READLINK, ctx, { gfid: gfidOf(loc), size, xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, stat: reply.stat, target: reply.target }
    },

    async open(ctx, { loc, fd, flags, xdata }) {
      const gfid = gfidOf(loc)
      const reply = await link.call(P.OPEN, ctx, { gfid, flags: openFlagsToWire(flags), xdata })
      if ('ok' in reply) return reply
      link.fds.add(fd, new RemoteFd(gfid, reply.fd, flags, false))
      return { ok: true, xdata: reply.xdata }
    },

    async opendir(ctx, { loc, fd, xdata }) {
      const gfid = gfidOf(loc)
      const reply = await link.call(P.OPENDIR, ctx, { gfid, xdata })
      if ('ok' in reply) return reply
      link.fds.add(fd, new RemoteFd(gfid, reply.fd, OpenFlag.RDONLY, true))
      return { ok: true, xdata: reply.xdata }
    },

    async truncate(ctx, { loc, offset, xdata }) {
      const reply = await link.call(P.TRUNCATE, ctx, { gfid: gfidOf(loc), offset, xdata })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat }
    },

    async statfs(ctx, { loc, xdata }) {
      const gfid = gfidOf(loc)
      const reply = await link.call(P.STATFS, ctx, {
        gfid: gfid === NULL_GFID ? ROOT_GFID : gfid,
        xdata,
      })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, statfs: reply.statfs }
    },

    async setattr(ctx, { loc, stat, valid, xdata }) {
      const reply = await link.call(P.SETATTR, ctx, { gfid: gfidOf(loc), stat, valid, xdata })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat }
    },

    async setxattr(ctx, { loc, dict, flags, xdata }) {
      const reply = await link.call(P.SETXATTR, ctx, { gfid: gfidOf(loc), flags, dict, xdata })
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async getxattr(ctx, { loc, name, xdata }) {
      const named = name === '' ? 0 : 1
      const reply = await link.call(P.GETXATTR, ctx, { gfid: gfidOf(loc), named, name, xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, dict: reply.dict ?? new Dict() }
    },

    async removexattr(ctx, { loc, name, xdata }) {
      const reply = await link.call(P.REMOVEXATTR, ctx, { gfid: gfidOf(loc), name, xdata })
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async xattrop(ctx, { loc, op, dict, xdata }) {
      const reply = await link.call(P.XATTROP, ctx, { gfid: gfidOf(loc), op, dict, xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, dict: reply.dict ?? new Dict() }
    },

    async ipc(ctx, { op, xdata }) {
      const reply = await link.call(P.IPC, ctx, { op, xdata })
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async lease(ctx, { loc, lease, xdata }) {
      const reply = await link.call(P.LEASE, ctx, { gfid: gfidOf(loc), lease, xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, lease: reply.lease }
    },

    async getactivelk(ctx, { loc, xdata }) {
      const reply = await link.call(P.GETACTIVELK, ctx, { gfid: gfidOf(loc), xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, locks: reply.locks }
    },

    async setactivelk(ctx, { loc, locks, xdata }) {
      const reply = await link.call(P.SETACTIVELK, ctx, { gfid: gfidOf(loc), locks, xdata })
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },
  }
}
