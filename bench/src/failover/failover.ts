/**
 * `npm run bench -- failover`: what the loss of one brick of three costs those who write, and how
 * soon it has everything again. GlusterFS and Ashlar in turn, round by round.
 *
 *     npm run bench -- failover [--rounds N] [--frozen N] [--ping-timeout SECONDS] [--files N]
 *                               [--targets glusterfs,ashlar] [--parts killed,frozen,outage]
 *                               [--directory DIR]
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { columns, keepResults, say } from '../report.ts'
import { startAll, type VolumeTarget, volumeShape } from '../target.ts'
import { ashlar, PORT } from '../targets/ashlar.ts'
import { glusterfs } from '../targets/glusterfs.ts'
import { UNASKED_SECONDS_MAX } from './bricks.ts'
import { type Outage, outage } from './outage.ts'
import { countOf, namesOf } from '../arguments.ts'
import { frozen, killed, type Stream } from './streaming.ts'

const OPTIONS = {
  rounds: { type: 'string', default: '3' },
  frozen: { type: 'string', default: '1' },
  'ping-timeout': { type: 'string', default: '10' },
  files: { type: 'string', default: '1000' },
  targets: { type: 'string', default: 'glusterfs,ashlar' },
  parts: { type: 'string', default: 'killed,frozen,outage' },
  directory: { type: 'string' },
} as const

const COUNTS = ['rounds', 'frozen', 'ping-timeout', 'files'] as const

const STREAM_HEAD = ['', 'target', 'median', 'p99', 'longest', 'median', 'p99', 'longest', 'errors']

/** One measurement. */
type Entry = { readonly what: string; readonly target: string; readonly load: number } & (
  | { readonly stream: Stream }
  | { readonly outage: Outage }
)

/** Measures what the words of the command line ask for. */
export async function failover(words: readonly string[]): Promise<void> {
  const { values: flags } = parseArgs({ args: [...words], options: OPTIONS })
  for (const key of COUNTS) countOf(flags, key)
  const wanted = namesOf(flags, 'targets', ['glusterfs', 'ashlar'])
  const parts = namesOf(flags, 'parts', ['killed', 'frozen', 'outage'])
  const directory = mkdtempSync(join(flags.directory ?? tmpdir(), 'ashlar-failover-'))
  const shape = volumeShape('replica 3')
  const targets = [glusterfs(directory, shape), ashlar(directory, PORT, shape)]
  const started = await startAll(targets.filter(target => wanted.has(target.name)))
  const entries: Entry[] = []
  const note = (entry: Entry): void => {
    entries.push(entry)
    say(JSON.stringify(entry))
  }
  const each = async (
    rounds: number,
    work: (target: VolumeTarget, path: string, round: number) => Promise<Entry>,
  ): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      for (const [target, path] of started) note(await work(target, path, round))
    }
  }
  const load = (): number => loadavg()[0] as number
  try {
    if (parts.has('killed')) {
      for (const sync of [false, true]) {
        await each(countOf(flags, 'rounds'), async (target, path, round) => ({
          what: `killed, ${sync ? 'O_SYNC' : 'buffered'}, ${round + 1}`,
          target: target.name,
          load: load(),
          stream: await killed(target, path, sync),
        }))
      }
    }
    if (parts.has('outage')) {
      await each(countOf(flags, 'rounds'), async (target, path, round) => ({
        what: `${flags.files} files, ${round + 1}`,
        target: target.name,
        load: load(),
        outage: await outage(target, path, round, countOf(flags, 'files')),
      }))
    }
    if (parts.has('frozen')) {
      for (const mounted of [false, true]) {
        await each(countOf(flags, 'frozen'), async (target, _path, round) => ({
          what: `frozen, ping-timeout set ${mounted ? 'while mounted' : 'before'}, ${round + 1}`,
          target: target.name,
          load: load(),
          stream: await frozen(target, countOf(flags, 'ping-timeout'), mounted),
        }))
      }
    }
  } finally {
    // What was measured before something went wrong is not lost.
    say(`\n${tables(entries)}\n`)
    keepResults({ flags, entries })
  }
  for (const target of started.keys()) await target.stop()
  rmSync(directory, { recursive: true, force: true })
}

function tables(entries: readonly Entry[]): string {
  const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 0)
  const seconds = (value: number): string => value.toFixed(2)
  const streams = entries.flatMap(entry => {
    if (!('stream' in entry)) return []
    const { before, after, errors, lost, healSeconds } = entry.stream
    const times = [before, after].flatMap(one => [one.median, one.p99, one.longest]).map(ms)
    const tail = [
      String(errors.length),
      String(lost),
      healSeconds === undefined ? `> ${UNASKED_SECONDS_MAX}` : seconds(healSeconds),
    ]
    return [[entry.what, entry.target, ...times, ...tail]]
  })
  const outages = entries.flatMap(entry => {
    if (!('outage' in entry)) return []
    const { createSeconds, startSeconds, healSeconds, wrong } = entry.outage
    const times = [createSeconds, startSeconds, healSeconds].map(seconds)
    return [[entry.what, entry.target, ...times, wrong.join(' ')]]
  })
  return [
    'Writes of 64 KiB: milliseconds before the loss of a brick, and after it',
    columns([[...STREAM_HEAD, 'blocks lost', 'healed s'], ...streams]),
    '',
    'Files of 64 KiB made while a brick was down: seconds',
    columns([['', 'target', 'create', 'start force', 'healed', 'wrong files'], ...outages]),
  ].join('\n')
}
