/**
 * From what `volume create` asks for to a Volume: how bricks are grouped, and its first identity.
 */

import { type CreateVolumeRequest, ManagementError } from '@ashlar/contract'
import { type Env, gfidText } from '@ashlar/core'
import { creationOptions } from '../options/change.ts'
import { updateOpVersions } from '../options/op-version.ts'
import { NO_SNAPSHOT } from '../store/volume-file.ts'
import type { Volume, VolumeKind } from './volume.ts'

/** GlusterFS's answer when the number of bricks does not fit the type. */
const MISFIT = 'Failed to create volume files'

interface Shape {
  kind: VolumeKind
  subCount: number
  replicaCount: number
  arbiterCount: number
  disperseCount: number
  redundancyCount: number
}

/** Throws ManagementError when the counts do not fit together. */
export function newVolume(
  request: CreateVolumeRequest,
  bricks: Volume['bricks'],
  env: Env,
): Volume {
  const shape = shapeOf(request, bricks.length)
  const uuid = (): string => gfidText(env.random.uuid())
  const volume: Volume = {
    name: request.name,
    id: uuid(),
    status: 'created',
    ...shape,
    stripeCount: undefined,
    thinArbiterCount: 0,
    version: 1,
    transport: request.transport ?? 'tcp',
    username: uuid(),
    password: uuid(),
    opVersion: 1,
    clientOpVersion: 1,
    quotaVersion: 0,
    parentVolume: 'N/A',
    restoredFromSnapshot: NO_SNAPSHOT,
    snapshotHardLimit: '256',
    options: creationOptions(shape.kind),
    extra: [],
    bricks,
  }
  updateOpVersions(volume)
  return volume
}

function shapeOf(request: CreateVolumeRequest, bricks: number): Shape {
  const shape: Shape = {
    kind: 'distribute',
    subCount: 0,
    replicaCount: 1,
    arbiterCount: 0,
    disperseCount: 0,
    redundancyCount: 0,
  }
  if (request.thinArbiter !== undefined) {
    throw new ManagementError('NOT_AVAILABLE', 'Thin arbiters are not available yet.')
  }
  if (request.replica !== undefined) {
    if (request.disperse !== undefined) {
      throw new ManagementError(
        'VOLUME_SHAPE_INVALID',
        'replicated-dispersed volume is not supported',
      )
    }
    shape.kind = 'replicate'
    // `replica 2 arbiter 1` and `replica 3 arbiter 1` mean the same: the third brick arbitrates.
    shape.replicaCount = request.arbiter === undefined ? request.replica : 3
    shape.arbiterCount = request.arbiter ?? 0
    shape.subCount = shape.replicaCount
  } else if (request.disperse !== undefined) {
    shape.kind = 'disperse'
    shape.disperseCount = request.disperse
    shape.redundancyCount = request.redundancy ?? 1
    shape.subCount = shape.disperseCount
    if (shape.redundancyCount > (shape.disperseCount - 1) / 2) {
      throw new ManagementError('VOLUME_SHAPE_INVALID', MISFIT)
    }
  }
  if (shape.subCount > 0 && bricks % shape.subCount !== 0) {
    throw new ManagementError('VOLUME_SHAPE_INVALID', MISFIT)
  }
  return shape
}
