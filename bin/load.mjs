// Loads a program of packages/cli, or says what to do when it has not been built.
import { existsSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

// Daemons do many different things a few thousand times each: without this most of their code runs
// interpreted for its first thousands of calls, and takes a fifth more processor time meanwhile.
setFlagsFromString('--always-sparkplug')
setFlagsFromString('--no-lazy-feedback-allocation')
// For the same reason: optimise sooner, and less of what is called from where (a quarter less
// processor time for the first thousands of files).
setFlagsFromString('--interrupt-budget=8000')
setFlagsFromString('--max-inlined-bytecode-size-cumulative=400')

export async function load(program) {
  const url = new URL(`../packages/cli/dist/${program}`, import.meta.url)
  if (!existsSync(url)) {
    process.stderr.write('Ashlar is not built. Run: npm ci && npm run build\n')
    process.exit(1)
  }
  return import(url.href)
}
