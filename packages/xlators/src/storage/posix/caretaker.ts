/**
 * Caretaker: what a brick does by itself from time to time — watch its free space and its disk's
 * health, delete what lies in the landfill. Facts: posix-helpers.c.
 */

import { rm, readdir, writeFile } from 'node:fs/promises'
import { NULL_GFID, type Statfs, type Timer } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick } from './brick.ts'

const SPACE_MS = 5000
const LANDFILL_MS = 10_000

export class Caretaker {
  readonly #brick: Brick
  readonly #timers = new Set<Timer>()
  #stopped = false
  /** The last health check did. */
  #failed = false

  constructor(brick: Brick) {
    this.#brick = brick
  }

  start(): void {
    this.#checkSpace()
    this.#every(SPACE_MS, () => this.#checkSpace())
    this.#every(LANDFILL_MS, () => this.#clearLandfill())
    const seconds = this.#brick.self.options['health-check-interval']
    if (seconds > 0) this.#every(seconds * 1000, () => this.#checkHealth())
  }

  stop(): void {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  #every(ms: number, action: () => void | Promise<void>): void {
    const timer = this.#brick.self.env.clock.after(ms, () => {
      this.#timers.delete(timer)
      if (this.#stopped) return
      Promise.resolve(action()).then(
        () => this.#every(ms, action),
        () => this.#every(ms, action),
      )
    })
    this.#timers.add(timer)
  }

  #checkSpace(): void {
    const statfs = sys.statvfs(this.#brick.root)
    if (typeof statfs !== 'number')
      this.#brick.reserveReached =
        statfs.bavail * statfs.frsize < reservedBytes(this.#brick, statfs)
  }

  async #clearLandfill(): Promise<void> {
    const path = `${this.#brick.root}/.glusterfs/landfill`
    for (const name of await readdir(path)) {
      await this.#dropHandles(`${path}/${name}`)
      await rm(`${path}/${name}`, { recursive: true, force: true })
    }
  }

  /** What goes with a tree is not to be found by its gfid any more, unless it has another name. */
  async #dropHandles(directory: string): Promise<void> {
    const { handles } = this.#brick
    const parent = this.#brick.storedGfid(directory)
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = `${directory}/${entry.name}`
      const gfid = this.#brick.storedGfid(path)
      if (entry.isDirectory()) {
        await this.#dropHandles(path)
        const handle = handles.readDirectoryHandle(gfid)
        if (typeof handle === 'number' || handle.parent !== parent || handle.name !== entry.name)
          continue
        handles.dropDirectory(gfid)
        handles.unlink(gfid)
      } else if (gfid !== NULL_GFID) {
        const stat = new sys.Stat()
        const found = sys.statat(sys.AT_FDCWD, handles.path(gfid), stat)
        // Its name in here, and the handle: no other.
        if (found === 0 && stat.nlink === 2) handles.unlink(gfid)
      }
    }
  }

  /**
   * A disk that fails to take a small write fails the brick: clients must turn to other copies, until
   * it takes one again. A full disk has not failed.
   */
  async #checkHealth(): Promise<void> {
    const { self, root } = this.#brick
    const error = await this.#writeTime()
    if (this.#stopped || (error !== undefined) === this.#failed) return
    this.#failed = error !== undefined
    const details = error === undefined ? { brick: root } : { brick: root, error: String(error) }
    if (this.#failed) self.env.log.critical('the brick failed its health check', details)
    else self.env.log.warning('the brick passes its health check again', details)
    self.notify({ kind: this.#failed ? 'child-down' : 'child-up' })
  }

  async #writeTime(): Promise<Error | undefined> {
    const { self, root } = this.#brick
    try {
      await writeFile(`${root}/.glusterfs/health_check`, `${self.env.clock.wall().sec}`)
      return undefined
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return code === 'ENOSPC' || code === 'EDQUOT' ? undefined : (error as Error)
    }
  }
}

/** Bytes of a file system that the option `reserve` keeps from users. */
export function reservedBytes(brick: Brick, statfs: Statfs): number {
  const reserve = brick.self.options.reserve
  if ('percent' in reserve)
    return Math.floor((statfs.blocks * statfs.frsize * reserve.percent) / 100)
  // Below 100 a plain number means percent, too.
  return reserve.bytes < 100
    ? Math.floor((statfs.blocks * statfs.frsize * reserve.bytes) / 100)
    : reserve.bytes
}
