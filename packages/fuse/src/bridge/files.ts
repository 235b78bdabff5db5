/** Open files and directories, by the handle under which the kernel knows them. */

import type { Fd } from '@ashlar/core'
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
}

export class FileTable {
  readonly #byHandle = new Map<number, OpenFile>()
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
    file.node.opened -= 1
    file.fd.unref()
  }

  *[Symbol.iterator](): IterableIterator<OpenFile> {
    yield* this.#byHandle.values()
  }
}
