// Runs `npm test` and ends with one line that counts: "N passed, N failed". Its exit status is the
// tests' own. Skipped tests are named, each with its reason, by the tests themselves.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const directory = mkdtempSync(join(tmpdir(), 'ashlar-tests-'))
const file = join(directory, 'results.json')
const run = spawnSync(
  'npm',
  ['test', '--', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
  {
    stdio: 'inherit',
  },
)
let counts = { passed: 0, failed: 0, skipped: 0 }
try {
  const results = JSON.parse(readFileSync(file, 'utf8'))
  counts = {
    passed: results.numPassedTests,
    failed: results.numFailedTests,
    skipped: results.numPendingTests + results.numTodoTests,
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed${skipped}\n`)
process.exit(run.status ?? 1)
