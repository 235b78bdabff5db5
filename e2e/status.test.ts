// What processes tell of themselves while they are used: `volume status … mem | inode | fd | callpool`
// and `clients` of bricks with open files and a lock that somebody waits for, of one that is down, and
// of the self-heal daemon.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs/promises'
import type { VolumeProcesses } from '@ashlar/contract'
import { Cluster, type Mount, run, signal, until } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obstacle } from './mounted.ts'

const WAIT_MS = 30_000
const COPIES = 2
const python = obstacle === undefined && (await run('python3', ['--version'])).status === 0
const missing = obstacle ?? (python ? undefined : 'python3 is not installed')

/** Says so when it has the lock, and keeps it until its input ends. */
const LOCK = `
import fcntl, sys
file = open(sys.argv[1], 'r+')
fcntl.lockf(file, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()
`

/** Has the file open, and says so once it has written to it: a mount opens files when it must. */
const OPEN = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.write(fd, b'written')
os.fsync(fd)
print('open', flush=True)
sys.stdin.read()
`

type State = VolumeProcesses['bricks'][number]

describe.skipIf(missing !== undefined)('a volume of two copies that is in use', () => {
  let cluster: Cluster
  let mount: Mount
  let file: string
  const programs: ChildProcess[] = []

  const place = (n: number): string => `${cluster.host}:${cluster.brickPath('gv0', n)}`
  const status = (...words: readonly string[]): Promise<string> =>
    cluster.command('volume', 'status', 'gv0', ...words)

  async function brick(n: number, type: string): Promise<State> {
    const { volumes } = JSON.parse(await status(place(n), type, '--json')) as {
      volumes: readonly VolumeProcesses[]
    }
    return volumes[0]?.bricks[0] as State
  }

  /** A program on the file, which ends with its input. */
  function start(program: string): { child: ChildProcess; said: Promise<unknown> } {
    const child = spawn('python3', ['-c', program, file], { stdio: ['pipe', 'pipe', 'inherit'] })
    programs.push(child)
    return { child, said: once(child.stdout as NodeJS.ReadableStream, 'data') }
  }

  beforeAll(async () => {
    cluster = await Cluster.start()
    await cluster.volume('gv0', COPIES, {}, ['replica', String(COPIES)])
    mount = await cluster.mount('gv0')
    file = `${mount.path}/file`
    await fs.writeFile(file, 'content')
  })
  afterAll(async () => {
    for (const child of programs) child.stdin?.end()
    await cluster?.[Symbol.asyncDispose]()
  })

  test('an open file is in the tables of its bricks, and its inode is active', async () => {
    const { child, said } = start(OPEN)
    await said
    const tables = (await brick(1, 'fd')).fds ?? []
    expect(tables.map(({ name, open }) => `${name} ${open}`).sort()).toEqual([
      'fuse 1',
      'glustershd 0',
    ])
    const table = tables.find(({ open }) => open === 1)
    expect(table).toMatchObject({ references: 1, firstFree: 1 })
    const [fd] = table?.listed ?? []
    expect(fd).toMatchObject({ number: 0, pid: child.pid })
    expect((fd?.flags ?? 0) & 3).toBe(2)
    const row = `^0 {19}${String(child.pid).padEnd(19)} \\d+ +${fd?.flags} *$`
    expect(await status(place(1), 'fd')).toMatch(new RegExp(row, 'm'))
    expect(await status(place(1), 'fd', '--xml')).toContain(`<pid>${child.pid}</pid>`)

    const inodes = await until('the root and the file are active', WAIT_MS, async () => {
      const found = (await brick(1, 'inode')).inodes
      return found?.table?.active.listed.map(({ type }) => type).join() === '2,1' && found
    })
    expect(inodes).toMatchObject({ connections: 2, table: { lruLimit: 16_384 } })
    const text = await status(place(1), 'inode')
    expect(text).toMatch(/^Connection 1:\nLRU limit {5}: 16384\nActive Inodes : [1-9]\d*\n/m)
    expect(text).toContain('\n \nConnection 2:\n \n---')

    child.stdin?.end()
    await until('it is closed there', WAIT_MS, async () => {
      const now = (await brick(1, 'fd')).fds ?? []
      return now.every(({ open }) => open === 0)
    })
  })

  test('who is connected, and what was sent', async () => {
    const before = (await brick(1, 'clients')).clients ?? []
    expect(before.map(({ name }) => name).sort()).toEqual(['fuse', 'glustershd'])
    await fs.writeFile(`${mount.path}/large`, Buffer.alloc(1 << 20))
    const received = (list: typeof before): number =>
      list.find(({ name }) => name === 'fuse')?.bytesRead ?? 0
    const after = (await brick(1, 'clients')).clients ?? []
    expect(received(after) - received(before)).toBeGreaterThan(1 << 20)
    expect(await status('client-list')).toContain('total clients for volume gv0 : 2 ')
  })

  test('a lock that is waited for is a pending call until it is granted', async () => {
    const first = start(LOCK)
    await first.said
    const locks = async (): Promise<number> =>
      ((await brick(1, 'callpool')).calls?.listed ?? []).filter(({ call }) =>
        call?.endsWith('->lk'),
      ).length
    expect(await locks()).toBe(0)
    const { child: second, said: granted } = start(LOCK)
    const call = await until('the waiting lock', WAIT_MS, async () => {
      const { calls } = await brick(1, 'callpool')
      return calls?.listed.find(({ pid }) => pid === second.pid)
    })
    expect(call).toMatchObject({
      uid: process.getuid?.(),
      translator: 'gv0-server',
      call: `${cluster.brickPath('gv0', 1)}->lk`,
    })
    const text = await status(place(1), 'callpool')
    expect(text).toContain(`\n PID    : ${second.pid}\n Unique : ${call.unique}\n Frames : 1\n`)
    expect(await status('callpool', '--xml')).toContain(`<unique>${call.unique}</unique>`)
    first.child.stdin?.end()
    await granted
    expect(await locks()).toBe(0)
    second.stdin?.end()
  })

  test('memory is what the system says', async () => {
    const { pid, memory } = await brick(1, 'mem')
    const pages = Number((await fs.readFile(`/proc/${pid}/statm`, 'utf8')).split(' ')[1])
    const rss = memory?.node?.rss ?? 0
    expect(Math.abs(rss - pages * 4096)).toBeLessThan(rss / 2)
    expect(await status(place(1), 'mem')).toMatch(/^Mallinfo\n-{8}\nArena {4}: (\d+|N\/A)\n/m)
  })

  test('the self-heal daemon', async () => {
    expect(await status('shd', 'mem')).toMatch(/^Self-heal Daemon : [-0-9a-f]{36}\nMallinfo\n/m)
    expect(await status('shd', 'inode')).toMatch(/^LRU limit {5}: \d+\nActive Inodes : \d+\n/m)
    expect(await status('shd', 'callpool')).toMatch(/^Pending calls: \d+$/m)
    expect((await cluster.gluster('volume', 'status', 'gv0', 'shd', 'fd')).status).toBe(1)
  })

  test('a brick that is down, and all at once', async () => {
    signal(cluster.brickPid('gv0', 2), 'SIGKILL')
    await until(
      'the brick is known to be down',
      WAIT_MS,
      async () => !(await brick(2, 'fd')).online,
    )
    for (const type of ['mem', 'inode', 'fd', 'callpool', 'clients']) {
      const text = await status(type)
      expect(text).toContain(`\nBrick : ${place(2)}\nBrick is offline\n---`)
      expect(text.match(/ is offline| does not answer/g)).toHaveLength(1)
      const all = await cluster.command('volume', 'status', 'all', type, '--xml')
      expect(all).toContain('<status>0</status>')
      expect(all.match(/<(mem|inode|fd|callpool|clients)Status>/g)).toHaveLength(1)
    }
  })
})
