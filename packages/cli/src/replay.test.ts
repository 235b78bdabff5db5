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
import {
  type BrickSpec,
  Glusterd,
  type HealProgram,
  type HealQuestion,
  type Launcher,
  type ProcessSpec,
  resolveSettings,
} from '@ashlar/glusterd'
import { PretendedHealer } from '@ashlar/testkit'
import { tcpNetwork } from '@ashlar/transport'
import type { Healer } from '@ashlar/xlators'
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

const ENV = {
  clock: systemClock,
  random: systemRandom(),
  network: tcpNetwork(),
  log: silentLog,
}

/** Commands of this release, as first words of recorded lines. */
const COMMANDS =
  /^(volume$|volume (create|start|stop|delete|info|status|list|set|get|reset|heal|(add|remove|replace|reset)-brick|bogus|rename|tier)|peer (status|bogus)|pool( list)?|system:: (uuid get|getwd|volume-id)|version|bogus|ganesha.*|eventsapi.*|)( |$)/

/** Recordings that cannot be the same here, by their number in the recording. */
const SKIPPED = new Map<number, string>([
  ...range(0, 1, 'the version is our own, and so is the wording of help'),
  ...range(44, 51, 'there are no peers yet'),
  ...range(130, 141, 'facts of the file system and of brick processes'),
  ...range(144, 145, 'clients of real bricks'),
  ...range(154, 155, 'facts of the file system'),
  ...range(217, 224, 'clients of real bricks'),
  ...range(272, 273, 'a brick was killed'),
  ...range(302, 302, 'says which server has refused'),
  ...range(313, 322, 'a rebalance was running'),
  ...range(328, 337, 'a rebalance was running'),
  ...range(339, 339, 'the rebalance had changed who may connect'),
  ...range(391, 391, 'the wording of help'),
  ...range(416, 430, 'a peer was down'),
  ...range(454, 454, 'the same name on two servers'),
  ...range(458, 458, 'the same name on two servers'),
  ...range(450, 452, 'there are no peers yet'),
  ...range(464, 468, 'there are no peers yet'),
  ...range(472, 472, 'there are no peers yet'),
])

/** Sets over several servers: here all bricks are on one, which takes `force`. */
const FORCED = new Set([68, 88, 109, 111, 112, 113, 342])
/** What was set between recorded commands, by the number of the next one. */
const BETWEEN = new Map([
  [225, 'volume set rep3 performance.cache-size 256MB cluster.quorum-type auto user.note hello'],
])
/** A rebalance had moved the files: the brick goes without. */
const COMMITTED = 338
/** From here on the daemon was stopped. */
const DAEMON_STOPPED = 476

function range(first: number, last: number, why: string): [number, string][] {
  return Array.from({ length: last - first + 1 }, (_, n) => [first + n, why])
}

const HEALER_PID = 9_999

/** Processes that run as long as nobody signals them; the self-heal daemon answers. */
class PretendedProcesses implements Launcher {
  readonly #pids = new Map<string, number>()
  #healer: PretendedHealer | undefined
  #healerWords: readonly string[] = []
  #started = 10_000
  signIn: (spec: BrickSpec, pid: number) => void = () => {}

  async launch(spec: ProcessSpec): Promise<void> {
    if (spec.program === 'client') {
      this.#healerWords = spec.words
      this.#healer = new PretendedHealer(spec, () => [
        pretendedHealer('rep3-replicate-0'),
        pretendedHealer('ec21-disperse-0'),
      ])
      return this.#healer.listen()
    }
    const pid = this.#started++
    this.#pids.set(spec.sign, pid)
    this.signIn(spec as BrickSpec, pid)
  }

  running(spec: ProcessSpec): number | undefined {
    if (spec.program === 'brick') return this.#pids.get(spec.sign)
    return this.#healer?.has(spec.pidFile) === true ? HEALER_PID : undefined
  }

  commandLine(): readonly string[] {
    return this.#healerWords
  }

  signal(pid: number): boolean {
    if (pid === HEALER_PID) this.#healer = undefined
    for (const [path, each] of this.#pids) if (each === pid) this.#pids.delete(path)
    return true
  }
}

/** The second brick was down for a while, as `state` tells. */
const state = { down: false, entries: [] as string[] }

/** What the crawls of the recorded set were, by brick. */
const CRAWLS = [
  ['INDEX', 'INDEX', 'INDEX'],
  ['INDEX', 'INDEX'],
  ['INDEX', 'INDEX', 'FULL'],
] as const

function pretendedHealer(name: string): Healer {
  const bricks = [0, 1, 2].map(n => ({ brick: `client-${n}`, up: n !== 1 || !state.down }))
  const crawls = CRAWLS.flatMap((types, n) =>
    types.map(type => {
      const brick = `client-${n}`
      return { brick, type, started: 0, ended: 1000, healed: 0, splitBrain: 0, failed: 0 }
    }),
  )
  const nothing = (): Promise<never[]> => Promise.resolve([])
  return {
    name,
    bricks,
    healIndex: () => {},
    healFull: () => {},
    info: nothing,
    counts: () => Promise.resolve(bricks.map(({ up }) => (up ? state.entries.length : undefined))),
    statistics: () => crawls,
    resolve: nothing,
    markEmpty: () => Promise.resolve(undefined),
  }
}

