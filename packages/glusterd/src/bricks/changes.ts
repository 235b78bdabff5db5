/**
 * BrickChanges: bricks that come into a volume, leave it, or take another's place. A brick that is
 * to become a copy is marked as empty on the others before it is served and before any client hears
 * of it, so that nobody takes it for a good one.
 */

import {
  type AddBricksRequest,
  ManagementError,
  type RemoveBricksRequest,
  type ReplaceBrickRequest,
  type ResetBrickRequest,
  type VolumeView,
} from '@ashlar/contract'
import { HealOperation } from '@ashlar/host'
import { changed, type Desk } from '../desk.ts'
import { healRequest } from '../heal/request.ts'
import { healIsEnabled } from '../heal/spec.ts'
import { updateOpVersions } from '../options/op-version.ts'
import { claimBrick, prepareBrick, type Undo } from '../volume/brick-directory.ts'
import { inSets, locationOf, placeBricks, refuseOneServer } from '../volume/placement.ts'
import { type Brick, leafCount, type Volume } from '../volume/volume.ts'
import { type BrickName, grownShape, shrunkVolume } from './shape-change.ts'

/** The daemon answers when it has begun. */
const ASK_MS_MAX = 5_000

export class BrickChanges {
  readonly #desk: Desk

  constructor(desk: Desk) {
    this.#desk = desk
  }

  /** Whole sets, or more copies for each set. */
  add(name: string, request: AddBricksRequest): Promise<VolumeView> {
    return this.#desk.exclusively(() => this.#add(name, request))
  }

  /** Whole sets, or copies of each set. */
  remove(name: string, request: RemoveBricksRequest): Promise<VolumeView> {
    return this.#desk.exclusively(() => this.#remove(name, request))
  }

