/**
 * HealCommands: what `volume heal` asks for. Crawls are the self-heal daemon's; looking at what is
 * to be healed and resolving split-brains is a short process, which needs no daemon.
 */

import {
  type BrickCrawlsView,
  brickHeal,
  type BrickHealView,
  type HealCountView,
  type HealInfoView,
  ManagementError,
  splitBrainAnswer,
  type SplitBrainAnswer,
  type SplitBrainRequest,
  type VolumeView,
} from '@ashlar/contract'
import { delay, type Dict } from '@ashlar/core'
import { HealOperation } from '@ashlar/host'
import { z } from 'zod'
import { changed, type Desk } from '../desk.ts'
import { updateOpVersions } from '../options/op-version.ts'
import { type Brick, leafCount, type Volume } from '../volume/volume.ts'
import { crawlsOf } from './crawls.ts'
import { healRequest } from './request.ts'
import { canHeal, healIsEnabled, healSwitch } from './spec.ts'

/** Bricks are asked for their counts, which takes as long as the slowest. */
const ANSWER_MS_MAX = 60_000

/** With more on one brick the daemon has other things to do than to tell all of it. */
const TOLD_ENTRIES_MAX = 20_000
/** The daemon finds a brick that has come within so long. */
const CONNECT_MS_MAX = 2_000
const CONNECT_POLL_MS = 50

const infoAnswer = z.object({ bricks: z.array(brickHeal.omit({ peer: true })) })

export class HealCommands {
  readonly #desk: Desk

  constructor(desk: Desk) {
    this.#desk = desk
  }

  /** The daemon crawls: what the bricks have noted, or everything. */
  async launch(name: string, scope: 'index' | 'full'): Promise<void> {
    const volume = this.#startedVolume(name)
    const operation = scope === 'index' ? HealOperation.INDEX : HealOperation.FULL
    await this.#ask(volume, operation)
  }

