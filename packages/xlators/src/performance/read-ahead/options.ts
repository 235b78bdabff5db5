/** What read-ahead can be told. */

import { defineOptions } from '@ashlar/core'

export const readAheadOptions = defineOptions({
  'page-count': {
    kind: 'int',
    default: '4',
    min: 1,
    max: 16,
    since: 1,
    doc: 'Pages that are read ahead, at most.',
  },
  'page-size': {
    kind: 'size',
    default: '131072',
    min: 4096,
    max: 64 * 1024 * 1024,
    since: 1,
    doc: 'Size of a page.',
  },
  'force-atime-update': {
    kind: 'bool',
    default: 'false',
    since: 1,
    doc: 'Accepted, and without effect: bricks keep the times of what is read ahead as well.',
  },
  'pass-through': {
    kind: 'bool',
    default: 'false',
    since: 40100,
    doc: 'Read nothing ahead.',
  },
})