  /** An empty directory takes a brick's place and is healed from the others. */
  replace(name: string, { brick, replacement }: ReplaceBrickRequest): Promise<VolumeView> {
    return this.#desk.exclusively(async () => {
      const { store, host } = this.#desk.parts
      const volume = this.#desk.find(name)
      if (volume.status !== 'started') {
        throw new ManagementError('VOLUME_NOT_STARTED', `volume: ${name} is not started`)
      }
      if (leafCount(volume) === 1) {
        throw new ManagementError(
          'VOLUME_SHAPE_INVALID',
          'replace-brick is not permitted on distribute only volumes. ' +
            'Please use add-brick and remove-brick operations instead.',
        )
      }
      const old = brickNamed(volume, brick)
      const [placed] = await placeBricks(
        { volume: name, firstId: 0, bricks: [replacement] },
        store,
        host,
      )
      // It inherits the identity by which the other bricks count what it lacks, and the port.
      const next = { ...(placed as Brick), id: old.id, port: old.port }
      return this.#exchange(volume, old, next)
    })
  }

  /** Takes a brick down; or takes its emptied directory into use again. */
  reset(name: string, request: ResetBrickRequest): Promise<VolumeView> {
    return this.#desk.exclusively(async () => {
      const { bricks } = this.#desk.parts
      const volume = this.#desk.find(name)
      if (volume.status !== 'started') {
        throw new ManagementError('VOLUME_NOT_STARTED', `volume: ${name} is not started`)
      }
      const brick = brickNamed(volume, request.brick)
      if (request.step === 'start') {
        await bricks.stopBrick(volume, brick)
        return this.#desk.view(volume)
      }
      this.#checkReset(volume, brick, request)
      return this.#exchange(volume, brick, { ...brick, ...locationOf(brick.path) })
    })
  }

  #checkReset(volume: Volume, brick: Brick, { replacement, force }: ResetBrickRequest): void {
    const { host, path } = replacement ?? { host: brick.hostname, path: brick.path }
    if (host !== brick.hostname || path !== brick.path) {
      throw new ManagementError(
        'REQUEST_INVALID',
        'When destination brick is new, please use gluster volume replace-brick <volname> ' +
          '<src-brick> <dst-brick> commit force',
      )
    }
    if (this.#desk.parts.bricks.state(volume, brick).pid !== undefined) {
      throw new ManagementError(
        'BRICK_IN_USE',
        'Source brick must be stopped. Please use gluster volume reset-brick <volname> ' +
          '<dst-brick> start.',
      )
    }
    if (force === true) return
    throw new ManagementError(
      'BRICK_IN_USE',
      'Brick not available.It may be containing or be contained by an existing brick.' +
        "Use 'force' option to override this.",
    )
  }

  /** `next` is empty, stands where `old` was, and is healed. All is as before when that fails. */
  async #exchange(volume: Volume, old: Brick, next: Brick): Promise<VolumeView> {
    const { bricks, store } = this.#desk.parts
    const undo: Undo = []
    const tellAll = this.#desk.parts.holdNews()
    const wasRunning = bricks.state(volume, old).pid !== undefined
    const after = changed(volume, {
      bricks: volume.bricks.map(brick => (brick === old ? next : brick)),
    })
    try {
      this.#prepare(volume, [next], true, undo)
      await bricks.stopBrick(volume, old)
      await this.#desk.save(after)
      await this.#markEmpty(after, [next])
      await bricks.startBricks(after, [next])
    } catch (error) {
      await bricks.stopBrick(after, next).catch(() => undefined)
      await store.saveVolume(changed(after, { bricks: volume.bricks }))
      if (wasRunning) await bricks.startBricks(volume, [old]).catch(() => undefined)
      this.#desk.takeBack(undo)
      throw error
    } finally {
      tellAll()
    }
    await this.#heal(after)
    return this.#desk.view(after)
  }

  async #add(name: string, request: AddBricksRequest): Promise<VolumeView> {
    const { store, host, hooks, settings, bricks } = this.#desk.parts
    const { force = false } = request
    const volume = this.#desk.find(name, `Unable to get volinfo for volume name ${name}`)
    const shape = grownShape(volume, request)
    if (shape.replicaCount > volume.replicaCount) this.#checkAllUp(volume)
    const added = await placeBricks(
      { volume: name, firstId: nextId(volume), bricks: request.bricks },
      store,
      host,
    )
    const order = insertBricks(volume, added, shape.replicaCount)
    const after = changed(volume, { ...shape, bricks: order })
    if (!force && leafCount(after) > 1) {
      const touched = inSets(order, leafCount(after)).filter(set =>
        set.some(brick => added.includes(brick)),
      )
      refuseOneServer(after.kind === 'disperse' ? 'disperse' : 'replicate', touched)
    }
    if (after.kind === 'replicate' && volume.kind !== 'replicate') {
      after.options = new Map(volume.options).set('performance.client-io-threads', 'off')
    }
    updateOpVersions(after)
    const words = ['--version=1', '--volume-op=add-brick', `--gd-workdir=${settings.workDirectory}`]
    await hooks.pre('add-brick', name, words)
    const undo: Undo = []
    const tellAll = this.#desk.parts.holdNews()
    try {
      this.#prepare(volume, added, force, undo)
      await this.#desk.save(after)
      if (shape.replicaCount > volume.replicaCount) await this.#markEmpty(after, added)
      if (volume.status === 'started') await bricks.startBricks(after, added)
    } catch (error) {
      await Promise.allSettled(added.map(brick => bricks.stopBrick(after, brick)))
      await store.saveVolume({ ...volume, version: after.version + 1 })
      this.#desk.takeBack(undo)
      throw error
    } finally {
      tellAll()
    }
    await this.#heal(after)
    hooks.post('add-brick', name, words)
    return this.#desk.view(after)
  }

  async #remove(name: string, request: RemoveBricksRequest): Promise<VolumeView> {
    const { hooks, bricks, healer } = this.#desk.parts
    const volume = this.#desk.find(name)
    const { after, removed } = shrunkVolume(volume, request)
    await hooks.pre('remove-brick', name)
    if (after.replicaCount === 1) {
      // GlusterFS does so for every volume of single copies, whatever it was before.
      after.options = new Map(volume.options).set('performance.client-io-threads', 'on')
    }
    updateOpVersions(after)
    await this.#desk.save(after)
    await Promise.all(removed.map(brick => bricks.stopBrick(volume, brick)))
    await healer.follow()
    hooks.post('remove-brick', name)
    return this.#desk.view(after)
  }

  #prepare(volume: Volume, bricks: readonly Brick[], force: boolean, undo: Undo): void {
    const { workDirectory, rootPath } = this.#desk.parts.settings
    for (const { hostname: host, path } of bricks) {
      prepareBrick({ host, path }, { force, workDirectory, rootPath }, undo)
      claimBrick({ host, path }, volume.id, undo)
    }
  }

  #checkAllUp(volume: Volume): void {
    if (volume.status === 'stopped') {
      throw new ManagementError(
        'VOLUME_NOT_STARTED',
        'Volume must not be in stopped state when replica-count needs to  be increased.',
      )
    }
    if (volume.status !== 'started') return
    const down = volume.bricks.find(brick => !this.#desk.parts.bricks.state(volume, brick).online)
    if (down === undefined) return
    throw new ManagementError(
      'BRICK_IN_USE',
      `Brick ${down.hostname}:${down.path} is down, changing replica count needs all the bricks ` +
        'to be up to avoid data loss',
    )
  }

  /** The self-heal daemon knows of the change, and looks at once. */
  async #heal(volume: Volume): Promise<void> {
    const { healer } = this.#desk.parts
    await healer.follow()
    if (volume.status === 'started' && volume.kind === 'replicate' && healIsEnabled(volume)) {
      await healer.ask(healRequest(volume, HealOperation.INDEX), ASK_MS_MAX)
    }
  }

  /** A volume that nobody has started holds nothing to be healed. */
  async #markEmpty(volume: Volume, bricks: readonly Brick[]): Promise<void> {
    if (volume.status !== 'started' || volume.kind !== 'replicate') return
    await this.#desk.parts.healProgram.run(volume.name, {
      kind: 'mark-empty',
      bricks: bricks.map(brick => brick.id),
    })
  }
}

/** Throws BRICK_NOT_FOUND. */
function brickNamed(volume: Volume, { host, path }: BrickName): Brick {
  const found = volume.bricks.find(brick => brick.hostname === host && brick.path === path)
  if (found !== undefined) return found
  throw new ManagementError(
    'BRICK_NOT_FOUND',
    `brick: ${host}:${path} does not exist in volume: ${volume.name}`,
  )
}

/** The highest number that a brick's id has, and one: gaps are not filled. */
function nextId(volume: Volume): number {
  const numbers = volume.bricks.map(({ id }) => Number(/-client-(\d+)$/.exec(id)?.[1] ?? -1))
  return Math.max(-1, ...numbers) + 1
}

/** New copies stand behind those of their set; whole sets behind all. */
function insertBricks(volume: Volume, added: readonly Brick[], replicaCount: number): Brick[] {
  const more = replicaCount - volume.replicaCount
  if (more === 0) return [...volume.bricks, ...added]
  const sets = inSets(volume.bricks, leafCount(volume))
  return sets.flatMap((set, n) => [...set, ...added.slice(n * more, (n + 1) * more)])
}
