// What breaks in life: bricks that die or hang, a glusterd that dies, a mount that dies.
import * as fs from 'node:fs/promises'
import { existsSync, readFileSync } from 'node:fs'
import { isAlive, isMounted, signal, until, unmountPath, within } from '@ashlar/testkit'
import { describe, expect, test } from 'vitest'
import { mountedVolume, obstacle } from './mounted.ts'

const PING_TIMEOUT_SECONDS = 4
/** Longer than any call may take on a brick that is well. */
const CALM_MS_MAX = 3_000
/** A mount comes back to a brick within its reconnection interval, and some. */
const BACK_MS_MAX = 30_000

describe.skipIf(obstacle !== undefined)('a volume in trouble', () => {
  const volume = mountedVolume(2, { 'network.ping-timeout': String(PING_TIMEOUT_SECONDS) })

  /** Names of files in the root that lie on the given brick. */
  async function filesOn(brick: number, count: number, prefix: string): Promise<string[]> {
    const names: string[] = []
    for (let i = 0; names.length < count; i++) {
      const name = `${prefix}-${i}`
      await fs.writeFile(volume.at(name), name)
      if (existsSync(`${volume.cluster.brickPath('gv0', brick)}/${name}`)) names.push(name)
    }
    return names
  }

  /** Writes and reads the files over and over until `over`; the longest time that one call took. */
  async function work(names: readonly string[], over: () => boolean): Promise<number> {
    let slowest = 0
    for (let round = 0; !over(); round++) {
      for (const name of names) {
        const start = performance.now()
        await fs.writeFile(volume.at(name), `${name} ${round}`)
        expect(await fs.readFile(volume.at(name), 'utf8')).toBe(`${name} ${round}`)
        slowest = Math.max(slowest, performance.now() - start)
      }
    }
    return slowest
  }

  test('a killed brick: its files fail at once and come back, the others never notice', async () => {
    const { cluster } = volume
    const doomed = await filesOn(1, 4, 'doomed')
    const others = await filesOn(2, 5, 'other')
    const quiet = others.pop() as string
    const handle = await fs.open(volume.at(doomed[0] as string), 'r+')
    let over = false
    const undisturbed = work(others, () => over)

    const pid = cluster.brickPid('gv0', 1) as number
    signal(pid, 'SIGKILL')
    await until('the brick is dead', 5_000, () => !isAlive(pid))
    const failed = await until('calls fail', CALM_MS_MAX, async () => {
      const name = volume.at(doomed[1] as string)
      return fs.writeFile(name, 'x').then(
        () => undefined,
        (error: NodeJS.ErrnoException) => error,
      )
    })
    expect(failed.code).toBe('ENOTCONN')
    expect(await fs.readFile(volume.at(quiet), 'utf8')).toBe(quiet)

    await cluster.command('volume', 'start', 'gv0', 'force')
    expect(cluster.brickPid('gv0', 1)).not.toBe(pid)
    await until('its files are back', BACK_MS_MAX, async () => {
      await fs.writeFile(volume.at(doomed[2] as string), 'again')
      return (await fs.readFile(volume.at(doomed[2] as string), 'utf8')) === 'again'
    })
    await handle.write('written through the same descriptor', 0)
    await handle.sync()
    await handle.close()
    expect(readFileSync(`${cluster.brickPath('gv0', 1)}/${doomed[0] as string}`, 'utf8')).toBe(
      'written through the same descriptor',
    )
    over = true
    expect(await undisturbed).toBeLessThan(CALM_MS_MAX)
  })

  test('translators come and go while files are made and written', async () => {
    const { cluster } = volume
    const kept = await fs.open(volume.at('kept-open'), 'w+')
    let over = false
    const making = (async () => {
      let made = 0
      for (; !over; made++) {
        const name = volume.at(`made-${made}`)
        await fs.writeFile(name, `made ${made}`)
        await kept.write(`round ${String(made).padStart(6, '0')}`, 0)
        expect(await fs.readFile(name, 'utf8')).toBe(`made ${made}`)
      }
      return made
    })()
    for (const value of ['off', 'on', 'off', 'on']) {
      await cluster.command('volume', 'set', 'gv0', 'performance.write-behind', value)
    }
    over = true
    const made = await making
    expect(made).toBeGreaterThan(0)
    await kept.close()
    expect(await fs.readFile(volume.at('kept-open'), 'utf8')).toBe(
      `round ${String(made - 1).padStart(6, '0')}`,
    )
  })

  test('a brick that hangs: calls fail within the ping-timeout', async () => {
    const { cluster } = volume
    const [stuck] = (await filesOn(1, 1, 'stuck')) as [string]
    const others = await filesOn(2, 2, 'calm')
    const pid = cluster.brickPid('gv0', 1) as number
    signal(pid, 'SIGSTOP')
    try {
      let over = false
      const undisturbed = work(others, () => over)
      const start = performance.now()
      await expect(
        within(
          'the call ends',
          (PING_TIMEOUT_SECONDS + 4) * 1000,
          fs.writeFile(volume.at(stuck), 'x'),
        ),
      ).rejects.toMatchObject({ code: 'ENOTCONN' })
      expect(performance.now() - start).toBeLessThan((PING_TIMEOUT_SECONDS + 4) * 1000)
      over = true
      // What concerns a directory asks all bricks, and waits as long for one that hangs.
      expect(await undisturbed).toBeLessThan((PING_TIMEOUT_SECONDS + 4) * 1000)
    } finally {
      signal(pid, 'SIGCONT')
    }
    await until('it is back', BACK_MS_MAX, async () => {
      await fs.writeFile(volume.at(stuck), 'again')
      return (await fs.readFile(volume.at(stuck), 'utf8')) === 'again'
    })
  })

  test('a shorter ping-timeout holds at once, in mounts that are there', async () => {
    const { cluster } = volume
    const seconds = 2
    const [stuck] = (await filesOn(1, 1, 'short')) as [string]
    const log = async (): Promise<number> =>
      (await fs.readFile(volume.mount.log, 'utf8')).split('options changed').length
    const before = await log()
    await cluster.command('volume', 'set', 'gv0', 'network.ping-timeout', String(seconds))
    await until('the mount has heard of it', 10_000, async () => (await log()) > before)
    const pid = cluster.brickPid('gv0', 1) as number
    signal(pid, 'SIGSTOP')
    try {
      const start = performance.now()
      await expect(fs.writeFile(volume.at(stuck), 'x')).rejects.toMatchObject({ code: 'ENOTCONN' })
      // Between one and two periods, and never as long as it was before.
      expect(performance.now() - start).toBeLessThan((2 * seconds - 0.2) * 1000)
    } finally {
      signal(pid, 'SIGCONT')
      await cluster.command(
        'volume',
        'set',
        'gv0',
        'network.ping-timeout',
        String(PING_TIMEOUT_SECONDS),
      )
    }
    await until('it is back', BACK_MS_MAX, async () => {
      await fs.writeFile(volume.at(stuck), 'again')
      return (await fs.readFile(volume.at(stuck), 'utf8')) === 'again'
    })
  })

  test('glusterd is killed: files are used as before, and it finds its bricks again', async () => {
    const { cluster } = volume
    const names = [...(await filesOn(1, 2, 'g')), ...(await filesOn(2, 2, 'h'))]
    const pids = [cluster.brickPid('gv0', 1), cluster.brickPid('gv0', 2)]
    let over = false
    const undisturbed = work(names, () => over)
    await cluster.stopGlusterd('SIGKILL')
    expect((await cluster.gluster('volume', 'info')).status).not.toBe(0)
    await fs.writeFile(volume.at('while-it-is-dead'), 'x')
    await cluster.startGlusterd()
    over = true
    expect(await undisturbed).toBeLessThan(CALM_MS_MAX)
    expect([cluster.brickPid('gv0', 1), cluster.brickPid('gv0', 2)]).toEqual(pids)
    await until('bricks are online', 20_000, async () => {
      const status = await cluster.command('volume', 'status', 'gv0', '--xml')
      return (status.match(/<status>1<\/status>/g) ?? []).length >= 2
    })
    const size = async (): Promise<number> =>
      (await fs.readFile(volume.mount.log, 'utf8')).split('options changed').length
    const before = await size()
    await cluster.command('volume', 'set', 'gv0', 'performance.cache-size', '64MB')
    await until(
      'the mount hears of options again',
      BACK_MS_MAX,
      async () => (await size()) > before,
    )
  })

  test('a killed mount can be unmounted and mounted again', async () => {
    const { cluster } = volume
    const mount = await cluster.mount('gv0')
    await fs.writeFile(`${mount.path}/kept`, 'kept')
    await mount.kill()
    await expect(fs.readdir(mount.path)).rejects.toMatchObject({
      code: expect.stringMatching(/^ENOTCONN$|^ECONNABORTED$/),
    })
    await unmountPath(mount.path, false)
    expect(isMounted(mount.path)).toBe(false)
    await mount.start()
    expect(await fs.readFile(`${mount.path}/kept`, 'utf8')).toBe('kept')
    await mount.unmount()
    expect(isMounted(mount.path)).toBe(false)
  })

  test('nothing is left when the volume is stopped and the daemon told to end', async () => {
    const { cluster } = volume
    await volume.mount.unmount()
    await cluster.command('volume', 'stop', 'gv0')
    await cluster.stopGlusterd()
    expect(cluster.processes()).toEqual([])
  })
})
