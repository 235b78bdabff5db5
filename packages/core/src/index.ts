/**
 * @packageDocumentation
 * The words of the house: identities, attributes, dictionaries, fops, translators and the graph
 * that binds them. Imports nothing of ours and does no I/O.
 */

import './buffer.ts'

export * from './assert.ts'
export * from './buffer-pool.ts'
export * from './compound.ts'
export * from './context.ts'
export * from './device.ts'
export * from './dict.ts'
export * from './directory-offset.ts'
export * from './env.ts'
export * from './errno.ts'
export * from './exclusive-rename.ts'
export * from './fd.ts'
export * from './fops.ts'
export * from './gfid.ts'
export * from './gfid-source.ts'
export * from './glob.ts'
export * from './graph.ts'
export * from './held-locks.ts'
export * from './iatt.ts'
export * from './inode.ts'
export * from './listed-content.ts'
export * from './loc.ts'
export * from './log.ts'
export * from './names-lease.ts'
export * from './object-gone.ts'
export * from './names.ts'
export * from './network.ts'
export * from './options.ts'
export * from './volfile.ts'
export * from './xlator.ts'
