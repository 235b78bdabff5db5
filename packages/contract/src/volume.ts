/**
 * Volumes as the API shows and takes them.
 */

import { z } from 'zod'

/** One server's directory in a volume. */
export const brickView = z.object({
  host: z.string(),
  path: z.string(),
  /** UUID of the server. */
  peer: z.string(),
  arbiter: z.boolean(),
})
export type BrickView = z.infer<typeof brickView>

/** A key and its text; in lists the newest comes first. */
export const optionSetting = z.object({ key: z.string(), value: z.string() })
export type OptionSetting = z.infer<typeof optionSetting>

export const volumeStatus = z.enum(['created', 'started', 'stopped'])
export const volumeKind = z.enum([
  'distribute',
  'stripe',
  'replicate',
  'stripe-replicate',
  'disperse',
  'tier',
])
export const transportKind = z.enum(['tcp', 'rdma', 'tcp,rdma'])

/** A volume's definition. */
export const volumeView = z.object({
  name: z.string(),
  id: z.string(),
  kind: volumeKind,
  status: volumeStatus,
  transport: transportKind,
  snapshotCount: z.number().int(),
  /** Subvolumes over which files are spread. */
  distributeCount: z.number().int(),
  replicaCount: z.number().int(),
  arbiterCount: z.number().int(),
  disperseCount: z.number().int(),
  redundancyCount: z.number().int(),
  /** Generation of the definition. */
  version: z.number().int(),
  bricks: z.array(brickView),
  options: z.array(optionSetting),
})
export type VolumeView = z.infer<typeof volumeView>

/** How bricks are grouped; absent members have GlusterFS's defaults. */
export const volumeShape = z.object({
  replica: z.number().int().min(2).optional(),
  arbiter: z.number().int().min(1).max(1).optional(),
  thinArbiter: z.number().int().min(1).max(1).optional(),
  disperse: z.number().int().min(3).optional(),
  redundancy: z.number().int().min(1).optional(),
})
export type VolumeShape = z.infer<typeof volumeShape>

/** A volume to be made. */
export const createVolumeRequest = volumeShape.extend({
  name: z.string().min(1).max(256),
  transport: transportKind.default('tcp'),
  bricks: z.array(z.object({ host: z.string().min(1), path: z.string().startsWith('/') })).min(1),
  /** Skips the checks that GlusterFS's `force` skips. */
  force: z.boolean().default(false),
})
export type CreateVolumeRequest = z.input<typeof createVolumeRequest>

export const forceRequest = z
  .object({ force: z.boolean().default(false) })
  .default({ force: false })

/** Settings in the order they shall be made. */
export const setOptionsRequest = z.object({ options: z.array(optionSetting) })
export type SetOptionsRequest = z.infer<typeof setOptionsRequest>

/** What a `reset` did. */
export const resetAnswer = z.object({ message: z.string() })

/** A row of `volume get`. */
export const optionValue = z.object({
  key: z.string(),
  /** Null: none is set and the translator has no default. */
  value: z.string().nullable(),
  /** The value is the translator's default, which nobody set. */
  isDefault: z.boolean(),
})
export type OptionValueView = z.infer<typeof optionValue>

/** A row of `volume set help`. */
export const optionHelp = z.object({
  key: z.string(),
  default: z.string().nullable(),
  description: z.string(),
})
export type OptionHelp = z.infer<typeof optionHelp>
