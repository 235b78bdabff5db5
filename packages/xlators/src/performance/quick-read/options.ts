/** What quick-read can be told. */

import { defineOptions } from '@ashlar/core'

export const quickReadOptions = defineOptions({
  'max-file-size': {
    kind: 'size',
    default: '64KB',
    min: 0,
    max: 1000 * 1024,
    since: 1,
    doc: 'Larger files are not sent along with their attributes.',
  },
  'cache-size': {
    kind: 'size',
    default: '128MB',
    min: 0,
    since: 1,
    doc: 'Bytes of small files that are kept.',
  },
  'cache-timeout': {
    kind: 'int',
    default: '1',
    min: 0,
    max: 60,
    since: 1,
    doc: 'Seconds for which content is good without asking whether the file has changed.',
  },
  'quick-read-cache-invalidation': {
    kind: 'bool',
    default: 'false',
    since: 40000,
    doc: 'Bricks tell of changes: content is good for as long as they say nothing.',
  },
  'ctime-invalidation': {
    kind: 'bool',
    default: 'false',
    since: 50000,
    doc: 'Content goes with any change of the file, not only with one of its data.',
  },
  'pass-through': {
    kind: 'bool',
    default: 'false',
    since: 40100,
    doc: 'Keep nothing.',
  },
})
