/**
 * FdTable: the open files of one client. Numbers start at 0 and the lowest free one is given next,
 * as GlusterFS does (libglusterfs/src/fd.c).
 */

import type { Fd } from '@ashlar/core'

/** Files that one client may have open at once. */
const FDS_MAX = 1_048_576

export class FdTable {
  readonly #fds: (Fd | undefined)[] = []
  /** No lower number is free. */
  #lowest = 0
  #count = 0

  get size(): number {
    return this.#count
  }

  /** Files that it can have. */
  get max(): number {
    return FDS_MAX
  }

  /** The number that the next fd gets. */
  get firstFree(): number {
    let number = this.#lowest
    while (this.#fds[number] !== undefined) number += 1
    return number
  }

  /** Open files by their numbers, in order. */
  *[Symbol.iterator](): IterableIterator<[number, Fd]> {
    for (const [number, fd] of this.#fds.entries()) if (fd !== undefined) yield [number, fd]
  }

  /** The number of the fd from now on; undefined when the table is full. */
  add(fd: Fd): number | undefined {
    if (this.#count >= FDS_MAX) return undefined
    const number = this.firstFree
    this.#fds[number] = fd
    this.#lowest = number + 1
    this.#count += 1
    return number
  }

  get(number: number): Fd | undefined {
    return this.#fds[number]
  }

  /** Takes the fd out; whoever calls drops the table's reference. */
  remove(number: number): Fd | undefined {
    const fd = this.#fds[number]
    if (fd === undefined) return undefined
    this.#fds[number] = undefined
    this.#count -= 1
    if (number < this.#lowest) this.#lowest = number
    return fd
  }

  /** Takes all out. */
  clear(): Fd[] {
    const all = this.#fds.filter(fd => fd !== undefined)
    this.#fds.length = 0
    this.#lowest = 0
    this.#count = 0
    return all
  }
}
