/**
 * Changes of the bricks of a volume as the API takes them.
 */

import { z } from 'zod'

/** A directory of a server. */
export const brickPlace = z.object({ host: z.string().min(1), path: z.string().startsWith('/') })
export type BrickPlaceView = z.infer<typeof brickPlace>

/** Bricks to be added: whole sets, or one more for each set when `replica` is more than it was. */
export const addBricksRequest = z.object({
  bricks: z.array(brickPlace).min(1),
  replica: z.number().int().min(2).optional(),
  arbiter: z.number().int().min(1).max(1).optional(),
  /** Skips the checks that GlusterFS's `force` skips. */
  force: z.boolean().default(false),
})
export type AddBricksRequest = z.input<typeof addBricksRequest>

/** Bricks to be removed: whole sets, or so many of each set that `replica` are left. */
export const removeBricksRequest = z.object({
  bricks: z.array(brickPlace).min(1),
  replica: z.number().int().min(1).optional(),
  /** GlusterFS's steps; `force` removes at once and moves no data. */
  step: z.enum(['start', 'stop', 'status', 'commit', 'force']),
})
export type RemoveBricksRequest = z.input<typeof removeBricksRequest>

/** An empty brick takes the place of another. */
export const replaceBrickRequest = z.object({ brick: brickPlace, replacement: brickPlace })
export type ReplaceBrickRequest = z.input<typeof replaceBrickRequest>

/** A brick is taken down (`start`), and comes back empty at the same place (`commit`). */
export const resetBrickRequest = z.object({
  brick: brickPlace,
  step: z.enum(['start', 'commit']),
  /** For `commit`; the same as `brick`. */
  replacement: brickPlace.optional(),
  force: z.boolean().default(false),
})
export type ResetBrickRequest = z.input<typeof resetBrickRequest>
