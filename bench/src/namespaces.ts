/**
 * The namespaces in which everything runs: daemons and mounts are the bench's own and end with it,
 * and nothing of the machine's own GlusterFS is touched.
 */

import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { run } from './command.ts'

const INSIDE = 'ASHLAR_BENCH_INSIDE'

/** True in the process that `enterNamespaces` has started. */
export function isInside(): boolean {
  return process.env[INSIDE] !== undefined
}

/** The first process of a namespace takes in the orphans: without it dead bricks would stay zombies. */
const FIRST = ['sh', '-c', '"$@"; exit $?', 'sh']

/** Runs `script` with this program's words in namespaces of its own; gives its status. */
export function enterNamespaces(script: string): number {
  const result = spawnSync(
    'unshare',
    ['-mnpf', '--mount-proc', ...FIRST, process.execPath, script, ...process.argv.slice(2)],
    {
      stdio: 'inherit',
      env: { ...process.env, [INSIDE]: '1' },
    },
  )
  return result.status ?? 1
}

/** Addresses and folders that both glusterds want. */
export function prepareNamespaces(): void {
  run('mount', ['--make-rprivate', '/'])
  run('ip', ['link', 'set', 'lo', 'up'])
  for (const address of ['10.77.0.1/24', '10.77.0.2/24'])
    run('ip', ['address', 'add', address, 'dev', 'lo'])
  for (const path of ['/var/lib/glusterd', '/run/gluster', '/var/log/glusterfs']) {
    mkdirSync(path, { recursive: true })
    run('mount', ['-t', 'tmpfs', 'none', path])
  }
}
