/**
 * @packageDocumentation
 * The wire: XDR, RPC records, credentials, both forms of dicts, and a table per Gluster program.
 * No I/O. Every bad input gives a WireError, and no length from the wire is believed unchecked.
 */

export * from './codec.ts'
export * from './credential.ts'
export * from './dict.ts'
export * from './error.ts'
export * from './iatt.ts'
export * from './message.ts'
export * from './old-dict.ts'
export * from './program.ts'
export * from './programs/callback.ts'
export * from './programs/cli.ts'
export * from './programs/compound.ts'
export * from './programs/fops.ts'
export * from './programs/management.ts'
export * from './reader.ts'
export * from './record.ts'
export * from './writer.ts'
