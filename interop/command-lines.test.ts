// Wrong command lines, given to both kinds of `gluster`: the same words come back, on the same of the
// two outputs, with the same exit status. What differs on purpose is in docs/differences.md.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Machine } from '@ashlar/testkit'
import { describe, expect, test } from 'vitest'
import { type Kind, obstacle, PROGRAMS } from './servers.ts'

const FILE = fileURLToPath(new URL('fixtures/command-lines.txt', import.meta.url))
const LINES = readFileSync(FILE, 'utf8')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))
const ALL_MS_MAX = 400_000
const LINE_SECONDS_MAX = 30
const MARK = '=== '

/** What each line says and how it ends: standard error with `! ` in front. */
async function answers(kind: Kind): Promise<Map<string, string>> {
  await using machine = await Machine.start()
  const gluster = `${PROGRAMS[kind]}/gluster --mode=script`
  const b = (...names: readonly string[]): string =>
    names.map(name => `server1:/data/${name}`).join(' ')
  await machine.script(`
mkdir -p /run/gluster /var/lib/glusterd
${PROGRAMS[kind]}/glusterd -p /run/glusterd.pid
${gluster} volume create v ${b('v1', 'v2')} force
${gluster} volume create r replica 3 ${b('r1', 'r2', 'r3')} force`)
  // The lines are read from a file: together they are longer than a command line may be.
  const out = await machine.script(
    `set -f
while IFS= read -r line; do
  case "$line" in ''|'#'*) continue ;; esac
  status=0
  timeout ${LINE_SECONDS_MAX} ${gluster} $line >/run/out 2>/run/err </dev/null || status=$?
  echo "${MARK}$line"; cat /run/out; sed 's/^/! /' /run/err; echo "status $status"
done < interop/fixtures/command-lines.txt`,
    { timeoutMs: ALL_MS_MAX },
  )
  const said = out.split(MARK).slice(1)
  expect(said).toHaveLength(LINES.length)
  return new Map(LINES.map((line, i) => [line, plain(said[i] as string)]))
}

/** Identities are the volume's own. */
function plain(text: string): string {
  return text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
}

describe.skipIf(obstacle !== undefined)('wrong command lines', () => {
  test(
    'are answered in the same words',
    async () => {
      const [ours, theirs] = await Promise.all([answers('ours'), answers('glusterfs')])
      for (const line of LINES) expect.soft(ours.get(line)).toBe(theirs.get(line))
    },
    ALL_MS_MAX,
  )
})
