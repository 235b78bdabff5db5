/** What mount(8) and fstab say, as glusterfs's flags. */

import { describe, expect, test } from 'vitest'
import { logFileOf, parseGlusterfsArguments, UsageError } from './arguments.ts'
import { parseMountWords } from './mount-helper.ts'

function flagsOf(options: string): readonly string[] {
  return parseMountWords(['server1:/gv0', '/mnt', '-o', options]).flags
}

function argumentsOf(options: string): ReturnType<typeof parseGlusterfsArguments> {
  return parseGlusterfsArguments(['-s', 'server1', '--volfile-id=gv0', ...flagsOf(options), '/mnt'])
}

describe('mount options', () => {
  test.each([
    ['log-level=WARNING', ['--log-level=WARNING']],
    ['fetch-attempts=2', ['--volfile-max-fetch-attempts=2']],
    ['volfile-max-fetch-attempts=2', ['--volfile-max-fetch-attempts=2']],
    ['server-port=24008', ['--volfile-server-port=24008']],
    ['volfile-server-port=24008', ['--volfile-server-port=24008']],
    ['ro,acl', ['--read-only', '--acl']],
    ['noatime,strictatime', ['--fuse-mountopts=noatime,strictatime']],
    ['rw,defaults,_netdev,nofail,x-systemd.automount,silent,atime,lazyatime', []],
  ])('%s', (options, flags) => {
    expect(flagsOf(options)).toEqual(flags)
  })

  test('GlusterFS’s documented example', () => {
    const request = parseMountWords([
      'server1:/test-volume',
      '/mnt/glusterfs',
      '-o',
      'backupvolfile-server=volfile_server2,use-readdirp=no,volfile-max-fetch-attempts=2,log-level=WARNING,log-file=/var/log/gluster.log',
    ])
    expect(request.servers).toEqual(['server1', 'volfile_server2'])
    expect(request.volume).toBe('test-volume')
  })

  test.each(['volfileid=x', 'volfile-id=x', 'no-such-option', 'acls'])('%s is refused', option => {
    expect(() => flagsOf(option)).toThrow(UsageError)
  })
})

describe('their values', () => {
  test.each([
    ['fetch-attempts=abc', /volfile-max-fetch-attempts 'abc' is not a number/],
    ['fetch-attempts=1.5', /is not a whole number/],
    ['server-port=', /is not a number/],
    ['xlator-option=bogus', /xlator-option 'bogus' is not of the form/],
    ['xlator-option=bogus.key', /is not of the form/],
    ['fuse-mountopts=bogus', /fuse-mountopts 'bogus' is none of/],
  ])('%s is refused', (options, reason) => {
    expect(() => argumentsOf(options)).toThrow(reason)
  })

  test('an option of a translator', () => {
    expect(argumentsOf('xlator-option=gv0-md-cache.md-cache-timeout=9').xlatorOptions).toEqual([
      'gv0-md-cache.md-cache-timeout=9',
    ])
    expect(argumentsOf('xlator-option=*replicate*.data-self-heal=off').xlatorOptions).toEqual([
      '*replicate*.data-self-heal=off',
    ])
  })

  test('attempts: as many as told, or none', () => {
    expect(argumentsOf('fetch-attempts=3').fetchAttempts).toBe(3)
    expect(argumentsOf('fetch-attempts=0').fetchAttempts).toBeUndefined()
    expect(argumentsOf('').fetchAttempts).toBeUndefined()
  })

  test('the log file is named after the mount point', () => {
    expect(logFileOf(argumentsOf('log-file=/tmp/x.log'))).toBe('/tmp/x.log')
    expect(logFileOf(argumentsOf(''))).toMatch(/\/mnt\.log$/)
  })
})
