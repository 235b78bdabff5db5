/** Waiting for a condition with a deadline: what tests do instead of sleeping. */

import { setTimeout as pause } from 'node:timers/promises'

const POLL_MS = 25

/**
 * Resolves with what `probe` gives as soon as that is neither false nor undefined. A probe that
 * throws is tried again. Rejects after `ms`, with the last error and what was waited for.
 */
export async function until<T>(
  what: string,
  ms: number,
  probe: () => T | Promise<T>,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + ms
  let last: unknown
  for (;;) {
    try {
      const value = await probe()
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${ms} ms: ${what}`, last === undefined ? {} : { cause: last })
    }
    await pause(POLL_MS)
  }
}

/** Rejects when `work` takes longer than `ms`. */
export async function within<T>(what: string, ms: number, work: Promise<T>): Promise<T> {
  const controller = new AbortController()
  const late = pause(ms, undefined, { signal: controller.signal }).then(
    () => {
      throw new Error(`not within ${ms} ms: ${what}`)
    },
    () => new Promise<never>(() => undefined),
  )
  try {
    return await Promise.race([work, late])
  } finally {
    controller.abort()
  }
}
