/**
 * Desk: what the groups of management operations share: the parts of the daemon, volumes by name,
 * and the rule that changes happen one after another.
 */

import { ManagementError, type VolumeView } from '@ashlar/contract'
import type { Env } from '@ashlar/core'
import type { BrickSupervisor } from './bricks/supervisor.ts'
import type { HealProgram } from './heal/program.ts'
import type { HealSupervisor } from './heal/supervisor.ts'
import type { Hooks } from './hooks.ts'
import type { Settings } from './settings.ts'
import type { PoolStore } from './store/pool-store.ts'
import type { Undo } from './volume/brick-directory.ts'
import type { LocalHost } from './volume/host.ts'
import { volumeView } from './volume/view.ts'
import type { Volume } from './volume/volume.ts'

export interface ManagerParts {
  readonly env: Env
  readonly settings: Settings
  readonly store: PoolStore
  readonly bricks: BrickSupervisor
  readonly healer: HealSupervisor
  readonly healProgram: HealProgram
  readonly hooks: Hooks
  readonly host: LocalHost
  readonly servedKinds: ReadonlySet<Volume['kind']>
  /** Told when a volfile has changed. */
  readonly volfilesChanged: () => void
  /** Nobody is told of changed volfiles until what it returns is called. */
  readonly holdNews: () => () => void
}

export class Desk {
  readonly parts: ManagerParts
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: ManagerParts) {
    this.parts = parts
  }

  /** Throws VOLUME_NOT_FOUND. */
  find(name: string, message = `Volume ${name} does not exist`): Volume {
    const volume = this.parts.store.volume(name)
    if (volume === undefined) throw new ManagementError('VOLUME_NOT_FOUND', message)
    return volume
  }

  view(volume: Volume): VolumeView {
    return volumeView(volume, this.parts.store.poolOptions())
  }

  /** Makes the definition durable; clients and bricks hear of it. */
  async save(volume: Volume): Promise<Volume> {
    if (await this.parts.store.saveVolume(volume)) this.parts.volfilesChanged()
    return volume
  }

  /** Runs `operation` when those before it are done, whatever became of them. */
  exclusively<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(operation, operation)
    this.#turn = result.catch(() => {})
    return result
  }

  /** Takes back what was done, as far as it goes: the first fault is what the user hears about. */
  takeBack(undo: Undo): void {
    for (const step of undo.reverse()) {
      try {
        step()
      } catch (error) {
        this.parts.env.log.warning('could not undo', { reason: (error as Error).message })
      }
    }
  }
}

/** The next generation of a volume's definition. The bricks are shared: ports live on. */
export function changed(volume: Volume, members: Partial<Volume>): Volume {
  return { ...volume, ...members, version: volume.version + 1 }
}