  /** What is to be healed (or only what is in split-brain), and why it is not yet. */
  async info(name: string, paths = true, only?: 'split-brain'): Promise<HealInfoView> {
    const volume = only === undefined ? this.#lookedAt(name) : this.#lookedAtCopies(name)
    const bricks = (await this.#infoOf(volume, paths)).map(brick => ({
      ...brick,
      entries: brick.entries
        .filter(({ state }) => only === undefined || state === only)
        .map(entry => ({ ...entry, reason: bricksNamed(volume, entry.reason) })),
    }))
    return { volume: name, bricks }
  }

  async #infoOf(volume: Volume, paths: boolean): Promise<BrickHealView[]> {
    const { name } = volume
    const told = await this.#infoOfDaemon(volume, paths)
    if (told !== undefined) return told
    const question = { kind: 'info', paths } as const
    const answer = infoAnswer.parse(await this.#desk.parts.healProgram.run(name, question))
    return answer.bricks.map(brick => {
      const known = volume.bricks.find(
        each => each.hostname === brick.host && each.path === brick.path,
      )
      return { ...brick, peer: known?.peer ?? '' }
    })
  }

  /**
   * The daemon is connected to the bricks and knows what its last heals met. undefined: it does not
   * run, knows less than all bricks, or there is too much for it to tell.
   */
  async #infoOfDaemon(volume: Volume, paths: boolean): Promise<BrickHealView[] | undefined> {
    if (!healIsEnabled(volume) || !(await this.#daemonCanTell(volume))) return undefined
    const request = healRequest(volume, HealOperation.INFO, paths)
    const answer = await this.#desk.parts.healer.ask(request, ANSWER_MS_MAX)
    if (answer === undefined || answer.ret < 0) return undefined
    const width = leafCount(volume)
    const views: BrickHealView[] = []
    for (const [n, brick] of volume.bricks.entries()) {
      const text = answer.output.getString(`info-${Math.floor(n / width)}-${n % width}`)
      if (text === undefined) return undefined
      const { hostname: host, path, peer } = brick
      const view = brickHeal.parse({ host, path, peer, ...JSON.parse(text) })
      if (!view.connected && !this.#isDown(volume, brick)) return undefined
      views.push(view)
    }
    return views
  }

  /** Nobody can reach the brick: it is one of this server, and does not run. */
  #isDown(volume: Volume, brick: Brick): boolean {
    const { bricks } = this.#desk.parts
    return bricks.local(volume).includes(brick) && !bricks.state(volume, brick).online
  }

  /**
   * The daemon is connected to all bricks that can be reached (to those that have just been started it
   * soon is), and they have not noted too much.
   */
  async #daemonCanTell(volume: Volume): Promise<boolean> {
    const { healer, bricks, env } = this.#desk.parts
    const local = bricks.local(volume)
    const width = leafCount(volume)
    const began = env.clock.monotonic()
    for (;;) {
      const answer = await healer.ask(healRequest(volume, HealOperation.COUNTS), ANSWER_MS_MAX)
      if (answer === undefined || answer.ret < 0) return false
      const counts = volume.bricks.map((_, n) =>
        answer.output.getNumber(`${Math.floor(n / width)}-${n % width}-hardlinks`),
      )
      if (counts.some(count => (count ?? 0) > TOLD_ENTRIES_MAX)) return false
      const missing = volume.bricks.filter((_, n) => counts[n] === undefined)
      // It does not know the volume.
      if (missing.length === volume.bricks.length) return false
      const coming = missing.filter(brick => !this.#isDown(volume, brick))
      if (coming.length === 0) return true
      if (!coming.every(brick => local.includes(brick))) return false
      if (env.clock.monotonic() - began > CONNECT_MS_MAX) return false
      await delay(env.clock, CONNECT_POLL_MS)
    }
  }

  /** Decides which copies win. */
  async resolve(name: string, request: SplitBrainRequest): Promise<SplitBrainAnswer> {
    const volume = this.#lookedAtCopies(name)
    const { file } = request
    if (file !== undefined && !/^(\/|gfid:)/.test(file)) {
      throw new ManagementError(
        'REQUEST_INVALID',
        "<FILE> must be absolute path w.r.t. the volume, starting with '/'",
      )
    }
    const question =
      request.policy === 'source-brick'
        ? { kind: request.policy, brick: request.brick, file: request.file }
        : { kind: request.policy, file: request.file }
    const answer = splitBrainAnswer.parse(await this.#desk.parts.healProgram.run(name, question))
    const files = answer.files.map(each => ({ ...each, reason: bricksNamed(volume, each.reason) }))
    return { files }
  }

  /** How much the bricks have noted; of `brick`'s set only, when it is given. */
  async counts(name: string, brick: string | undefined): Promise<HealCountView[]> {
    const volume = this.#startedVolume(name)
    refuseDisperse(volume)
    const width = leafCount(volume)
    const at = volume.bricks.findIndex(each => brick === `${each.hostname}:${each.path}`)
    if (brick !== undefined && at < 0) {
      throw new ManagementError('BRICK_NOT_FOUND', `No brick ${brick} in volume ${name}`)
    }
    const output = await this.#ask(volume, HealOperation.COUNTS)
    return volume.bricks.flatMap(({ hostname, path }, n) => {
      const set = Math.floor(n / width)
      if (brick !== undefined && set !== Math.floor(at / width)) return []
      return [
        { host: hostname, path, count: output.getNumber(`${set}-${n % width}-hardlinks`) ?? null },
      ]
    })
  }

  /** What the daemon has done since it began. */
  async statistics(name: string): Promise<BrickCrawlsView[]> {
    const volume = this.#startedVolume(name)
    refuseDisperse(volume)
    const output = await this.#ask(volume, HealOperation.STATISTICS)
    const width = leafCount(volume)
    return volume.bricks.map(({ hostname, path }, n) => ({
      host: hostname,
      path,
      crawls: crawlsOf(output, Math.floor(n / width), n % width),
    }))
  }

  /** Switches of healing, which `volume set` refuses or knows by other names. */
  change(
    name: string,
    settings: { enabled?: boolean | undefined; granular?: boolean | undefined },
  ): Promise<VolumeView> {
    return this.#desk.exclusively(async () => {
      const { enabled, granular } = settings
      const volume = granular === true ? this.#lookedAtCopies(name) : this.#desk.find(name)
      if (!canHeal(volume) || (granular === false && volume.kind !== 'replicate')) {
        throw new ManagementError('HEAL_UNAVAILABLE', 'operation failed')
      }
      const options = new Map(volume.options)
      if (enabled !== undefined) options.set(healSwitch(volume), switchWord(enabled))
      if (granular !== undefined) {
        if (granular) await this.#refuseUnhealed(name)
        options.set('cluster.granular-entry-heal', switchWord(granular))
      }
      const next = changed(volume, { options })
      updateOpVersions(next)
      await this.#desk.save(next)
      await this.#desk.parts.healer.follow()
      return this.#desk.view(next)
    })
  }

  /** What is noted in the other form would be missed. */
  async #refuseUnhealed(name: string): Promise<void> {
    const { bricks } = await this.info(name)
    if (bricks.some(brick => brick.entries.length > 0)) {
      throw new ManagementError(
        'HEAL_UNAVAILABLE',
        'One or more entries need heal. Please execute the command again after there are no ' +
          'entries to be healed',
      )
    }
    if (bricks.every(brick => brick.connected)) return
    throw new ManagementError(
      'HEAL_UNAVAILABLE',
      'One or more bricks could be down. Please execute the command again after bringing all ' +
        'bricks online and finishing any pending heals',
    )
  }

  #startedVolume(name: string): Volume {
    const volume = this.#desk.find(name)
    if (volume.status !== 'started') {
      throw new ManagementError('VOLUME_NOT_STARTED', `Volume ${name} is not started.`)
    }
    if (canHeal(volume)) return volume
    throw isDisabled(volume)
  }

  #lookedAt(name: string): Volume {
    const volume = this.#desk.find(name)
    if (volume.status !== 'started') {
      throw new ManagementError(
        'VOLUME_NOT_STARTED',
        `${name}: Not able to fetch volfile from glusterd`,
      )
    }
    if (canHeal(volume)) return volume
    throw new ManagementError(
      'HEAL_UNAVAILABLE',
      'This command is supported for only volumes of replicate/disperse type. ' +
        `Volume ${name} is not of type replicate/disperse`,
    )
  }

  #lookedAtCopies(name: string): Volume {
    const volume = this.#desk.find(name)
    if (volume.status !== 'started') return this.#lookedAt(name)
    refuseNoCopies(volume)
    return volume
  }

  async #ask(volume: Volume, operation: number): Promise<Dict> {
    if (!healIsEnabled(volume)) throw isDisabled(volume)
    const answer = await this.#desk.parts.healer.ask(healRequest(volume, operation), ANSWER_MS_MAX)
    if (answer !== undefined && answer.ret >= 0) return answer.output
    throw new ManagementError(
      'HEAL_UNAVAILABLE',
      'Self-heal daemon is not running. Check self-heal daemon log file.',
    )
  }
}

