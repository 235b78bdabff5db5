// The rules of the house that a machine can judge: who imports whom, what nobody calls, files that
// nobody needs, documents that name what is not there. Each finding reads `file:line: what to do`.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** What each package may import: lower floors only (ARCHITECTURE.md). */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  contract: [],
  sys: ['core'],
  wire: ['core'],
  transport: ['wire', 'core'],
  fuse: ['sys', 'core'],
  xlators: ['transport', 'sys', 'wire', 'core'],
  host: ['xlators', 'fuse', 'transport', 'sys', 'wire', 'core'],
  client: ['host', 'xlators', 'transport', 'sys', 'wire', 'core'],
  glusterd: ['host', 'xlators', 'fuse', 'transport', 'sys', 'wire', 'contract', 'core'],
  cli: [
    'client',
    'glusterd',
    'host',
    'xlators',
    'fuse',
    'transport',
    'sys',
    'wire',
    'contract',
    'core',
  ],
}
/** The library has a name without a scope. */
const PACKAGE_OF_NAME = (name: string): string =>
  name === 'ashlar' ? 'client' : name.replace('@ashlar/', '')

/** Libraries that stand behind one file (or folder) of a package each. */
const BEHIND: Readonly<Record<string, RegExp>> = {
  koffi: /^packages\/sys\/src\/ffi\.ts$/,
  pino: /^packages\/core\/src\/log\.ts$/,
  fastify: /^packages\/glusterd\/src\/(api\/|daemon\.ts$)/,
}

interface Ban {
  readonly pattern: RegExp
  readonly instead: string
  /** Files that may, each with its reason. */
  readonly except: Readonly<Record<string, string>>
}

