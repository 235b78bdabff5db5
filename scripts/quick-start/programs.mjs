// Runs the programs of bin/ for the quick start.
import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Something that the reader can mend: shown without a stack. */
export class Problem extends Error {}

const START_MS_MAX = 30_000
const END_MS_MAX = 20_000

function environment(home) {
  return {
    ...process.env,
    ASHLAR_WORKDIR: home.work,
    ASHLAR_RUNDIR: home.run,
    ASHLAR_LOGDIR: home.log,
    ASHLAR_API_SOCKET: home.apiSocket,
  }
}

/** Runs a program of bin/ to its end; resolves with what it printed. */
export function run(home, program, words) {
  return new Promise((resolve, reject) => {
    execFile(join(home.bin, program), words, { env: environment(home) }, (error, out, err) => {
      if (error === null) resolve(out)
      else {
        const said = (err || out || error.message).trim()
        reject(new Problem(`${program} ${words.join(' ')}\n${said}`))
      }
    })
  })
}

/** Starts glusterd, in a process group of its own, away from Ctrl-C. */
export function startDaemon(home, port) {
  const child = spawn(
    join(home.bin, 'glusterd'),
    ['--no-daemon', '--port', String(port), '--pid-file', home.daemonPidFile],
    { env: environment(home), stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  )
  let complaint = ''
  child.stderr.on('data', chunk => (complaint += chunk))
  let status
  const ended = new Promise(resolve => {
    child.once('error', error => resolve((status = error.message)))
    child.once('exit', (code, signal) => resolve((status = signal ?? `status ${code}`)))
  })
  const answers = async () => {
    const deadline = performance.now() + START_MS_MAX
    for (;;) {
      if (status !== undefined)
        throw new Problem(`glusterd did not start (${status}). ${complaint}`)
      try {
        await run(home, 'gluster', ['volume', 'list'])
        return
      } catch (error) {
        if (performance.now() > deadline)
          throw new Problem(`glusterd does not answer. See ${home.daemonLog}\n${error.message}`)
        await Promise.race([ended, delay(100)])
      }
    }
  }
  return {
    ended,
    /** How it has ended, if it has. */
    get status() {
      return status
    },
    /** Resolves when it answers. */
    answers,
    async stop() {
      if (status !== undefined) return
      child.kill('SIGTERM')
      const killer = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX)
      await ended
      clearTimeout(killer)
    },
  }
}

/** Waits until `condition` holds; false when it does not within `ms`. */
export async function within(ms, condition) {
  const deadline = performance.now() + ms
  while (!condition()) {
    if (performance.now() > deadline) return false
    await delay(50)
  }
  return true
}
