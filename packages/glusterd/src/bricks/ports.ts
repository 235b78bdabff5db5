/**
 * Ports for bricks: from a random start in the range upwards, the first that nobody has
 * (xlators/mgmt/glusterd/src/glusterd-pmap.c).
 */

import type { Env } from '@ashlar/core'

/** Ports that are given out; several bricks look for one at the same time. */
export interface PortReservations {
  /** False when the port is already somebody's. */
  reserve(port: number): boolean
  release(port: number): void
}

/**
 * A free port, reserved: `last` if it still is, so that a brick keeps its port. Rejects when none
 * is left in the range.
 */
export async function freePort(
  env: Env,
  range: { basePort: number; maxPort: number },
  reservations: PortReservations,
  last: number,
): Promise<number> {
  const size = range.maxPort - range.basePort + 1
  const inRange = last >= range.basePort && last <= range.maxPort
  const start = inRange ? last - range.basePort : env.random.integer(size)
  for (let step = 0; step < size; step++) {
    const port = range.basePort + ((start + step) % size)
    if (!reservations.reserve(port)) continue
    if (await isFree(env, port)) return port
    reservations.release(port)
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
