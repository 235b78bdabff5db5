/**
 * Fops on entries of directories, and lookup.
 */

import { Errno, failure, type Fops, NULL_GFID } from '@ashlar/core'
import { fopProgram } from '@ashlar/wire'
import { gfidOf, type Link, openFlagsToWire, parentGfidOf } from './link.ts'
import { RemoteFd } from './remote-fd.ts'

const P = fopProgram.procedures

type EntryFops = Pick<
  Fops,
  'lookup' | 'mknod' | 'mkdir' | 'symlink' | 'create' | 'link' | 'unlink' | 'rmdir' | 'rename'
>

/** The fops of the entry family over one link. */
export function entryFops(link: Link): EntryFops {
  return {
    async lookup(ctx, { loc, xdata }) {
      const gfid = gfidOf(loc)
      const pargfid = loc.name === '' ? NULL_GFID : parentGfidOf(loc)
      if (gfid === NULL_GFID && pargfid === NULL_GFID) return failure(Errno.EINVAL)
      const reply = await link.call(P.LOOKUP, ctx, {
        gfid,
        pargfid,
        flags: 0,
        name: loc.name,
        xdata,
      })
      if ('ok' in reply) return reply
      const { stat, postparent } = reply
      // Another file stands there now: what we know under that name is not it.
      const known = loc.inode.gfid
      if (known !== NULL_GFID && known !== stat.gfid) return failure(Errno.ESTALE, reply.xdata)
      return { ok: true, xdata: reply.xdata, stat, postparent }
    },

    async mknod(ctx, { loc, mode, rdev, umask, xdata }) {
      const pargfid = parentGfidOf(loc)
      const reply = await link.call(P.MKNOD, ctx, {
        pargfid,
        rdev,
        mode,
        umask,
        name: loc.name,
        xdata,
      })
      if ('ok' in reply) return reply
      const { stat, preparent, postparent } = reply
      return { ok: true, xdata: reply.xdata, stat, preparent, postparent }
    },

    async mkdir(ctx, { loc, mode, umask, xdata }) {
      const pargfid = parentGfidOf(loc)
      const reply = await link.call(P.MKDIR, ctx, { pargfid, mode, umask, name: loc.name, xdata })
      if ('ok' in reply) return reply
      const { stat, preparent, postparent } = reply
      return { ok: true, xdata: reply.xdata, stat, preparent, postparent }
    },

    async symlink(ctx, { loc, target, umask, xdata }) {
      const pargfid = parentGfidOf(loc)
      const reply = await link.call(P.SYMLINK, ctx, {
        pargfid,
        name: loc.name,
        umask,
        target,
        xdata,
      })
      if ('ok' in reply) return reply
      const { stat, preparent, postparent } = reply
      return { ok: true, xdata: reply.xdata, stat, preparent, postparent }
    },

    async create(ctx, { loc, fd, flags, mode, umask, xdata }) {
      const reply = await link.call(P.CREATE, ctx, {
        pargfid: parentGfidOf(loc),
        flags: openFlagsToWire(flags),
        mode,
        umask,
        name: loc.name,
        xdata,
      })
      if ('ok' in reply) return reply
      const { stat, preparent, postparent } = reply
      link.fds.add(fd, new RemoteFd(stat.gfid, reply.fd, flags, false))
      return { ok: true, xdata: reply.xdata, stat, preparent, postparent }
    },

    async link(ctx, { oldloc, newloc, xdata }) {
      const reply = await link.call(P.LINK, ctx, {
        oldgfid: gfidOf(oldloc),
        newpargfid: parentGfidOf(newloc),
        newname: newloc.name,
        xdata,
      })
      if ('ok' in reply) return reply
      const { stat, preparent, postparent } = reply
      return { ok: true, xdata: reply.xdata, stat, preparent, postparent }
    },

    async unlink(ctx, { loc, xflags, xdata }) {
      const pargfid = parentGfidOf(loc)
      const reply = await link.call(P.UNLINK, ctx, { pargfid, name: loc.name, xflags, xdata })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, preparent: prestat, postparent: poststat }
    },

    async rmdir(ctx, { loc, xflags, xdata }) {
      const pargfid = parentGfidOf(loc)
      const reply = await link.call(P.RMDIR, ctx, { pargfid, xflags, name: loc.name, xdata })
      if ('ok' in reply) return reply
      const { prestat, poststat } = reply
      return { ok: true, xdata: reply.xdata, preparent: prestat, postparent: poststat }
    },

    async rename(ctx, { oldloc, newloc, xdata }) {
      const reply = await link.call(P.RENAME, ctx, {
        oldpargfid: parentGfidOf(oldloc),
        newpargfid: parentGfidOf(newloc),
        oldname: oldloc.name,
        newname: newloc.name,
        xdata,
      })
      if ('ok' in reply) return reply
      const { stat, preoldparent, postoldparent, prenewparent, postnewparent } = reply
      return {
        ok: true,
        xdata: reply.xdata,
        stat,
        preoldparent,
        postoldparent,
        prenewparent,
        postnewparent,
      }
    },
  }
}
