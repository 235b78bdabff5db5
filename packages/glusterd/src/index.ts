/**
 * @packageDocumentation
 * The management daemon: the pool's definition, volfiles, brick processes, and its faces.
 */

export type { Launcher, ProcessSpec } from './bricks/launcher.ts'
export type { BrickSpec } from './bricks/spec.ts'
export type { HealProgram, HealQuestion } from './heal/program.ts'
export * from './daemon.ts'
export * from './settings.ts'
