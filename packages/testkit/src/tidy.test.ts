// Style that a machine can judge: floors, ways in, cycles, calls with a better replacement, leftovers,
// files that nobody needs. Each finding reads `file:line: X is banned, use Y`.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '')

/** What each package may import: the floors of ARCHITECTURE.md, from the ground up. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  contract: [],
  wire: ['core'],
  sys: ['core'],
  transport: ['wire', 'core'],
  xlators: ['transport', 'sys', 'wire', 'core'],
  fuse: ['sys', 'core'],
  host: ['xlators', 'fuse', 'transport', 'sys', 'wire', 'core'],
  client: ['host', 'xlators', 'transport', 'sys', 'wire', 'core'],
  glusterd: ['contract', 'host', 'xlators', 'transport', 'wire', 'sys', 'core'],
  cli: [
    'contract',
    'glusterd',
    'client',
    'host',
    'transport',
    'wire',
    'xlators',
    'sys',
    'core',
    'fuse',
  ],
}

interface Source {
  /** From the root of the repository. */
  readonly path: string
  readonly package: string
  readonly test: boolean
  readonly text: string
  readonly lines: readonly string[]
}

function walk(directory: string): string[] {
  return readdirSync(directory).flatMap(name => {
    const path = join(directory, name)
    if (name === 'dist' || name === 'node_modules' || name === 'fixtures') return []
    return statSync(path).isDirectory() ? walk(path) : path.endsWith('.ts') ? [path] : []
  })
}

const sources: readonly Source[] = readdirSync(join(ROOT, 'packages')).flatMap(name =>
  walk(join(ROOT, 'packages', name, 'src')).map(file => {
    const text = readFileSync(file, 'utf8')
    return {
      path: relative(ROOT, file),
      package: name,
      test: file.endsWith('.test.ts'),
      text,
      lines: text.split('\n'),
    }
  }),
)
/** What ships: no tests, and not the package that only they import. */
const shipped = sources.filter(source => !source.test && source.package !== 'testkit')

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|(?:^|\n)import\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g

function importsOf(source: Source): string[] {
  return [...source.text.matchAll(IMPORT)].map(
    match => (match[1] ?? match[2] ?? match[3]) as string,
  )
}

/** The package behind a specifier of ours, and whether it goes past the package's index. */
function ours(specifier: string): { name: string; deep: boolean } | undefined {
  const match = /^(?:@ashlar\/([a-z]+)|(ashlar))(\/.*)?$/.exec(specifier)
  if (match === null) return undefined
  return { name: match[1] ?? 'client', deep: match[3] !== undefined }
}

interface Ban {
  readonly pattern: RegExp
  readonly instead: string
  /** Files where it is right, and why. */
  readonly except?: Readonly<Record<string, string>>
}

