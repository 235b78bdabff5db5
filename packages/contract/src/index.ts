/**
 * @packageDocumentation
 * The HTTP API of glusterd, version 1: schemas, types and errors, shared by the daemon, the
 * command line and the web console alike.
 */

export * from './bricks.ts'
export * from './errors.ts'
export * from './heal.ts'
export * from './process-state.ts'
export * from './status.ts'
export * from './volume.ts'
