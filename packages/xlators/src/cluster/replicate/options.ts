/** Options of cluster/replicate. Source: xlators/cluster/afr/src/afr.c. */

import { defineOptions } from '@ashlar/core'

export const replicateOptions = defineOptions({
  'afr-pending-xattr': {
    kind: 'list',
    default: '',
    doc: 'Key of each brick in the changelog, in the order of the subvolumes; else their names.',
  },
  'afr-dirty-xattr': { kind: 'string', default: 'trusted.afr.dirty', doc: 'Changelog of dirty.' },
  'arbiter-count': {
    kind: 'int',
    default: '0',
    min: 0,
    max: 1,
    doc: '1: the last brick of the set keeps names and attributes only.',
  },
  'volume-id': { kind: 'string', doc: 'UUID of the volume.' },
  'quorum-type': {
    kind: 'string',
    values: ['none', 'auto', 'fixed'],
    doc: 'auto (without it: when there are more than two bricks): more than half of the bricks, or half with the first one; fixed: quorum-count.',
  },
  'quorum-count': { kind: 'int', default: '1', min: 1, doc: 'Bricks needed when it is fixed.' },
  'eager-lock': {
    kind: 'bool',
    default: 'on',
    doc: 'Keep the locks of an operation a moment for the next ones.',
  },
  'post-op-delay-secs': {
    kind: 'time',
    default: '1',
    min: 0,
    max: 2_147_483_647,
    doc: 'Seconds for which locks and changelogs are kept.',
  },
  'ensure-durability': {
    kind: 'bool',
    default: 'on',
    doc: 'Flush data to the disks of the bricks before their changelog says that all is well.',
  },
  'optimistic-change-log': {
    kind: 'bool',
    default: 'on',
    doc: 'Entry and metadata operations mark no dirty beforehand when all bricks take part.',
  },
  'choose-local': { kind: 'bool', default: 'on', doc: 'Read from a brick of this host.' },
  'read-subvolume': { kind: 'string', doc: 'Name of the subvolume to read from.' },
  'read-subvolume-index': {
    kind: 'int',
    default: '-1',
    min: -1,
    doc: 'Position of the subvolume to read from.',
  },
  'read-hash-mode': {
    kind: 'int',
    default: '1',
    min: 0,
    max: 5,
    doc: '0 first, 1 by gfid, 2 by gfid and client, 3 fewest reads under way, 4 quickest, 5 both.',
  },
  'consistent-metadata': {
    kind: 'bool',
    default: 'no',
    doc: 'Answer attributes only from the brick that reads go to.',
  },
  'consistent-io': {
    kind: 'bool',
    default: 'no',
    doc: 'Refuse all work unless all bricks are up.',
  },
  'data-self-heal': {
    kind: 'string',
    default: 'off',
    doc: 'Heal data from this process (on, off, open).',
  },
  'metadata-self-heal': { kind: 'bool', default: 'off', doc: 'Heal attributes from this process.' },
  'entry-self-heal': { kind: 'bool', default: 'off', doc: 'Heal directories from this process.' },
  'data-self-heal-algorithm': {
    kind: 'string',
    default: 'dynamic',
    values: ['diff', 'full', 'dynamic'],
    doc: 'Copy everything, or only what differs.',
  },
  'data-self-heal-window-size': {
    kind: 'int',
    default: '8',
    min: 1,
    max: 1024,
    doc: 'Blocks of 128 KiB healed at a time.',
  },
  'background-self-heal-count': {
    kind: 'int',
    default: '8',
    min: 0,
    max: 256,
    doc: 'Heals that a client runs at a time.',
  },
  'heal-wait-queue-length': {
    kind: 'int',
    default: '128',
    min: 0,
    max: 10_000,
    doc: 'Heals that wait for their turn in a client.',
  },
  'self-heal-daemon': { kind: 'bool', default: 'on', doc: 'The self-heal daemon heals this set.' },
  'iam-self-heal-daemon': { kind: 'bool', default: 'off', doc: 'This process is the daemon.' },
  'node-uuid': { kind: 'string', doc: "UUID of this server's glusterd." },
  'heal-timeout': {
    kind: 'time',
    default: '600',
    min: 5,
    max: 2_147_483_647,
    doc: 'Seconds between sweeps of the heal indices.',
  },
  'favorite-child-policy': {
    kind: 'string',
    default: 'none',
    values: ['none', 'size', 'ctime', 'mtime', 'majority'],
    doc: 'Which copy wins a split-brain by itself.',
  },
  'granular-entry-heal': {
    kind: 'bool',
    default: 'no',
    doc: 'Remember the names to be healed in a directory.',
  },
  'use-anonymous-inode': {
    kind: 'bool',
    default: 'no',
    doc: 'Heals move what they take out of a directory aside before it is removed.',
  },
  'metadata-splitbrain-forced-heal': {
    kind: 'bool',
    default: 'off',
    doc: 'Heal attributes that are in split-brain from any copy.',
  },
  'shd-max-threads': {
    kind: 'int',
    default: '1',
    min: 1,
    max: 64,
    doc: 'Heals that the daemon runs at a time, per brick.',
  },
  'shd-wait-qlength': {
    kind: 'int',
    default: '1024',
    min: 1,
    max: 655_536,
    doc: 'Heals that wait for their turn in the daemon, per brick.',
  },
})

export type ReplicateOptions = typeof replicateOptions