/** As GlusterFS stores it. */
function switchWord(on: boolean): string {
  return on ? 'enable' : 'disable'
}

function refuseDisperse(volume: Volume): void {
  if (volume.kind === 'replicate') return
  throw new ManagementError(
    'HEAL_UNAVAILABLE',
    'This command is supported for only volume of replicated type. ' +
      `Volume ${volume.name} is not of type replicate`,
  )
}

function refuseNoCopies(volume: Volume): void {
  if (volume.kind === 'replicate') return
  throw new ManagementError(
    'HEAL_UNAVAILABLE',
    'This command is supported for only volumes of replicate type. ' +
      `Volume ${volume.name} is not of type replicate`,
  )
}

/** Of volumes without copies, too. */
function isDisabled({ name }: Volume): ManagementError {
  return new ManagementError(
    'HEAL_UNAVAILABLE',
    `Self-heal-daemon is disabled. Heal will not be triggered on volume ${name}`,
  )
}

/** `HOST:/PATH` in place of the translators' names, which only volfiles show. */
function bricksNamed(volume: Volume, reason: string): string {
  return reason.replaceAll(/[\w-]+-client-\d+/g, id => {
    const brick = volume.bricks.find(each => each.id === id)
    return brick === undefined ? id : `${brick.hostname}:${brick.path}`
  })
}
