// Documents that a machine can judge: titles, links that lead somewhere, options that there are, and
// no path of the machine they were written on.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

function filesUnder(folder: string, end: string): string[] {
  const absolute = join(ROOT, folder)
  if (!existsSync(absolute)) return []
  return readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith(end))
    .map(entry => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter(path => !/(^|\/)(node_modules|dist|fixtures)\//.test(path))
    .sort()
}

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
      if (/\/home\/\w+\/|\/work\/\w+/.test(line))
        findings.push(`${path}:${i + 1}: a path of some machine`)
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
  expect(findings).toEqual([])
})
