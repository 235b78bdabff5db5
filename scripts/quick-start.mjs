// `npm start`: a volume on this machine, from nothing, until Ctrl-C.
//
// Starts glusterd with all its state in one folder, creates a volume of three copies there (or finds
// it again), mounts it, and says what to do next. At the end everything is taken down: no
// mount and no process is left, the data stays for the next start.
import { mkdirSync } from 'node:fs'
import { openHome } from './quick-start/home.mjs'
import { brickHost, isFree, listeningPort } from './quick-start/network.mjs'
import { Problem, run, startDaemon } from './quick-start/programs.mjs'
import { checkFuse, mountVolume, unmountVolume } from './quick-start/mount.mjs'
import { claim, clearLeftovers } from './quick-start/running.mjs'

const VOLUME = 'gv0'
const PORTS_TRIED = 3

const say = (text = '') => process.stdout.write(`${text}\n`)
// Whoever read along may have gone: what was started is to be taken down all the same.
process.stdout.on('error', () => undefined)

/** What has been started, last first: how to take it down. */
const undo = []
let ending

async function main() {
  checkFuse()
  const home = openHome()
  const release = claim(home)
  undo.push(release)
  await clearLeftovers(home)

  const host = await brickHost()
  say(`State and data: ${home.path}`)
  const first = await startListening(home)
  const { port } = first
  let { daemon } = first
  undo.push(() => daemon.stop())
  void daemon.ended.then(status => {
    if (ending === undefined)
      return fail(new Problem(`glusterd has ended (${status}). See ${home.daemonLog}`))
  })

  undo.push(async () => {
    // Bricks outlive a glusterd that has died: only another one knows how to end them.
    if (daemon.status !== undefined) ({ daemon } = await startListening(home))
    await closeVolume(home)
  })
  await openVolume(home, host)

  undo.push(() => unmountVolume(home, say))
  await mountVolume(home, { host, port, volume: VOLUME })
  if (ending === undefined) tell(home, { host, port })
}

/** glusterd, once it answers; on another port when somebody has just taken the one that was free. */
async function startListening(home) {
  for (let attempt = 1; ; attempt++) {
    const port = await listeningPort()
    const daemon = startDaemon(home, port)
    try {
      await daemon.answers()
      return { daemon, port }
    } catch (error) {
      const lost = daemon.status !== undefined && !(await isFree(port))
      await daemon.stop()
      if (!lost || attempt === PORTS_TRIED) throw error
    }
  }
}

/** Starts the volume; makes it first when there is none. */
async function openVolume(home, host) {
  const volumes = await run(home, 'gluster', ['volume', 'list'])
  if (volumes.split('\n').includes(VOLUME)) {
    say(`Volume ${VOLUME} is here from an earlier start.`)
  } else {
    for (const brick of home.bricks) mkdirSync(brick, { recursive: true })
    const bricks = home.bricks.map(brick => `${host}:${brick}`)
    const shape = ['replica', String(bricks.length)]
    const words = ['volume', 'create', VOLUME, ...shape, ...bricks, 'force']
    await run(home, 'gluster', ['--mode=script', ...words])
    say(`Volume ${VOLUME} keeps each file three times: in ${home.bricks.join(', ')}`)
  }
  if (!(await isStarted(home, VOLUME)))
    await run(home, 'gluster', ['--mode=script', 'volume', 'start', VOLUME])
}

/** Stops the volume, and others that were made beside it. */
async function closeVolume(home) {
  const volumes = (await run(home, 'gluster', ['volume', 'list'])).split('\n')
  if (!volumes.includes(VOLUME)) return
  for (const volume of volumes.filter(name => name !== ''))
    if (await isStarted(home, volume))
      await run(home, 'gluster', ['--mode=script', 'volume', 'stop', volume])
}

async function isStarted(home, volume) {
  const info = await run(home, 'gluster', ['volume', 'info', volume])
  return info.includes('Status: Started')
}

function tell(home, { host, port }) {
  const mountOptions = port === 24_007 ? '' : `-o server-port=${port} `
  say(`
Mounted: ${home.mount}

Use it as any folder:
  cp -r docs ${home.mount}/
  df -h ${home.mount}

Look after it, in another shell:
  export PATH="${home.bin}:$PATH" ASHLAR_API_SOCKET="${home.apiSocket}"
  gluster volume info ${VOLUME}
  gluster volume set ${VOLUME} performance.cache-size 256MB

Take a copy away, and bring it back:
  kill -9 PID                          # of a brick, from: gluster volume status ${VOLUME}
  echo written > ${home.mount}/meanwhile
  gluster volume heal ${VOLUME} info
  gluster volume start ${VOLUME} force   # the brick is back, and is healed

Mount it elsewhere, with GlusterFS's own client or this one:
  mount -t glusterfs ${mountOptions}${host}:/${VOLUME} /mnt

Ctrl-C ends it. The data stays in ${home.path}.`)
}

/** Takes everything down, after the step of the start that is under way. */
async function end(status) {
  ending ??= (async () => {
    let result = status
    await started
    for (const step of undo.reverse()) {
      try {
        await step()
      } catch (error) {
        process.stderr.write(`${error.message}\n`)
        result = 1
      }
    }
    return result
  })()
  process.exit(await ending)
}

function fail(error) {
  process.stderr.write(`${error instanceof Problem ? error.message : error.stack}\n`)
  return end(1)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (ending !== undefined) return
    say('\nStopping …')
    void end(0)
  })
}

const start = main()
const started = start.catch(() => undefined)
start.catch(error => {
  if (ending === undefined) return fail(error)
})
