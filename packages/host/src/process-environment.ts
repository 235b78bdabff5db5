/** The real Env of a process, and what its graphs may know of the process. */

import { hostname } from 'node:os'
import {
  type Env,
  gfidText,
  type Log,
  type ProcessInfo,
  systemClock,
  systemRandom,
} from '@ashlar/core'
import { setPatience } from '@ashlar/sys'
import { tcpNetwork } from '@ashlar/transport'

export function processEnv(log: Log): Env {
  return { clock: systemClock, random: systemRandom(), network: tcpNetwork(setPatience), log }
}

/** A new identity for this process. */
export function processInfo(
  env: Env,
  options: Pick<ProcessInfo, 'name' | 'volfileId'> & Partial<ProcessInfo>,
): ProcessInfo {
  return { uuid: gfidText(env.random.uuid()), hostname: hostname(), pid: process.pid, ...options }
}
