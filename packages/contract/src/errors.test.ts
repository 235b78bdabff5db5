import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { MANAGEMENT_ERRORS } from './errors.ts'

it('documents every error with its HTTP status, and no other', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const documented = [...readme.matchAll(/^\| `([A-Z_]+)` +\| (\d+) +\|/gm)].map(
    ([, code, status]) => `${code} ${status}`,
  )
  const registered = Object.entries(MANAGEMENT_ERRORS).map(
    ([code, row]) => `${code} ${row.httpStatus}`,
  )
  expect(documented).toEqual(registered)
})
