/**
 * Session: one admitted client of a brick: who it is, its open files, the directory it has as root.
 */

import {
  type Ctx,
  type Fd,
  type Gfid,
  type Iatt,
  type OpTime,
  type Priority,
  ROOT_GFID,
  SpecialPid,
} from '@ashlar/core'
import type { ServerConnection } from '@ashlar/transport'
import type { Credential } from '@ashlar/wire'
import type { Applicant } from './authentication.ts'
import { FdTable } from './fd-table.ts'

/** Whose calls are turned into the anonymous user's. */
export interface Squash {
  readonly root: boolean
  readonly all: boolean
  readonly uid: number
  readonly gid: number
}

export class Session {
  readonly connection: ServerConnection
  /** The client's `process-uuid`: `Ctx.client` of everything it does. */
  readonly client: string
  /** What it was admitted by, to be judged again when the rules change. */
  readonly applicant: Applicant
  readonly fds = new FdTable()
  /** Gfid of the directory that the client sees as root; undefined: the volume's own root. */
  readonly rootGfid: Gfid | undefined
  /** What it told of itself, for `volume status clients`. */
  readonly processName: string
  readonly version: string
  readonly opVersion: number
  /** It showed the user name and password of the pool's own processes. */
  readonly trusted: boolean
  /** Locks asked for and not granted yet. */
  waiting = 0
  closed = false
  /** Fops that have begun and not ended, without those that wait for a lock. */
  #running = 0
  #atRest: (() => void)[] = []

  constructor(options: {
    connection: ServerConnection
    client: string
    applicant: Applicant
    rootGfid: Gfid | undefined
    processName: string
    version: string
    opVersion: number
    trusted: boolean
  }) {
    this.connection = options.connection
    this.client = options.client
    this.applicant = options.applicant
    this.rootGfid = options.rootGfid
    this.processName = options.processName
    this.version = options.version
    this.opVersion = options.opVersion
    this.trusted = options.trusted
  }

  /** A fop begins that does something; `ended` must follow. */
  begun(): void {
    this.#running += 1
  }

  ended(): void {
    this.#running -= 1
    if (this.#running > 0 || this.#atRest.length === 0) return
    const actions = this.#atRest
    this.#atRest = []
    for (const action of actions) action()
  }

  /** Calls back once nothing runs for it any more: at once, or when the last fop has ended. */
  whenAtRest(action: () => void): void {
    if (this.#running === 0) action()
    else this.#atRest.push(action)
  }

  /** The caller of a request. */
  ctx(credential: Credential, squash: Squash): Ctx {
    const { pid, sec, nsec, flags } = credential
    let { uid, gid, groups } = credential
    if (squash.root || squash.all) {
      if (!this.#exempt(pid)) {
        if (squash.all || uid === 0) uid = squash.uid
        if (squash.all || gid === 0) gid = squash.gid
        groups = squash.all ? [] : groups.map(group => (group === 0 ? squash.gid : group))
      }
    }
    const time: OpTime | undefined =
      flags === 0 && sec === 0 && nsec === 0 ? undefined : { flags, sec, nsec }
    return {
      uid,
      gid,
      groups,
      pid,
      lkOwner: credential.lkOwner,
      client: this.client,
      time,
      signal: undefined,
      priority: priorityOf(pid),
    }
  }

  /** The pool's own processes act as root whatever is squashed. */
  #exempt(pid: number): boolean {
    return pid < 0 && (this.trusted || pid === SpecialPid.NO_ROOT_SQUASH)
  }

  /** A gfid as the client says it, as the brick has it. */
  inward(gfid: Gfid): Gfid {
    return this.rootGfid !== undefined && gfid === ROOT_GFID ? this.rootGfid : gfid
  }

  /** A gfid of the brick as the client knows it. */
  outwardGfid(gfid: Gfid): Gfid {
    return gfid === this.rootGfid ? ROOT_GFID : gfid
  }

  /** Attributes of the brick as the client sees them. */
  outward(stat: Iatt): Iatt {
    if (this.rootGfid === undefined || stat.gfid !== this.rootGfid) return stat
    const shown = stat.clone()
    shown.gfid = ROOT_GFID
    shown.ino = undefined
    return shown
  }

  /** Takes the fd into the table; undefined when that is full or the client has gone meanwhile. */
  keep(fd: Fd): number | undefined {
    const number = this.closed ? undefined : this.fds.add(fd)
    if (number === undefined) fd.unref()
    else fd.bind()
    return number
  }
}

function priorityOf(pid: number): Priority {
  if (pid >= 0) return 'client'
  if (pid === SpecialPid.DEFRAG) return 'rebalance'
  return pid === SpecialPid.NO_ROOT_SQUASH || pid === SpecialPid.SET_UTIME ? 'client' : 'heal'
}
