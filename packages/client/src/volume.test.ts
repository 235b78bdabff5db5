import * as nodeFs from 'node:fs/promises'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  type AnyXlatorDefinition,
  defineXlator,
  type Env,
  Graph,
  offlineNetwork,
  parseVolfile,
  ROOT_CTX,
  silentLog,
  systemClock,
  systemRandom,
} from '@ashlar/core'
import { memoryFops, MemoryStore } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Directory, File, type FsError, Session, Volume } from './index.ts'

const env: Env = {
  clock: systemClock,
  random: systemRandom(),
  log: silentLog,
  network: offlineNetwork,
}

function memoryGraph(store: MemoryStore, id = 0): Graph {
  const definition = defineXlator({
    type: 'testing/memory',
    options: {},
    create: () => memoryFops(store),
  }) as AnyXlatorDefinition
  return new Graph({
    volfile: parseVolfile('volume m\n  type testing/memory\nend-volume\n'),
    definitions: new Map([[definition.type, definition]]),
    env,
    process: { uuid: '', name: 'gfapi', hostname: 'here', pid: process.pid, volfileId: 'v' },
    id,
  })
}

async function memoryVolume(): Promise<{ volume: Volume; session: Session; store: MemoryStore }> {
  const store = new MemoryStore(env)
  const graph = memoryGraph(store)
  await graph.start()
  const session = new Session({ graph, env, ctx: ROOT_CTX, umask: 0o022 })
  return { volume: new Volume({ session, disconnect: () => graph.stop() }), session, store }
}

/** What node:fs/promises and a Volume both have. */
type Fs = Pick<
  typeof nodeFs,
  | 'access'
  | 'appendFile'
  | 'copyFile'
  | 'link'
  | 'lstat'
  | 'mkdir'
  | 'open'
  | 'readdir'
  | 'readFile'
  | 'readlink'
  | 'rename'
  | 'rm'
  | 'rmdir'
  | 'stat'
  | 'symlink'
  | 'truncate'
  | 'unlink'
  | 'utimes'
  | 'chmod'
  | 'writeFile'
>

