/**
 * Clients ask for the ports of bricks at GlusterFS's management port, on the brick's host. When
 * glusterd listens elsewhere nobody answers there, so the volfiles it hands out name the ports
 * themselves (`remote-port`, which real clients know too).
 */

import { parseVolfile, printVolfile } from '@ashlar/core'
import type { Portmap } from '../bricks/portmap.ts'
import type { Volume } from '../volume/volume.ts'

/** `text` with the port of its brick in every protocol/client. */
export function withBrickPorts(text: string, volume: Volume, portmap: Portmap): string {
  const { nodes } = parseVolfile(text)
  return printVolfile({
    nodes: nodes.map(node => {
      const path = node.options.get('remote-subvolume')
      if (node.type !== 'protocol/client' || path === undefined) return node
      // A brick that is down comes back on the port it had, if nobody has taken it.
      const last = volume.bricks.find(brick => brick.path === path)?.port
      const port = portmap.port(path) ?? last ?? 0
      if (port === 0) return node
      return { ...node, options: new Map([...node.options, ['remote-port', String(port)]]) }
    }),
  })
}
