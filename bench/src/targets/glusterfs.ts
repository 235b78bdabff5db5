/**
 * A real GlusterFS volume of the same shape, when its packages are installed. Runs inside the
 * private namespaces that main.ts has made, so that nothing of the machine's own is touched.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { run, until } from '../command.ts'
import { UnavailableError, type VolumeShape, type VolumeTarget } from '../target.ts'

const GLUSTERD = '/usr/sbin/glusterd'
const GLUSTER = '/usr/sbin/gluster'
const GLUSTERFS = '/usr/sbin/glusterfs'
const HOST = '10.77.0.1'
const VOLUME = 'real'

export function isInstalled(): boolean {
  return [GLUSTERD, GLUSTER, GLUSTERFS].every(path => existsSync(path))
}

export function glusterfs(directory: string, shape: VolumeShape): VolumeTarget {
  const home = `${directory}/glusterfs`
  const mountpoint = `${home}/mnt`
  const pidFile = `${home}/glusterd.pid`
  const gluster = (...words: readonly string[]): string => run(GLUSTER, ['--mode=script', ...words])
  const brickPath = (index: number): string => `${home}/b${index + 1}`
  const mount = async (): Promise<string> => {
    run(GLUSTERFS, [`--volfile-server=${HOST}`, `--volfile-id=${VOLUME}`, mountpoint])
    await until('the mount', 15, () =>
      readFileSync('/proc/self/mounts', 'utf8').includes(` ${mountpoint} fuse.glusterfs`),
    )
    return mountpoint
  }
  const unmount = (): void => {
    run('umount', [mountpoint])
  }
  return {
    name: 'glusterfs',
    volume: VOLUME,
    gluster,
    brickPath,
    mount,
    unmount,
    async start() {
      if (!isInstalled()) throw new UnavailableError('glusterfs-server is not installed')
      const bricks = Array.from({ length: shape.bricks }, (_, i) => brickPath(i))
      for (const path of [mountpoint, ...bricks]) mkdirSync(path, { recursive: true })
      run(GLUSTERD, ['-p', pidFile])
      await until('glusterd of GlusterFS', 30, () => {
        try {
          return gluster('volume', 'list').length >= 0
        } catch {
          return false
        }
      })
      const paths = bricks.map(brick => `${HOST}:${brick}`)
      gluster('volume', 'create', VOLUME, ...shape.words, ...paths, 'force')
      gluster('volume', 'start', VOLUME)
      return mount()
    },
    async stop() {
      unmount()
      gluster('volume', 'stop', VOLUME)
      process.kill(Number.parseInt(readFileSync(pidFile, 'utf8'), 10), 'SIGTERM')
    },
  }
}