/** Each case does something with files under `at` and tells what it saw; both faces must agree. */
const CASES: Readonly<Record<string, (fs: Fs, at: string) => Promise<unknown>>> = {
  'a file that is not there': (fs, at) => fs.readFile(`${at}/no`),
  'a path through a file': async (fs, at) => {
    await fs.writeFile(`${at}/f`, 'x')
    return fs.stat(`${at}/f/under`)
  },
  'a file with a slash behind it': async (fs, at) => {
    await fs.writeFile(`${at}/f`, 'x')
    return fs.stat(`${at}/f/`)
  },
  'the text of a file': async (fs, at) => {
    await fs.writeFile(`${at}/f`, 'grüße')
    return [await fs.readFile(`${at}/f`, 'utf8'), (await fs.stat(`${at}/f`)).size]
  },
  'a file is written again, shorter': async (fs, at) => {
    await fs.writeFile(`${at}/f`, 'a long text')
    await fs.writeFile(`${at}/f`, 'short')
    return fs.readFile(`${at}/f`, { encoding: 'latin1' })
  },
  'pieces from a generator': async (fs, at) => {
    const pieces = function* (): Generator<Buffer> {
      for (let i = 0; i < 5; i++) yield Buffer.from(`${i},`)
    }
    await fs.writeFile(`${at}/f`, pieces())
    return fs.readFile(`${at}/f`, 'utf8')
  },
  appending: async (fs, at) => {
    await fs.appendFile(`${at}/f`, 'one')
    await fs.appendFile(`${at}/f`, 'two')
    return fs.readFile(`${at}/f`, 'utf8')
  },
  'exclusive creation of what is there': async (fs, at) => {
    await fs.writeFile(`${at}/f`, '')
    return fs.open(`${at}/f`, 'wx')
  },
  'writing a directory': (fs, at) => fs.writeFile(at, ''),
  'reading a directory as a file': (fs, at) => fs.readFile(at),
  'a directory twice': async (fs, at) => {
    await fs.mkdir(`${at}/d`)
    return fs.mkdir(`${at}/d`)
  },
  'a directory without a parent': (fs, at) => fs.mkdir(`${at}/a/b`),
  'directories with their parents': async (fs, at) => {
    const first = await fs.mkdir(`${at}/a/b/c`, { recursive: true })
    const again = await fs.mkdir(`${at}/a/b/c`, { recursive: true })
    return [first?.slice(at.length), again, await fs.readdir(`${at}/a`)]
  },
  'directories over a file': async (fs, at) => {
    await fs.writeFile(`${at}/f`, '')
    return fs.mkdir(`${at}/f`, { recursive: true })
  },
  'a listing with types': async (fs, at) => {
    await fs.mkdir(`${at}/d`)
    await fs.writeFile(`${at}/f`, '')
    await fs.symlink('f', `${at}/l`)
    const entries = await fs.readdir(at, { withFileTypes: true })
    return entries
      .map(entry => [entry.name, entry.isFile(), entry.isDirectory(), entry.isSymbolicLink()])
      .sort()
  },
  'a listing of a tree': async (fs, at) => {
    await fs.mkdir(`${at}/a/b`, { recursive: true })
    await fs.writeFile(`${at}/a/b/f`, '')
    return (await fs.readdir(at, { recursive: true })).sort()
  },
  'a listing of a file': async (fs, at) => {
    await fs.writeFile(`${at}/f`, '')
    return fs.readdir(`${at}/f`)
  },
  'removing a directory that is not empty': async (fs, at) => {
    await fs.mkdir(`${at}/d/e`, { recursive: true })
    return fs.rmdir(`${at}/d`)
  },
  'unlinking what is not there': (fs, at) => fs.unlink(`${at}/no`),
  'rm of a tree': async (fs, at) => {
    await fs.mkdir(`${at}/a/b`, { recursive: true })
    for (let i = 0; i < 40; i++) await fs.writeFile(`${at}/a/b/${i}`, '')
    await fs.symlink('/', `${at}/a/root`)
    await fs.rm(`${at}/a`, { recursive: true })
    return fs.readdir(at)
  },
  'rm of a directory': async (fs, at) => {
    await fs.mkdir(`${at}/d`)
    return fs.rm(`${at}/d`)
  },
  'a signal that was given': async (fs, at) => {
    const signal = AbortSignal.abort()
    await expect(fs.writeFile(`${at}/f`, '', { signal })).rejects.toMatchObject({
      code: 'ABORT_ERR',
    })
    await fs.writeFile(`${at}/f`, 'whole')
    return fs.readFile(`${at}/f`, { signal })
  },
  'a signal that is given on the way': async (fs, at) => {
    const stop = new AbortController()
    const pieces = function* (): Generator<string> {
      yield 'one'
      stop.abort()
      yield 'two'
    }
    return fs.writeFile(`${at}/f`, pieces(), { signal: stop.signal })
  },
  'a NUL in a path': (fs, at) => fs.stat(`${at}/f\0g`),
  'rm of nothing': (fs, at) => fs.rm(`${at}/no`),
  'rm of nothing, forgiven': (fs, at) => fs.rm(`${at}/no`, { force: true }),
  'rename over a file': async (fs, at) => {
    await fs.writeFile(`${at}/a`, 'a')
    await fs.writeFile(`${at}/b`, 'b')
    await fs.rename(`${at}/a`, `${at}/b`)
    return [await fs.readdir(at), await fs.readFile(`${at}/b`, 'utf8')]
  },
  'rename of nothing': (fs, at) => fs.rename(`${at}/a`, `${at}/b`),
  'a hard link': async (fs, at) => {
    await fs.writeFile(`${at}/a`, 'same')
    await fs.link(`${at}/a`, `${at}/b`)
    return [(await fs.stat(`${at}/a`)).nlink, await fs.readFile(`${at}/b`, 'utf8')]
  },
  'a hard link over a name': async (fs, at) => {
    await fs.writeFile(`${at}/a`, '')
    await fs.writeFile(`${at}/b`, '')
    return fs.link(`${at}/a`, `${at}/b`)
  },
  'links to links': async (fs, at) => {
    await fs.mkdir(`${at}/d`)
    await fs.writeFile(`${at}/d/f`, 'there')
    await fs.symlink('d', `${at}/one`)
    await fs.symlink('one/../one/./f', `${at}/two`)
    return [
      await fs.readFile(`${at}/two`, 'utf8'),
      await fs.readlink(`${at}/two`),
      (await fs.lstat(`${at}/two`)).isSymbolicLink(),
    ]
  },
  'a circle of links': async (fs, at) => {
    await fs.symlink('b', `${at}/a`)
    await fs.symlink('a', `${at}/b`)
    return fs.stat(`${at}/a`)
  },
  'a file is made behind a dangling link': async (fs, at) => {
    await fs.symlink('target', `${at}/l`)
    await fs.writeFile(`${at}/l`, 'via')
    return [await fs.readFile(`${at}/target`, 'utf8'), (await fs.readdir(at)).sort()]
  },
  'readlink of a file': async (fs, at) => {
    await fs.writeFile(`${at}/f`, '')
    return fs.readlink(`${at}/f`)
  },
  'a symbolic link over a name': async (fs, at) => {
    await fs.writeFile(`${at}/f`, '')
    return fs.symlink('x', `${at}/f`)
  },
  'a long name': (fs, at) => fs.writeFile(`${at}/${'n'.repeat(256)}`, ''),
  'modes and times': async (fs, at) => {
    await fs.writeFile(`${at}/f`, '', { mode: 0o640 })
    const made = (await fs.stat(`${at}/f`)).mode
    await fs.chmod(`${at}/f`, 0o4711)
    await fs.utimes(`${at}/f`, 12.5, new Date(1e12))
    const { mode, atimeMs, mtime } = await fs.stat(`${at}/f`)
    return [made, mode, atimeMs, mtime.getTime()]
  },
  truncation: async (fs, at) => {
    await fs.writeFile(`${at}/f`, '0123456789')
    await fs.truncate(`${at}/f`, 4)
    await fs.truncate(`${at}/f`, 6)
    return fs.readFile(`${at}/f`, 'latin1')
  },
  'a copy': async (fs, at) => {
    await fs.writeFile(`${at}/a`, Buffer.alloc(3_000_000, 'ab'))
    await fs.copyFile(`${at}/a`, `${at}/b`)
    return (await fs.readFile(`${at}/a`)).equals(await fs.readFile(`${at}/b`))
  },
  'a copy that must not replace': async (fs, at) => {
    await fs.writeFile(`${at}/a`, '')
    await fs.writeFile(`${at}/b`, '')
    return fs.copyFile(`${at}/a`, `${at}/b`, 1)
  },
  'access to nothing': (fs, at) => fs.access(`${at}/no`),
  'a handle and its position': async (fs, at) => {
    const handle = await fs.open(`${at}/f`, 'w+')
    await handle.write('hello world')
    await handle.write('HELLO', 0)
    const first = await handle.read(Buffer.alloc(5), 0, 5, 0)
    const none = await handle.read({ buffer: Buffer.alloc(4) })
    await handle.truncate(8)
    await handle.datasync()
    const { size } = await handle.stat()
    await handle.close()
    return [first.bytesRead, String(first.buffer), none.bytesRead, size]
  },
  'a handle that is open to be read': async (fs, at) => {
    await fs.writeFile(`${at}/f`, 'x')
    const handle = await fs.open(`${at}/f`)
    try {
      return await handle.write('y')
    } finally {
      await handle.close()
    }
  },
  'a handle twice closed is no trouble to its volume': async (fs, at) => {
    await fs.writeFile(`${at}/f`, 'x')
    const handle = await fs.open(`${at}/f`)
    await handle.close()
    return handle.fd
  },
  'a file outlives its name': async (fs, at) => {
    const handle = await fs.open(`${at}/f`, 'w+')
    await handle.write('still here')
    await fs.unlink(`${at}/f`)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(20), 0, 20, 0)
    await handle.close()
    return [String(buffer.subarray(0, bytesRead)), await fs.readdir(at)]
  },
  'vectors of buffers': async (fs, at) => {
    const handle = await fs.open(`${at}/f`, 'w+')
    await handle.writev([Buffer.from('ab'), Buffer.from('cd')])
    const { bytesRead, buffers } = await handle.readv([Buffer.alloc(3), Buffer.alloc(3)], 0)
    await handle.close()
    return [bytesRead, Buffer.concat(buffers as unknown as Buffer[])]
  },
  lines: async (fs, at) => {
    await fs.writeFile(`${at}/f`, 'one\ntwo\nthree')
    const handle = await fs.open(`${at}/f`)
    const lines: string[] = []
    for await (const line of handle.readLines()) lines.push(line)
    return lines
  },
}

