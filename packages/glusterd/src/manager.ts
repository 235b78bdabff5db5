/**
 * Manager: the management operations, one core behind every face (HTTP now, GlusterFS's CLI program
 * later). Operations that change something run one after another; each makes the definition
 * durable first and then makes the processes follow it.
 */

import {
  type CreateVolumeRequest,
  ManagementError,
  type OptionHelp,
  type OptionSetting,
  type OptionValueView,
  type VolumeProcesses,
  type VolumeView,
} from '@ashlar/contract'
import type { Env } from '@ashlar/core'
import type { BrickSupervisor } from './bricks/supervisor.ts'
import { readGroup } from './groups.ts'
import type { Hooks } from './hooks.ts'
import { changedOptions, checkPoolOption, MAX_OP_VERSION, resetOptions } from './options/change.ts'
import { optionHelp } from './options/help.ts'
import { completeKey, isUserKey, rowsOf, suggestion } from './options/lookup.ts'
import { updateOpVersions } from './options/op-version.ts'
import { findVolfile } from './rpc/volfile-id.ts'
import type { Settings } from './settings.ts'
import type { PoolStore } from './store/pool-store.ts'
import { claimBrick, prepareBrick, type Undo, verifyBrick } from './volume/brick-directory.ts'
import type { LocalHost } from './volume/host.ts'
import { placeBricks } from './volume/placement.ts'
import { newVolume } from './volume/shape.ts'
import { brickProcesses, type StatusQuery } from './volume/status.ts'
import { allOptionViews, optionView, poolOptionViews, volumeView } from './volume/view.ts'
import type { Volume } from './volume/volume.ts'

export interface ManagerParts {
  readonly env: Env
  readonly settings: Settings
  readonly store: PoolStore
  readonly bricks: BrickSupervisor
  readonly hooks: Hooks
  readonly host: LocalHost
  readonly servedKinds: ReadonlySet<Volume['kind']>
  /** Told when a volfile has changed. */
  readonly volfilesChanged: () => void
}

/** Types whose client translators this release has; others can be defined but not started. */
export const SERVED_KINDS: ReadonlySet<Volume['kind']> = new Set(['distribute'])

