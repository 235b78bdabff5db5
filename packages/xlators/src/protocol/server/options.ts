/** Options of protocol/server. Per-brick keys (`auth.addr.<brick>.allow` …) are read as texts. */

import { defineOptions } from '@ashlar/core'
import { patienceOptions } from '../patience.ts'

export const serverOptions = defineOptions({
  'listen-port': { kind: 'int', min: 0, max: 65_535, doc: 'TCP port to serve; 0 takes any.' },
  'transport.socket.listen-port': {
    kind: 'int',
    min: 0,
    max: 65_535,
    doc: 'The same under the name of the socket transport.',
  },
  'transport.socket.bind-address': { kind: 'string', doc: 'Address to listen on; all by default.' },
  'transport.socket.listen-path': { kind: 'path', doc: 'Unix socket to listen on instead.' },
  'transport.address-family': {
    kind: 'string',
    default: 'inet',
    doc: 'inet, inet6, inet/inet6 or unix.',
  },
  ...patienceOptions,
  'rpc-auth-allow-insecure': {
    kind: 'bool',
    default: 'on',
    doc: 'Admit clients whose source port is 1024 or above.',
  },
  'strict-auth-accept': {
    kind: 'bool',
    default: 'off',
    doc: 'Refuse clients that show no user name.',
  },
  'root-squash': {
    kind: 'bool',
    default: 'off',
    doc: 'Treat root of clients as the anonymous user.',
  },
  'all-squash': { kind: 'bool', default: 'off', doc: 'Treat every user as the anonymous user.' },
  anonuid: {
    kind: 'int',
    default: '65534',
    min: 0,
    max: 4_294_967_295,
    doc: 'The anonymous user.',
  },
  anongid: {
    kind: 'int',
    default: '65534',
    min: 0,
    max: 4_294_967_295,
    doc: 'The anonymous group.',
  },
  'rpc.outstanding-rpc-limit': {
    kind: 'int',
    default: '256',
    min: 0,
    max: 65_536,
    doc: 'Unanswered requests at which a client is no longer read; 0 means the default.',
  },
})

export type ServerOptions = typeof serverOptions
