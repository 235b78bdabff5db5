/**
 * @packageDocumentation
 * The management daemon: the pool's definition, volfiles, brick processes, and its faces.
 */

export type { BrickLauncher } from './bricks/launcher.ts'
export type { BrickSpec } from './bricks/spec.ts'
export * from './daemon.ts'
export * from './settings.ts'
