/**
 * Recorded sessions of GlusterFS 10.3's CLI, run in their order against our CLI and our glusterd.
 *
 * The recording is of three servers; here one server has the names of all three, and bricks are
 * entries in a table instead of processes. What differs on purpose is listed below, with why.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { silentLog, systemClock, systemRandom } from '@ashlar/core'
import { type BrickLauncher, type BrickSpec, Glusterd, resolveSettings } from '@ashlar/glusterd'
import { tcpNetwork } from '@ashlar/transport'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runInteractive } from './interactive.ts'
import { runLine } from './run.ts'
import type { Terminal } from './terminal.ts'

interface Invocation {
  argv?: string[]
  exit: number
  stdout: string
  stderr: string
  stdin?: string
}

const recording = JSON.parse(
  gunzipSync(readFileSync(new URL('../fixtures/cli.json.gz', import.meta.url))).toString(),
) as Invocation[]

/** Commands of this release, as first words of recorded lines. */
const COMMANDS =
  /^(volume$|volume (create|start|stop|delete|info|status|list|set|get|reset|bogus|rename|tier)|peer (status|bogus)|pool( list)?|system:: (uuid get|getwd|volume-id)|version|bogus|ganesha.*|eventsapi.*|)( |$)/

/** Recordings that cannot be the same here, by their number in the recording. */
const SKIPPED = new Map<number, string>([
  ...range(0, 1, 'the version is our own, and so is the wording of help'),
  ...range(44, 51, 'there are no peers yet'),
  ...range(130, 141, 'facts of the file system and of brick processes'),
  ...range(144, 147, 'clients of real bricks; the self-heal daemon'),
  ...range(154, 155, 'facts of the file system'),
  ...range(217, 224, 'clients of real bricks'),
  ...range(272, 273, 'a brick was killed'),
  ...range(313, 352, 'bricks were added and removed, a rebalance was running'),
  ...range(391, 391, 'the wording of help'),
  ...range(416, 430, 'a peer was down'),
  ...range(454, 454, 'the same name on two servers'),
  ...range(458, 458, 'the same name on two servers'),
  ...range(450, 452, 'there are no peers yet'),
  ...range(464, 468, 'there are no peers yet'),
  ...range(472, 472, 'there are no peers yet'),
])

/** Sets over several servers: here all bricks are on one, which takes `force`. */
const FORCED = new Set([68, 88, 109, 111, 112, 113])
/** From here on the daemon was stopped. */
const DAEMON_STOPPED = 476

function range(first: number, last: number, why: string): [number, string][] {
  return Array.from({ length: last - first + 1 }, (_, n) => [first + n, why])
}

/** Bricks that run as long as nobody signals them. */
class PretendedBricks implements BrickLauncher {
  readonly #pids = new Map<string, number>()
  signIn: (spec: BrickSpec, pid: number) => void = () => {}

  launch(spec: BrickSpec): Promise<void> {
    const pid = 10_000 + this.#pids.size
    this.#pids.set(spec.path, pid)
    this.signIn(spec, pid)
    return Promise.resolve()
  }

  running(spec: BrickSpec): number | undefined {
    return this.#pids.get(spec.path)
  }

  signal(pid: number): boolean {
    for (const [path, each] of this.#pids) if (each === pid) this.#pids.delete(path)
    return true
  }
}

function portOf(spec: BrickSpec): number {
  return Number(spec.words[spec.words.indexOf('--brick-port') + 1])
}

interface Run {
  exit: number
  stdout: string
  stderr: string
}

async function run(argv: readonly string[], stdin: string, socket: string): Promise<Run> {
  const input = stdin.split('\n')
  const result: Run = { exit: 0, stdout: '', stderr: '' }
  const terminal: Terminal = {
    out: text => (result.stdout += `${text}\n`),
    err: text => (result.stderr += `${text}\n`),
    print: text => (result.stdout += text),
    readLine: () => (input.length > 1 ? input.shift() : undefined),
  }
  const environment = { ASHLAR_API_SOCKET: socket }
  result.exit =
    argv.length === 0
      ? await runInteractive(terminal, environment, false)
      : await runLine(argv, terminal, environment)
  return result
}

/** What differs from run to run: identities, ports, pids, and self-heal daemons, which we lack. */
function normalise(text: string): string {
  let removed = 0
  return text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replace(/^Self-heal Daemon on .*\n/gm, '')
    .replace(/\d{5} {5}0 {10}Y {7}\d+ *$/gm, 'PORT     0          Y       PID')
    .replace(/<(port|tcp)>\d+</g, '<$1>PORT<')
    .replace(/<pid>\d+</g, '<pid>PID<')
    .replace(/<volume>[^]*?<\/volume>/g, volume => {
      removed = 0
      const kept = volume.replace(
        / *<node>\s*<hostname>Self-heal Daemon<\/hostname>[^]*?<\/node>\n/g,
        () => {
          removed += 1
          return ''
        },
      )
      return kept.replace(
        /<nodeCount>(\d+)</,
        (_, count: string) => `<nodeCount>${Number(count) - removed}<`,
      )
    })
}

describe('recorded sessions', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'ashlar-replay-'))
  // As long as `/data/bricks`, so that columns stay where they are.
  const bricks = `/dev/shm/${process.pid.toString(36).slice(-3).padStart(3, '0')}`
  const work = join(scratch, 'lib')
  const socket = join(scratch, 'api.sock')
  let daemon: Glusterd | undefined

  const translate = (text: string): string =>
    text
      .replaceAll('/data/bricks', bricks)
      .replaceAll('/root/x', join(scratch, 'x'))
      .replaceAll('/var/lib/glusterd', work)

  beforeAll(async () => {
    rmSync(bricks, { recursive: true, force: true })
    mkdirSync(bricks)
    const launcher = new PretendedBricks()
    const settings = resolveSettings(
      {
        workDirectory: work,
        runDirectory: join(scratch, 'run'),
        logDirectory: join(scratch, 'log'),
        port: 0,
        bindAddress: '127.0.0.1',
        apiSocket: socket,
        hostnames: ['server1', 'server2', '10.99.0.3'],
        rootPath: scratch,
      },
      {},
      '/nonexistent',
    )
    const env = {
      clock: systemClock,
      random: systemRandom(),
      network: tcpNetwork(),
      log: silentLog,
    }
    daemon = await Glusterd.start({
      settings,
      env,
      launcher,
      servedKinds: new Set(['distribute', 'replicate', 'disperse']),
    })
    const { portmap } = daemon
    launcher.signIn = (spec, pid) => portmap.signIn(spec.path, portOf(spec), pid, undefined)
  })

  afterAll(async () => {
    await daemon?.stop()
    rmSync(bricks, { recursive: true, force: true })
    rmSync(scratch, { recursive: true, force: true })
  })

  for (const [number, recorded] of recording.entries()) {
    const { argv } = recorded
    if (argv === undefined) continue
    const words = argv.slice(1)
    const command = words.filter(word => !word.startsWith('--')).join(' ')
    if (!COMMANDS.test(command) || SKIPPED.has(number)) continue
    it(`${number} ${words.join(' ').slice(0, 100)}`, async () => {
      if (number >= DAEMON_STOPPED) {
        await daemon?.stop()
        daemon = undefined
      }
      const force = FORCED.has(number) ? ['force'] : []
      const ours = await run([...words.map(translate), ...force], recorded.stdin ?? '', socket)
      expect({ ...ours, stdout: normalise(ours.stdout) }).toEqual({
        exit: recorded.exit,
        stdout: normalise(translate(recorded.stdout)),
        stderr: translate(recorded.stderr),
      })
    })
  }
})
