import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLog } from './log.ts'

test('a line is in the file when the call returns: the last one of a process tells why it ended', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ashlar-log-'))
  const file = join(directory, 'deep/in/it.log')
  const log = openLog({ area: 'brick', level: 'info', file })
  log.debug('too quiet')
  log.critical('cannot be served', { reason: 'no disk' })
  log.child('posix').info('said by a part')
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  expect(lines).toHaveLength(2)
  expect(lines[0]).toMatch(/^\[\d{4}-.* \+0000\] C \[brick\] cannot be served \{reason=no disk\}$/)
  expect(lines[1]).toMatch(/ I \[posix\] said by a part$/)
  rmSync(directory, { recursive: true })
})
