// A replicated volume with real processes: its self-heal daemon, bricks that die and come back,
// bricks that are replaced, copies that are added, always under a mount.
import * as fs from 'node:fs/promises'
import { readFileSync, rmSync } from 'node:fs'
import { Cluster, isAlive, type Mount, signal, succeed, until } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obstacle } from './mounted.ts'

const HEALED_MS_MAX = 60_000
const DAEMON_MS_MAX = 20_000

interface HealInfo {
  readonly bricks: readonly {
    readonly path: string
    readonly connected: boolean
    readonly entries: readonly { path: string | null; reason: string; age: number | null }[]
  }[]
}

describe.skipIf(obstacle !== undefined)('a volume of three copies', () => {
  let cluster: Cluster
  let mount: Mount
  const at = (name: string): string => `${mount.path}/${name}`

  async function healInfo(): Promise<HealInfo> {
    return JSON.parse(await cluster.command('volume', 'heal', 'gv0', 'info', '--json')) as HealInfo
  }

  /** All bricks are there, and have nothing to heal. */
  async function healed(): Promise<boolean> {
    const { bricks } = await healInfo()
    return bricks.every(brick => brick.connected && brick.entries.length === 0)
  }

  /** What users see of a brick: names, types, contents. */
  async function sameOn(first: string, second: string): Promise<void> {
    await succeed('diff', ['-r', '--no-dereference', '-x', '.glusterfs*', first, second])
  }

  const host = (path: string): string => `${cluster.host}:${path}`

  beforeAll(async () => {
    cluster = await Cluster.start()
    await cluster.volume('gv0', 3, {}, ['replica', '3'])
    mount = await cluster.mount('gv0')
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  test('one daemon looks after it, is started again when it dies, and outlives glusterd', async () => {
    const status = await cluster.command('volume', 'status', 'gv0')
    const pid = cluster.healerPid('gv0') as number
    expect(status).toMatch(
      new RegExp(`^Self-heal Daemon on localhost {15}N/A {7}N/A {8}Y {7}${pid} *$`, 'm'),
    )
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    expect(words).toContain('--process-name')
    expect(words).toContain('glustershd')

    signal(pid, 'SIGKILL')
    const next = await until('another one is there', DAEMON_MS_MAX, () => {
      const now = cluster.healerPid('gv0')
      return now === pid ? undefined : now
    })
    await cluster.volume('gv1', 2, {}, ['replica', '2'])
    expect(cluster.healerPid('gv1')).toBe(next)

    await cluster.stopGlusterd()
    expect(isAlive(next)).toBe(true)
    await cluster.startGlusterd()
    await until('the daemon is found again', DAEMON_MS_MAX, async () =>
      (await cluster.command('volume', 'status', 'gv1', 'shd')).includes(` ${next}`),
    )
    expect(cluster.healerPid('gv0')).toBe(next)

    await cluster.command('volume', 'stop', 'gv1')
    expect(cluster.healerPid('gv1')).toBeUndefined()
    expect(cluster.healerPid('gv0')).toBe(next)
    await cluster.command('volume', 'heal', 'gv0', 'disable')
    expect(isAlive(next)).toBe(false)
    await cluster.command('volume', 'heal', 'gv0', 'enable')
    expect(cluster.healerPid('gv0')).toBeDefined()
  })

  test('a brick dies while files are copied: nothing stops, and it is healed when it is back', async () => {
    await fs.mkdir(at('before'))
    await fs.writeFile(at('before/kept'), 'kept')
    const pid = cluster.brickPid('gv0', 2) as number
    const copying = fs.cp('docs', at('docs'), { recursive: true })
    signal(pid, 'SIGKILL')
    await until('the brick is dead', 5_000, () => !isAlive(pid))
    await copying
    await fs.writeFile(at('before/kept'), 'changed')
    await fs.rename(at('before'), at('after'))
    await fs.symlink('kept', at('after/link'))
    await succeed('diff', ['-r', 'docs', at('docs')])

    const info = await healInfo()
    expect(info.bricks.map(brick => brick.connected)).toEqual([true, false, true])
    const paths = info.bricks[0]?.entries.map(entry => entry.path)
    expect(paths).toContain('/')
    for (const entry of info.bricks[0]?.entries ?? []) {
      expect(entry.reason).not.toBe('')
      expect(entry.age).not.toBeNull()
    }
    const text = await cluster.command('volume', 'heal', 'gv0', 'info')
    expect(text).toContain('Status: Transport endpoint is not connected\nNumber of entries: -\n')

    await cluster.command('volume', 'start', 'gv0', 'force')
    await until('all is healed', HEALED_MS_MAX, healed)
    await sameOn(cluster.brickPath('gv0', 1), cluster.brickPath('gv0', 2))
    await sameOn(cluster.brickPath('gv0', 1), cluster.brickPath('gv0', 3))
    const counts = await cluster.command('volume', 'heal', 'gv0', 'statistics', 'heal-count')
    expect(counts.match(/Number of entries: 0/g)).toHaveLength(3)
    const statistics = await cluster.command('volume', 'heal', 'gv0', 'statistics')
    expect(statistics).toMatch(/Type of crawl: INDEX\nNo. of entries healed: \d/)
  })

  test('one copy of three is no quorum: nothing is read or written, nor made up', async () => {
    await fs.writeFile(at('quorum'), '')
    const pids = [1, 2].map(number => cluster.brickPid('gv0', number) as number)
    for (const pid of pids) signal(pid, 'SIGKILL')
    await until('both bricks are dead', 5_000, () => !pids.some(isAlive))
    await until('the mount has noticed', DAEMON_MS_MAX, () =>
      fs.truncate(at('quorum')).then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'ENOTCONN',
      ),
    )
    const refused = { code: 'ENOTCONN' }
    await expect(fs.writeFile(at('quorum'), 'alone')).rejects.toMatchObject(refused)
    await expect(fs.writeFile(at('new'), 'alone')).rejects.toMatchObject(refused)
    await expect(fs.unlink(at('quorum'))).rejects.toMatchObject(refused)
    expect(readFileSync(`${cluster.brickPath('gv0', 3)}/quorum`, 'utf8')).toBe('')
    const told = await cluster.command('volume', 'get', 'gv0', 'cluster.quorum-type')
    expect(told).toMatch(/cluster\.quorum-type +auto *$/m)
    await cluster.command('volume', 'start', 'gv0', 'force')
    let tries = 0
    await until('the mount has all its bricks again', DAEMON_MS_MAX, async () => {
      const text = `after ${++tries}`
      await fs.writeFile(at('quorum'), text).catch(() => undefined)
      const copies = [1, 2, 3].map(number => `${cluster.brickPath('gv0', number)}/quorum`)
      return copies.every(path => readFileSync(path, 'utf8') === text)
    })
    await until('all is healed', HEALED_MS_MAX, healed)
  })

  test('what two clients append by turns to a file opened without a brick is there on it, too', async () => {
    const pid = cluster.brickPid('gv0', 1) as number
    signal(pid, 'SIGKILL')
    await until('the brick is dead', 5_000, () => !isAlive(pid))
    const other = await cluster.mount('gv0')
    const files = [await fs.open(at('log'), 'a'), await fs.open(`${other.path}/log`, 'a')]
    const expected: string[] = []
    const append = async (round: number): Promise<void> => {
      for (const [by, file] of files.entries()) {
        const record = `${by} in round ${round}\n`
        expected.push(record)
        await file.write(record)
        await file.sync()
      }
    }
    for (let round = 0; round < 4; round++) await append(round)
    await cluster.command('volume', 'start', 'gv0', 'force')
    await until('all is healed', HEALED_MS_MAX, healed)
    const copies = [1, 2, 3].map(number => `${cluster.brickPath('gv0', number)}/log`)
    const text = (path: string): string => readFileSync(path, 'utf8')
    // Both clients have the brick again when what they append comes to it by itself.
    let round = 4
    await until('both mounts have the brick again', DAEMON_MS_MAX, async () => {
      await append(round++)
      return copies.every(path => text(path) === expected.join(''))
    })
    for (; round < 20; round++) await append(round)
    for (const path of copies) expect(text(path)).toBe(expected.join(''))
    for (const file of files) await file.close()
    await other.unmount()
  })

  test('heal info needs no daemon', async () => {
    await cluster.command('volume', 'heal', 'gv0', 'disable')
    const pid = cluster.brickPid('gv0', 3) as number
    signal(pid, 'SIGKILL')
    await until('the brick is dead', 5_000, () => !isAlive(pid))
    await fs.writeFile(at('undone'), 'undone')
    await cluster.command('volume', 'start', 'gv0', 'force')
    await until('the brick is back', HEALED_MS_MAX, async () =>
      (await healInfo()).bricks.every(brick => brick.connected),
    )
    const { bricks } = await healInfo()
    expect(bricks[0]?.entries.map(entry => entry.path)).toContain('/undone')
    const refused = await cluster.gluster('volume', 'heal', 'gv0')
    expect(refused.status).toBe(1)
    expect(refused.err).toContain('Self-heal-daemon is disabled')
    await cluster.command('volume', 'heal', 'gv0', 'enable')
    await cluster.command('volume', 'heal', 'gv0')
    await until('all is healed', HEALED_MS_MAX, healed)
  })

  test('an empty brick in the place of another is filled', async () => {
    const [old, fresh] = [cluster.brickPath('gv0', 2), cluster.brickPath('gv0', 9)]
    let over = false
    const written: string[] = []
    const writing = (async (): Promise<void> => {
      for (let n = 0; !over; n++) {
        await fs.writeFile(at(`meanwhile-${n}`), `meanwhile ${n}`)
        written.push(`meanwhile-${n}`)
      }
    })()
    const words = ['volume', 'replace-brick', 'gv0', host(old), host(fresh), 'commit', 'force']
    expect(await cluster.command(...words)).toContain('operation successful')
    await until('all is healed', HEALED_MS_MAX, healed)
    over = true
    await writing
    await until('all is healed', HEALED_MS_MAX, healed)
    await sameOn(cluster.brickPath('gv0', 1), fresh)
    await sameOn(cluster.brickPath('gv0', 3), fresh)
    expect(await fs.readdir(fresh)).toEqual(expect.arrayContaining(['docs', 'after', ...written]))
    for (const name of written) {
      expect(await fs.readFile(at(name), 'utf8')).toBe(name.replace('-', ' '))
    }
  })

  test('a brick that was emptied is taken into use again', async () => {
    const path = cluster.brickPath('gv0', 3)
    await cluster.command('volume', 'reset-brick', 'gv0', host(path), 'start')
    await fs.writeFile(at('without-it'), 'x')
    rmSync(path, { recursive: true })
    await cluster.command('volume', 'reset-brick', 'gv0', host(path), host(path), 'commit', 'force')
    await until('all is healed', HEALED_MS_MAX, healed)
    await sameOn(cluster.brickPath('gv0', 1), path)
  })

  test('fewer copies, and more again', async () => {
    const [gone, fresh] = [cluster.brickPath('gv0', 1), cluster.brickPath('gv0', 8)]
    const remove = ['volume', 'remove-brick', 'gv0', 'replica', '2', host(gone), 'force']
    expect(await cluster.command(...remove)).toContain('success')
    await fs.writeFile(at('of-two'), 'of two')
    await cluster.command('volume', 'add-brick', 'gv0', 'replica', '3', host(fresh), 'force')
    expect(await cluster.command('volume', 'info', 'gv0')).toContain('1 x 3 = 3')
    await fs.writeFile(at('of-three'), 'of three')
    await until('all is healed', HEALED_MS_MAX, healed)
    await sameOn(cluster.brickPath('gv0', 3), fresh)
    expect(await fs.readFile(`${fresh}/of-two`, 'utf8')).toBe('of two')
    expect(await fs.readFile(`${fresh}/of-three`, 'utf8')).toBe('of three')
    await succeed('diff', ['-r', 'docs', at('docs')])
  })

  test('nothing is left when the volume is stopped and the daemon told to end', async () => {
    await mount.unmount()
    await cluster.command('volume', 'stop', 'gv0')
    await cluster.stopGlusterd()
    expect(cluster.processes()).toEqual([])
  })
})
