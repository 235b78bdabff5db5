/**
 * The `ssl.*` keys of a volume as options of the transport; they go to clients and servers alike.
 */

import type { NodeDraft } from './draft.ts'

const SSL_KEYS: readonly (readonly [string, string])[] = [
  ['ssl.own-cert', 'transport.socket.ssl-own-cert'],
  ['ssl.private-key', 'transport.socket.ssl-private-key'],
  ['ssl.ca-list', 'transport.socket.ssl-ca-list'],
  ['ssl.crl-path', 'transport.socket.ssl-crl-path'],
  ['ssl.certificate-depth', 'transport.socket.ssl-cert-depth'],
  ['ssl.cipher-list', 'transport.socket.ssl-cipher-list'],
  ['ssl.dh-param', 'transport.socket.ssl-dh-param'],
  ['ssl.ec-curve', 'transport.socket.ssl-ec-curve'],
]

/** Sets those of the keys that the volume has. */
export function setTls(node: NodeDraft, options: ReadonlyMap<string, string>): void {
  for (const [key, option] of SSL_KEYS) {
    const value = options.get(key)
    if (value !== undefined) node.set(option, value)
  }
}
