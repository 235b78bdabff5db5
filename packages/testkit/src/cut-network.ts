/**
 * CutNetwork: a network of which single addresses can be cut off. Connections to them break, and new
 * ones fail, until they are mended.
 */

import { type Address, addressText, type Network, type Stream } from '@ashlar/core'

export interface CutNetwork extends Network {
  cut(address: Address): void
  mend(address: Address): void
}

export function cutNetwork(network: Network): CutNetwork {
  const cut = new Set<string>()
  const open = new Map<string, Set<Stream>>()
  return {
    connect(address, handler, options) {
      const key = addressText(address)
      if (cut.has(key)) {
        queueMicrotask(() => handler.closed('cut off'))
        return { ...DEAD, remote: address, local: address }
      }
      const streams = open.get(key) ?? new Set()
      open.set(key, streams)
      const stream = network.connect(
        address,
        {
          opened: () => handler.opened(),
          target: () => handler.target(),
          received: (buffer, length) => handler.received(buffer, length),
          drained: () => handler.drained(),
          closed(reason) {
            streams.delete(stream)
            handler.closed(reason)
          },
        },
        options,
      )
      streams.add(stream)
      return stream
    },
    listen: (address, accept) => network.listen(address, accept),
    cut(address) {
      const key = addressText(address)
      cut.add(key)
      for (const stream of open.get(key) ?? []) stream.close()
    },
    mend(address) {
      cut.delete(addressText(address))
    },
  }
}

const DEAD = {
  queued: 0,
  write: () => {},
  pause: () => {},
  resume: () => {},
  close: () => {},
}
