/**
 * Machine: a machine inside this one, for daemons that want the system's own paths and ports. It has
 * namespaces of its own for processes, mounts and network, and private copies of the folders that a
 * server writes to. Everything in it ends with it. Needs root, overlayfs and iproute2.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isAlive, type Outcome, run, type RunOptions, succeed } from './processes.ts'
import { until } from './until.ts'

const CHECKOUT = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '')
const START_MS_MAX = 20_000
const END_MS_MAX = 20_000

/** Names of the machine: itself, and others that its daemons may be called by. */
export const MACHINE_HOSTS = ['server1', 'server2'] as const

/** Builds the machine's root directory at `root` and stays in it. */
function setup(root: string): string {
  return `
mount --make-rprivate /
# A volume that is mounted outside would stay in use here when it is unmounted there.
awk '$3 ~ /^fuse[.]/ {print $2}' /proc/self/mounts | tac | while read -r path; do umount -l "$path"; done
mount -t tmpfs -o mode=755 tmpfs ${root}
for entry in /*; do
  if [ -L "$entry" ]; then cp -a "$entry" ${root}/; continue; fi
  [ -d "$entry" ] || continue
  [ "$entry" = /data ] && continue
  mkdir -p "${root}$entry"
  mount --rbind "$entry" "${root}$entry"
done
mkdir -p ${root}/data ${root}/.copies
mount -t tmpfs -o mode=755 tmpfs ${root}/data
for folder in /usr/sbin /usr/local/sbin /var/lib /var/log /etc /mnt; do
  copy=${root}/.copies$folder
  mkdir -p $copy/upper $copy/work
  mount -t overlay overlay -o lowerdir=$folder,upperdir=$copy/upper,workdir=$copy/work ${root}$folder
done
mount -t tmpfs -o mode=755 tmpfs ${root}/run
mount -t proc proc ${root}/proc
ip link set lo up
rm -rf ${root}/var/lib/glusterd
{
  echo "127.0.0.1 localhost"
  echo "127.0.1.1 $(hostname) ${MACHINE_HOSTS.join(' ')}"
} > ${root}/etc/hosts
# Its first process takes in the orphans, as an init does.
exec chroot ${root} bash -c 'echo ready; while :; do sleep 3600; done'
`
}

export class Machine implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #root: string
  /** Pid, as this machine knows it, of the first process of the other. */
  readonly #first: number

  private constructor(child: ChildProcess, root: string, first: number) {
    this.#child = child
    this.#root = root
    this.#first = first
  }

  static async start(): Promise<Machine> {
    const root = mkdtempSync(join(tmpdir(), 'ashlar-machine-'))
    const child = spawn(
      'unshare',
      ['--mount', '--net', '--pid', '--fork', '--kill-child', 'bash', '-ec', setup(root)],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let out = ''
    let err = ''
    child.stdout?.on('data', (chunk: Buffer) => (out += String(chunk)))
    child.stderr?.on('data', (chunk: Buffer) => (err += String(chunk)))
    try {
      const first = await until('the machine starts', START_MS_MAX, () => {
        if (child.exitCode !== null) throw new Error(`no machine: ${err}`)
        if (!out.includes('ready')) return undefined
        return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'))
      })
      return new Machine(child, root, first)
    } catch (error) {
      child.kill('SIGKILL')
      rmSync(root, { recursive: true, force: true })
      throw error
    }
  }

  /** Where the outside finds a path of the machine. */
  path(inside: string): string {
    return `/proc/${this.#first}/root${inside}`
  }

  /** Runs a program in the machine to its end. */
  run(program: string, words: readonly string[], options?: RunOptions): Promise<Outcome> {
    return run('nsenter', this.#entering(program, words), options)
  }

  /** As `run`; rejects when it fails. */
  succeed(program: string, words: readonly string[], options?: RunOptions): Promise<string> {
    return succeed('nsenter', this.#entering(program, words), options)
  }

  /** Runs a script of bash, from the checkout, which stops at the first failure. */
  script(text: string, options?: RunOptions): Promise<string> {
    return this.succeed('bash', ['-ec', `cd ${CHECKOUT}\n${text}`], options)
  }

  #entering(program: string, words: readonly string[]): string[] {
    const target = String(this.#first)
    return ['-t', target, '--mount', '--net', '--pid', '--root', '--wd', '--', program, ...words]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const first = this.#first
    this.#child.kill('SIGKILL')
    await until('the machine ends', END_MS_MAX, () => !isAlive(first))
    rmSync(this.#root, { recursive: true, force: true })
  }
}

/** What stands in the way of machines here; undefined when nothing does. */
export function machineObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'a machine inside this one needs root'
  if (!readFileSync('/proc/filesystems', 'utf8').includes('overlay'))
    return 'a machine inside this one needs overlayfs'
  return undefined
}
