/** Options of cluster/distribute. Facts: xlators/cluster/dht/src/dht-shared.c. */

import { defineOptions } from '@ashlar/core'
import { RSYNC_REGEX_DEFAULT } from './hash.ts'

export const distributeOptions = defineOptions({
  'lookup-unhashed': {
    kind: 'string',
    default: 'on',
    since: 1,
    doc: 'Without lookup-optimize: ask every subvolume for a name that its own one does not have (on, off, auto).',
  },
  'lookup-optimize': {
    kind: 'bool',
    default: 'on',
    since: 30702,
    doc: 'Trust the hashed subvolume for names in directories whose layout is current.',
  },
  'min-free-disk': {
    kind: 'percent-or-size',
    default: '10%',
    since: 1,
    doc: 'Free space below which new files go to another subvolume.',
  },
  'min-free-inodes': {
    kind: 'percent',
    default: '5%',
    since: 1,
    doc: 'Free inodes, in percent, below which new files go to another subvolume.',
  },
  'directory-layout-spread': {
    kind: 'int',
    min: 1,
    since: 2,
    doc: 'Most subvolumes that the files of one directory are spread over.',
  },
  'readdir-optimize': {
    kind: 'bool',
    default: 'off',
    since: 1,
    doc: 'List directories from the first subvolume only.',
  },
  'rmdir-optimize': {
    kind: 'bool',
    default: 'on',
    since: 70000,
    doc: 'Remove a directory without looking for stale linkto files in it first.',
  },
  'rsync-hash-regex': {
    kind: 'string',
    default: RSYNC_REGEX_DEFAULT,
    since: 3,
    doc: 'Names matching this hash as their first group; none turns it off.',
  },
  'extra-hash-regex': {
    kind: 'string',
    since: 3,
    doc: 'A further regex of the same kind, tried first.',
  },
  'weighted-rebalance': {
    kind: 'bool',
    default: 'on',
    since: 30600,
    doc: 'Give larger bricks larger parts of the ring.',
  },
  'randomize-hash-range-by-gfid': {
    kind: 'bool',
    default: 'off',
    since: 30600,
    doc: "Turn a directory's layout by its gfid instead of its path.",
  },
  'decommissioned-bricks': {
    kind: 'string',
    since: 2,
    doc: 'Subvolumes that are being removed: they get no new files.',
  },
  'assert-no-child-down': {
    kind: 'bool',
    default: 'off',
    since: 1,
    doc: 'End the process when a subvolume goes down (rebalance).',
  },
  'xattr-name': {
    kind: 'string',
    default: 'trusted.glusterfs.dht',
    since: 1,
    doc: 'Extended attribute that holds layouts.',
  },
  'use-readdirp': {
    kind: 'bool',
    default: 'on',
    since: 1,
    doc: 'Read directories with attributes.',
  },
})