async function outcome(work: Promise<unknown>, at: string): Promise<unknown> {
  try {
    return { value: await work }
  } catch (error) {
    const { code, errno, syscall, path, dest, message } = error as Partial<FsError>
    const relative = (text: string | undefined): string | undefined => text?.replaceAll(at, '')
    return {
      code,
      errno,
      syscall,
      path: relative(path),
      dest: relative(dest),
      message: relative(message),
    }
  }
}

describe('answers as node:fs/promises does', () => {
  const local = mkdtempSync(join(tmpdir(), 'ashlar-client-'))
  afterAll(() => rmSync(local, { recursive: true, force: true }))
  test.each(Object.keys(CASES).map((name, i) => [name, i] as const))('%s', async (name, i) => {
    const work = CASES[name] as (fs: Fs, at: string) => Promise<unknown>
    const { volume } = await memoryVolume()
    const at = join(local, String(i))
    await nodeFs.mkdir(at)
    await volume.mkdir(at, { recursive: true })
    const ours = await outcome(work(volume as unknown as Fs, at), at)
    const theirs = await outcome(work(nodeFs, at), at)
    expect(ours).toEqual(theirs)
    await volume.unmount()
  })
})

describe('a volume', () => {
  let volume: Volume
  let session: Session
  let store: MemoryStore
  beforeAll(async () => {
    ;({ volume, session, store } = await memoryVolume())
  })
  afterAll(() => volume.unmount())

  test('streams: a part of a file, and a copy', async () => {
    const content = Buffer.alloc(2_500_000, 'the quick brown fox ')
    await volume.writeFile('/big', content)
    const part: Buffer[] = []
    for await (const piece of volume.createReadStream('/big', { start: 4, end: 8 }))
      part.push(piece as Buffer)
    expect(String(Buffer.concat(part))).toBe('quick')
    await pipeline(volume.createReadStream('/big'), volume.createWriteStream('/big.copy'))
    expect((await volume.readFile('/big.copy')).equals(content)).toBe(true)
  })

  test('a stream of a file that is not there fails with the error of open', async () => {
    const reading = (async () => {
      for await (const _ of volume.createReadStream('/none')) expect.unreachable()
    })()
    await expect(reading).rejects.toMatchObject({ code: 'ENOENT', syscall: 'open' })
    await expect(
      pipeline([Buffer.from('x')], volume.createWriteStream('/none/file')),
    ).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('real paths', async () => {
    await volume.mkdir('/real/dir', { recursive: true })
    await volume.symlink('/real/dir', '/short')
    expect(await volume.realpath('short/.')).toBe('/real/dir')
    expect(await volume.realpath('/short/..')).toBe('/real')
    expect(await volume.realpath('/')).toBe('/')
  })

  test('mkdtemp makes directories of different names', async () => {
    const one = await volume.mkdtemp('/tmp-')
    const two = await volume.mkdtemp('/tmp-')
    expect(one).toMatch(/^\/tmp-[A-Za-z0-9]{6}$/)
    expect(two).not.toBe(one)
    expect((await volume.stat(one)).mode & 0o777).toBe(0o700)
  })

  test('extended attributes', async () => {
    await volume.writeFile('/x', '')
    await volume.xattrs.set('/x', 'user.color', 'blue')
    expect(String(await volume.xattrs.get('/x', 'user.color'))).toBe('blue')
    expect(await volume.xattrs.list('/x')).toContain('user.color')
    await expect(
      volume.xattrs.set('/x', 'user.color', 'red', { only: 'create' }),
    ).rejects.toMatchObject({ code: 'EEXIST', syscall: 'setxattr' })
    await volume.xattrs.remove('/x', 'user.color')
    await expect(volume.xattrs.get('/x', 'user.color')).rejects.toMatchObject({ code: 'ENODATA' })
  })

  test('a directory is read entry by entry', async () => {
    await volume.mkdir('/many')
    const names = Array.from({ length: 500 }, (_, i) => `file-${i}`)
    await Promise.all(names.map(name => volume.writeFile(`/many/${name}`, '')))
    const seen: string[] = []
    for await (const entry of await volume.opendir('/many')) seen.push(entry.name)
    expect(seen.sort()).toEqual(names.sort())
  })

  test('directory and file objects', async () => {
    const local = join(mkdtempSync(join(tmpdir(), 'ashlar-client-')), 'local')
    writeFileSync(local, Buffer.alloc(3_000_000, 1))
    const directory = new Directory(volume, '/objects')
    await directory.create()
    const file = new File(volume, '/objects/file')
    expect(await file.write('grüße')).toBe(7)
    expect(await file.read('utf8')).toBe('grüße')
    expect(await file.writeFile(local)).toBe(3_000_000)
    expect((await file.stat()).size).toBe(3_000_000)
    expect((await directory.entries()).map(entry => entry.name)).toEqual(['file'])
    await file.delete()
    await directory.delete()
    await expect(volume.stat('/objects')).rejects.toMatchObject({ code: 'ENOENT' })
    rmSync(dirname(local), { recursive: true })
  })

  test('an open file goes on through a change of graph', async () => {
    const handle = await volume.open('/switched', 'w+')
    await handle.write('before ')
    const next = memoryGraph(store, 1)
    await next.start()
    const writing = Array.from({ length: 20 }, (_, i) => handle.write('x', 100 + i))
    await session.switchTo(next)
    await Promise.all(writing)
    await handle.write('after')
    expect(String((await handle.read(Buffer.alloc(12), 0, 12, 0)).buffer)).toBe('before after')
    expect(await volume.readdir('/many')).toHaveLength(500)
    expect((await handle.stat()).size).toBe(120)
    await handle.close()
  })

  test('calls after unmount fail', async () => {
    const { volume: other } = await memoryVolume()
    const handle = await other.open('/f', 'w')
    await other.unmount()
    await expect(other.readFile('/f')).rejects.toMatchObject({ code: 'EBADF' })
    await expect(handle.write('x')).rejects.toMatchObject({ code: 'EBADF' })
  })
})
