/**
 * Which host names mean this server.
 */

import { lookup } from 'node:dns/promises'
import { hostname, networkInterfaces } from 'node:os'

export class LocalHost {
  readonly #names: ReadonlySet<string>

  /** `names`: further names, which need not resolve. */
  constructor(names: readonly string[]) {
    this.#names = new Set([...names, hostname(), 'localhost'])
  }

  /** True for own names, own addresses, and names that resolve to one. */
  async owns(host: string): Promise<boolean> {
    if (this.#names.has(host) || isLocalAddress(host)) return true
    try {
      const addresses = await lookup(host, { all: true })
      return addresses.some(({ address }) => isLocalAddress(address))
    } catch {
      // A name that does not resolve belongs to nobody.
      return false
    }
  }
}

/** True when an interface of this machine has the address (with or without an IPv6 prefix). */
export function isLocalAddress(address: string): boolean {
  const plain = address.replace(/^::ffff:/, '')
  if (plain.startsWith('127.') || plain === '::1') return true
  return Object.values(networkInterfaces()).some(
    list => list?.some(entry => entry.address === plain) === true,
  )
}
