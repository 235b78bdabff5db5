/**
 * The fops that a client may ask for: a handler per procedure, each turning the structure of the
 * wire into a fop of the brick and its reply back.
 */

import {
  type Ctx,
  Dict,
  direntType,
  EMPTY_IATT,
  Errno,
  type Failure,
  failure,
  type Flock,
  type Iatt,
  nameByteLength,
  NULL_GFID,
  ROOT_GFID,
} from '@ashlar/core'
import { type AnyProcedure, fopProgram, type Procedure } from '@ashlar/wire'
import { type Brick, openFlagsFromWire } from './brick.ts'
import * as replies from './replies.ts'
import type { Session } from './session.ts'

export interface Request<Q> {
  readonly brick: Brick
  readonly session: Session
  readonly ctx: Ctx
  readonly args: Q
}

/** Gives the reply's structure, or the failure that the row is then filled with. */
export type Handler = (request: Request<never>) => Promise<object | Failure>

const handlers: (Handler | undefined)[] = []

function on<Q, R extends object>(
  row: Procedure<Q, R>,
  handler: (request: Request<Q>) => Promise<Omit<R, never> | Failure>,
): void {
  handlers[row.num] = handler as Handler
}

/** The handler of a procedure; undefined for those that do not become fops. */
export function handlerOf(row: AnyProcedure): Handler | undefined {
  return handlers[row.num]
}

const P = fopProgram.procedures
const EMPTY_DICT = new Dict()

/** Attributes as the client sees them. */
function show(session: Session, stat: Iatt): Iatt {
  return session.outward(stat)
}

on(P.LOOKUP, async ({ brick, session, ctx, args }) => {
  const { xdata } = args
  // libgfapi looks up `.` by this name: it is the directory itself.
  const self = args.name === '.' && args.pargfid !== NULL_GFID
  if (args.name === '' || self) {
    return brick.onInode(session, self ? args.pargfid : args.gfid, async loc => {
      const reply = await brick.child.lookup(ctx, { loc, xdata })
      if (!reply.ok) return reply
      if (loc.inode.type === 0) loc.inode.type = reply.stat.type
      return {
        ret: 0,
        errno: 0,
        xdata: reply.xdata,
        stat: show(session, reply.stat),
        postparent: show(session, reply.postparent),
      }
    })
  }
  return brick.onEntry(session, args.pargfid, args.name, async loc => {
    const reply = await brick.child.lookup(ctx, { loc, xdata })
    if (!reply.ok) return reply
    brick.learn(loc, reply.stat)
    return {
      ret: 0,
      errno: 0,
      xdata: reply.xdata,
      stat: show(session, reply.stat),
      postparent: show(session, reply.postparent),
    }
  })
})

