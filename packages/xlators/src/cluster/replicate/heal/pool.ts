/**
 * Pool: so many heals at a time, so many more in line, and one of each file.
 */

export class Pool<K, R> {
  readonly #limits: () => { readonly running: number; readonly waiting: number }
  readonly #running = new Map<K, Promise<R>>()
  readonly #line: (() => void)[] = []
  #active = 0

  /** Limits are asked whenever they matter. */
  constructor(limits: () => { readonly running: number; readonly waiting: number }) {
    this.#limits = limits
  }

  get active(): number {
    return this.#active
  }

  get waiting(): number {
    return this.#line.length
  }

  /**
   * Runs `work` when it is its turn; who asks for what is under way already shares its result.
   * undefined when the line is full.
   */
  run(key: K, work: () => Promise<R>): Promise<R> | undefined {
    const known = this.#running.get(key)
    if (known !== undefined) return known
    const { running, waiting } = this.#limits()
    const full = this.#active >= running
    if (full && (running === 0 || this.#line.length >= waiting)) return undefined
    const promise = this.#turn(full).then(work)
    const settled = promise.finally(() => {
      this.#running.delete(key)
      this.#active -= 1
      this.#next()
    })
    this.#running.set(key, settled)
    return settled
  }

  async #turn(full: boolean): Promise<void> {
    if (full) await new Promise<void>(resolve => this.#line.push(resolve))
    else this.#active += 1
  }

  #next(): void {
    const next = this.#line.shift()
    if (next === undefined) return
    this.#active += 1
    next()
  }
}

/** Calls `work` for each item, at most `limit` at a time. */
export async function eachAtOnce<T>(
  items: readonly T[],
  limit: number,
  work: (item: T, position: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const position = next++
      await work(items[position] as T, position)
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
}
