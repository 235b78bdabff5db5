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
import { BrickChanges } from './bricks/changes.ts'
import { changed, Desk, type ManagerParts } from './desk.ts'
import { readGroup } from './groups.ts'
import { HealCommands } from './heal/commands.ts'
import { changedOptions, checkPoolOption, MAX_OP_VERSION, resetOptions } from './options/change.ts'
import { optionHelp } from './options/help.ts'
import { completeKey, isUserKey, rowsOf, suggestion } from './options/lookup.ts'
import { updateOpVersions } from './options/op-version.ts'
import { findVolfile } from './rpc/volfile-id.ts'
import { claimBrick, prepareBrick, type Undo, verifyBrick } from './volume/brick-directory.ts'
import { placeBricks, refuseOneServer, setsOf } from './volume/placement.ts'
import { newVolume } from './volume/shape.ts'
import { type StatusQuery, volumeProcesses } from './volume/status.ts'
import { allOptionViews, optionView, poolOptionViews } from './volume/view.ts'
import type { Volume } from './volume/volume.ts'

/** Types whose client translators this release has; others can be defined but not started. */
export const SERVED_KINDS: ReadonlySet<Volume['kind']> = new Set(['distribute', 'replicate'])

export class Manager {
  /** What is to be healed, and doing it. */
  readonly heal: HealCommands
  /** Adding, removing and replacing bricks. */
  readonly bricks: BrickChanges
  readonly #parts: ManagerParts
  readonly #desk: Desk

  constructor(parts: ManagerParts) {
    this.#parts = parts
    this.#desk = new Desk(parts)
    this.heal = new HealCommands(this.#desk)
    this.bricks = new BrickChanges(this.#desk)
  }

  volumes(): VolumeView[] {
    return this.#parts.store.volumes().map(volume => this.#desk.view(volume))
  }

  volume(name: string): VolumeView {
    return this.#desk.view(this.#desk.find(name))
  }

  create(request: CreateVolumeRequest): Promise<VolumeView> {
    return this.#desk.exclusively(() => this.#create(request))
  }

  delete(name: string): Promise<VolumeView> {
    return this.#desk.exclusively(async () => {
      const { store, hooks } = this.#parts
      const volume = this.#desk.find(name)
      if (volume.status === 'started') {
        throw new ManagementError(
          'VOLUME_STARTED',
          `Volume ${name} has been started.Volume needs to be stopped before deletion.`,
        )
      }
      await hooks.pre('delete', name)
      const view = this.#desk.view(volume)
      await store.removeVolume(volume)
      hooks.post('delete', name)
      return view
    })
  }

  start(name: string, force: boolean): Promise<VolumeView> {
    return this.#desk.exclusively(() => this.#start(name, force))
  }

