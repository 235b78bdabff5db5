/**
 * The dict of SETVOLUME: who we are, and everything that the volfile says about this brick
 * (`client_setvolume`, xlators/protocol/client/src/client-handshake.c).
 */

import { Dict, type XlatorSelf } from '@ashlar/core'
import { fopProgram } from '@ashlar/wire'
import type { ClientOptions } from './options.ts'

/** What we say we are: the release and op-version whose wire we speak. */
export const CLIENT_VERSION = '10.3'
export const OP_VERSION = 100_000

/** `reconnects`: how often we have introduced ourselves before; each time makes a new client. */
export function introduction(self: XlatorSelf<ClientOptions>, reconnects: number): Dict {
  const { process, id, volumeId } = self.graph
  const dict = new Dict()
    .setInt('opversion', OP_VERSION)
    .setUint('clnt-lk-version', 1)
    .setUint('volfile-checksum', 0)
    .setString('volfile-key', process.volfileId)
    .setString('client-version', CLIENT_VERSION)
    .setString('process-name', process.name)
    .setString('process-uuid', connectionId(self, id, reconnects))
    .setInt('fops-version', fopProgram.number)
  if (volumeId !== undefined) dict.setString('volume-id', volumeId)
  if (process.subdirectory !== undefined) dict.setString('subdir-mount', process.subdirectory)
  for (const [key, value] of self.texts) dict.setString(key, value)
  return dict
}

/** `GLUSTER_PROCESS_UUID_FMT`. */
function connectionId(self: XlatorSelf<ClientOptions>, graph: number, reconnects: number): string {
  const { uuid, pid, hostname } = self.graph.process
  return (
    `CTX_ID:${uuid}-GRAPH_ID:${graph}-PID:${pid}-HOST:${hostname}` +
    `-PC_NAME:${self.name}-RECON_NO:-${reconnects}`
  )
}
