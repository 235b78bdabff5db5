/**
 * Fops on open files and directories. An fd that is not open on this brick goes as "anonymous":
 * the brick then takes the gfid.
 */

import { Dict, Errno, failure, type Fops, LOCK_INFO } from '@ashlar/core'
import type { Recyclable } from '@ashlar/transport'
import { fopProgram } from '@ashlar/wire'
import type { Link } from './link.ts'
import { appendsUnopened, openLate } from './recovery.ts'

const P = fopProgram.procedures

type FdFops = Pick<
  Fops,
  | 'fstat'
  | 'readv'
  | 'writev'
  | 'flush'
  | 'fsync'
  | 'fsyncdir'
  | 'ftruncate'
  | 'fsetattr'
  | 'fsetxattr'
  | 'fgetxattr'
  | 'fremovexattr'
  | 'fxattrop'
  | 'readdir'
  | 'readdirp'
  | 'rchecksum'
  | 'fallocate'
  | 'discard'
  | 'zerofill'
  | 'seek'
  | 'copy_file_range'
>

/** The fops of the fd family over one link. */
export function fdFops(link: Link): FdFops {
  const { cookies } = link
  return {
    async fstat(ctx, { fd, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const reply = await link.call(P.FSTAT, ctx, { gfid: fd.inode.gfid, fd: number, xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, stat: reply.stat }
    },

    async readv(ctx, { fd, size, offset, flags, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.READ, ctx, { gfid, fd: number, offset, size, flags, xdata })
      if ('ok' in reply) return reply
      const { data, stat, errno } = reply
      // The data are whatever follows the header: a brick that says another length is not believed.
      if (data.length !== reply.ret) return failure(Errno.EIO)
      const { done } = reply as Recyclable
      return { ok: true, xdata: reply.xdata, data, stat, eof: errno === Errno.ENOENT, done }
    },

    async writev(ctx, { fd, data, offset, flags, xdata }) {
      // In a compound that has been seen to.
      if (link.collecting === undefined && appendsUnopened(link, fd)) {
        const refused = await openLate(link, fd)
        if (refused !== 0) return failure(refused)
      }
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const size = data.length
      const reply = await link.call(P.WRITE, ctx, {
        gfid,
        fd: number,
        offset,
        size,
        flags,
        xdata,
        data,
      })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat, written: reply.ret }
    },

    async flush(ctx, { fd, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      // All that it does on a brick of ours is to end the owner's locks.
      if (link.peer.compounds && !link.fds.mayHoldLocks(fd)) return { ok: true }
      const reply = await link.call(P.FLUSH, ctx, { gfid: fd.inode.gfid, fd: number, xdata })
      link.fds.closedBy(fd, ctx.lkOwner)
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async fsync(ctx, { fd, datasync, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const reply = await link.call(P.FSYNC, ctx, {
        gfid: fd.inode.gfid,
        fd: number,
        datasync: datasync ? 1 : 0,
        xdata,
      })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat }
    },

    async fsyncdir(ctx, { fd, datasync, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const reply = await link.call(P.FSYNCDIR, ctx, {
        gfid: fd.inode.gfid,
        fd: number,
        datasync: datasync ? 1 : 0,
        xdata,
      })
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async ftruncate(ctx, { fd, offset, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.FTRUNCATE, ctx, { gfid, fd: number, offset, xdata })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat }
    },

    async fsetattr(ctx, { fd, stat, valid, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.FSETATTR, ctx, { gfid, fd: number, stat, valid, xdata })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat }
    },

    async fsetxattr(ctx, { fd, dict, flags, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      if (dict.has(LOCK_INFO)) link.fds.asksForLock(fd)
      const { gfid } = fd.inode
      const reply = await link.call(P.FSETXATTR, ctx, { gfid, fd: number, flags, dict, xdata })
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async fgetxattr(ctx, { fd, name, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const named = name === '' ? 0 : 1
      const reply = await link.call(P.FGETXATTR, ctx, { gfid, fd: number, named, name, xdata })
      if ('ok' in reply) return reply
      if (name === LOCK_INFO) link.fds.handsOn(fd)
      return { ok: true, xdata: reply.xdata, dict: reply.dict ?? new Dict() }
    },

    async fremovexattr(ctx, { fd, name, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.FREMOVEXATTR, ctx, { gfid, fd: number, name, xdata })
      return 'ok' in reply ? reply : { ok: true, xdata: reply.xdata }
    },

    async fxattrop(ctx, { fd, op, dict, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.FXATTROP, ctx, { gfid, fd: number, op, dict, xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, dict: reply.dict ?? new Dict() }
    },

    async readdir(ctx, { fd, size, offset, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const reply = await link.call(P.READDIR, ctx, {
        gfid: fd.inode.gfid,
        fd: number,
        offset: cookies.decode(offset),
        size,
        xdata,
      })
      if ('ok' in reply) return reply
      const entries = reply.entries.map(each => ({
        name: each.name,
        ino: each.ino,
        offset: cookies.encode(each.offset),
        type: each.type,
      }))
      return { ok: true, xdata: reply.xdata, entries, eof: reply.errno === Errno.ENOENT }
    },

    async readdirp(ctx, { fd, size, offset, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const reply = await link.call(P.READDIRP, ctx, {
        gfid: fd.inode.gfid,
        fd: number,
        offset: cookies.decode(offset),
        size,
        xdata,
      })
      if ('ok' in reply) return reply
      const entries = reply.entries.map(each => ({
        name: each.name,
        ino: each.ino,
        offset: cookies.encode(each.offset),
        type: each.type,
        stat: each.stat,
        dict: each.dict,
      }))
      return { ok: true, xdata: reply.xdata, entries, eof: reply.errno === Errno.ENOENT }
    },

    async rchecksum(ctx, { fd, offset, length, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.RCHECKSUM, ctx, {
        gfid,
        fd: number,
        offset,
        length,
        flags: 0,
        xdata,
      })
      if ('ok' in reply) return reply
      const { flags, weak, strong } = reply
      return { ok: true, xdata: reply.xdata, flags, weak, strong }
    },

    async fallocate(ctx, { fd, flags, offset, length, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.FALLOCATE, ctx, {
        gfid,
        fd: number,
        flags,
        offset,
        size: length,
        xdata,
      })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat }
    },

    async discard(ctx, { fd, offset, length, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.DISCARD, ctx, {
        gfid,
        fd: number,
        offset,
        size: length,
        xdata,
      })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat }
    },

    async zerofill(ctx, { fd, offset, length, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.ZEROFILL, ctx, {
        gfid,
        fd: number,
        offset,
        size: length,
        xdata,
      })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, prestat, poststat }
    },

    async seek(ctx, { fd, offset, what, xdata }) {
      const number = link.fdNumber(fd)
      if (typeof number !== 'number') return number
      const { gfid } = fd.inode
      const reply = await link.call(P.SEEK, ctx, { gfid, fd: number, offset, what, xdata })
      if ('ok' in reply) return reply
      return { ok: true, xdata: reply.xdata, offset: reply.offset }
    },

    async copy_file_range(ctx, args) {
      const { source, sourceOffset, target, targetOffset, length, flags, xdata } = args
      const sourceFd = link.fdNumber(source)
      if (typeof sourceFd !== 'number') return sourceFd
      const targetFd = link.fdNumber(target)
      if (typeof targetFd !== 'number') return targetFd
      const reply = await link.call(P.COPY_FILE_RANGE, ctx, {
        sourceGfid: source.inode.gfid,
        targetGfid: target.inode.gfid,
        sourceFd,
        targetFd,
        sourceOffset,
        targetOffset,
        length,
        flags,
        xdata,
      })
      if ('ok' in reply) return reply
      const { stat, prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, copied: reply.ret, stat, prestat, poststat }
    },
  }
}
