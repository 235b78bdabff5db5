/** When the other end of a connection that is silent counts as gone: options of both protocols. */

import { defineOptions, type OptionValues, type Patience } from '@ashlar/core'

export const patienceOptions = defineOptions({
  'transport.tcp-user-timeout': {
    kind: 'time',
    default: '42',
    min: 0,
    max: 1013,
    doc: 'Seconds after which unacknowledged data ends the connection; 0: as the system has it.',
  },
  'transport.socket.keepalive-time': {
    kind: 'int',
    default: '20',
    min: 1,
    max: 32_767,
    doc: 'Seconds of silence before a connection is probed.',
  },
  'transport.socket.keepalive-interval': {
    kind: 'int',
    default: '2',
    min: 1,
    max: 32_767,
    doc: 'Seconds between probes.',
  },
  'transport.socket.keepalive-count': {
    kind: 'int',
    default: '9',
    min: 1,
    max: 127,
    doc: 'So many probes without an answer end the connection.',
  },
})

export function patienceOf(options: OptionValues<typeof patienceOptions>): Patience {
  return {
    unacknowledged: options['transport.tcp-user-timeout'],
    idle: options['transport.socket.keepalive-time'],
    interval: options['transport.socket.keepalive-interval'],
    probes: options['transport.socket.keepalive-count'],
  }
}
