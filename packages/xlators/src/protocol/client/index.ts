/**
 * protocol/client: a brick on another host, as a translator (xlators/protocol/client/src,
 * client-handshake.c, client-rpc-fops_v2.c).
 */

import { defineXlator } from '@ashlar/core'
import { makeClient } from './client.ts'
import { clientOptions } from './options.ts'

/** The leaf of a client's graph. */
export const client = defineXlator({
  type: 'protocol/client',
  options: clientOptions,
  create: self => makeClient(self),
})
