/** Options of storage/posix. Facts: xlators/storage/posix/src/posix-common.c. */

import { defineOptions } from '@ashlar/core'

export const posixOptions = defineOptions({
  directory: { kind: 'path', doc: 'The exported directory: the brick.' },
  'volume-id': { kind: 'string', doc: 'UUID of the volume; a brick of another one is not served.' },
  'glusterd-uuid': { kind: 'string', doc: 'UUID of the server, told to rebalance and self-heal.' },
  reserve: {
    kind: 'percent-or-size',
    default: '1',
    since: 31300,
    doc: 'Space kept free for internal use.',
  },
  'shared-brick-count': { kind: 'int', default: '1', doc: 'Bricks that share this file system.' },
  'max-hardlinks': {
    kind: 'int',
    default: '100',
    min: 0,
    max: 0xffffffff,
    since: 40000,
    doc: 'Most links of a file; 0 for no limit.',
  },
  'create-mask': { kind: 'int', default: '0777', doc: 'Permission bits new files may have.' },
  'force-create-mode': {
    kind: 'int',
    default: '0000',
    doc: 'Permission bits new files always have.',
  },
  'create-directory-mask': {
    kind: 'int',
    default: '0777',
    doc: 'Permission bits new directories may have.',
  },
  'force-directory-mode': {
    kind: 'int',
    default: '0000',
    doc: 'Permission bits new directories always have.',
  },
  ctime: {
    kind: 'bool',
    default: 'on',
    doc: 'Keep the times that clients send, so that all copies agree.',
  },
  gfid2path: { kind: 'bool', default: 'on', doc: 'Record the names of each file with it.' },
  'gfid2path-separator': {
    kind: 'string',
    default: ':',
    doc: 'Stands between the paths that are listed for a gfid.',
  },
  'update-link-count-parent': {
    kind: 'bool',
    default: 'off',
    doc: 'Count the links of each file by parent directory.',
  },
  'export-statfs-size': { kind: 'bool', default: 'on', doc: 'Show the size of the file system.' },
  'node-uuid-pathinfo': {
    kind: 'bool',
    default: 'off',
    doc: 'Name this server by UUID in pathinfo.',
  },
  'fips-mode-rchecksum': {
    kind: 'bool',
    default: 'off',
    doc: 'Checksum with SHA-256 instead of MD5.',
  },
  'health-check-interval': {
    kind: 'int',
    default: '30',
    min: 0,
    doc: 'Seconds between checks of the disk; 0 for none.',
  },
  'brick-uid': {
    kind: 'int',
    default: '-1',
    min: -1,
    doc: 'Owner that the brick directory is given.',
  },
  'brick-gid': {
    kind: 'int',
    default: '-1',
    min: -1,
    doc: 'Group that the brick directory is given.',
  },
})
