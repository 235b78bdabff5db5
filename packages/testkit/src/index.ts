/**
 * @packageDocumentation
 * What tests share. Imported by tests only.
 */

export * from './cluster/index.ts'
export * from './memory/index.ts'
export { MemoryFile } from './memory/memory-file.ts'
export { MemoryStore } from './memory/memory-store.ts'
export { Pages } from './memory/pages.ts'
export { RangeLocks } from './memory/range-locks.ts'
export * from './breakable-link.ts'
export { Dice } from './simulation/dice.ts'
export * from './brick-set.ts'
export * from './counted-network.ts'
export * from './cut-network.ts'
export * from './pretended-healer.ts'
export * from './meddler.ts'
export * from './socket-brick.ts'
export * from './test-volume.ts'
export * from './scripted.ts'
