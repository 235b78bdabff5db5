/**
 * Disk: what of a simulated brick outlives its process: files, and the heal index.
 *
 * A process that dies takes nothing with it: what it wrote is in the system's cache. When the machine
 * loses its power, data that was not synced may be lost, each write of it by itself, or be there in
 * part, up to a sector. Names, attributes and extended attributes are kept, in the order in which they
 * were made, as by a file system with a journal that is written at once; so is a truncation.
 */

import { type Env, type Gfid } from '@ashlar/core'
import type { MemoryFile } from '../memory/memory-file.ts'
import { MemoryStore } from '../memory/memory-store.ts'
import type { Dice } from './dice.ts'

/** What a torn write consists of. */
export const SECTOR_BYTES = 128

type Unsynced =
  | { readonly kind: 'write'; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'resize'; readonly size: number }

/** A file's content as it was last synced, and what was done since. */
interface Volatile {
  readonly base: Buffer
  readonly changes: Unsynced[]
}

/** What is wrong with a disk at the moment. */
export interface DiskTroubles {
  full: boolean
  /** Probability with which reads, writes and syncs fail. */
  eio: number
  /** Longest time that data operations take, in ms. */
  slowMs: number
}

export class Disk {
  readonly store: MemoryStore
  readonly troubles: DiskTroubles = { full: false, eio: 0, slowMs: 0.3 }
  readonly dice: Dice
  /** Of its brick. */
  readonly name: string
  /** Heal index: gfids with something pending, with something dirty; noted names by directory. */
  readonly pending = new Set<Gfid>()
  readonly dirty = new Set<Gfid>()
  readonly names = new Map<Gfid, Set<string>>()
  readonly #volatile = new Map<MemoryFile, Volatile>()
  #time: { sec: number; nsec: number } | undefined

  constructor(options: { name: string; env: Env; dice: Dice }) {
    const { name, env, dice } = options
    this.name = name
    this.dice = dice
    this.store = new MemoryStore({
      ...env,
      clock: { ...env.clock, wall: () => this.#time ?? env.clock.wall() },
    })
  }

  /** Runs an operation of the store at the time that its client has brought. */
  at<R>(time: { sec: number; nsec: number } | undefined, operation: () => R): R {
    this.#time = time
    try {
      return operation()
    } finally {
      this.#time = undefined
    }
  }

  /** A write is about to be made. */
  writing(file: MemoryFile, offset: number, data: Buffer): void {
    this.#changes(file).push({ kind: 'write', offset, data: Buffer.from(data) })
  }

  /** A truncation is about to be made. */
  resizing(file: MemoryFile, size: number): void {
    if (this.#volatile.has(file)) this.#changes(file).push({ kind: 'resize', size })
  }

  synced(file: MemoryFile): void {
    this.#volatile.delete(file)
  }

  /** Power is lost. Gives what was lost, for people. */
  lose(): string[] {
    const lost: string[] = []
    for (const [file, { base, changes }] of this.#volatile) {
      file.pages.resize(0)
      file.pages.write(0, base)
      for (const change of changes) {
        if (change.kind === 'resize') file.pages.resize(change.size)
        else this.#keepSome(file, change, lost)
      }
    }
    this.#volatile.clear()
    return lost
  }

  #keepSome(
    file: MemoryFile,
    { offset, data }: Unsynced & { kind: 'write' },
    lost: string[],
  ): void {
    const sectors = Math.ceil(data.length / SECTOR_BYTES)
    const kept = this.dice.chance(0.5) ? 0 : this.dice.integer(sectors + 1)
    file.pages.write(offset, data.subarray(0, kept * SECTOR_BYTES))
    if (kept < sectors) lost.push(`${kept} of ${sectors} sectors at ${offset}`)
  }

  #changes(file: MemoryFile): Unsynced[] {
    const present = this.#volatile.get(file)
    if (present !== undefined) return present.changes
    const made: Volatile = { base: file.pages.read(0, file.pages.size), changes: [] }
    this.#volatile.set(file, made)
    return made.changes
  }
}
