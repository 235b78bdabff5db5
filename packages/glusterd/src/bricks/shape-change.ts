/**
 * Which changes of a volume's bricks fit its shape, and the shape afterwards: pure, in the order of
 * GlusterFS's checks and with its messages (reference: glusterd-brick-ops.c).
 */

import { type AddBricksRequest, ManagementError, type RemoveBricksRequest } from '@ashlar/contract'
import { changed } from '../desk.ts'
import { inSets } from '../volume/placement.ts'
import { type Brick, distributeCount, isArbiter, leafCount, type Volume } from '../volume/volume.ts'

/** `HOST:/PATH` in its parts. */
export interface BrickName {
  readonly host: string
  readonly path: string
}

type Shape = Pick<Volume, 'kind' | 'subCount' | 'replicaCount' | 'arbiterCount'>

function misfit(message: string): ManagementError {
  return new ManagementError('VOLUME_SHAPE_INVALID', message)
}

/** The shape after the bricks of `request` have come in. */
export function grownShape(volume: Volume, request: AddBricksRequest): Shape {
  const { kind, subCount, replicaCount, arbiterCount } = volume
  const count = request.bricks.length
  const same: Shape = { kind, subCount, replicaCount, arbiterCount }
  const { replica } = request
  if (replica === undefined || (replica === replicaCount && kind === 'replicate')) {
    const width = leafCount(volume)
    if (request.arbiter !== undefined && arbiterCount === 0) {
      throw misfit('Cannot convert replica 3 volume to arbiter volume.')
    }
    if (count % width === 0) return same
    throw misfit(`Incorrect number of bricks supplied ${count} with count ${width}`)
  }
  if (kind === 'disperse') {
    throw misfit(`Volume ${volume.name} cannot be converted from dispersed to replicated-dispersed`)
  }
  if (replica < replicaCount) {
    throw misfit(
      `Incorrect replica count (${replica}) supplied. Volume already has (${replicaCount})`,
    )
  }
  if (arbiterCount > 0) {
    throw misfit('Increasing replica count for arbiter volumes is not supported.')
  }
  if (count !== distributeCount(volume) * (replica - replicaCount)) {
    throw misfit(`Incorrect number of bricks (${count}) supplied for replica count (${replica}).`)
  }
  return {
    kind: 'replicate',
    subCount: replica,
    replicaCount: replica,
    arbiterCount: request.arbiter ?? 0,
  }
}

export interface Shrunk {
  readonly after: Volume
  readonly removed: readonly Brick[]
}

/** The volume without the bricks of `request`. */
export function shrunkVolume(volume: Volume, request: RemoveBricksRequest): Shrunk {
  const { step } = request
  if (step === 'status' || step === 'stop') {
    throw new ManagementError(
      'OPTION_REFUSED',
      volume.status === 'started'
        ? `remove-brick not started for volume ${volume.name}.`
        : `Volume ${volume.name} needs to be started to perform rebalance`,
    )
  }
  const replica = keptReplicas(volume, request)
  const removed = request.bricks.map(({ host, path }) => {
    const found = volume.bricks.find(brick => brick.hostname === host && brick.path === path)
    if (found !== undefined) return found
    throw new ManagementError(
      'BRICK_NOT_FOUND',
      `Incorrect brick ${host}:${path} for volume ${volume.name}`,
    )
  })
  const gone = new Set(removed)
  const sets = inSets(volume.bricks, leafCount(volume))
  const reducing = replica < volume.replicaCount
  if (reducing) checkEverySet(volume, sets, gone, replica)
  else if (sets.some(set => set.some(b => gone.has(b)) && !set.every(b => gone.has(b)))) {
    throw misfit(`Bricks not from same subvol for ${setWord(volume)}`)
  }
  const kept = volume.bricks.filter(brick => !gone.has(brick))
  if (kept.length === 0) throw misfit('Deleting all the bricks of the volume is not allowed')
  checkStep(volume, request, reducing)
  const arbiterLeft = reducing ? 0 : volume.arbiterCount
  const shape: Partial<Volume> =
    replica === 1 && volume.kind === 'replicate'
      ? { kind: 'distribute', subCount: 0, replicaCount: 1, arbiterCount: 0 }
      : {
          ...(reducing ? { subCount: replica } : {}),
          replicaCount: replica,
          arbiterCount: arbiterLeft,
        }
  return { after: changed(volume, { ...shape, bricks: kept }), removed }
}

/** Moving files off bricks is what `start` and `commit` are about. */
function checkStep(volume: Volume, { step, bricks }: RemoveBricksRequest, reducing: boolean): void {
  const [first] = bricks
  if (step === 'force') return
  if (step === 'commit') {
    throw new ManagementError(
      'OPTION_REFUSED',
      `Brick ${first?.host}:${first?.path} is not decommissioned. Use start or force option`,
    )
  }
  if (reducing) {
    throw new ManagementError(
      'OPTION_REFUSED',
      "Migration of data is not needed when reducing replica count. Use the 'force' option",
    )
  }
  throw new ManagementError(
    'NOT_AVAILABLE',
    `Moving the files of volume ${volume.name} off bricks is not available yet. ` +
      "With 'force' bricks are removed together with their files.",
  )
}

/** Copies of each file afterwards. */
function keptReplicas(volume: Volume, { replica, bricks }: RemoveBricksRequest): number {
  const { replicaCount, kind, name } = volume
  const count = bricks.length
  const width = leafCount(volume)
  if (replica === undefined) {
    if (kind === 'replicate' && distributeCount(volume) === 1) {
      throw misfit(
        'Removing bricks from replicate configuration is not allowed without reducing replica ' +
          'count explicitly.',
      )
    }
    if (count % width === 0) return replicaCount
    throw misfit(`Remove brick incorrect brick count of ${count} for ${setWord(volume)} ${width}`)
  }
  if (kind !== 'replicate') {
    throw misfit(`replica count (${replica}) option given for non replicate volume ${name}`)
  }
  if (replica > replicaCount) {
    throw misfit(
      `given replica count (${replica}) option is more than volume ${name}'s replica count ` +
        `(${replicaCount})`,
    )
  }
  if (replica === replicaCount) {
    if (count % width === 0) return replicaCount
    throw misfit(
      `number of bricks provided (${count}) is not valid. need at least ${width} (or ${width}xN)`,
    )
  }
  const needed = distributeCount(volume) * (replicaCount - replica)
  if (count === needed) return replica
  throw misfit(
    `need ${needed}(xN) bricks for reducing replica count of the volume from ${replicaCount} ` +
      `to ${replica}`,
  )
}

function checkEverySet(
  volume: Volume,
  sets: readonly Brick[][],
  gone: ReadonlySet<Brick>,
  replica: number,
): void {
  const each = volume.replicaCount - replica
  for (const set of sets) {
    const leaving = set.filter(brick => gone.has(brick))
    if (leaving.length !== each) {
      throw misfit(`Remove exactly ${each} brick(s) from each subvolume.`)
    }
    if (volume.arbiterCount === 0) continue
    const arbiter = set.find(brick => isArbiter(volume, volume.bricks.indexOf(brick))) as Brick
    if (leaving.includes(arbiter)) continue
    throw misfit(
      replica === 1
        ? 'Removed bricks must contain arbiter when converting to plain distribute.'
        : 'Remove arbiter brick(s) only when converting from arbiter to replica 2 subvolume.',
    )
  }
}

function setWord({ kind }: Volume): string {
  if (kind === 'replicate') return 'replica'
  return kind === 'disperse' ? 'disperse' : 'distribute'
}
