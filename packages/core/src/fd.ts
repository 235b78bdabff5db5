/**
 * Fd: an open file or directory inside a graph, with a context slot per translator.
 * Source: libglusterfs/src/fd.c.
 */

import { assert } from './assert.ts'
import type { Inode } from './inode.ts'

let serial = 0

export class Fd {
  #inode: Inode
  /** Open flags (OpenFlag). */
  flags: number
  readonly pid: number
  /**
   * An anonymous fd is open on no brick: bricks open by gfid for each request (wire fd number -2).
   */
  readonly anonymous: boolean
  readonly serial = ++serial
  /** By translator slot (`Graph` numbers them). Use a `ContextKey`. */
  readonly contexts: unknown[] = []
  #references = 1
  #onRelease: ((fd: Fd) => void) | undefined

  /** `onRelease` runs once, when the last reference is dropped (a graph passes it to its translators). */
  constructor(options: {
    inode: Inode
    flags: number
    pid: number
    anonymous?: boolean
    onRelease?: (fd: Fd) => void
  }) {
    this.#inode = options.inode
    this.flags = options.flags
    this.pid = options.pid
    this.anonymous = options.anonymous ?? false
    this.#onRelease = options.onRelease
  }

  get inode(): Inode {
    return this.#inode
  }

  /**
   * A create has opened a file that the table knows already: the fd, made on a fresh inode, is from
   * now on one of that file's inode. Only before `bind`.
   */
  moveTo(inode: Inode): this {
    assert(!this.#inode.fds.has(this), 'an fd that is bound changes its inode')
    this.#inode = inode
    return this
  }

  /** Puts the fd on its inode's list: the open has succeeded. */
  bind(): this {
    this.inode.addFd(this)
    return this
  }

  get references(): number {
    return this.#references
  }

  ref(): this {
    assert(this.#references > 0, 'ref of a released fd')
    this.#references += 1
    return this
  }

  unref(): void {
    assert(this.#references > 0, 'unref of a released fd')
    this.#references -= 1
    if (this.#references > 0) return
    this.inode.removeFd(this)
    const release = this.#onRelease
    this.#onRelease = undefined
    release?.(this)
  }
}
