/** Runners of real processes, for end-to-end and interop tests. */

export * from './cluster.ts'
export * from './machine.ts'
export * from './mount.ts'
export * from './processes.ts'
export * from './until.ts'
