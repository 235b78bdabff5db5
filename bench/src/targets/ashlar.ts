/** A volume of ours, default options, mounted by our own client. */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run, until } from '../command.ts'
import type { VolumeShape, VolumeTarget } from '../target.ts'

const BIN = fileURLToPath(new URL('../../../bin/', import.meta.url))
const ADDRESS = '127.0.0.1'
const HOST = '10.77.0.2'
const VOLUME = 'bench'
/** Of its glusterd: GlusterFS has 24007. */
export const PORT = 24_107

/** Not started yet. */
export function ashlar(directory: string, port: number, shape: VolumeShape): VolumeTarget {
  const home = `${directory}/ashlar`
  const mountpoint = `${home}/mnt`
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ASHLAR_WORKDIR: `${home}/lib`,
    ASHLAR_RUNDIR: `${home}/run`,
    ASHLAR_LOGDIR: `${home}/log`,
    ASHLAR_PORT: String(port),
  }
  let daemon: ChildProcess | undefined
  const gluster = (...words: readonly string[]): string =>
    run(`${BIN}gluster`, ['--mode=script', ...words], env)
  const brickPath = (index: number): string => `${home}/b${index + 1}`
  const mount = async (): Promise<string> => {
    const words = [`${ADDRESS}:/${VOLUME}`, mountpoint, '-o', `server-port=${port}`]
    run(`${BIN}mount.glusterfs`, words, env)
    await until('the mount', 15, () =>
      readFileSync('/proc/self/mounts', 'utf8').includes(` ${mountpoint} fuse.glusterfs`),
    )
    return mountpoint
  }
  const unmount = (): void => {
    run('umount', [mountpoint])
  }
  return {
    name: 'ashlar',
    volume: VOLUME,
    gluster,
    brickPath,
    mount,
    unmount,
    async start() {
      const bricks = Array.from({ length: shape.bricks }, (_, i) => brickPath(i))
      for (const part of ['lib', 'run', 'log', 'mnt'])
        mkdirSync(`${home}/${part}`, { recursive: true })
      for (const brick of bricks) mkdirSync(brick)
      daemon = spawn(
        `${BIN}glusterd`,
        ['-N', '--port', String(port), '--hostname', HOST, '--bind-address', '0.0.0.0'],
        { env, stdio: 'ignore' },
      )
      await until('glusterd of ashlar', 15, () => existsSync(`${home}/run/glusterd-api.sock`))
      const paths = bricks.map(brick => `${HOST}:${brick}`)
      gluster('volume', 'create', VOLUME, ...shape.words, ...paths, 'force')
      gluster('volume', 'start', VOLUME)
      return mount()
    },
    async stop() {
      unmount()
      gluster('volume', 'stop', VOLUME)
      daemon?.kill('SIGTERM')
    },
  }
}
