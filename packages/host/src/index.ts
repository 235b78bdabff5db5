/**
 * @packageDocumentation
 * A process that runs one graph: it fetches the volfile, builds the graph, follows its changes, and
 * ends cleanly. Bricks and mounts are this with different volfiles.
 */

export * from './brick-process.ts'
export * from './daemonize.ts'
export * from './definitions.ts'
export * from './graph-host.ts'
export * from './heal-operations.ts'
export * from './heal-process.ts'
export * from './heal-session.ts'
export * from './heal-view.ts'
export * from './heal-volume.ts'
export * from './mount-process.ts'
export * from './pid-file.ts'
export * from './process-environment.ts'
export * from './statedump.ts'
export * from './status-operations.ts'
export * from './volfile-source.ts'
