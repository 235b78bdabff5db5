// `npm start` as a newcomer has it: it lives, it ends without a trace, it finds its data again.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMounted, processesOf, run, signal, succeed, unmountPath, until } from '@ashlar/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { obstacle } from './mounted.ts'

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))
const NOBODY = 65_534
const START_MS_MAX = 60_000
const END_MS_MAX = 40_000

/** What an owner may do with a directory whose mode denies him much; each line says how it went. */
const DIRECTORY_MODES = `
for mode in 000 100 200 300 400 444 500 600 666; do
  mkdir -p top/dir$mode/sub
  echo text > top/dir$mode/file
  cd top
  chmod $mode dir$mode && stat -c '%a %n' dir$mode
  ls dir$mode | sort
  cat dir$mode/file
  touch dir$mode/new
  mv dir$mode moved && stat -c '%a %n' moved
  touch -d @1000000000 moved && stat -c %Y moved
  setfattr -n user.note -v words moved
  mv moved ../across && mv ../across moved && stat -c '%a %n' moved
  rmdir moved
  chmod 700 moved && stat -c '%a %n' moved
  ls moved
  cat moved/file
  chmod $mode moved/sub
  rmdir moved/sub
  rm -r moved
  cd ..
done
rmdir top && echo done
`

const homes: string[] = []
const running: ChildProcess[] = []

function makeHome(name = 'ashlar-home-'): string {
  const home = mkdtempSync(join(tmpdir(), name))
  homes.push(home)
  return home
}

interface Started {
  readonly child: ChildProcess
  output(): string
  /** Exit status after a signal. */
  end(name: NodeJS.Signals): Promise<number | null>
}

