/**
 * Callers: the identity under which a request travels. The kernel tells uid, gid and pid; the
 * supplementary groups stand in /proc and are remembered for a while.
 */

import type { Clock, Ctx } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { FullBridgeOptions } from './options.ts'
import type { Request } from './request.ts'

/** Processes remembered. When there are more the oldest go. */
const PROCESSES_MAX = 4096
const STATUS_BYTES = 8192
const NO_GROUPS: readonly number[] = []

interface Known {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  readonly until: number
}

export class Callers {
  readonly #clock: Clock
  readonly #options: FullBridgeOptions
  readonly #known = new Map<number, Known>()
  readonly #status = Buffer.allocUnsafeSlow(STATUS_BYTES)

  constructor(clock: Clock, options: FullBridgeOptions) {
    this.#clock = clock
    this.#options = options
  }

  /** The context of a request's fops. */
  ctx(request: Request, lkOwner = '', signal?: AbortSignal): Ctx {
    const { uidMapRoot, clientPid } = this.#options
    const uid = request.uid === uidMapRoot ? 0 : request.uid
    const ctx: Ctx = {
      uid,
      gid: request.gid,
      groups: this.#groups(request),
      pid: clientPid ?? request.pid,
      lkOwner,
      client: '',
      priority: 'client',
    }
    return signal === undefined ? ctx : { ...ctx, signal }
  }

  /** `pid` 0 is the kernel itself (read ahead, write back): its one group will do. */
  #groups(request: Request): readonly number[] {
    const { pid, uid, gid } = request
    const { gidTimeout } = this.#options
    if (pid === 0) return [gid]
    if (gidTimeout < 0) return NO_GROUPS
    const now = this.#clock.monotonic()
    const known = this.#known.get(pid)
    if (known !== undefined && known.uid === uid && known.gid === gid && now < known.until)
      return known.groups
    const groups = this.#readGroups(pid)
    if (gidTimeout > 0) {
      this.#known.delete(pid)
      if (this.#known.size >= PROCESSES_MAX) {
        for (const oldest of this.#known.keys()) {
          this.#known.delete(oldest)
          break
        }
      }
      this.#known.set(pid, { uid, gid, groups, until: now + gidTimeout * 1000 })
    }
    return groups
  }

  /** From /proc/PID/status; none when the process is gone or of another pid namespace. */
  #readGroups(pid: number): readonly number[] {
    const fd = sys.openat(sys.AT_FDCWD, `/proc/${pid}/status`, sys.O.RDONLY | sys.O.CLOEXEC)
    if (fd < 0) return NO_GROUPS
    const length = sys.read(fd, this.#status)
    sys.close(fd)
    if (length <= 0) return NO_GROUPS
    return parseGroups(this.#status.latin1Slice(0, length))
  }
}

/** The line `Groups:` of /proc/PID/status. */
export function parseGroups(status: string): readonly number[] {
  const start = status.indexOf('\nGroups:')
  if (start === -1) return NO_GROUPS
  const end = status.indexOf('\n', start + 1)
  const words = status.slice(start + 8, end === -1 ? status.length : end).trim()
  return words === '' ? NO_GROUPS : words.split(/\s+/).map(Number)
}