const BANS: readonly Ban[] = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.(now|timeOrigin)/,
    instead: 'env.clock',
    except: { 'packages/core/src/env.ts': 'is the clock' },
  },
  {
    pattern: /\bMath\.random\(|\brandomUUID\(|\brandomBytes\(|\brandomFillSync\(/,
    instead: 'env.random',
    except: { 'packages/core/src/env.ts': 'is the source of randomness' },
  },
  { pattern: /\bconsole\./, instead: 'the log, or process.stdout in programs' },
  {
    pattern: /\bset(Timeout|Interval)\(/,
    instead: 'env.clock.after',
    except: {
      'packages/core/src/env.ts': 'is the clock',
      'packages/host/src/mount-process.ts': 'keeps the process alive, times nothing',
      'packages/client/src/connect.ts': 'keeps the process alive, times nothing',
      'packages/cli/src/glfsheal.ts': 'keeps the process alive, times nothing',
    },
  },
  {
    pattern: /\bas any\b|: any\b|<any>/,
    instead: 'a type, or unknown',
    except: {
      'packages/core/src/xlator.ts': 'a definition whatever its options are',
      'packages/wire/src/program.ts': 'rows of all types in one table',
      'packages/wire/src/codec.ts': 'codecs of all types in one table',
      'packages/glusterd/src/options/docs.ts': 'an English word',
    },
  },
  {
    pattern: /from 'koffi'/,
    instead: '@ashlar/sys',
    except: { 'packages/sys/src/ffi.ts': 'the one door to it' },
  },
  {
    pattern: /from 'pino'/,
    instead: 'Log of @ashlar/core',
    except: { 'packages/core/src/log.ts': 'stands before it' },
  },
  { pattern: /\b(FIXME|XXX|HACK|TODO)\b/, instead: 'doing it, or an issue' },
  {
    pattern: /\bnot (yet )?implemented\b/i,
    instead: 'what it says to the user',
    except: { 'packages/core/src/errno.ts': 'the text of ENOSYS' },
  },
]

function isComment(line: string): boolean {
  return /^\s*(\/\/|\*|\/\*)/.test(line)
}

/** Documents by their path from the root. */
function documentsOf(root: string): string[] {
  const folders = [
    '.',
    'docs',
    ...readdirSync(join(root, 'packages')).map(name => `packages/${name}`),
  ]
  return folders.flatMap(folder =>
    readdirSync(join(root, folder))
      .filter(name => name.endsWith('.md'))
      .map(name => join(folder, name)),
  )
}

/** True where `name` lies beside the file or in the file's package. */
function near(file: string, name: string): boolean {
  const home = relative(ROOT, file).split('/').slice(0, 2)
  return [dirname(file), join(ROOT, ...home)].some(folder => existsSync(join(folder, name)))
}

describe('tidy', () => {
  it('finds the sources', () => {
    expect(shipped.length).toBeGreaterThan(150)
  })

  it('imports only from lower floors, by the front door', () => {
    const findings = shipped.flatMap(source =>
      importsOf(source).flatMap(specifier => {
        const target = ours(specifier)
        if (target === undefined) return []
        if (target.deep) return [`${source.path}: ${specifier} goes past the package's index`]
        if (target.name === source.package)
          return [`${source.path}: a package does not import itself`]
        return MAY_IMPORT[source.package]?.includes(target.name) === true
          ? []
          : [`${source.path}: ${source.package} may not import ${target.name}`]
      }),
    )
    expect(findings).toEqual([])
  })

  it('keeps relative imports inside a package', () => {
    const findings = sources.flatMap(source =>
      importsOf(source)
        .filter(specifier => specifier.startsWith('.'))
        .filter(
          specifier =>
            !resolve(ROOT, dirname(source.path), specifier).startsWith(
              join(ROOT, 'packages', source.package),
            ),
        )
        .map(specifier => `${source.path}: ${specifier} leaves the package`),
    )
    expect(findings).toEqual([])
  })

  it('says what to use instead of what is banned', () => {
    const findings = BANS.flatMap(({ pattern, instead, except = {} }) =>
      shipped
        .filter(source => except[source.path] === undefined)
        .flatMap(source =>
          source.lines.flatMap((line, i) => {
            const match =
              isComment(line) && !/FIXME|XXX|HACK|TODO/.test(line) ? null : pattern.exec(line)
            return match === null
              ? []
              : [`${source.path}:${i + 1}: ${match[0]} is banned, use ${instead}`]
          }),
        ),
    )
    expect(findings).toEqual([])
  })

  it('opens every file with what it owns', () => {
    const findings = shipped
      .filter(source => !source.text.startsWith('/**'))
      .map(source => source.path)
    expect(findings).toEqual([])
  })

  it('has no file that nobody imports', () => {
    const used = new Set(
      sources.flatMap(source =>
        importsOf(source)
          .filter(specifier => specifier.startsWith('.'))
          .map(specifier => relative(ROOT, resolve(ROOT, dirname(source.path), specifier))),
      ),
    )
    // Programs that bin/ loads by name.
    const programs =
      /^packages\/cli\/src\/(.*\/)?(main|gluster|glusterd|glfsheal|mount-helper)\.ts$/
    const findings = shipped
      .filter(
        source =>
          !used.has(source.path) &&
          !source.path.endsWith('src/index.ts') &&
          !programs.test(source.path),
      )
      .map(source => source.path)
    expect(findings).toEqual([])
  })

  it('has no file that imports itself by way of others', () => {
    const values = /(?:^|\n)(?:import|export)\s+(?!type\s)(?:[^'";]*?\sfrom\s+)?'(\.[^']+)'/g
    const edges = new Map(
      shipped.map(source => [
        source.path,
        [...source.text.matchAll(values)].map(match =>
          relative(ROOT, resolve(ROOT, dirname(source.path), match[1] as string)),
        ),
      ]),
    )
    const done = new Set<string>()
    const findings: string[] = []
    const visit = (path: string, trail: readonly string[]): void => {
      const start = trail.indexOf(path)
      if (start >= 0) findings.push([...trail.slice(start), path].join(' → '))
      if (start >= 0 || done.has(path)) return
      for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
    for (const path of edges.keys()) visit(path, [])
    expect(findings).toEqual([])
  })

  it('waits for conditions, never for time', () => {
    const findings = sources
      .filter(source => source.test)
      .flatMap(source =>
        source.lines.flatMap((line, i) =>
          /await (sleep|delay)\(|new Promise\(\w+ => setTimeout\(\w+, \d/.test(line)
            ? [`${source.path}:${i + 1}: a bare sleep; use until()`]
            : [],
        ),
      )
    expect(findings).toEqual([])
  })

  it('cites what a reader can find: no document that is not in the repository', () => {
    // A fact of GlusterFS has its source file (`xlators/…/dht-layout.c`) or an RFC as its source.
    const documents = new Set(documentsOf(ROOT))
    const cited = /(?:[\w.-]+\/)*[\w-]+\.md\b/g
    const places = ['packages', 'bench', 'e2e', 'interop', 'scripts', 'examples']
    const findings = places
      .flatMap(place => walk(join(ROOT, place)))
      .flatMap(file =>
        readFileSync(file, 'utf8')
          .split('\n')
          .flatMap((line, i) =>
            [...(isComment(line) ? line : '').matchAll(cited)]
              .filter(([name]) => !documents.has(name) && !near(file, name))
              .map(([name]) => `${relative(ROOT, file)}:${i + 1}: there is no ${name}`),
          ),
      )
    expect(findings).toEqual([])
  })

  it('names no path of a machine and no host of a registry', () => {
    const findings = sources.flatMap(source =>
      source.lines.flatMap((line, i) =>
        /\/home\/\w+\/|registry\.npmjs|\/work\/main/.test(line) &&
        !source.path.endsWith('tidy.test.ts')
          ? [`${source.path}:${i + 1}: ${line.trim()}`]
          : [],
      ),
    )
    expect(findings).toEqual([])
  })
})
