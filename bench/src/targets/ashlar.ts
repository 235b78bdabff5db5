/** A volume of ours, default options, mounted by our own client. */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run, until } from '../command.ts'
import type { Target, VolumeShape } from '../target.ts'

const BIN = fileURLToPath(new URL('../../../bin/', import.meta.url))
const ADDRESS = '127.0.0.1'
const HOST = '10.77.0.2'

export function ashlar(directory: string, port: number, shape: VolumeShape): Target {
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
  const gluster = (...words: string[]): string =>
    run(`${BIN}gluster`, ['--mode=script', ...words], env)
  return {
    name: 'ashlar',
    async start() {
      const bricks = Array.from({ length: shape.bricks }, (_, i) => `b${i + 1}`)
      for (const part of ['lib', 'run', 'log', 'mnt', ...bricks])
        mkdirSync(`${home}/${part}`, { recursive: true })
      daemon = spawn(
        `${BIN}glusterd`,
        ['-N', '--port', String(port), '--hostname', HOST, '--bind-address', '0.0.0.0'],
        { env, stdio: 'ignore' },
      )
      await until('glusterd of ashlar', 15, () => existsSync(`${home}/run/glusterd-api.sock`))
      const paths = bricks.map(brick => `${HOST}:${home}/${brick}`)
      gluster('volume', 'create', 'bench', ...shape.words, ...paths, 'force')
      gluster('volume', 'start', 'bench')
      run(
        `${BIN}mount.glusterfs`,
        [`${ADDRESS}:/bench`, mountpoint, '-o', `server-port=${port}`],
        env,
      )
      await until('the mount', 15, () =>
        readFileSync('/proc/self/mounts', 'utf8').includes(` ${mountpoint} fuse.glusterfs`),
      )
      return mountpoint
    },
    async stop() {
      run('umount', [mountpoint])
      gluster('volume', 'stop', 'bench')
      daemon?.kill('SIGTERM')
    },
  }
}
