/**
 * Ports for bricks: from a random start in the range upwards, the first that nobody has
 * (reference: glusterd-store.md §9).
 */

import type { Env } from '@ashlar/core'

/** A free port. Rejects when the range is used up. */
export async function freePort(
  env: Env,
  range: { basePort: number; maxPort: number },
  taken: (port: number) => boolean,
): Promise<number> {
  const size = range.maxPort - range.basePort + 1
  const start = env.random.integer(size)
  for (let step = 0; step < size; step++) {
    const port = range.basePort + ((start + step) % size)
    if (!taken(port) && (await isFree(env, port))) return port
  }
  throw new Error(`no free port between ${range.basePort} and ${range.maxPort}`)
}

async function isFree(env: Env, port: number): Promise<boolean> {
  try {
    const listener = await env.network.listen({ host: '0.0.0.0', port }, stream => {
      // Nobody is expected; whoever comes in this instant is turned away.
      stream.close()
      return { opened() {}, target: () => undefined, received() {}, drained() {}, closed() {} }
    })
    await listener.close()
    return true
  } catch {
    return false
  }
}
