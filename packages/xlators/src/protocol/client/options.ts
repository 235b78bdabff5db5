/** Options of protocol/client. All that the volfile gives is also told to the brick at SETVOLUME. */

import { defineOptions } from '@ashlar/core'
import { patienceOptions } from '../patience.ts'

export const clientOptions = defineOptions({
  'remote-host': { kind: 'string', doc: 'Host of the brick.' },
  'remote-port': {
    kind: 'int',
    min: 1,
    max: 65_535,
    doc: 'Port of the brick itself; without it glusterd on the host is asked.',
  },
  'remote-subvolume': { kind: 'string', doc: 'Path of the brick on its host.' },
  'transport.socket.connect-path': {
    kind: 'path',
    doc: 'Unix socket of the brick instead of a host.',
  },
  ...patienceOptions,
  // Pings tell sooner.
  'transport.tcp-user-timeout': { ...patienceOptions['transport.tcp-user-timeout'], default: '0' },
  'ping-timeout': {
    kind: 'time',
    default: '42',
    min: 0,
    max: 1013,
    doc: 'Seconds of silence, with calls outstanding, after which a brick counts as gone; 0: never.',
  },
  'frame-timeout': {
    kind: 'time',
    default: '1800',
    min: 0,
    max: 86_400,
    doc: 'Seconds after which a call without an answer fails.',
  },
  'send-gids': { kind: 'bool', default: 'on', doc: 'Send all groups of the caller, not only one.' },
  'strict-locks': {
    kind: 'bool',
    default: 'off',
    doc: 'Fail operations on a file whose locks were lost with the connection.',
  },
})

export type ClientOptions = typeof clientOptions

/** Port of glusterd. */
export const GLUSTERD_PORT = 24_007
