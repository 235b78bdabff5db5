/** What write-behind can be told. */

import { defineOptions } from '@ashlar/core'

export const writeBehindOptions = defineOptions({
  'flush-behind': {
    kind: 'bool',
    default: 'on',
    since: 1,
    doc: 'Answer flush once all data is on the bricks; tell them of it afterwards.',
  },
  'cache-size': {
    kind: 'size',
    default: '1MB',
    min: 512 * 1024,
    max: 1024 ** 3,
    since: 1,
    doc: 'Bytes of a file that may be answered for and not yet be on the bricks.',
  },
  'aggregate-size': {
    kind: 'size',
    default: '128KB',
    since: 40100,
    doc: 'Adjoining writes are put together up to this size, or up to a request of the kernel.',
  },
  'trickling-writes': {
    kind: 'bool',
    default: 'on',
    since: 31301,
    doc: 'Send a small write at once when nothing else is on its way.',
  },
  'strict-O_DIRECT': {
    kind: 'bool',
    default: 'off',
    since: 2,
    doc: 'Do not answer writes early on files that are opened with O_DIRECT.',
  },
  'strict-write-ordering': {
    kind: 'bool',
    default: 'off',
    since: 2,
    doc: 'Send the writes of a file one after the other, also where they do not overlap.',
  },
  'resync-failed-syncs-after-fsync': {
    kind: 'bool',
    default: 'off',
    since: 30707,
    doc: 'Taken for compatibility: data that a brick has refused is not sent again.',
  },
  'pass-through': {
    kind: 'bool',
    default: 'false',
    since: 90000,
    doc: 'Answer no write early.',
  },
})