on(P.STAT, ({ brick, session, ctx, args: { gfid, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.stat(session, await brick.child.stat(ctx, { loc, xdata })),
  ),
)
on(P.FSTAT, ({ brick, session, ctx, args: { gfid, fd: number, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.stat(session, await brick.child.fstat(ctx, { fd, xdata })),
  ),
)
on(P.ACCESS, ({ brick, session, ctx, args: { gfid, mask, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.common(await brick.child.access(ctx, { loc, mask, xdata })),
  ),
)
on(P.READLINK, ({ brick, session, ctx, args: { gfid, size, xdata } }) =>
  brick.onInode(session, gfid, async loc => {
    const reply = await brick.child.readlink(ctx, { loc, size, xdata })
    if (!reply.ok) return reply
    return {
      ret: nameByteLength(reply.target),
      errno: 0,
      xdata: reply.xdata,
      stat: show(session, reply.stat),
      target: reply.target,
    }
  }),
)

on(P.MKNOD, ({ brick, session, ctx, args: { pargfid, name, mode, rdev, umask, xdata } }) =>
  brick.onEntry(session, pargfid, name, async loc => {
    const reply = await brick.child.mknod(ctx, { loc, mode, rdev, umask, xdata })
    if (reply.ok) brick.learn(loc, reply.stat)
    return replies.entry(session, reply)
  }),
)
on(P.MKDIR, ({ brick, session, ctx, args: { pargfid, name, mode, umask, xdata } }) =>
  brick.onEntry(session, pargfid, name, async loc => {
    const reply = await brick.child.mkdir(ctx, { loc, mode, umask, xdata })
    if (reply.ok) brick.learn(loc, reply.stat)
    return replies.entry(session, reply)
  }),
)
on(P.SYMLINK, ({ brick, session, ctx, args: { pargfid, name, target, umask, xdata } }) =>
  brick.onEntry(session, pargfid, name, async loc => {
    const reply = await brick.child.symlink(ctx, { loc, target, umask, xdata })
    if (reply.ok) brick.learn(loc, reply.stat)
    return replies.entry(session, reply)
  }),
)
on(P.UNLINK, ({ brick, session, ctx, args: { pargfid, name, xflags, xdata } }) =>
  brick.onEntry(session, pargfid, name, async loc =>
    replies.parents(session, await brick.child.unlink(ctx, { loc, xflags, xdata })),
  ),
)
on(P.RMDIR, ({ brick, session, ctx, args: { pargfid, name, xflags, xdata } }) =>
  brick.onEntry(session, pargfid, name, async loc =>
    replies.parents(session, await brick.child.rmdir(ctx, { loc, xflags, xdata })),
  ),
)
on(P.LINK, ({ brick, session, ctx, args: { oldgfid, newpargfid, newname, xdata } }) =>
  brick.onInode(session, oldgfid, oldloc =>
    brick.onEntry(session, newpargfid, newname, async newloc => {
      const reply = await brick.child.link(ctx, { oldloc, newloc, xdata })
      if (reply.ok) brick.learn(newloc, reply.stat)
      return replies.entry(session, reply)
    }),
  ),
)
on(P.RENAME, ({ brick, session, ctx, args }) =>
  brick.onEntry(session, args.oldpargfid, args.oldname, oldloc =>
    brick.onEntry(session, args.newpargfid, args.newname, async newloc => {
      const reply = await brick.child.rename(ctx, { oldloc, newloc, xdata: args.xdata })
      if (!reply.ok) return reply
      brick.learn(oldloc, reply.stat)
      return {
        ret: 0,
        errno: 0,
        xdata: reply.xdata,
        stat: show(session, reply.stat),
        preoldparent: show(session, reply.preoldparent),
        postoldparent: show(session, reply.postoldparent),
        prenewparent: show(session, reply.prenewparent),
        postnewparent: show(session, reply.postnewparent),
      }
    }),
  ),
)

on(P.CREATE, ({ brick, session, ctx, args: { pargfid, name, mode, umask, xdata, flags } }) =>
  brick.onEntry(session, pargfid, name, async loc => {
    const wanted = openFlagsFromWire(flags)
    const fd = brick.newFd(loc.inode, wanted, ctx)
    const reply = await brick.child.create(ctx, { loc, fd, flags: wanted, mode, umask, xdata })
    if (!reply.ok) {
      fd.unref()
      return reply
    }
    const inode = loc.learn(reply.stat.gfid, reply.stat.type)
    if (inode !== undefined && inode !== fd.inode) fd.moveTo(inode)
    const number = session.keep(fd)
    if (number === undefined) return failure(Errno.EMFILE)
    return {
      ret: 0,
      errno: 0,
      xdata: reply.xdata,
      stat: show(session, reply.stat),
      fd: number,
      preparent: show(session, reply.preparent),
      postparent: show(session, reply.postparent),
    }
  }),
)
on(P.OPEN, ({ brick, session, ctx, args: { gfid, flags, xdata } }) =>
  brick.onInode(session, gfid, async loc => {
    const wanted = openFlagsFromWire(flags)
    const fd = brick.newFd(loc.inode, wanted, ctx)
    const reply = await brick.child.open(ctx, { loc, fd, flags: wanted, xdata })
    if (!reply.ok) {
      fd.unref()
      return reply
    }
    const number = session.keep(fd)
    if (number === undefined) return failure(Errno.EMFILE)
    return { ret: 0, errno: 0, xdata: reply.xdata, fd: number }
  }),
)
on(P.OPENDIR, ({ brick, session, ctx, args: { gfid, xdata } }) =>
  brick.onInode(session, gfid, async loc => {
    const fd = brick.newFd(loc.inode, 0, ctx)
    const reply = await brick.child.opendir(ctx, { loc, fd, xdata })
    if (!reply.ok) {
      fd.unref()
      return reply
    }
    const number = session.keep(fd)
    if (number === undefined) return failure(Errno.EMFILE)
    return { ret: 0, errno: 0, xdata: reply.xdata, fd: number }
  }),
)
function release({ session, args }: Request<{ fd: number }>): Promise<object> {
  session.fds.remove(args.fd)?.unref()
  return Promise.resolve({ ret: 0, errno: 0, xdata: EMPTY_DICT })
}
on(P.RELEASE, release as never)
on(P.RELEASEDIR, release as never)

on(P.READ, ({ brick, session, ctx, args: { gfid, fd: number, size, offset, flags, xdata } }) =>
  brick.onFd(session, number, gfid, async fd => {
    const reply = await brick.child.readv(ctx, { fd, size, offset, flags, xdata })
    if (!reply.ok) return reply
    const { length } = reply.data
    return {
      ret: length,
      errno: replies.endErrno(reply.eof),
      stat: show(session, reply.stat),
      size: length,
      xdata: reply.xdata,
      data: reply.data,
      done: reply.done,
    }
  }),
)
on(P.WRITE, ({ brick, session, ctx, args }) => {
  const { gfid, fd: number, offset, flags, xdata, data, size } = args
  if (data.length !== size) return Promise.resolve(failure(Errno.EINVAL))
  return brick.onFd(session, number, gfid, async fd => {
    const reply = await brick.child.writev(ctx, { fd, data, offset, flags, xdata })
    return replies.change(session, reply, reply.ok ? reply.written : 0)
  })
})
on(P.FLUSH, ({ brick, session, ctx, args: { gfid, fd: number, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.common(await brick.child.flush(ctx, { fd, xdata })),
  ),
)
on(P.FSYNC, ({ brick, session, ctx, args: { gfid, fd: number, datasync, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.change(
      session,
      await brick.child.fsync(ctx, { fd, datasync: (datasync & 1) === 1, xdata }),
    ),
  ),
)
on(P.FSYNCDIR, ({ brick, session, ctx, args: { gfid, fd: number, datasync, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.common(await brick.child.fsyncdir(ctx, { fd, datasync: (datasync & 1) === 1, xdata })),
  ),
)
on(P.TRUNCATE, ({ brick, session, ctx, args: { gfid, offset, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.change(session, await brick.child.truncate(ctx, { loc, offset, xdata })),
  ),
)
on(P.FTRUNCATE, ({ brick, session, ctx, args: { gfid, fd: number, offset, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.change(session, await brick.child.ftruncate(ctx, { fd, offset, xdata })),
  ),
)
on(P.STATFS, ({ brick, session, ctx, args: { gfid, xdata } }) =>
  brick.onInode(session, gfid === NULL_GFID ? ROOT_GFID : gfid, async loc => {
    const reply = await brick.child.statfs(ctx, { loc, xdata })
    if (!reply.ok) return reply
    return { ret: 0, errno: 0, xdata: reply.xdata, statfs: reply.statfs }
  }),
)
on(P.SETATTR, ({ brick, session, ctx, args: { gfid, stat, valid, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.change(session, await brick.child.setattr(ctx, { loc, stat, valid, xdata })),
  ),
)
on(P.FSETATTR, ({ brick, session, ctx, args: { gfid, fd: number, stat, valid, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.change(session, await brick.child.fsetattr(ctx, { fd, stat, valid, xdata })),
  ),
)

on(P.SETXATTR, ({ brick, session, ctx, args: { gfid, flags, dict = EMPTY_DICT, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.common(await brick.child.setxattr(ctx, { loc, dict, flags, xdata })),
  ),
)
on(
  P.FSETXATTR,
  ({ brick, session, ctx, args: { gfid, fd: number, flags, dict = EMPTY_DICT, xdata } }) =>
    brick.onFd(session, number, gfid, async fd =>
      replies.common(await brick.child.fsetxattr(ctx, { fd, dict, flags, xdata })),
    ),
)
on(P.GETXATTR, ({ brick, session, ctx, args: { gfid, named, name, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.dict(
      await brick.child.getxattr(ctx, { loc, name: named === 0 ? '' : name, xdata }),
      EMPTY_IATT,
      true,
    ),
  ),
)
on(P.FGETXATTR, ({ brick, session, ctx, args: { gfid, fd: number, named, name, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.dict(
      await brick.child.fgetxattr(ctx, { fd, name: named === 0 ? '' : name, xdata }),
      EMPTY_IATT,
      true,
    ),
  ),
)
on(P.REMOVEXATTR, ({ brick, session, ctx, args: { gfid, name, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.common(await brick.child.removexattr(ctx, { loc, name, xdata })),
  ),
)
on(P.FREMOVEXATTR, ({ brick, session, ctx, args: { gfid, fd: number, name, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.common(await brick.child.fremovexattr(ctx, { fd, name, xdata })),
  ),
)
on(P.XATTROP, ({ brick, session, ctx, args: { gfid, op, dict = EMPTY_DICT, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.dict(await brick.child.xattrop(ctx, { loc, op, dict, xdata }), EMPTY_IATT, false),
  ),
)
on(P.FXATTROP, ({ brick, session, ctx, args }) => {
  const { gfid, fd: number, op, dict = EMPTY_DICT, xdata } = args
  return brick.onFd(session, number, gfid, async fd =>
    replies.dict(await brick.child.fxattrop(ctx, { fd, op, dict, xdata }), EMPTY_IATT, false),
  )
})

on(P.READDIR, ({ brick, session, ctx, args: { gfid, fd: number, size, offset, xdata } }) =>
  brick.onFd(session, number, gfid, async fd => {
    const reply = await brick.child.readdir(ctx, { fd, size, offset, xdata })
    if (!reply.ok) return reply
    return {
      ret: reply.entries.length,
      errno: replies.endErrno(reply.eof),
      xdata: reply.xdata,
      entries: reply.entries.map(each => ({ ...each, length: nameByteLength(each.name) })),
    }
  }),
)
on(P.READDIRP, ({ brick, session, ctx, args: { gfid, fd: number, size, offset, xdata } }) =>
  brick.onFd(session, number, gfid, async fd => {
    const reply = await brick.child.readdirp(ctx, { fd, size, offset, xdata })
    if (!reply.ok) return reply
    return {
      ret: reply.entries.length,
      errno: replies.endErrno(reply.eof),
      xdata: reply.xdata,
      entries: reply.entries.map(each => ({
        ino: each.ino,
        offset: each.offset,
        length: nameByteLength(each.name),
        type: each.type === 0 ? direntType(each.stat.mode) : each.type,
        name: each.name,
        stat: show(session, each.stat),
        dict: each.dict,
      })),
    }
  }),
)

/** The owner is the credential's, the type the outer one (`server4_lk`, server-rpc-fops_v2.c). */
function flockOf(ctx: Ctx, type: number, flock: Flock): Flock {
  const { whence, start, len, pid } = flock
  return { type, whence, start, len, pid, lkOwner: ctx.lkOwner }
}

on(P.LK, ({ brick, session, ctx, args }) =>
  brick.onFd(session, args.fd, args.gfid, async fd => {
    const flock = flockOf(ctx, args.type, args.flock)
    const reply = await brick.child.lk(ctx, {
      fd,
      command: args.command,
      flock,
      xdata: args.xdata,
    })
    if (!reply.ok) return reply
    return { ret: 0, errno: 0, xdata: reply.xdata, flock: reply.flock }
  }),
)
on(P.INODELK, ({ brick, session, ctx, args }) =>
  brick.onInode(session, args.gfid, async loc => {
    const { domain, command, xdata } = args
    const flock = flockOf(ctx, args.type, args.flock)
    return replies.common(await brick.child.inodelk(ctx, { loc, domain, command, flock, xdata }))
  }),
)
on(P.FINODELK, ({ brick, session, ctx, args }) =>
  brick.onFd(session, args.fd, args.gfid, async fd => {
    const { domain, command, xdata } = args
    const flock = flockOf(ctx, args.type, args.flock)
    return replies.common(await brick.child.finodelk(ctx, { fd, domain, command, flock, xdata }))
  }),
)
on(P.ENTRYLK, ({ brick, session, ctx, args }) =>
  brick.onInode(session, args.gfid, async loc => {
    const { domain, command, type, xdata } = args
    const name = args.named === 0 ? undefined : args.name
    return replies.common(
      await brick.child.entrylk(ctx, { loc, domain, name, command, type, xdata }),
    )
  }),
)
on(P.FENTRYLK, ({ brick, session, ctx, args }) =>
  brick.onFd(session, args.fd, args.gfid, async fd => {
    const { domain, command, type, xdata } = args
    const name = args.named === 0 ? undefined : args.name
    return replies.common(
      await brick.child.fentrylk(ctx, { fd, domain, name, command, type, xdata }),
    )
  }),
)

on(P.RCHECKSUM, ({ brick, session, ctx, args: { gfid, fd: number, offset, length, xdata } }) =>
  brick.onFd(session, number, gfid, async fd => {
    const reply = await brick.child.rchecksum(ctx, { fd, offset, length, xdata })
    if (!reply.ok) return reply
    const { flags, weak, strong } = reply
    return { ret: 0, errno: 0, xdata: reply.xdata, flags, weak, strong }
  }),
)
on(P.FALLOCATE, ({ brick, session, ctx, args: { gfid, fd: number, flags, offset, size, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.change(
      session,
      await brick.child.fallocate(ctx, { fd, flags, offset, length: size, xdata }),
    ),
  ),
)
on(P.DISCARD, ({ brick, session, ctx, args: { gfid, fd: number, offset, size, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.change(session, await brick.child.discard(ctx, { fd, offset, length: size, xdata })),
  ),
)
on(P.ZEROFILL, ({ brick, session, ctx, args: { gfid, fd: number, offset, size, xdata } }) =>
  brick.onFd(session, number, gfid, async fd =>
    replies.change(session, await brick.child.zerofill(ctx, { fd, offset, length: size, xdata })),
  ),
)
on(P.SEEK, ({ brick, session, ctx, args: { gfid, fd: number, offset, what, xdata } }) =>
  brick.onFd(session, number, gfid, async fd => {
    const reply = await brick.child.seek(ctx, { fd, offset, what, xdata })
    if (!reply.ok) return reply
    return { ret: 0, errno: 0, xdata: reply.xdata, offset: reply.offset }
  }),
)
on(P.COPY_FILE_RANGE, ({ brick, session, ctx, args }) =>
  brick.onFd(session, args.sourceFd, args.sourceGfid, source =>
    brick.onFd(session, args.targetFd, args.targetGfid, async target => {
      const { sourceOffset, targetOffset, length, flags, xdata } = args
      const reply = await brick.child.copy_file_range(ctx, {
        source,
        sourceOffset,
        target,
        targetOffset,
        length,
        flags,
        xdata,
      })
      if (!reply.ok) return reply
      return {
        ret: reply.copied,
        errno: 0,
        xdata: reply.xdata,
        stat: show(session, reply.stat),
        prestat: show(session, reply.prestat),
        poststat: show(session, reply.poststat),
      }
    }),
  ),
)
on(P.IPC, async ({ brick, ctx, args: { op, xdata } }) =>
  replies.common(await brick.child.ipc(ctx, { op, xdata })),
)
on(P.LEASE, ({ brick, session, ctx, args: { gfid, lease, xdata } }) =>
  brick.onInode(session, gfid, async loc => {
    const reply = await brick.child.lease(ctx, { loc, lease, xdata })
    if (!reply.ok) return reply
    return { ret: 0, errno: 0, xdata: reply.xdata, lease: reply.lease }
  }),
)
on(P.GETACTIVELK, ({ brick, session, ctx, args: { gfid, xdata } }) =>
  brick.onInode(session, gfid, async loc => {
    const reply = await brick.child.getactivelk(ctx, { loc, xdata })
    if (!reply.ok) return reply
    return { ret: reply.locks.length, errno: 0, xdata: reply.xdata, locks: reply.locks }
  }),
)
on(P.SETACTIVELK, ({ brick, session, ctx, args: { gfid, locks, xdata } }) =>
  brick.onInode(session, gfid, async loc =>
    replies.common(await brick.child.setactivelk(ctx, { loc, locks, xdata })),
  ),
)
