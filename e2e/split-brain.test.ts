// Two copies that each went on without the other: nobody picks a side, neither a mount that knew one
// of them before nor one that has just been made.
import * as fs from 'node:fs/promises'
import { Cluster, isAlive, type Mount, signal, until } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obstacle } from './mounted.ts'

const NOTICED_MS_MAX = 20_000

describe.skipIf(obstacle !== undefined)('two copies apart', () => {
  let cluster: Cluster
  let mount: Mount
  const at = (name: string): string => `${mount.path}/${name}`

  async function kill(brick: number): Promise<void> {
    const pid = cluster.brickPid('gv0', brick) as number
    signal(pid, 'SIGKILL')
    await until('the brick is dead', 5_000, () => !isAlive(pid))
  }

  /** Resolves when it fails with EIO. */
  async function becomesUnreadable(what: string, act: () => Promise<unknown>): Promise<void> {
    await until(`${what} is refused`, NOTICED_MS_MAX, () =>
      act().then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'EIO',
      ),
    )
  }

  beforeAll(async () => {
    cluster = await Cluster.start()
    await cluster.volume('gv0', 2, { 'cluster.self-heal-daemon': 'off' }, ['replica', '2'])
    const before = await cluster.mount('gv0')
    await fs.mkdir(`${before.path}/p`)
    await fs.writeFile(`${before.path}/owned`, 'base')
    await kill(2)
    await fs.chmod(`${before.path}/owned`, 0o600)
    await fs.writeFile(`${before.path}/p/file`, 'first')
    await fs.mkdir(`${before.path}/p/type`)
    await before.unmount()
    await cluster.command('volume', 'start', 'gv0', 'force')
    await kill(1)
    mount = await cluster.mount('gv0')
    await fs.chmod(at('owned'), 0o640)
    await fs.writeFile(at('p/file'), 'second')
    await fs.writeFile(at('p/type'), 'a file')
    expect(await fs.readFile(at('p/file'), 'utf8')).toBe('second')
    await cluster.command('volume', 'start', 'gv0', 'force')
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  test('a file made on both sides is read from neither', async () => {
    await becomesUnreadable('the file', () => fs.readFile(at('p/file')))
    await becomesUnreadable('the other type', () => fs.stat(at('p/type')))
    const fresh = await cluster.mount('gv0')
    const refused = { code: 'EIO' }
    await expect(fs.readFile(`${fresh.path}/p/file`)).rejects.toMatchObject(refused)
    await expect(fs.stat(`${fresh.path}/p/type`)).rejects.toMatchObject(refused)
    await fresh.unmount()
  })

  test('a file whose attributes both have changed is neither read nor written', async () => {
    await becomesUnreadable('the file', () => fs.readFile(at('owned')))
    const fresh = await cluster.mount('gv0')
    for (const path of [at('owned'), `${fresh.path}/owned`]) {
      const refused = { code: 'EIO' }
      await expect(fs.readFile(path)).rejects.toMatchObject(refused)
      await expect(fs.appendFile(path, 'more')).rejects.toMatchObject(refused)
      await expect(fs.chmod(path, 0o644)).rejects.toMatchObject(refused)
    }
    await fresh.unmount()
    const told = await cluster.command('volume', 'heal', 'gv0', 'info', 'split-brain')
    expect(told).toContain('/owned\n')

    const source = `${cluster.host}:${cluster.brickPath('gv0', 2)}`
    await cluster.command('volume', 'heal', 'gv0', 'split-brain', 'source-brick', source, '/owned')
    await until('it is read again', NOTICED_MS_MAX, () =>
      fs.readFile(at('owned'), 'utf8').then(
        text => text === 'base',
        () => false,
      ),
    )
    expect((await fs.stat(at('owned'))).mode & 0o777).toBe(0o640)
  })
})
