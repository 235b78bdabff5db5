/** Which function answers which operation of the kernel. */

import { Errno } from '@ashlar/core'
import { Opcode } from '../protocol/constants.ts'
import { BATCH_FORGET_IN, FORGET_IN, FORGET_ONE } from '../protocol/table.ts'
import * as attributes from './attributes.ts'
import * as data from './data.ts'
import * as directories from './directories.ts'
import * as entries from './entries.ts'
import * as locks from './locks.ts'
import type { Request } from './request.ts'
import type { BridgeState } from './state.ts'
import * as xattrs from './xattrs.ts'

/** Answers a request, now or later. The request's buffer is valid until the first `await`. */
export type Handler = (state: BridgeState, request: Request) => Promise<void> | void

function forget(state: BridgeState, request: Request): void {
  const { nlookup } = request.take(FORGET_IN)
  state.nodes.forget(request.nodeid, nlookup)
}

function batchForget(state: BridgeState, request: Request): void {
  const { count } = request.take(BATCH_FORGET_IN)
  for (let i = 0; i < count; i++) {
    const { nodeid, nlookup } = request.take(FORGET_ONE)
    state.nodes.forget(nodeid, nlookup)
  }
}

/** Refuses: after ENOSYS the kernel does not ask again and helps itself. */
function refuse(errno: number): Handler {
  return (state, request) => state.device.replyError(request.unique, errno)
}

const nothing: Handler = () => {}

const TABLE: readonly (readonly [number, Handler])[] = [
  [Opcode.LOOKUP, entries.lookup],
  [Opcode.FORGET, forget],
  [Opcode.GETATTR, attributes.getattr],
  [Opcode.SETATTR, attributes.setattr],
  [Opcode.READLINK, attributes.readlink],
  [Opcode.SYMLINK, entries.symlink],
  [Opcode.MKNOD, entries.mknod],
  [Opcode.MKDIR, entries.mkdir],
  [Opcode.UNLINK, entries.unlink],
  [Opcode.RMDIR, entries.rmdir],
  [Opcode.RENAME, entries.rename],
  [Opcode.LINK, entries.link],
  [Opcode.OPEN, data.open],
  [Opcode.READ, data.read],
  [Opcode.WRITE, data.write],
  [Opcode.STATFS, attributes.statfs],
  [Opcode.RELEASE, data.release],
  [Opcode.FSYNC, data.fsync],
  [Opcode.SETXATTR, xattrs.setxattr],
  [Opcode.GETXATTR, xattrs.getxattr],
  [Opcode.LISTXATTR, xattrs.listxattr],
  [Opcode.REMOVEXATTR, xattrs.removexattr],
  [Opcode.FLUSH, data.flush],
  [Opcode.OPENDIR, directories.opendir],
  [Opcode.READDIR, directories.readdir],
  [Opcode.RELEASEDIR, directories.releasedir],
  [Opcode.FSYNCDIR, directories.fsyncdir],
  [Opcode.GETLK, locks.getlk],
  [Opcode.SETLK, locks.setlk],
  [Opcode.SETLKW, locks.setlkw],
  // default_permissions: the kernel judges by the modes and ACLs it has.
  [Opcode.ACCESS, refuse(Errno.ENOSYS)],
  [Opcode.CREATE, entries.create],
  [Opcode.INTERRUPT, locks.interrupt],
  [Opcode.BMAP, refuse(Errno.ENOSYS)],
  [Opcode.DESTROY, (state, request) => state.ok(request)],
  [Opcode.IOCTL, refuse(Errno.ENOTTY)],
  [Opcode.POLL, refuse(Errno.ENOSYS)],
  [Opcode.NOTIFY_REPLY, nothing],
  [Opcode.BATCH_FORGET, batchForget],
  [Opcode.FALLOCATE, data.fallocate],
  [Opcode.READDIRPLUS, directories.readdirplus],
  [Opcode.RENAME2, entries.rename2],
  [Opcode.LSEEK, data.lseek],
  [Opcode.COPY_FILE_RANGE, data.copyFileRange32],
  [Opcode.SYNCFS, data.syncfs],
  [Opcode.TMPFILE, refuse(Errno.EOPNOTSUPP)],
  [Opcode.STATX, refuse(Errno.ENOSYS)],
  [Opcode.COPY_FILE_RANGE_64, data.copyFileRange64],
]

/** Handlers by opcode; holes for what we do not know. INIT is the bridge's own. */
export const HANDLERS: readonly (Handler | undefined)[] = index()

function index(): (Handler | undefined)[] {
  const handlers: (Handler | undefined)[] = []
  for (const [opcode, handler] of TABLE) handlers[opcode] = handler
  return handlers
}
