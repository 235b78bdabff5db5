/**
 * protocol/client: a brick on another host, as a translator (xlators/protocol/client of GlusterFS;
 * reference/handshake.md, fops.md).
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
