/**
 * protocol/server: offers the bricks below it to clients (xlators/protocol/server/src,
 * server-handshake.c, server-rpc-fops_v2.c).
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
