// The mount of the quick start.
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { Problem, run, within } from './programs.mjs'
import { processIn } from './running.mjs'

const END_MS_MAX = 20_000

/** Mounts the volume on the home's mount point. */
export async function mountVolume(home, { host, port, volume }) {
  mkdirSync(home.mount, { recursive: true })
  await run(home, 'glusterfs', [
    `--volfile-server=${host}`,
    `--volfile-server-port=${port}`,
    `--volfile-id=${volume}`,
    `--pid-file=${home.mountPidFile}`,
    `--log-file=${home.mountLog}`,
    home.mount,
  ])
}

/** Unmounts and waits until the mount's process is gone. A mount in use ends with its last user. */
export async function unmountVolume(home, say) {
  const lazy = await unmountPath(home.mount)
  if (lazy) say(`${home.mount} was in use: whoever has it open sees errors from now on.`)
  const gone = () => processIn(home.mountPidFile, home.mount) === undefined
  if (lazy && !gone()) {
    const pid = processIn(home.mountPidFile, home.mount)
    if (pid !== undefined) process.kill(pid, 'SIGTERM')
  }
  if (!(await within(END_MS_MAX, gone))) throw new Problem('The mount does not end.')
}

/** Unmounts what is mounted there; true when it was in use and only detached. */
export async function unmountPath(path) {
  if (!isMounted(path)) return false
  if (await unmount(path, [])) return false
  if (await unmount(path, ['lazy'])) return true
  throw new Problem(`${path} cannot be unmounted.`)
}

function isMounted(path) {
  const escaped = path.replaceAll(' ', '\\040')
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some(line => line.split(' ')[1] === escaped)
}

function unmount(path, [lazy]) {
  const [program, words] =
    process.getuid() === 0
      ? ['umount', lazy ? ['-l'] : []]
      : ['fusermount3', lazy ? ['-u', '-z'] : ['-u']]
  return new Promise(resolve =>
    execFile(program, [...words, path], error => resolve(error === null)),
  )
}

/** Throws Problem when this user cannot mount on this machine. */
export function checkFuse() {
  if (!existsSync('/dev/fuse'))
    throw new Problem(
      'There is no /dev/fuse here: load the fuse module, or give it to the container.',
    )
  if (!can('/dev/fuse', constants.R_OK | constants.W_OK))
    throw new Problem('/dev/fuse is closed to this user. Run as root, or chmod 666 /dev/fuse')
  if (process.getuid() === 0) return
  const folders = (process.env.PATH ?? '').split(':')
  if (!folders.some(folder => can(`${folder}/fusermount3`, constants.X_OK)))
    throw new Problem('Mounting without root needs fusermount3 (package fuse3).')
}

function can(path, mode) {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
