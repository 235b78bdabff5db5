// Two copies that each went on without the other: nobody picks a side, neither a mount that knew one
// of them before nor one that has just been made.
import { spawnSync } from 'node:child_process'
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
    await fs.writeFile(`${before.path}/apart`, 'base')
    await fs.writeFile(`${before.path}/emptied`, 'base')
    await kill(2)
    await fs.chmod(`${before.path}/owned`, 0o600)
    await fs.writeFile(`${before.path}/apart`, 'the first')
    await fs.truncate(`${before.path}/emptied`)
    await fs.writeFile(`${before.path}/p/file`, 'first')
    await fs.mkdir(`${before.path}/p/type`)
    await before.unmount()
    await cluster.command('volume', 'start', 'gv0', 'force')
    await kill(1)
    mount = await cluster.mount('gv0')
    await fs.chmod(at('owned'), 0o640)
    await fs.writeFile(at('apart'), 'another')
    await fs.writeFile(at('emptied'), 'something')
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
    const listing = await cluster.mount('gv0')
    expect((await fs.readdir(`${listing.path}/p`)).toSorted()).toEqual(['file', 'type'])
    await expect(fs.stat(`${listing.path}/p/file`)).rejects.toMatchObject(refused)
    await expect(fs.stat(`${listing.path}/p/type`)).rejects.toMatchObject(refused)
    await listing.unmount()
  })

  test('a file that is empty on one side is not read as such', async () => {
    const fresh = await cluster.mount('gv0')
    await expect(fs.readFile(`${fresh.path}/emptied`)).rejects.toMatchObject({ code: 'EIO' })
    expect(spawnSync('cat', [`${fresh.path}/emptied`], { encoding: 'utf8' }).status).toBe(1)
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

  test('a copy is chosen to be read, and then to stay', async () => {
    const set = (path: string, name: string, value: string): string =>
      spawnSync('setfattr', ['-n', `replica.split-brain-${name}`, '-v', value, path], {
        encoding: 'utf8',
      }).stderr
    const fresh = await cluster.mount('gv0')
    const path = `${fresh.path}/apart`
    await expect(fs.readFile(path)).rejects.toMatchObject({ code: 'EIO' })
    expect(set(path, 'choice', 'gv0-client-7')).toContain('Invalid argument')
    expect(set(`${fresh.path}/owned`, 'choice', 'gv0-client-0')).toContain('Invalid argument')
    for (const [child, content] of [
      ['gv0-client-0', 'the first'],
      ['gv0-client-1', 'another'],
      ['gv0-client-0', 'the first'],
    ] as const) {
      expect(set(path, 'choice', child)).toBe('')
      expect(await fs.readFile(path, 'utf8')).toBe(content)
      await until('its size is shown', NOTICED_MS_MAX, async () => {
        return (await fs.stat(path)).size === content.length
      })
    }
    await expect(fs.appendFile(path, 'more')).rejects.toMatchObject({ code: 'EIO' })
    expect(set(path, 'choice', 'none')).toBe('')
    await expect(fs.readFile(path)).rejects.toMatchObject({ code: 'EIO' })
    expect(set(path, 'heal-finalize', 'gv0-client-1')).toBe('')
    expect(await fs.readFile(path, 'utf8')).toBe('another')
    for (const brick of [1, 2]) {
      expect(await fs.readFile(`${cluster.brickPath('gv0', brick)}/apart`, 'utf8')).toBe('another')
    }
    await fs.appendFile(path, ' one')
    expect(await fs.readFile(path, 'utf8')).toBe('another one')
    await fresh.unmount()
  })
})
