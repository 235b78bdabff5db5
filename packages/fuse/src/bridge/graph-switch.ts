/**
 * From one graph to the next while files are open: the volume's layout has changed and a new graph
 * stands ready. Names and nodes are resolved again as they are used; open files are moved now, with
 * their locks. A file that loses one is broken: nobody goes on in the belief that he has it.
 */

import {
  Dict,
  type Fd,
  type Graph,
  inodeLoc,
  LOCK_INFO,
  LockCommand,
  ONLY_GRANTED,
  OpenFlag,
  ROOT_CTX,
} from '@ashlar/core'
import type { OpenFile } from './files.ts'
import type { BridgeState } from './state.ts'

/** Flags that would change a file that is opened again. */
const ONCE_ONLY = OpenFlag.CREAT | OpenFlag.EXCL | OpenFlag.TRUNC

/**
 * Makes `next` the graph of the bridge. The caller has stopped new requests. Returns the fds of the
 * old graph, which it releases once the requests that use them are done.
 */
export async function moveToGraph(state: BridgeState, next: Graph): Promise<Fd[]> {
  let moved = (): void => {}
  state.moved = new Promise(resolve => {
    moved = resolve
  })
  try {
    return await moveFiles(state, next)
  } finally {
    moved()
  }
}

async function moveFiles(state: BridgeState, next: Graph): Promise<Fd[]> {
  const old = state.graph
  state.graph = next
  state.switched = true
  state.nodes.rebind(state.nodes.root, next.inodes.root)
  for (const waiting of state.waiting.values()) {
    waiting.reason ??= 'switched'
    waiting.controller.abort()
  }
  const left: Fd[] = []
  for (const file of state.files) {
    if (file.broken) continue
    const before = file.fd
    const fd = await reopen(state, old, file)
    file.stream = undefined
    left.push(before)
    if (fd === undefined) {
      file.broken = true
      state.files.unlocked(file)
      // The table gives up its reference when the kernel releases the handle.
      file.fd = next.anonymousFd(next.inodes.root, OpenFlag.RDONLY)
      state.env.log.warning('an open file is lost in the change of graph', {
        path: before.inode.path(),
      })
    } else {
      file.fd = fd
    }
  }
  return left
}

async function reopen(state: BridgeState, old: Graph, file: OpenFile): Promise<Fd | undefined> {
  const before = file.fd
  const next = state.graph
  const directory = before.inode.isDirectory
  const writable = (before.flags & OpenFlag.ACCMODE) !== OpenFlag.RDONLY
  if (!directory && writable) {
    const xdata = new Dict().setInt('last-fsync', 1)
    await old.top.fsync(ROOT_CTX, { fd: before, datasync: false, xdata })
  }
  const inode = await state.resolve(file.node.id)
  if ('ok' in inode) return undefined
  const loc = inodeLoc(inode)
  const flags = before.flags & ~ONCE_ONLY
  const fd = next.openFd(inode, { flags, pid: before.pid })
  const reply = directory
    ? await next.top.opendir(ROOT_CTX, { loc, fd })
    : await next.top.open(ROOT_CTX, { loc, fd, flags })
  if (!reply.ok) {
    fd.unref()
    return undefined
  }
  fd.bind()
  if (await moveLocks(state, old, file, fd)) return fd
  fd.unref()
  return undefined
}

/**
 * Bricks hand a file's locks from one connection of a client to its next. Then each is asked for once
 * more: the layers of the next graph know them by that, and one that is lost is noticed.
 */
async function moveLocks(state: BridgeState, old: Graph, file: OpenFile, fd: Fd): Promise<boolean> {
  if (file.locks.size === 0) return true
  const { top } = state.graph
  const xdata = new Dict().setInt(ONLY_GRANTED, 1)
  const info = await old.top.fgetxattr(ROOT_CTX, { fd: file.fd, name: LOCK_INFO })
  if (info.ok && info.dict.has(LOCK_INFO))
    await top.fsetxattr(ROOT_CTX, { fd, dict: info.dict, flags: 0, xdata })
  for (const flock of file.locks.locks()) {
    const ctx = { ...ROOT_CTX, pid: flock.pid, lkOwner: flock.lkOwner }
    const reply = await top.lk(ctx, { fd, command: LockCommand.SETLK, flock })
    if (reply.ok) continue
    state.env.log.warning('a lock is lost in the change of graph', {
      path: fd.inode.path(),
      errno: reply.errno,
    })
    return false
  }
  return true
}
