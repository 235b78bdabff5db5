/** What io-cache can be told. */

import { defineOptions } from '@ashlar/core'

export const ioCacheOptions = defineOptions({
  'cache-size': {
    kind: 'size',
    default: '32MB',
    min: 4 * 1024 * 1024,
    since: 1,
    doc: 'Bytes of file data that are kept.',
  },
  'cache-timeout': {
    kind: 'int',
    default: '1',
    min: 0,
    max: 60,
    since: 1,
    doc: 'Seconds for which data is good without asking whether the file has changed.',
  },
  'min-file-size': {
    kind: 'size',
    default: '0',
    since: 1,
    doc: 'Smaller files are not kept.',
  },
  'max-file-size': {
    kind: 'size',
    default: '0',
    since: 1,
    doc: 'Larger files are not kept; 0: there is no limit.',
  },
  priority: {
    kind: 'string',
    default: '',
    since: 1,
    doc: 'Patterns of names with a number, "*.html:1,abc*:20": the lowest goes first.',
  },
  'pass-through': {
    kind: 'bool',
    default: 'false',
    since: 40100,
    doc: 'Keep nothing.',
  },
})
