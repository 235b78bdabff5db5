/**
 * Throughput: the same work on a local directory, on a real GlusterFS volume (when its packages are
 * installed) and on an Ashlar volume, in turn, round by round, on one disk. Prints a table of medians
 * and ratios and writes bench/results/<time>.json.
 *
 *     npm run bench -- [--rounds N] [--files N] [--listing N] [--tree N] [--mebibytes N]
 *                      [--seconds N] [--targets local,glusterfs,ashlar] [--rows BEGINNING,…] [--directory DIR]
 *                      [--warm-up N]
 *                      [--volume 'distribute 2' | 'replica 2' | 'replica 3' | 'replica 3 arbiter 1']
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { run } from './command.ts'
import { keepResults, type Result, say, table } from './report.ts'
import { startAll, type Target, volumeShape } from './target.ts'
import { ashlar, PORT } from './targets/ashlar.ts'
import { countOf, namesOf } from './arguments.ts'
import { glusterfs } from './targets/glusterfs.ts'
import { local } from './targets/local.ts'
import { type Row, ROWS, type Sizes } from './workloads.ts'

/** Attributes that the kernel and md-cache keep expire within a second. */
const EXPIRY_MS = 1500

const OPTIONS = {
  rounds: { type: 'string', default: '3' },
  files: { type: 'string', default: '1000' },
  listing: { type: 'string', default: '5000' },
  tree: { type: 'string', default: '2000' },
  mebibytes: { type: 'string', default: '256' },
  seconds: { type: 'string', default: '3' },
  /** Files of the uncounted round before; daemons that run for long have done as much. */
  'warm-up': { type: 'string', default: '2000' },
  targets: { type: 'string', default: 'local,glusterfs,ashlar' },
  rows: { type: 'string' },
  volume: { type: 'string', default: 'distribute 2' },
  directory: { type: 'string' },
} as const

const COUNTS = ['rounds', 'files', 'listing', 'tree', 'mebibytes', 'seconds', 'warm-up'] as const

/** An archive of small files in directories of a hundred, as a source tree is. */
function makeArchive(directory: string, files: number): string {
  const source = join(directory, 'source')
  for (let i = 0; i < files; i++) {
    const home = join(source, `d${Math.floor(i / 100)}`)
    if (i % 100 === 0) mkdirSync(home, { recursive: true })
    writeFileSync(join(home, `f${i}.c`), Buffer.alloc(500 + ((i * 7919) % 8000), 'x'))
  }
  const archive = join(directory, 'tree.tar')
  run('tar', ['cf', archive, '-C', source, '.'])
  rmSync(source, { recursive: true })
  return archive
}

async function dropCaches(): Promise<void> {
  run('sync', [])
  writeFileSync('/proc/sys/vm/drop_caches', '3')
  await new Promise(resolve => setTimeout(resolve, EXPIRY_MS))
}

async function measure(row: Row, directory: string, sizes: Sizes): Promise<number> {
  row.before?.(directory, sizes)
  if (row.cold === true) await dropCaches()
  const start = performance.now()
  const done = await row.work(directory, sizes)
  return done / ((performance.now() - start) / 1000)
}

/** An uncounted round on every target, of `files` files and twice the data of a counted one. */
async function warmUp(
  rows: readonly Row[],
  started: ReadonlyMap<Target, string>,
  sizes: Sizes,
  files: number,
): Promise<void> {
  const small = {
    ...sizes,
    files,
    listing: files,
    mebibytes: 2 * sizes.mebibytes,
  }
  for (const [target, path] of started) {
    const home = `${path}/warm-up`
    mkdirSync(home, { recursive: true })
    for (const row of rows) {
      row.before?.(home, small)
      await row.work(home, small)
    }
    rmSync(home, { recursive: true })
    say(`warmed up: ${target.name}`)
  }
}

/** Measures what the words of the command line ask for. */
export async function throughput(words: readonly string[]): Promise<void> {
  const { values: flags } = parseArgs({ args: [...words], options: OPTIONS })
  for (const key of COUNTS) countOf(flags, key)
  const wanted = namesOf(flags, 'targets', ['local', 'glusterfs', 'ashlar'])
  const shape = volumeShape(flags.volume)
  const parent = flags.directory ?? tmpdir()
  const directory = mkdtempSync(join(parent, 'ashlar-bench-'))
  const sizes: Sizes = {
    files: countOf(flags, 'files'),
    listing: countOf(flags, 'listing'),
    tree: countOf(flags, 'tree'),
    mebibytes: countOf(flags, 'mebibytes'),
    seconds: countOf(flags, 'seconds'),
    archive: makeArchive(directory, countOf(flags, 'tree')),
  }
  const all = [
    local(directory),
    glusterfs(directory, shape),
    ashlar(directory, PORT, shape),
  ].filter(target => wanted.has(target.name))
  const chosen = flags.rows?.split(',')
  const rows = ROWS.filter(
    row => chosen === undefined || chosen.some(word => row.name.startsWith(word)),
  )
  const started = await startAll(all)
  const results: Result[] = []
  try {
    const values = new Map<Row, Record<string, number[]>>(rows.map(row => [row, {}]))
    // Long-running daemons have compiled and cached what they use often: all get the same warm-up.
    await warmUp(rows, started, sizes, countOf(flags, 'warm-up'))
    for (let round = 0; round < countOf(flags, 'rounds'); round++) {
      for (const row of rows) {
        for (const [target, path] of started) {
          const home = `${path}/round${round}`
          mkdirSync(home, { recursive: true })
          const value = await measure(row, home, sizes)
          const own = values.get(row) as Record<string, number[]>
          own[target.name] = [...(own[target.name] ?? []), value]
          say(`round ${round + 1}  ${row.name}  ${target.name}  ${Math.round(value)} ${row.unit}`)
        }
      }
      for (const path of started.values()) rmSync(`${path}/round${round}`, { recursive: true })
    }
    for (const row of rows)
      results.push({
        row: row.name,
        unit: row.unit,
        values: values.get(row) as Record<string, number[]>,
      })
  } finally {
    for (const target of started.keys()) await target.stop()
  }
  const names = [...started.keys()].map(target => target.name)
  say(`\n${table(results, names)}\n`)
  keepResults({ flags, results })
  rmSync(directory, { recursive: true, force: true })
}
