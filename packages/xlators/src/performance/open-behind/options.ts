/** What open-behind can be told. */

import { defineOptions } from '@ashlar/core'

export const openBehindOptions = defineOptions({
  'lazy-open': {
    kind: 'bool',
    default: 'yes',
    since: 3,
    doc: 'Open files on bricks when that is needed; else at once, though nobody waits for it.',
  },
  'read-after-open': {
    kind: 'bool',
    default: 'yes',
    since: 3,
    doc: 'Data is given out only once the file is open on its brick.',
  },
  'use-anonymous-fd': {
    kind: 'bool',
    default: 'no',
    since: 3,
    doc: 'Read without opening, where read-after-open allows it.',
  },
  'pass-through': {
    kind: 'bool',
    default: 'false',
    since: 40100,
    doc: 'Open at once, and wait for it.',
  },
})
