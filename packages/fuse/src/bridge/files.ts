/**
 * Open files and directories, by the handle under which the kernel knows them, and the locks that
 * were granted through each of them.
 */

import { type Fd, type Flock, HeldLocks, LockType } from '@ashlar/core'
import type { DirectoryStream } from './directory-stream.ts'
import type { Node } from './nodes.ts'

export interface OpenFile {
  readonly handle: number
  readonly node: Node
  /** Of the graph in use; a graph switch puts another one here. */
  fd: Fd
  /** The file could not be opened again on a new graph: everything but its release fails. */
  broken: boolean
  /** Something was written through it since it was last flushed. */
  dirty: boolean
  /** Where a listing stands. */
  stream: DirectoryStream | undefined
  /** What the next graph must have, too. */
  readonly locks: HeldLocks
}

export class FileTable {
  readonly #byHandle = new Map<number, OpenFile>()
  /** Files that have locks. */
  readonly #locking = new Map<Node, Set<OpenFile>>()
  #next = 1

  get size(): number {
    return this.#byHandle.size
  }

  add(node: Node, fd: Fd): OpenFile {
    const file: OpenFile = {
      handle: this.#next++,
      node,
      fd,
      broken: false,
      dirty: false,
      stream: undefined,
      locks: new HeldLocks(),
    }
    this.#byHandle.set(file.handle, file)
    node.opened += 1
    return file
  }

  /** Undefined for a handle that is not open, or whose file was lost in a graph switch. */
  get(handle: number): OpenFile | undefined {
    const file = this.#byHandle.get(handle)
    return file?.broken === true ? undefined : file
  }

  /** Closes: the fd loses this reference. */
  remove(handle: number): void {
    const file = this.#byHandle.get(handle)
    if (file === undefined) return
    this.#byHandle.delete(handle)
    this.unlocked(file)
    file.node.opened -= 1
    file.fd.unref()
  }

  /** A lock request through the file was granted, which may be one to unlock. */
  granted(file: OpenFile, flock: Flock): void {
    if (this.#byHandle.get(file.handle) !== file) return
    const { node } = file
    // Locks belong to owner and file: what another open file of it got of this range ends here.
    const unlock = { ...flock, type: LockType.UNLCK }
    this.#change(node, locks => locks.granted(unlock))
    if (flock.type === LockType.UNLCK) return
    file.locks.granted(flock)
    const locking = this.#locking.get(node)
    if (locking === undefined) this.#locking.set(node, new Set([file]))
    else locking.add(file)
  }

  /** An owner has closed one of the files of a node: its locks are gone, whichever it got them by. */
  closed(node: Node, lkOwner: string): void {
    this.#change(node, locks => locks.closed(lkOwner))
  }

  /** The file has no locks any more. */
  unlocked(file: OpenFile): void {
    const locking = this.#locking.get(file.node)
    if (locking?.delete(file) === true && locking.size === 0) this.#locking.delete(file.node)
  }

  #change(node: Node, change: (locks: HeldLocks) => void): void {
    for (const file of this.#locking.get(node) ?? []) {
      change(file.locks)
      if (file.locks.size === 0) this.unlocked(file)
    }
  }

  *[Symbol.iterator](): IterableIterator<OpenFile> {
    yield* this.#byHandle.values()
  }
}
