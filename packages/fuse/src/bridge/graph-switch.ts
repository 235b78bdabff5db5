/**
 * From one graph to the next while files are open: the volume's layout has changed and a new graph
 * stands ready. Names and nodes are resolved again as they are used; open files are moved now.
 */

import { Dict, type Fd, type Graph, inodeLoc, OpenFlag, ROOT_CTX } from '@ashlar/core'
import type { OpenFile } from './files.ts'
import type { BridgeState } from './state.ts'

/** Flags that would change a file that is opened again. */
const ONCE_ONLY = OpenFlag.CREAT | OpenFlag.EXCL | OpenFlag.TRUNC
/** Locks held on a brick, to be claimed by the connection of the next graph. */
const LOCK_INFO = 'trusted.glusterfs.lockinfo'

/**
 * Makes `next` the graph of the bridge. The caller has stopped new requests. Returns the fds of the
 * old graph, which it releases once the requests that use them are done.
 */
export async function moveToGraph(state: BridgeState, next: Graph): Promise<Fd[]> {
  const old = state.graph
  state.graph = next
  state.switched = true
  state.nodes.rebind(state.nodes.root, next.inodes.root)
  for (const waiting of state.waiting.values()) {
    waiting.reason = 'switched'
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
  if (file.node.locked) await moveLocks(old, before, next, fd)
  return fd.bind()
}

/** Bricks hand a file's locks from one connection of a client to its next. */
async function moveLocks(old: Graph, before: Fd, next: Graph, fd: Fd): Promise<void> {
  const info = await old.top.fgetxattr(ROOT_CTX, { fd: before, name: LOCK_INFO })
  if (!info.ok || !info.dict.has(LOCK_INFO)) return
  await next.top.fsetxattr(ROOT_CTX, { fd, dict: info.dict, flags: 0 })
}