/** What the short process would print. */
class PretendedHealProgram implements HealProgram {
  bricks: (volume: string) => { host: string; path: string }[] = () => []
  readonly marked: string[] = []

  run(volume: string, question: HealQuestion): Promise<unknown> {
    if (question.kind === 'mark-empty') {
      this.marked.push(...question.bricks)
      return Promise.resolve({})
    }
    if (question.kind !== 'info') {
      const file = question.file ?? ''
      return Promise.resolve({
        files: [{ file, healed: false, reason: 'File not in split-brain' }],
      })
    }
    const bricks = this.bricks(volume).map(({ host, path }, n) => {
      const down = n === 1 && state.down
      // A brick that has just come knows of nothing.
      const entries = down || path.includes('new') ? [] : state.entries
      return {
        host,
        path,
        connected: !down,
        status: down ? 'Transport endpoint is not connected' : 'Connected',
        entries: entries.map(each => ({
          gfid: '00000000-0000-0000-0000-000000000001',
          path: each,
          state: 'pending',
          reason: '',
          age: null,
        })),
      }
    })
    return Promise.resolve({ bricks })
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

/** What differs from run to run: identities, times, ports, pids; and other servers' daemons. */
function normalise(text: string): string {
  let removed = 0
  return text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replace(/^Self-heal Daemon on (?!localhost).*\n/gm, '')
    .replace(/(^Self-heal Daemon on localhost .* Y {7})\d+ *$/gm, '$1PID')
    .replace(/^((Starting|Ending) time of crawl: ).*$/gm, '$1TIME')
    .replace(/\d{5} {5}0 {10}Y {7}\d+ *$/gm, 'PORT     0          Y       PID')
    .replace(/<(port|tcp)>\d+</g, '<$1>PORT<')
    .replace(/<pid>\d+</g, '<pid>PID<')
    .replace(/<volume>[^]*?<\/volume>/g, volume => {
      removed = 0
      const kept = volume.replace(
        / *<node>\s*<hostname>Self-heal Daemon<\/hostname>\s*<path>(?!localhost)[^]*?<\/node>\n/g,
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

/** Entries of the first brick, as the recording has them; as many, where it has only the number. */
function recordedEntries(text: string, number: number): string[] {
  if (number === 275) return ['/f1', '/f2', '/f3', '/new', '/']
  const count = Number(/(?:Number of|>numberOfE|NumberOfE)\D*?(\d+)/.exec(text)?.[1] ?? 0)
  const listed = text.split('\n\n')[0]?.match(/^\/.*(?= $)/gm) ?? []
  if (listed.length > 0) return [...listed]
  return Array.from({ length: count }, (_, n) => `/${n}`)
}

describe('recorded sessions', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'ashlar-replay-'))
  // As long as `/data/bricks`, so that columns stay where they are.
  const bricks = `/dev/shm/${process.pid.toString(36).slice(-3).padStart(3, '0')}`
  const work = join(scratch, 'lib')
  const socket = join(scratch, 'api.sock')
  const healProgram = new PretendedHealProgram()
  let daemon: Glusterd | undefined

  const translate = (text: string): string =>
    text
      .replaceAll('/data/bricks', bricks)
      .replaceAll('/root/x', join(scratch, 'x'))
      .replaceAll('/var/lib/glusterd', work)

  beforeAll(async () => {
    rmSync(bricks, { recursive: true, force: true })
    mkdirSync(bricks)
    const launcher = new PretendedProcesses()
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
    daemon = await Glusterd.start({
      settings,
      env: ENV,
      launcher,
      healProgram,
      servedKinds: new Set(['distribute', 'replicate', 'disperse']),
    })
    const { portmap, manager } = daemon
    healProgram.bricks = volume => manager.volume(volume).bricks
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
      state.down = number >= 272 && number <= 278
      state.entries = recordedEntries(recorded.stdout, number)
      const between = BETWEEN.get(number)
      if (between !== undefined) {
        expect(await run(between.split(' '), '', socket)).toMatchObject({ exit: 0 })
      }
      const force = FORCED.has(number) ? ['force'] : []
      if (number === COMMITTED) {
        const forced = words.map(word => translate(word === 'commit' ? 'force' : word))
        expect(await run(forced, '', socket)).toMatchObject({ exit: 0 })
        return
      }
      const ours = await run([...words.map(translate), ...force], recorded.stdin ?? '', socket)
      expect({ ...ours, stdout: normalise(ours.stdout) }).toEqual({
        exit: recorded.exit,
        stdout: normalise(translate(recorded.stdout)),
        stderr: translate(recorded.stderr),
      })
    })
  }

  it('marks bricks that came as empty', () => {
    // A third copy, what replaced it, and the same after it was reset.
    expect(healProgram.marked).toEqual(['rep3-client-3', 'rep3-client-3', 'rep3-client-3'])
  })
})
