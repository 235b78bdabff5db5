/** The two kinds of servers and clients, inside a machine of their own: ours and GlusterFS's. */

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Machine, machineObstacle, run } from '@ashlar/testkit'

export type Kind = 'ours' | 'glusterfs'

/** Where each kind's programs are. */
export const PROGRAMS: Readonly<Record<Kind, string>> = { ours: 'bin', glusterfs: '/usr/sbin' }
const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))
const RELEASE = 'glusterfs 10.'

/** What stands in the way of tests against GlusterFS; throws it when they are required. */
async function findObstacle(): Promise<string | undefined> {
  const obstacle = machineObstacle() ?? (await missingRelease())
  if (obstacle !== undefined && process.env['ASHLAR_INTEROP'] === 'required')
    throw new Error(`interop is required, but ${obstacle}`)
  return obstacle
}

async function missingRelease(): Promise<string | undefined> {
  for (const program of ['glusterd', 'glusterfs', 'glusterfsd', 'gluster']) {
    if (!existsSync(`/usr/sbin/${program}`)) return `GlusterFS's ${program} is not installed`
  }
  const { out } = await run('/usr/sbin/glusterfs', ['--version'])
  return out.startsWith(RELEASE) ? undefined : `GlusterFS is ${out.split('\n')[0]}, not ${RELEASE}x`
}

/** Why interop cannot be tested here; printed once for each file of tests. */
export const obstacle = await findObstacle()
if (obstacle !== undefined) process.stderr.write(`no interop in this test: ${obstacle}\n`)

/** The volume of all tests here. */
export const VOLUME = 'gv0'
const HOST = 'server1'

/** A server of either kind in a machine, with one volume. */
export class Site implements AsyncDisposable {
  readonly machine: Machine
  #kind: Kind

  private constructor(machine: Machine, kind: Kind) {
    this.machine = machine
    this.#kind = kind
  }

  /** A machine whose glusterd of `kind` has started a volume of so many bricks. */
  static async start(kind: Kind, bricks: number, shape = ''): Promise<Site> {
    const machine = await Machine.start()
    const site = new Site(machine, kind)
    try {
      const places = Array.from({ length: bricks }, (_, i) => `${HOST}:/data/brick${i + 1}`)
      await site.startDaemon()
      await site.gluster(`volume create ${VOLUME} ${shape} ${places.join(' ')} force`)
      await site.gluster(`volume start ${VOLUME}`)
      return site
    } catch (error) {
      await machine[Symbol.asyncDispose]()
      throw error
    }
  }

  async startDaemon(): Promise<void> {
    await this.machine.script(
      `mkdir -p /run/gluster /var/lib/glusterd; ${PROGRAMS[this.#kind]}/glusterd -p /run/glusterd.pid`,
    )
  }

  gluster(words: string): Promise<string> {
    return this.machine.script(`${PROGRAMS[this.#kind]}/gluster --mode=script ${words}`)
  }

  /** Exit status of a command that may be refused. */
  async run(words: string): Promise<number> {
    const program = `${PROGRAMS[this.#kind]}/gluster --mode=script ${words}`
    return (await this.machine.run('bash', ['-c', `cd ${CHECKOUT}; ${program}`])).status
  }

  /** Stops the volume and its glusterd; the other kind takes over what they have left. */
  async handOver(kind: Kind): Promise<void> {
    await this.gluster(`volume stop ${VOLUME}`)
    await this.replaceDaemon(kind)
    await this.gluster(`volume start ${VOLUME}`)
  }

  /** Ends glusterd; one of the other kind finds the processes that run. */
  async replaceDaemon(kind: Kind): Promise<void> {
    await this.machine.script(`
pid=$(cat /run/glusterd.pid)
kill $pid
for i in $(seq 200); do [ -d /proc/$pid ] || break; read -t 0.1 < <(sleep 1) || true; done
[ ! -d /proc/$pid ]`)
    this.#kind = kind
    await this.startDaemon()
  }

  /** Mounts the volume by a client of `kind`; the path is as the machine has it. */
  async mount(kind: Kind, path: string): Promise<void> {
    await this.machine.script(
      `mkdir -p ${path}; ${PROGRAMS[kind]}/glusterfs --volfile-server=${HOST} --volfile-id=${VOLUME} ` +
        `--log-file=/var/log/mount-${kind}.log ${path}`,
    )
  }

  async unmount(path: string): Promise<void> {
    await this.machine.succeed('umount', [path])
  }

  /** A script run in a folder of the machine; its output. */
  async in(folder: string, script: string): Promise<string> {
    return (await this.machine.script(`cd ${folder}\n${script}`)).trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]()
  }
}

/**
 * Everything that a user can see of a tree: names, attributes, targets, content, xattrs. Not times
 * of directories: a client of GlusterFS shows those of whichever brick it has heard from last.
 */
export const TREE = `
find . -mindepth 1 -type d -printf '%p %y %m %U %G\\n' | sort
find . -mindepth 1 ! -type d -printf '%p %y %m %U %G %n %s %T@ %l\\n' | sort
find . -type f -print0 | sort -z | xargs -0 -r sha256sum
find . \\( -type f -o -type d \\) -print0 | sort -z | xargs -0 -r getfattr -h -d -m '^user' -e hex
`
