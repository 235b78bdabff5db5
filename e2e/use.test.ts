// A volume in daily use: the commands of GlusterFS's own first steps, files over the bricks, options
// that take effect in live mounts, two mounts at once, the library beside them.
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, succeed, until } from '@ashlar/testkit'
import { connect } from 'ashlar'
import { describe, expect, test } from 'vitest'
import { mountedVolume, obstacle } from './mounted.ts'

const BRICKS = 3
const EXAMPLE = fileURLToPath(new URL('../examples/volume.mjs', import.meta.url))

describe.skipIf(obstacle !== undefined)('a mounted volume', () => {
  const volume = mountedVolume(BRICKS)
  const shell = (script: string): Promise<string> =>
    succeed('bash', ['-ec', script], { cwd: volume.mount.path, env: volume.cluster.env })

  test('copies are spread over the bricks, identical to their source', async () => {
    const source = join(volume.cluster.path, 'messages')
    await fs.writeFile(source, Buffer.alloc(100_000, 'Nov 23 02:31:41 a line of a log\n'))
    await shell(
      `for i in \`seq -w 1 100\`; do cp -rp ${source} ${volume.mount.path}/copy-test-$i; done`,
    )
    const names = Array.from(
      { length: 100 },
      (_, i) => `copy-test-${String(i + 1).padStart(3, '0')}`,
    )
    expect((await fs.readdir(volume.mount.path)).sort()).toEqual(names)
    const content = await fs.readFile(source)
    for (const name of names)
      expect((await fs.readFile(volume.at(name))).equals(content), name).toBe(true)
    const counts: number[] = []
    for (let i = 1; i <= BRICKS; i++) {
      const held = await fs.readdir(volume.cluster.brickPath('gv0', i))
      counts.push(held.filter(name => name.startsWith('copy-test-')).length)
    }
    expect(counts.reduce((sum, count) => sum + count)).toBe(100)
    expect(Math.min(...counts)).toBeGreaterThan(10)
    const { mtimeMs } = await fs.stat(source)
    expect(Math.floor((await fs.stat(volume.at('copy-test-001'))).mtimeMs)).toBe(
      Math.floor(mtimeMs),
    )
  })

  test('an option that is set reaches the live mount', async () => {
    const { cluster, mount } = volume
    await cluster.command('volume', 'set', 'gv0', 'performance.cache-size', '256MB')
    expect(await cluster.command('volume', 'get', 'gv0', 'performance.cache-size')).toContain(
      '256MB',
    )
    await until('the mount takes the option', 20_000, async () =>
      (await fs.readFile(mount.log, 'utf8')).includes('options changed'),
    )
    expect(await fs.readdir(mount.path)).toHaveLength(100)
  })

  test('a change of the graph leaves open files open', async () => {
    const { cluster, mount } = volume
    const handle = await fs.open(volume.at('across'), 'w+')
    await handle.write('before ')
    await cluster.command('volume', 'set', 'gv0', 'performance.io-cache', 'off')
    await cluster.command('volume', 'set', 'gv0', 'performance.quick-read', 'off')
    await until('the mount goes over to the new graph', 30_000, async () =>
      (await fs.readFile(mount.log, 'utf8')).includes('switched to a new graph'),
    )
    await handle.write('after')
    await handle.close()
    expect(await fs.readFile(volume.at('across'), 'utf8')).toBe('before after')
    await cluster.command('volume', 'reset', 'gv0')
  })

  test('two mounts see what the other does', async () => {
    const other = await volume.cluster.mount('gv0')
    await fs.mkdir(volume.at('shared'))
    await until('the directory is seen', 5_000, async () =>
      (await fs.stat(join(other.path, 'shared'))).isDirectory(),
    )
    await fs.writeFile(join(other.path, 'shared/file'), 'from the other')
    expect(await fs.readFile(volume.at('shared/file'), 'utf8')).toBe('from the other')
    await fs.appendFile(volume.at('shared/file'), ', and back')
    await until('the new size is seen', 5_000, async () =>
      (await fs.readFile(join(other.path, 'shared/file'), 'utf8')).endsWith(', and back'),
    )
    await fs.rename(volume.at('shared/file'), volume.at('shared/renamed'))
    await until('the new name is seen', 5_000, async () => {
      const names = await fs.readdir(join(other.path, 'shared'))
      return names.length === 1 && names[0] === 'renamed'
    })
    await fs.rm(join(other.path, 'shared'), { recursive: true })
    await until('it is gone', 5_000, async () => {
      const { status } = await run('test', ['-e', volume.at('shared')])
      return status === 1
    })
    await other.unmount()
  })

  test('of two mounts that move files to one name without replacing, one has it', async () => {
    const other = await volume.cluster.mount('gv0')
    const count = 60
    await fs.mkdir(volume.at('race'))
    const race = `
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
won = 0
for i in range(${count}):
    open(f'{sys.argv[1]}{i}', 'w').write(sys.argv[1])
sys.stdin.readline()
for i in range(${count}):
    won += libc.renameat2(-100, f'{sys.argv[1]}{i}'.encode(), -100, f'to{i}'.encode(), 1) == 0
print(won)
`
    const won = await Promise.all(
      [volume.mount, other].map((mount, i) =>
        succeed('python3', ['-c', race, 'ab'[i] as string], {
          cwd: join(mount.path, 'race'),
          input: 'go\n',
        }),
      ),
    )
    expect(won.map(Number).reduce((sum, n) => sum + n)).toBe(count)
    expect(await fs.readdir(volume.at('race'))).toHaveLength(2 * count)
    await other.unmount()
    await fs.rm(volume.at('race'), { recursive: true })
  })

  test('the example of the library writes what the mount reads', async () => {
    const { cluster } = volume
    const out = await succeed(process.execPath, [
      EXAMPLE,
      'gv0',
      cluster.host,
      String(cluster.port),
    ])
    const { size } = await fs.stat(EXAMPLE)
    expect(out).toBe(`Written 10 bytes\nWritten ${size} bytes\nsome data\n`)
    expect(await fs.readFile(volume.at('some_dir/copy'))).toEqual(await fs.readFile(EXAMPLE))
  })

  test('a mount and the library use the volume at once', async () => {
    const { cluster } = volume
    await using library = await connect({ server: cluster.host, port: cluster.port, volume: 'gv0' })
    await library.mkdir('/both/a/b', { recursive: true })
    await fs.writeFile(volume.at('both/a/b/mount'), 'by the mount')
    await library.writeFile('/both/a/b/library', Buffer.alloc(3_000_000, 7))
    expect(await library.readFile('/both/a/b/mount', 'utf8')).toBe('by the mount')
    expect(await fs.readFile(volume.at('both/a/b/library'))).toEqual(Buffer.alloc(3_000_000, 7))
    expect((await library.readdir('/both', { recursive: true })).sort()).toEqual([
      'a',
      'a/b',
      'a/b/library',
      'a/b/mount',
    ])
    await library.xattrs.set('/both/a', 'user.note', 'seen by both')
    expect(await shell('getfattr --only-values -n user.note both/a')).toBe('seen by both')
    expect((await library.statfs()).blocks).toBe((await fs.statfs(volume.mount.path)).blocks)
    await expect(library.readFile('/nowhere')).rejects.toMatchObject({ code: 'ENOENT' })
    await library.rm('/both', { recursive: true })
    await expect(fs.readdir(volume.at('both'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('the library says why it cannot connect', async () => {
    const { cluster } = volume
    const { host: server, port } = cluster
    const unknown = connect({ server, port, volume: 'nosuch' })
    await expect(unknown).rejects.toMatchObject({
      code: 'ENOENT',
      message: expect.stringContaining('nosuch'),
    })
    await expect(connect({ server, port: 1, volume: 'gv0', timeoutMs: 500 })).rejects.toThrow(
      'within 0.5 seconds',
    )
  })

  test('a read-only mount refuses changes', async () => {
    const mount = await volume.cluster.mount('gv0', { readOnly: true })
    await expect(fs.writeFile(join(mount.path, 'new'), '')).rejects.toMatchObject({ code: 'EROFS' })
    expect((await fs.readdir(mount.path)).length).toBeGreaterThan(99)
    await mount.unmount()
  })
})
