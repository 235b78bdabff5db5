/**
 * FreeSpace: which subvolumes have room for new files, refreshed in the background at most once a
 * second while files are being made (`min-free-disk`, `min-free-inodes`).
 */

import {
  Dict,
  inodeLoc,
  type PercentOrSize,
  ROOT_CTX,
  type Statfs,
  type Subvolume,
} from '@ashlar/core'
import type { Distribution } from './volume.ts'

const REFRESH_MS = 1000
const CHUNK_BYTES = 1024 * 1024

interface Space {
  readonly availableBytes: number
  readonly totalBytes: number
  readonly freePercent: number
  readonly freeInodePercent: number
}

export class FreeSpace {
  readonly #volume: Distribution
  readonly #spaces: (Space | undefined)[] = []
  /** Weight of each subvolume in new layouts: MiB chunks; 0 while unknown. */
  readonly #chunks: number[]
  #refreshedAt = Number.NEGATIVE_INFINITY
  #refreshing = false

  constructor(volume: Distribution) {
    this.#volume = volume
    this.#chunks = volume.children.map(() => 0)
  }

  /** Starts a refresh unless one ran within the last second. Never waits. */
  refreshSoon(): void {
    const now = this.#volume.self.env.clock.monotonic()
    if (this.#refreshing || now - this.#refreshedAt < REFRESH_MS) return
    this.#refreshedAt = now
    this.#refreshing = true
    this.refresh().then(
      () => {
        this.#refreshing = false
      },
      () => {
        this.#refreshing = false
      },
    )
  }

  async refresh(): Promise<void> {
    const loc = inodeLoc(this.#volume.self.inodes.root)
    const xdata = new Dict().setInt('ignore-deem-statfs', 1)
    await Promise.all(
      this.#volume.children.map(async (child, i) => {
        if (this.#volume.childUp[i] !== true) return
        const reply = await child.statfs(ROOT_CTX, { loc, xdata })
        if (!reply.ok) return
        this.#spaces[i] = measure(reply.statfs)
        this.#chunks[i] = chunksOf(reply.statfs)
      }),
    )
  }

  /** MiB chunks of every subvolume, 0 where not known yet. */
  weights(): readonly number[] {
    return this.#chunks
  }

  isFilled(child: Subvolume): boolean {
    const space = this.#spaces[child.index]
    return space !== undefined && this.#isShort(space)
  }

  /** Where a file goes whose own subvolume is full: the emptiest with room, else the emptiest of all. */
  alternative(hashed: Subvolume): Subvolume {
    let best: Subvolume | undefined
    let bestSpace: Space | undefined
    for (const child of this.#volume.children) {
      const space = this.#spaces[child.index]
      if (space === undefined || this.#volume.childUp[child.index] !== true) continue
      if (this.#volume.decommissioned.has(child.name)) continue
      if (bestSpace === undefined || this.#better(space, bestSpace)) {
        best = child
        bestSpace = space
      }
    }
    return best ?? hashed
  }

  #better(one: Space, other: Space): boolean {
    const shortOne = this.#isShort(one)
    const shortOther = this.#isShort(other)
    if (shortOne !== shortOther) return shortOther
    return one.availableBytes > other.availableBytes
  }

  #isShort(space: Space): boolean {
    const options = this.#volume.self.options
    return (
      isBelow(space, options['min-free-disk']) ||
      space.freeInodePercent < options['min-free-inodes']
    )
  }
}

function isBelow(space: Space, limit: PercentOrSize): boolean {
  return 'percent' in limit ? space.freePercent < limit.percent : space.availableBytes < limit.bytes
}

function measure(statfs: Statfs): Space {
  const total = statfs.blocks * statfs.frsize
  return {
    availableBytes: statfs.bavail * statfs.frsize,
    totalBytes: total,
    freePercent: statfs.blocks === 0 ? 100 : (statfs.bavail / statfs.blocks) * 100,
    // File systems without a fixed number of inodes report none at all.
    freeInodePercent: statfs.files === 0 ? 100 : (statfs.ffree / statfs.files) * 100,
  }
}

function chunksOf(statfs: Statfs): number {
  const perChunk = CHUNK_BYTES / statfs.bsize
  return perChunk > 0 ? Math.ceil(statfs.blocks / perChunk) : statfs.blocks
}
