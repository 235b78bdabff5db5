/** Which settings are taken, in GlusterFS 10.3's words where they are not. */

import { describe, expect, it } from 'vitest'
import { parseKeyFile } from '../store/key-file.ts'
import { volumeFromLines } from '../store/volume-file.ts'
import type { Volume } from '../volume/volume.ts'
import { changedOptions } from './change.ts'

const BRICK = `hostname=server1
path=/bricks/b1
real_path=/bricks/b1
listen-port=0
rdma.listen-port=0
brick-id=v-client-0
brick-fsid=0
snap-status=0
`
const INFO = `type=0
count=1
status=0
sub_count=1
replica_count=1
stripe_count=1
version=1
transport-type=0
volume-id=7baac823-4f40-4d31-91aa-111111111111
username=u
password=p
brick-0=server1:-bricks-b1
`

function volume(): Volume {
  return volumeFromLines('v', parseKeyFile(INFO), () => parseKeyFile(BRICK))
}

/** Undefined when the setting is taken. */
function refusal(key: string, value: string): string | undefined {
  try {
    expect(changedOptions(volume(), [{ key, value }]).get(key)).toBe(value)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

describe('settings', () => {
  it.each([
    'performance.io-cache',
    'performance.quick-read',
    'performance.stat-prefetch',
    'performance.read-ahead',
    'performance.write-behind',
    'performance.open-behind',
    'performance.readdir-ahead',
    'performance.nl-cache',
    'performance.client-io-threads',
    'features.shard',
  ])('%s is on or off', key => {
    expect(refusal(key, 'maybe')).toBe('Error, Validation Failed')
    expect(refusal(key, 'on')).toBeUndefined()
  })

  it('performance.rda-cache-limit is a size', () => {
    expect(refusal('performance.rda-cache-limit', 'maybe')).toMatch(/not a valid size/)
    expect(refusal('performance.rda-cache-limit', '20MB')).toBeUndefined()
  })

  it.each([
    '1.2.3.4,,5',
    '1.2.3.4,',
    ',1.2.3.4',
    '999.2.3.4',
    '300',
    '10.0.0.0/8',
    '192.168.*',
    '::1,fe80::1',
    '/d(1.2.3.4|5.6.7.8)',
    '*',
  ])('auth.allow %s', list => {
    expect(refusal('auth.allow', list)).toBeUndefined()
  })

  it.each(['1.2.3.4;5', '/d(1.2.3.4|,)', '-bad', '10.0.0.0/99', ',', '/d()'])(
    'auth.allow %s is none',
    list => {
      expect(refusal('auth.allow', list)).toBe(
        `option auth.addr./bricks/b1.allow ${list}: '${list}' is not a valid internet-address-list`,
      )
    },
  )
})
