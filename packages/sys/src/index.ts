/**
 * @packageDocumentation
 * System calls that Node lacks. Every call returns what the kernel returns: a number ≥ 0 or −errno,
 * and throws for nothing that the world does wrong.
 */

export * from './constants.ts'
export * from './directory.ts'
export * from './entries.ts'
export * from './io.ts'
export * from './locks.ts'
export * from './memory.ts'
export * from './mount.ts'
export * from './process.ts'
export * from './sockets.ts'
export * from './stat.ts'
export * from './statfs.ts'
export * from './xattr.ts'
