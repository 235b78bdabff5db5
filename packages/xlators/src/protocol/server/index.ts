/**
 * protocol/server: offers the bricks below it to clients (xlators/protocol/server of GlusterFS;
 * reference/handshake.md, fops.md).
 */

import { defineXlator } from '@ashlar/core'
import { serverOptions } from './options.ts'
import { Server } from './server.ts'

export { Server } from './server.ts'

/** The translator at the top of a brick's graph. */
export const server = defineXlator({
  type: 'protocol/server',
  options: serverOptions,
  create: self => new Server(self),
})
