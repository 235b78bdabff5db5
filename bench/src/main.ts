/**
 * `npm run bench`: the same work on a local directory, on a real GlusterFS volume (when its packages
 * are installed) and on an Ashlar volume, in turn, round by round, on one disk. Prints a table of
 * medians and ratios and writes bench/results/<time>.json.
 *
 *     npm run bench -- [--rounds N] [--files N] [--listing N] [--tree N] [--mebibytes N]
 *                      [--seconds N] [--targets local,glusterfs,ashlar] [--rows WORD,…] [--directory DIR]
 *                      [--volume 'distribute 2' | 'replica 2' | 'replica 3' | 'replica 3 arbiter 1']
 *
 * Needs root: for mounts, for dropping caches, and for the private namespaces in which GlusterFS's
 * daemons run.
 */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { run } from './command.ts'
import { type Result, table } from './report.ts'
import { type Target, UnavailableError, volumeShape } from './target.ts'
import { ashlar } from './targets/ashlar.ts'
import { glusterfs } from './targets/glusterfs.ts'
import { local } from './targets/local.ts'
import { type Row, ROWS, type Sizes } from './workloads.ts'

const INSIDE = 'ASHLAR_BENCH_INSIDE'
const PORT = 24_107
/** Attributes that the kernel and md-cache keep expire within a second. */
const EXPIRY_MS = 1500

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    files: { type: 'string', default: '1000' },
    listing: { type: 'string', default: '5000' },
    tree: { type: 'string', default: '2000' },
    mebibytes: { type: 'string', default: '256' },
    seconds: { type: 'string', default: '3' },
    targets: { type: 'string', default: 'local,glusterfs,ashlar' },
    rows: { type: 'string' },
    volume: { type: 'string', default: 'distribute 2' },
    directory: { type: 'string' },
  },
})

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Runs this program again where daemons and mounts are its own and end with it. */
function enterNamespaces(): number {
  const script = fileURLToPath(import.meta.url)
  const result = spawnSync(
    'unshare',
    ['-mnpf', '--mount-proc', process.execPath, script, ...process.argv.slice(2)],
    {
      stdio: 'inherit',
      env: { ...process.env, [INSIDE]: '1' },
    },
  )
  return result.status ?? 1
}

function prepareNamespaces(): void {
  run('mount', ['--make-rprivate', '/'])
  run('ip', ['link', 'set', 'lo', 'up'])
  for (const address of ['10.77.0.1/24', '10.77.0.2/24'])
    run('ip', ['address', 'add', address, 'dev', 'lo'])
  for (const path of ['/var/lib/glusterd', '/run/gluster', '/var/log/glusterfs']) {
    mkdirSync(path, { recursive: true })
    run('mount', ['-t', 'tmpfs', 'none', path])
  }
}

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

const WARM_UP_FILES = 500

/** A small uncounted round on every target. */
async function warmUp(
  rows: readonly Row[],
  started: ReadonlyMap<Target, string>,
  sizes: Sizes,
): Promise<void> {
  const small = {
    ...sizes,
    files: WARM_UP_FILES,
    listing: WARM_UP_FILES,
    mebibytes: 32,
    seconds: 1,
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

async function startAll(targets: readonly Target[]): Promise<Map<Target, string>> {
  const started = new Map<Target, string>()
  for (const target of targets) {
    try {
      started.set(target, await target.start())
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
      say(`${target.name}: left out: ${error.message}`)
    }
  }
  return started
}

async function main(): Promise<void> {
  prepareNamespaces()
  const parent = flags.directory ?? tmpdir()
  const directory = mkdtempSync(join(parent, 'ashlar-bench-'))
  const sizes: Sizes = {
    files: Number(flags.files),
    listing: Number(flags.listing),
    tree: Number(flags.tree),
    mebibytes: Number(flags.mebibytes),
    seconds: Number(flags.seconds),
    archive: makeArchive(directory, Number(flags.tree)),
  }
  const wanted = new Set(flags.targets.split(','))
  const shape = volumeShape(flags.volume)
  const all = [
    local(directory),
    glusterfs(directory, shape),
    ashlar(directory, PORT, shape),
  ].filter(target => wanted.has(target.name))
  const words = flags.rows?.split(',')
  const rows = ROWS.filter(
    row => words === undefined || words.some(word => row.name.includes(word)),
  )
  const started = await startAll(all)
  const results: Result[] = []
  try {
    const values = new Map<Row, Record<string, number[]>>(rows.map(row => [row, {}]))
    // Long-running daemons have compiled and cached what they use often: all get the same warm-up.
    await warmUp(rows, started, sizes)
    for (let round = 0; round < Number(flags.rounds); round++) {
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
  const file = join(
    fileURLToPath(new URL('../results/', import.meta.url)),
    `${new Date().toISOString().replaceAll(':', '-')}.json`,
  )
  mkdirSync(join(file, '..'), { recursive: true })
  const machine = { cpus: cpus().length, kernel: release(), node: process.version }
  writeFileSync(file, `${JSON.stringify({ machine, flags, results }, null, 2)}\n`)
  say(`written: ${file}`)
  rmSync(directory, { recursive: true, force: true })
}

if (process.getuid?.() !== 0) {
  process.stderr.write('bench: run as root: it mounts file systems and drops caches\n')
  process.exit(1)
} else if (process.env[INSIDE] === undefined) {
  process.exit(enterNamespaces())
} else {
  await main()
  process.exit(0)
}