const BANS: readonly Ban[] = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    instead: 'env.clock',
    except: { 'packages/core/src/env.ts': 'is the clock' },
  },
  {
    pattern: /\bMath\.random\(|\brandomBytes\(|\brandomUUID\(|\brandomFillSync\(/,
    instead: 'env.random',
    except: { 'packages/core/src/env.ts': 'is the source of randomness' },
  },
  {
    pattern: /\bsetTimeout\(|\bsetInterval\(|timers\/promises/,
    instead: 'env.clock.after',
    except: {
      'packages/core/src/env.ts': 'is the clock',
      'packages/host/src/mount-process.ts': 'keeps its process alive until there are sockets',
      'packages/client/src/connect.ts': 'keeps its process alive while a volume is used',
    },
  },
  {
    pattern: /\bconsole\./,
    instead: 'env.log, or the terminal that the command was given',
    except: {},
  },
  { pattern: /\b(TODO|FIXME|XXX)\b/, instead: 'doing it, or an issue', except: {} },
  { pattern: /^export default\b/, instead: 'a name', except: {} },
]

interface Source {
  /** Relative to the root of the repository. */
  readonly path: string
  readonly package: string | undefined
  readonly isTest: boolean
  readonly lines: readonly string[]
  readonly imports: readonly Import[]
}
interface Import {
  readonly from: string
  readonly line: number
  readonly typeOnly: boolean
}

function filesUnder(folder: string, end: string): string[] {
  const absolute = join(ROOT, folder)
  if (!existsSync(absolute)) return []
  return readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith(end))
    .map(entry => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter(path => !/(^|\/)(node_modules|dist|fixtures)\//.test(path))
    .sort()
}

const IMPORT =
  /(?:^|\n)(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?'([^'\n]+)'|\bimport\('([^'\n]+)'\)/g

function load(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const imports: Import[] = []
  for (const match of text.matchAll(IMPORT)) {
    const line = text.slice(0, match.index + 1).split('\n').length
    imports.push({
      from: (match[2] ?? match[3]) as string,
      line,
      typeOnly: match[1] !== undefined,
    })
  }
  const owner = /^packages\/([^/]+)\//.exec(path)?.[1]
  return {
    path,
    package: owner,
    isTest: path.endsWith('.test.ts') || owner === 'testkit' || owner === undefined,
    lines: text.split('\n'),
    imports,
  }
}

const packages = filesUnder('packages', '.ts').map(load)
const outside = ['e2e', 'interop', 'bench/src']
  .flatMap(folder => filesUnder(folder, '.ts'))
  .map(load)
const product = packages.filter(source => !source.isTest)

function noFindings(findings: readonly string[]): void {
  expect(findings.join('\n')).toBe('')
}

test('packages import lower floors only, and through their index', () => {
  const findings: string[] = []
  for (const source of packages) {
    for (const { from, line } of source.imports) {
      const at = `${source.path}:${line}`
      if (from.startsWith('.')) {
        const target = normalize(join(dirname(source.path), from))
        if (!target.startsWith(`packages/${source.package}/`))
          findings.push(`${at}: ${from} leaves its package, import the other by its name`)
        continue
      }
      if (from !== 'ashlar' && !from.startsWith('@ashlar/')) continue
      const name = PACKAGE_OF_NAME(from)
      if (name.includes('/')) findings.push(`${at}: ${from} goes past an index`)
      else if (name === 'testkit' && !source.isTest)
        findings.push(`${at}: only tests import testkit`)
      else if (!source.isTest && MAY_IMPORT[source.package as string]?.includes(name) !== true)
        findings.push(`${at}: ${source.package} may not import ${name}, which is not below it`)
    }
  }
  noFindings(findings)
})

test('libraries stand behind one file each', () => {
  const findings: string[] = []
  for (const source of product)
    for (const { from, line } of source.imports) {
      const place = BEHIND[from]
      if (place?.test(source.path) === false)
        findings.push(`${source.path}:${line}: ${from} is only imported in ${place.source}`)
    }
  noFindings(findings)
})

test('no file imports itself by way of others', () => {
  const byPath = new Map(product.map(source => [source.path, source]))
  const done = new Set<string>()
  const findings: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) {
      findings.push(`${path}:1: a circle: ${[...trail.slice(start), path].join(' → ')}`)
      return
    }
    if (done.has(path)) return
    for (const { from, typeOnly } of byPath.get(path)?.imports ?? []) {
      if (typeOnly || !from.startsWith('.')) continue
      visit(normalize(join(dirname(path), from)), [...trail, path])
    }
    done.add(path)
  }
  for (const { path } of product) visit(path, [])
  noFindings(findings)
})

test('banned calls', () => {
  const findings: string[] = []
  for (const { pattern, instead, except } of BANS)
    for (const { path, lines } of product) {
      if (path in except) continue
      lines.forEach((line, i) => {
        const code = line.replace(/^\s*(\*|\/\/).*/, comment =>
          /TODO|FIXME|XXX/.test(pattern.source) ? comment : '',
        )
        const match = pattern.exec(code)
        if (match !== null) findings.push(`${path}:${i + 1}: ${match[0]} is banned, use ${instead}`)
      })
    }
  noFindings(findings)
})

test('tests wait for what they wait for', () => {
  const findings: string[] = []
  const tests = [...packages, ...outside].filter(
    ({ path }) => path.endsWith('.test.ts') && !path.endsWith('tidy.test.ts'),
  )
  for (const { path, lines } of tests)
    lines.forEach((line, i) => {
      if (/await\s+(new Promise\(\s*\w+\s*=>\s*setTimeout|pause\(|sleep\()/.test(line))
        findings.push(`${path}:${i + 1}: a bare sleep, use until() of testkit`)
    })
  noFindings(findings)
})

test('every file opens with what it owns, and somebody needs it', () => {
  const findings: string[] = []
  const needed = new Set<string>()
  for (const source of product)
    for (const { from } of source.imports)
      if (from.startsWith('.')) needed.add(normalize(join(dirname(source.path), from)))
  for (const file of [...filesUnder('bin', ''), ...filesUnder('scripts', '.mjs')]) {
    const text = readFileSync(join(ROOT, file), 'utf8')
    for (const match of text.matchAll(/([\w/-]+)\.js\b/g))
      for (const { path } of product)
        if (path.endsWith(`/${(match[1] as string).split('/dist/').at(-1)}.ts`)) needed.add(path)
  }
  for (const { path, lines } of product) {
    const isIndex = /^packages\/[^/]+\/src\/index\.ts$/.test(path)
    if (!isIndex && !needed.has(path)) findings.push(`${path}:1: nobody imports this file`)
    if (!/^(\/\*\*|\/\/|#!)/.test(lines[0] ?? ''))
      findings.push(`${path}:1: say at the top what the file owns`)
  }
  noFindings(findings)
})

test('documents lead somewhere and name options that there are', () => {
  const findings: string[] = []
  const table = readFileSync(join(ROOT, 'packages/glusterd/src/options/table.ts'), 'utf8')
  const documents = [
    ...readdirSync(ROOT).filter(name => name.endsWith('.md')),
    ...filesUnder('docs', '.md'),
    ...filesUnder('packages', 'README.md'),
  ]
  for (const path of documents) {
    const lines = readFileSync(join(ROOT, path), 'utf8').split('\n')
    if (!lines[0]?.startsWith('# ')) findings.push(`${path}:1: begin with a title`)
    lines.forEach((line, i) => {
      for (const match of line.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)) {
        const target = match[1] as string
        if (/^https?:/.test(target)) continue
        if (!existsSync(join(ROOT, dirname(path), target)))
          findings.push(`${path}:${i + 1}: ${target} is not there`)
      }
      for (const match of line.matchAll(/volume (?:set|get|reset) \S+ ([a-z-]+\.[a-z-]+)/g))
        if (!table.includes(`'${match[1]}'`))
          findings.push(`${path}:${i + 1}: there is no option ${match[1]}`)
    })
  }
  noFindings(findings)
})