function start(home: string, words: readonly string[] = ['npm', 'start']): Started {
  const [program, ...rest] = words as [string, ...string[]]
  const child = spawn(program, rest, {
    cwd: CHECKOUT,
    env: { ...process.env, ASHLAR_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  running.push(child)
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text += String(chunk)))
  child.stderr?.on('data', (chunk: Buffer) => (text += String(chunk)))
  return {
    child,
    output: () => text,
    async end(name) {
      // As a terminal does it: to all of the foreground's processes.
      process.kill(-(child.pid as number), name)
      await until(
        'the quick start ends',
        END_MS_MAX,
        () => child.exitCode !== null || child.signalCode !== null,
      )
      return child.exitCode
    },
  }
}

const QUICK = [process.execPath, 'scripts/quick-start.mjs']

async function started(quick: Started): Promise<void> {
  await until('the volume is mounted', START_MS_MAX, () => {
    if (quick.child.exitCode !== null) throw new Error(quick.output())
    return quick.output().includes('Ctrl-C ends it')
  })
}

afterEach(async () => {
  for (const child of running.splice(0)) if (child.exitCode === null) signal(child.pid, 'SIGKILL')
  for (const home of homes.splice(0)) {
    if (isMounted(join(home, 'mnt'))) await unmountPath(join(home, 'mnt'), true)
    for (const pid of processesOf(home)) signal(pid, 'SIGKILL')
    rmSync(home, { recursive: true, force: true })
  }
})

describe.skipIf(obstacle !== undefined)('the quick start', { timeout: 180_000 }, () => {
  test('starts, ends without a trace, and finds the data again', async () => {
    // With a blank, as many a folder has it.
    const home = makeHome('ashlar home-')
    const first = start(home)
    await started(first)
    const mount = join(home, 'mnt')
    expect(first.output()).toContain(`Mounted: ${mount}`)
    await fs.cp(join(CHECKOUT, 'docs'), join(mount, 'docs'), { recursive: true })

    const exported = /^ {2}export (.*)$/m.exec(first.output())?.[1] as string
    const said = await succeed('bash', ['-ec', `export ${exported}\ngluster volume info gv0`])
    expect(said).toMatch(/Status: Started[^]*Number of Bricks: 1 x 3 = 3/)

    const rival = await run(QUICK[0] as string, QUICK.slice(1), {
      cwd: CHECKOUT,
      env: { ...process.env, ASHLAR_HOME: home },
    })
    expect(rival.status).toBe(1)
    expect(rival.err).toContain('already')

    // npm itself ends by the signal, and does not wait for what it has started.
    await first.end('SIGINT')
    await until('all has ended', END_MS_MAX, () => processesOf(home).length === 0)
    expect(first.output()).toContain('Stopping')
    expect(isMounted(mount)).toBe(false)

    const second = start(home, QUICK)
    await started(second)
    await succeed('diff', ['-r', join(CHECKOUT, 'docs'), join(mount, 'docs')])
    expect(await second.end('SIGTERM')).toBe(0)
    expect(isMounted(mount)).toBe(false)
    expect(processesOf(home)).toEqual([])
  })

  test('clears away after one that was killed', async () => {
    const home = makeHome()
    const killed = start(home, QUICK)
    await started(killed)
    await fs.writeFile(join(home, 'mnt/file'), 'kept')
    await killed.end('SIGKILL')
    expect(isMounted(join(home, 'mnt'))).toBe(true)
    const next = start(home, QUICK)
    await started(next)
    expect(await fs.readFile(join(home, 'mnt/file'), 'utf8')).toBe('kept')
    expect(await next.end('SIGINT')).toBe(0)
    expect(processesOf(home)).toEqual([])
  })

  test('ends without a trace when its glusterd dies', async () => {
    const home = makeHome()
    const quick = start(home, QUICK)
    await started(quick)
    const pid = Number(await fs.readFile(join(home, 'glusterd.pid'), 'utf8'))
    signal(pid, 'SIGKILL')
    await until('the quick start ends', END_MS_MAX, () => quick.child.exitCode !== null)
    expect(quick.output()).toContain('glusterd has ended')
    expect(isMounted(join(home, 'mnt'))).toBe(false)
    expect(processesOf(home)).toEqual([])
  })

  test('stops volumes that were made beside its own', async () => {
    const home = makeHome()
    const first = start(home, QUICK)
    await started(first)
    const exported = /^ {2}export (.*)$/m.exec(first.output())?.[1] as string
    const gluster = (words: string): Promise<string> =>
      succeed('bash', ['-ec', `export ${exported}\ngluster --mode=script volume ${words}`])
    const host = /^Brick1: (.*):/m.exec(await gluster('info gv0'))?.[1] as string
    await gluster(`create a-first ${host}:${home}/beside force`)
    await gluster('start a-first')
    expect(await first.end('SIGINT')).toBe(0)
    expect(processesOf(home)).toEqual([])

    const second = start(home, QUICK)
    await started(second)
    expect(await gluster('info a-first')).toContain('Status: Stopped')
    expect(await second.end('SIGINT')).toBe(0)
    expect(processesOf(home)).toEqual([])
  })

  test('ends without a trace also when nobody reads any more what it says', async () => {
    const home = makeHome()
    const quick = start(home, QUICK)
    await started(quick)
    quick.child.stdout?.destroy()
    expect(await quick.end('SIGINT')).toBe(0)
    expect(isMounted(join(home, 'mnt'))).toBe(false)
    expect(processesOf(home)).toEqual([])
  })

  test('works on a machine that is called localhost', async () => {
    const home = makeHome()
    const named = 'hostname localhost; exec node scripts/quick-start.mjs'
    const quick = start(home, ['unshare', '--uts', 'bash', '-c', named])
    await started(quick)
    expect(await quick.end('SIGINT')).toBe(0)
    expect(processesOf(home)).toEqual([])
  })

  test('ends also while somebody uses the mount', async () => {
    const home = makeHome()
    const quick = start(home, QUICK)
    await started(quick)
    const handle = await fs.open(join(home, 'mnt/open'), 'w')
    expect(await quick.end('SIGINT')).toBe(0)
    expect(quick.output()).toContain('was in use')
    await handle.close().catch(() => undefined)
    expect(processesOf(home)).toEqual([])
  })

  test('says what is wrong with a folder that cannot be used', async () => {
    const file = join(makeHome(), 'file')
    await fs.writeFile(file, '')
    const { status, err } = await run(QUICK[0] as string, QUICK.slice(1), {
      cwd: CHECKOUT,
      env: { ...process.env, ASHLAR_HOME: join(file, 'home') },
    })
    expect(status).toBe(1)
    expect(err).toContain('ASHLAR_HOME')
    expect(err).not.toContain('    at ')
  })

  test.skipIf(!existsSync('/usr/bin/fusermount3'))('runs without root', async () => {
    const home = makeHome()
    const device = join(home, 'fuse')
    mkdirSync(join(home, 'state'))
    await succeed('chown', [`${NOBODY}:${NOBODY}`, home, join(home, 'state')])
    await succeed('mknod', ['-m', '666', device, 'c', '10', '229'])
    const modes = join(home, 'modes.sh')
    await fs.writeFile(modes, DIRECTORY_MODES)
    // A user who may open /dev/fuse: in a mount namespace, so that nobody else gets that right.
    const script = `
mount --make-rprivate /
mount --bind ${device} /dev/fuse
exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups bash -c '
  set -e
  node scripts/quick-start.mjs > ${home}/state/out 2>&1 &
  quick=$!
  for i in $(seq 300); do
    if grep -q "Ctrl-C ends it" ${home}/state/out; then break; fi
    read -t 0.1 < <(sleep 1) || true
  done
  mkdir ${home}/state/mnt/d
  echo mine > ${home}/state/mnt/d/f
  ln -s f ${home}/state/mnt/d/l
  cat ${home}/state/mnt/d/l
  stat -c %u ${home}/state/mnt/d/f
  getfattr --absolute-names -n user.trusted.gfid ${home}/state/bricks/1/d > /dev/null
  mkdir ${home}/state/local
  for place in local mnt; do
    (cd ${home}/state/$place && bash ${modes} > ${home}/state/$place.said 2>&1)
  done
  diff ${home}/state/local.said ${home}/state/mnt.said
  mkdir ${home}/state/mnt/a ${home}/state/mnt/b ${home}/state/mnt/c
  kill -9 $(pgrep -f "[-]-brick-name ${home}/state/bricks/2 ")
  for name in a b c; do mkdir ${home}/state/mnt/$name/new; done
  kill -INT $quick
  wait $quick
  echo ended $?
  grep -c ${home}/state/mnt /proc/self/mounts || true
'`
    const out = await succeed('unshare', ['--mount', 'bash', '-ec', script], {
      cwd: CHECKOUT,
      env: { ...process.env, ASHLAR_HOME: join(home, 'state'), HOME: home },
      timeoutMs: 120_000,
    })
    expect(out.trim().split('\n')).toEqual(['mine', String(NOBODY), 'ended 0', '0'])
    expect(processesOf(join(home, 'state'))).toEqual([])
  })
})
