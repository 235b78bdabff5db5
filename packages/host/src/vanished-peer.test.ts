import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

// A network of its own, which goes down under a connection: nobody says goodbye.
const SCRIPT = `
import { execFileSync } from 'node:child_process'
import { setPatience } from '@ashlar/sys'
import { tcpNetwork } from '@ashlar/transport'
execFileSync('ip', ['link', 'set', 'lo', 'up'])
const quiet = { opened() {}, target: () => undefined, received() {}, drained() {}, closed() {} }
const network = tcpNetwork(setPatience)
const patience = { unacknowledged: 1, idle: 1, interval: 1, probes: 2 }
let accepted = 0
const closed = []
const done = () => {
  if (closed.length === 2) {
    console.log(closed.sort().join('\\n'))
    process.exit(0)
  }
}
const { address } = await network.listen({ host: '127.0.0.1', port: 0 }, stream => {
  const name = accepted++ === 0 ? 'busy' : 'idle'
  stream.setPatience(patience)
  if (accepted === 2) {
    setImmediate(() => {
      execFileSync('ip', ['link', 'set', 'lo', 'down'])
      streams[0].write([Buffer.from('who is there?')])
    })
  }
  streams.push(stream)
  return { ...quiet, closed: reason => { closed.push(name + ': ' + reason); done() } }
})
const streams = []
network.connect(address, { ...quiet, opened: () => void network.connect(address, quiet) })
`
const obstacle =
  process.getuid?.() !== 0
    ? 'it needs root for a network of its own'
    : spawnSync('ip', ['-V']).status === 0
      ? undefined
      : 'there is no `ip` (iproute2)'
if (obstacle !== undefined) process.stderr.write(`no test of vanished peers: ${obstacle}\n`)

test.skipIf(obstacle !== undefined)('a peer that has vanished is given up, busy or idle', () => {
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['--net', process.execPath, '--input-type=module', '-e', SCRIPT],
    { encoding: 'utf8', timeout: 20_000, cwd: fileURLToPath(new URL('..', import.meta.url)) },
  )
  expect([
    stdout.split('\n').filter(line => /^(busy|idle): .*ETIMEDOUT/.test(line)).length,
    stderr,
  ]).toEqual([2, ''])
})