  stop(name: string): Promise<VolumeView> {
    return this.#desk.exclusively(async () => {
      const { store, hooks, bricks } = this.#parts
      const volume = this.#desk.find(name)
      if (volume.status !== 'started') {
        throw new ManagementError(
          'VOLUME_NOT_STARTED',
          `Volume ${name} is not in the started state`,
        )
      }
      const last = (count: number): string => `--last=${this.#started() === count ? 'yes' : 'no'}`
      await hooks.pre('stop', name, [last(1)])
      await bricks.stopVolume(volume)
      const stopped = await this.#desk.save(changed(volume, { status: 'stopped' }))
      await this.#parts.healer.follow()
      hooks.post('stop', name, [last(0)])
      return this.#desk.view(store.volume(stopped.name) as Volume)
    })
  }

  set(name: string, settings: readonly OptionSetting[]): Promise<VolumeView> {
    return this.#desk.exclusively(async () => {
      const { hooks, settings: own } = this.#parts
      const volume = this.#desk.find(name)
      const options = changedOptions(volume, settings)
      const words = [
        '-o',
        ...settings.map(({ key, value }) => `${completeKey(key) ?? key}=${value}`),
        `--gd-workdir=${own.workDirectory}`,
      ]
      await hooks.pre('set', name, words)
      const next = changed(volume, { options })
      updateOpVersions(next)
      await this.#desk.save(next)
      await this.#parts.healer.follow()
      hooks.post('set', name, words)
      return this.#desk.view(next)
    })
  }

  reset(name: string, key: string | undefined, force: boolean): Promise<string> {
    return this.#desk.exclusively(async () => {
      const { hooks, settings } = this.#parts
      const volume = this.#desk.find(name)
      const outcome = resetOptions(volume, key, force)
      const words = ['--version=1', '--volume-op=reset', `--gd-workdir=${settings.workDirectory}`]
      await hooks.pre('reset', name, words)
      const next = changed(volume, { options: outcome.options })
      updateOpVersions(next)
      await this.#desk.save(next)
      await this.#parts.healer.follow()
      hooks.post('reset', name, words)
      return outcome.message
    })
  }

  /** Sets one option of the pool; GlusterFS takes only the first. */
  setPool(settings: readonly OptionSetting[]): Promise<void> {
    return this.#desk.exclusively(async () => {
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
    return this.#desk.exclusively(async () => {
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
    const volume = this.#desk.find(name)
    const set = volume.options.get(word)
    if (isUserKey(word) && set !== undefined) return { key: word, value: set, isDefault: false }
    const key = completeKey(word)
    const row = key === undefined ? undefined : rowsOf(key)[0]
    if (key === undefined || row === undefined) {
      throw new ManagementError('OPTION_UNKNOWN', suggestion(word))
    }
    if (row.global === true) {
      return this.poolOptions().find(each => each.key === key) ?? optionView(row, new Map())
    }
    // What the volume was made with, until it is set.
    if (key === 'config.transport' && !volume.options.has(key))
      return { key, value: volume.transport, isDefault: false }
    return optionView(row, volume.options, volume)
  }

  options(name: string): OptionValueView[] {
    const volume = this.#desk.find(name)
    const options = new Map([...this.#parts.store.poolOptions(), ...volume.options])
    return allOptionViews(options, volume)
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
    throw new ManagementError('OPTION_UNKNOWN', suggestion(word))
  }

  help(): OptionHelp[] {
    return optionHelp()
  }

  group(name: string): OptionSetting[] {
    return readGroup(this.#parts.settings.workDirectory, name)
  }

  async status(name: string, query: StatusQuery): Promise<VolumeProcesses> {
    const volume = this.#desk.find(name)
    if (volume.status !== 'started') {
      throw new ManagementError('VOLUME_NOT_STARTED', `Volume ${name} is not started`)
    }
    return volumeProcesses(volume, query, this.#parts)
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
    const bricks = await placeBricks(
      { volume: name, firstId: 0, bricks: request.bricks },
      store,
      this.#parts.host,
    )
    if (!force)
      refuseOneServer(
        request.replica === undefined ? 'disperse' : 'replicate',
        setsOf(request, bricks),
      )
    await hooks.pre('create', name)
    const undo: Undo = []
    try {
      const rules = { force, workDirectory: settings.workDirectory, rootPath: settings.rootPath }
      for (const brick of request.bricks) prepareBrick(brick, rules, undo)
      const volume = newVolume(request, bricks, env)
      for (const brick of request.bricks) claimBrick(brick, volume.id, undo)
      await this.#desk.save(volume)
      hooks.post('create', name)
      return this.#desk.view(volume)
    } catch (error) {
      this.#desk.takeBack(undo)
      throw error
    }
  }

  async #start(name: string, force: boolean): Promise<VolumeView> {
    const { bricks, hooks, settings } = this.#parts
    const volume = this.#desk.find(name)
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
    await this.#desk.save(next)
    try {
      await bricks.startVolume(next, force)
    } catch (error) {
      await this.#desk.save(changed(next, { status: volume.status }))
      throw error
    }
    await this.#parts.healer.follow()
    hooks.post('start', name, words(1))
    return this.#desk.view(next)
  }

  #started(): number {
    return this.#parts.store.volumes().filter(volume => volume.status === 'started').length
  }
}

function unknownOption(message: string, word: string): ManagementError {
  return new ManagementError('OPTION_UNKNOWN', `${message}\n${suggestion(word)}`)
}