export class Manager {
  readonly #parts: ManagerParts
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: ManagerParts) {
    this.#parts = parts
  }

  volumes(): VolumeView[] {
    return this.#parts.store.volumes().map(volume => this.#view(volume))
  }

  volume(name: string): VolumeView {
    return this.#view(this.#find(name))
  }

  create(request: CreateVolumeRequest): Promise<VolumeView> {
    return this.#exclusively(() => this.#create(request))
  }

  delete(name: string): Promise<VolumeView> {
    return this.#exclusively(async () => {
      const { store, hooks } = this.#parts
      const volume = this.#find(name)
      if (volume.status === 'started') {
        throw new ManagementError(
          'VOLUME_STARTED',
          `Volume ${name} has been started.Volume needs to be stopped before deletion.`,
        )
      }
      await hooks.pre('delete', name)
      const view = this.#view(volume)
      await store.removeVolume(volume)
      hooks.post('delete', name)
      return view
    })
  }

  start(name: string, force: boolean): Promise<VolumeView> {
    return this.#exclusively(() => this.#start(name, force))
  }

  stop(name: string): Promise<VolumeView> {
    return this.#exclusively(async () => {
      const { store, hooks, bricks } = this.#parts
      const volume = this.#find(name)
      if (volume.status !== 'started') {
        throw new ManagementError(
          'VOLUME_NOT_STARTED',
          `Volume ${name} is not in the started state`,
        )
      }
      const last = (count: number): string => `--last=${this.#started() === count ? 'yes' : 'no'}`
      await hooks.pre('stop', name, [last(1)])
      await bricks.stopVolume(volume)
      const stopped = await this.#save(changed(volume, { status: 'stopped' }))
      hooks.post('stop', name, [last(0)])
      return this.#view(store.volume(stopped.name) as Volume)
    })
  }

  set(name: string, settings: readonly OptionSetting[]): Promise<VolumeView> {
    return this.#exclusively(async () => {
      const { hooks, settings: own } = this.#parts
      const volume = this.#find(name)
      const options = changedOptions(volume, settings)
      const words = [
        '-o',
        ...settings.map(({ key, value }) => `${completeKey(key) ?? key}=${value}`),
        `--gd-workdir=${own.workDirectory}`,
      ]
      await hooks.pre('set', name, words)
      const next = changed(volume, { options })
      updateOpVersions(next)
      await this.#save(next)
      hooks.post('set', name, words)
      return this.#view(next)
    })
  }

  reset(name: string, key: string | undefined, force: boolean): Promise<string> {
    return this.#exclusively(async () => {
      const { hooks, settings } = this.#parts
      const volume = this.#find(name)
      const outcome = resetOptions(volume, key, force)
      const words = ['--version=1', '--volume-op=reset', `--gd-workdir=${settings.workDirectory}`]
      await hooks.pre('reset', name, words)
      const next = changed(volume, { options: outcome.options })
      updateOpVersions(next)
      await this.#save(next)
      hooks.post('reset', name, words)
      return outcome.message
    })
  }

  /** Sets one option of the pool; GlusterFS takes only the first. */
  setPool(settings: readonly OptionSetting[]): Promise<void> {
    return this.#exclusively(async () => {
      const { store } = this.#parts
      const [setting] = settings
      if (setting === undefined) {
        throw new ManagementError('REQUEST_INVALID', 'Options not specified')
      }
      const pool = store.poolOptions()
      const key = checkPoolOption(setting, pool, store.opVersion)
      await store.setPoolOptions(new Map(pool).set(key, setting.value))
    })
  }

  resetPool(key: string | undefined): Promise<string> {
    return this.#exclusively(async () => {
      const { store } = this.#parts
      const pool = new Map(store.poolOptions())
      if (key === undefined || key === 'all') pool.clear()
      else if (!pool.delete(completeKey(key) ?? key) && completeKey(key) === undefined) {
        throw unknownOption(`Option ${key} does not exist`, key)
      }
      await store.setPoolOptions(pool)
      return 'reset volume successful'
    })
  }

  option(name: string, word: string): OptionValueView {
    const volume = this.#find(name)
    const set = volume.options.get(word)
    if (isUserKey(word) && set !== undefined) return { key: word, value: set, isDefault: false }
    const key = completeKey(word)
    const row = key === undefined ? undefined : rowsOf(key)[0]
    if (key === undefined || row === undefined) {
      const hint = suggestion(word)
      throw new ManagementError(
        'OPTION_UNKNOWN',
        hint ?? `Option with name: ${word} does not exist`,
      )
    }
    if (row.global === true) {
      return this.poolOptions().find(each => each.key === key) ?? optionView(row, new Map())
    }
    return optionView(row, volume.options)
  }

  options(name: string): OptionValueView[] {
    const { options } = this.#find(name)
    return allOptionViews(new Map([...this.#parts.store.poolOptions(), ...options]))
  }

  poolOptions(): OptionValueView[] {
    const { store } = this.#parts
    return poolOptionViews(store.poolOptions(), {
      current: store.opVersion,
      maximum: MAX_OP_VERSION,
    })
  }

  poolOption(word: string): OptionValueView {
    const key = completeKey(word)
    const found = this.poolOptions().find(each => each.key === key)
    if (found !== undefined) return found
    if (key !== undefined) {
      throw new ManagementError('OPTION_REFUSED', 'Not a valid option for all volumes')
    }
    const hint = suggestion(word)
    throw new ManagementError('OPTION_UNKNOWN', hint ?? `Option with name: ${word} does not exist`)
  }

  help(): OptionHelp[] {
    return optionHelp()
  }

  group(name: string): OptionSetting[] {
    return readGroup(this.#parts.settings.workDirectory, name)
  }

  async status(name: string, query: StatusQuery): Promise<VolumeProcesses> {
    const volume = this.#find(name)
    if (volume.status !== 'started') {
      throw new ManagementError('VOLUME_NOT_STARTED', `Volume ${name} is not started`)
    }
    return brickProcesses(volume, query, this.#parts.bricks, this.#parts.env)
  }

  /** The volfile that a process on this server would get. */
  volfile(id: string): string {
    const spec = findVolfile(this.#parts.store, id, true)
    if (spec === undefined) {
      throw new ManagementError('VOLFILE_NOT_FOUND', `No volfile has the id ${id}`)
    }
    return spec.text
  }

  async #create(request: CreateVolumeRequest): Promise<VolumeView> {
    const { store, settings, hooks, env } = this.#parts
    const { name, force = false } = request
    if (store.volume(name) !== undefined) {
      throw new ManagementError('VOLUME_EXISTS', `Volume ${name} already exists`)
    }
    const bricks = await placeBricks(request, store, this.#parts.host)
    await hooks.pre('create', name)
    const undo: Undo = []
    try {
      const rules = { force, workDirectory: settings.workDirectory, rootPath: settings.rootPath }
      for (const brick of request.bricks) prepareBrick(brick, rules, undo)
      const volume = newVolume(request, bricks, env)
      for (const brick of request.bricks) claimBrick(brick, volume.id, undo)
      await this.#save(volume)
      hooks.post('create', name)
      return this.#view(volume)
    } catch (error) {
      for (const step of undo.reverse()) this.#attempt(step)
      throw error
    }
  }

  /** Taking back is done as far as it goes: the first fault is what the user hears about. */
  #attempt(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#parts.env.log.warning('could not undo', { reason: (error as Error).message })
    }
  }

  async #start(name: string, force: boolean): Promise<VolumeView> {
    const { bricks, hooks, settings } = this.#parts
    const volume = this.#find(name)
    if (volume.status === 'started' && !force) {
      throw new ManagementError('VOLUME_STARTED', `Volume ${name} already started`)
    }
    if (!this.#parts.servedKinds.has(volume.kind)) {
      throw new ManagementError(
        'NOT_AVAILABLE',
        `Volume ${name} is of type ${volume.kind}, which this release can define but not serve yet.`,
      )
    }
    for (const brick of bricks.local(volume)) {
      verifyBrick({ host: brick.hostname, path: brick.path }, volume, force)
    }
    const words = (count: number): string[] => [
      `--first=${this.#started() === count ? 'yes' : 'no'}`,
      '--version=1',
      '--volume-op=start',
      `--gd-workdir=${settings.workDirectory}`,
    ]
    await hooks.pre('start', name, words(0))
    const next = changed(volume, { status: 'started' })
    await this.#save(next)
    try {
      await bricks.startVolume(next, force)
    } catch (error) {
      await this.#save(changed(next, { status: volume.status }))
      throw error
    }
    hooks.post('start', name, words(1))
    return this.#view(next)
  }

  #started(): number {
    return this.#parts.store.volumes().filter(volume => volume.status === 'started').length
  }

  async #save(volume: Volume): Promise<Volume> {
    if (await this.#parts.store.saveVolume(volume)) this.#parts.volfilesChanged()
    return volume
  }

  #find(name: string): Volume {
    const volume = this.#parts.store.volume(name)
    if (volume === undefined) {
      throw new ManagementError('VOLUME_NOT_FOUND', `Volume ${name} does not exist`)
    }
    return volume
  }

  #view(volume: Volume): VolumeView {
    return volumeView(volume, this.#parts.store.poolOptions())
  }

  /** Runs `operation` when those before it are done, whatever became of them. */
  #exclusively<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(operation, operation)
    this.#turn = result.catch(() => {})
    return result
  }
}

/** The next generation of a volume's definition. The bricks are shared: ports live on. */
function changed(volume: Volume, members: Partial<Volume>): Volume {
  return { ...volume, ...members, version: volume.version + 1 }
}

function unknownOption(message: string, word: string): ManagementError {
  const hint = suggestion(word)
  return new ManagementError('OPTION_UNKNOWN', hint === undefined ? message : `${message}\n${hint}`)
}
