// The folder of the quick start: $ASHLAR_HOME, or .ashlar in the checkout. Everything is in it.
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Problem } from './programs.mjs'

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

/** Bytes that a unix socket's path may have, less the longest name that we put into a folder. */
const SOCKET_FOLDER_BYTES_MAX = 107 - '/0123456789abcdef0123456789abcdef.socket'.length

/** Where everything is; makes the folders that are missing. */
export function openHome() {
  const path = resolve(process.env.ASHLAR_HOME ?? join(CHECKOUT, '.ashlar'))
  const home = {
    path,
    bin: join(CHECKOUT, 'bin'),
    work: join(path, 'glusterd'),
    run: runFolder(path),
    log: join(path, 'log'),
    bricks: ['bricks/1', 'bricks/2', 'bricks/3'].map(brick => join(path, brick)),
    mount: join(path, 'mnt'),
    pidFile: join(path, 'quick-start.pid'),
    daemonPidFile: join(path, 'glusterd.pid'),
    daemonLog: join(path, 'log/glusterd.log'),
    mountPidFile: join(path, 'mount.pid'),
    mountLog: join(path, 'log/mount.log'),
  }
  home.apiSocket = join(home.run, 'glusterd-api.sock')
  try {
    for (const folder of [home.work, home.run, home.log, ...home.bricks])
      mkdirSync(folder, { recursive: true })
  } catch (error) {
    throw new Problem(
      `${path} cannot be used: ${error.code}. Name another folder with ASHLAR_HOME=/some/folder`,
    )
  }
  return home
}

/** Sockets need a short path: a deep home keeps them in the system's temporary folder. */
function runFolder(path) {
  const inside = join(path, 'run')
  if (Buffer.byteLength(inside) <= SOCKET_FOLDER_BYTES_MAX) return inside
  const name = createHash('sha256').update(path).digest('hex').slice(0, 12)
  return join(tmpdir(), `ashlar-${process.getuid()}-${name}`)
}
