// What tests leave behind when they fail is taken down with their cluster.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import {
  Cluster,
  isAlive,
  isMounted,
  Machine,
  machineObstacle,
  processesOf,
  signal,
  until,
} from '@ashlar/testkit'
import { describe, expect, test } from 'vitest'
import { obstacle } from './mounted.ts'

describe.skipIf(obstacle !== undefined)('a cluster that is taken down', () => {
  // A program that was still at work on a mount kept it from being unmounted, and the rest from
  // being taken down.
  test('leaves neither mount nor process, though a mount is in use and a brick hangs', async () => {
    // Taken down again when it has been: nothing to do.
    await using cluster = await Cluster.start()
    await cluster.volume('gv0', 2)
    const mount = await cluster.mount('gv0')
    await cluster.mount('gv0')
    await fs.writeFile(`${mount.path}/f`, 'open')
    const user = spawn('tail', ['-f', `${mount.path}/f`], { stdio: ['ignore', 'pipe', 'ignore'] })
    const { pid } = user
    await new Promise(resolve => user.stdout.once('data', resolve))
    await expect(mount.unmount()).rejects.toThrow('busy')
    signal(cluster.brickPid('gv0', 2), 'SIGSTOP')

    await cluster[Symbol.asyncDispose]()
    expect(processesOf(cluster.path)).toEqual([])
    expect(isMounted(mount.path)).toBe(false)
    expect(existsSync(cluster.path)).toBe(false)
    await until('its user has ended', 5000, () => !isAlive(pid as number))
  })
})

describe.skipIf(obstacle !== undefined || machineObstacle() !== undefined)('a mount', () => {
  // The mount was part of the machine, too: the kernel kept it for that, and its process lived on
  // as long as the machine did.
  test('ends when it is unmounted, though a machine was made meanwhile', async () => {
    await using cluster = await Cluster.start()
    await cluster.volume('gv0', 1)
    const mount = await cluster.mount('gv0')
    await using machine = await Machine.start()
    await mount.unmount()
    expect(await machine.script('grep -c " fuse[.]" /proc/mounts || true')).toBe('0\n')
  })
})
