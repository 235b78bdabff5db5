/**
 * Timeline: simulated time. Everything that happens is an event in one queue; between two events all
 * promises that the first one has set off run to their end, so that the order of everything follows
 * from the queue alone.
 */

import type { Clock, Timer } from '@ashlar/core'

interface Happening {
  readonly at: number
  /** Of two at one time the earlier made comes first. */
  readonly serial: number
  readonly action: () => void
  cancelled: boolean
}

/** Wall-clock time at which every simulation begins, in seconds since 1970. */
const EPOCH_SEC = 1_700_000_000

export class Timeline {
  /** Milliseconds since the beginning. */
  now = 0
  /** Events so far. */
  count = 0
  readonly #heap: Happening[] = []
  #serials = 0

  /** Runs `action` after `ms`. */
  after(ms: number, action: () => void): Timer {
    const serial = this.#serials++
    const happening = { at: this.now + Math.max(0, ms), serial, action, cancelled: false }
    this.#push(happening)
    return {
      cancel: () => {
        happening.cancelled = true
      },
    }
  }

  /** Lets things happen until `done` says so; false when the time `until` came first. */
  async run(until: number, done: () => boolean = () => false): Promise<boolean> {
    await settled()
    for (;;) {
      if (done()) return true
      const next = this.#heap[0]
      if (next === undefined || next.at > until) {
        this.now = Math.max(this.now, until)
        return false
      }
      this.#pop()
      if (next.cancelled) continue
      this.now = next.at
      this.count += 1
      next.action()
      await settled()
    }
  }

  /** The clock of a host; nothing of it goes off while `alive` says no. */
  clock(alive: () => boolean): Clock {
    return {
      monotonic: () => this.now,
      wall: () => {
        const sec = Math.floor(this.now / 1000)
        return { sec: EPOCH_SEC + sec, nsec: Math.floor((this.now - sec * 1000) * 1e6) }
      },
      after: (ms, action) =>
        this.after(ms, () => {
          if (alive()) action()
        }),
    }
  }

  #push(happening: Happening): void {
    const heap = this.#heap
    let at = heap.push(happening) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!earlier(happening, heap[parent] as Happening)) break
      heap[at] = heap[parent] as Happening
      at = parent
    }
    heap[at] = happening
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Happening
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (
        child + 1 < heap.length &&
        earlier(heap[child + 1] as Happening, heap[child] as Happening)
      )
        child += 1
      if (!earlier(heap[child] as Happening, last)) break
      heap[at] = heap[child] as Happening
      at = child
    }
    heap[at] = last
  }
}

function earlier(one: Happening, other: Happening): boolean {
  return one.at < other.at || (one.at === other.at && one.serial < other.serial)
}

/** Resolves when no promise and no process.nextTick has anything left to run. */
function settled(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve)
  })
}
