/**
 * Context slots: what a translator keeps on an inode or an fd.
 *
 * A key is made once per translator instance and slot; `get` and `set` are array accesses. The
 * inode's contexts are dropped when it is forgotten, the fd's when it is released.
 */

interface Holder {
  readonly contexts: unknown[]
}

export class ContextKey<T> {
  readonly #slot: number

  constructor(slot: number) {
    this.#slot = slot
  }

  get(holder: Holder): T | undefined {
    return holder.contexts[this.#slot] as T | undefined
  }

  set(holder: Holder, value: T | undefined): void {
    holder.contexts[this.#slot] = value
  }

  /** The context, made by `create` when there is none. */
  obtain(holder: Holder, create: () => T): T {
    const present = holder.contexts[this.#slot] as T | undefined
    if (present !== undefined) return present
    const made = create()
    holder.contexts[this.#slot] = made
    return made
  }
}
