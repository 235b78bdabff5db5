/**
 * `npm run bench`: Ashlar, a real GlusterFS (when its packages are installed) and the local file
 * system, measured in the same run on one disk.
 *
 *     npm run bench -- [flags of throughput.ts]            what they do in a second
 *     npm run bench -- failover [flags of failover.ts]     what the loss of a brick costs
 *
 * Needs root: for mounts, for dropping caches, and for the private namespaces in which GlusterFS's
 * daemons run.
 */

import { fileURLToPath } from 'node:url'
import { ArgumentError } from './arguments.ts'
import { failover } from './failover/failover.ts'
import { enterNamespaces, isInside, prepareNamespaces } from './namespaces.ts'
import { throughput } from './throughput.ts'

if (process.getuid?.() !== 0) {
  process.stderr.write('bench: run as root: it mounts file systems and drops caches\n')
  process.exit(1)
}
if (!isInside()) process.exit(enterNamespaces(fileURLToPath(import.meta.url)))
prepareNamespaces()
const [kind, ...words] = process.argv.slice(2)
try {
  if (kind === 'failover') await failover(words)
  else await throughput(process.argv.slice(2))
} catch (error) {
  if (!isMistake(error)) throw error
  process.stderr.write(`bench: ${error.message}\n`)
  process.exit(2)
}
process.exit(0)

/** In the words of the command line, and nothing has been done. */
function isMistake(error: unknown): error is Error {
  if (error instanceof ArgumentError) return true
  return (
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  )
}
