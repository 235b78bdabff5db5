/** Which directories may become bricks. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { prepareBrick } from './brick-directory.ts'

let scratch: string
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ashlar-brick-'))
})
afterEach(() => rmSync(scratch, { recursive: true }))

const rules = { force: true, workDirectory: '/var/lib/glusterd', rootPath: '/' }

describe('paths that are too long', () => {
  const long = 'a'.repeat(256)
  it.each([
    ['a name', long],
    ['a name on the way', `${long}/brick`],
    ['letters of two bytes', 'é'.repeat(128)],
    ['the whole', 'abc/'.repeat(1024)],
  ])('%s', (_, name) => {
    const path = join(scratch, name)
    expect(() => prepareBrick({ host: 'server1', path }, rules, [])).toThrow(
      `brick path server1:${path} is too long.`,
    )
    expect(readdirSync(scratch)).toEqual([])
  })
})

it.each(['/b"1', '/b\n1', '/b 1\\'])('a path that no volfile can hold is refused: %j', path => {
  expect(() => prepareBrick({ host: 'server1', path }, rules, [])).toThrow('choose another')
})
