import { execFile } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmdirSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  type AnyXlatorDefinition,
  defineXlator,
  type Env,
  Graph,
  gfidInode,
  gfidText,
  parseVolfile,
  silentLog,
  systemClock,
  offlineNetwork,
  systemRandom,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { memoryFops, MemoryStore } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FuseBridge, type FuseDevice, mountFuse } from '../index.ts'

const run = promisify(execFile)

function mountable(): string | undefined {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    return String(error)
  }
}

const obstacle = mountable()
if (obstacle !== undefined) process.stderr.write(`no mounts in this test: ${obstacle}\n`)

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
    process: { uuid: '', name: 'fuse', hostname: 'here', pid: process.pid, volfileId: 'v' },
    id,
  })
}

/** Node's synchronous calls on our own mount would wait for themselves: everything is awaited. */
describe.skipIf(obstacle !== undefined)('a mounted bridge', () => {
  const mountpoint = mkdtempSync(join(tmpdir(), 'ashlar-fuse-'))
  const store = new MemoryStore(env)
  const graph = memoryGraph(store)
  let device: FuseDevice
  let bridge: FuseBridge
  const at = (...names: string[]): string => join(mountpoint, ...names)

  beforeAll(async () => {
    await graph.start()
    device = await mountFuse({ source: 'here:/memory', mountpoint, log: silentLog })
    bridge = new FuseBridge({ device, graph, env, options: { lruLimit: 1000 } })
    await bridge.ready
  })
  afterAll(async () => {
    await bridge.unmount({ lazy: true })
    await bridge.closed
    rmdirSync(mountpoint)
  })

  /** The child changes into the mount itself: before its exec it would wait for us, and we for it. */
  async function shell(script: string): Promise<string> {
    const { stdout } = await run('bash', ['-ec', `cd ${mountpoint}\n${script}`])
    return stdout.trim()
  }

  test('is listed under its name and type', async () => {
    const mounts = await fs.readFile('/proc/self/mounts', 'utf8')
    expect(mounts).toContain(`here:/memory ${mountpoint} fuse.glusterfs `)
    expect(bridge.status().minor).toBeGreaterThanOrEqual(23)
  })

  test('files are made, written, read, listed, renamed, linked and removed', async () => {
    await fs.mkdir(at('d'))
    await fs.writeFile(at('d', 'a'), 'hello')
    await fs.appendFile(at('d', 'a'), ' world')
    expect(await fs.readFile(at('d', 'a'), 'utf8')).toBe('hello world')
    await fs.link(at('d', 'a'), at('d', 'b'))
    await fs.symlink('b', at('d', 'c'))
    expect(await fs.readlink(at('d', 'c'))).toBe('b')
    expect((await fs.stat(at('d', 'c'))).nlink).toBe(2)
    await fs.rename(at('d', 'b'), at('e'))
    expect((await fs.readdir(at('d'))).sort()).toEqual(['a', 'c'])
    await fs.truncate(at('e'), 5)
    expect(await fs.readFile(at('d', 'a'), 'utf8')).toBe('hello')
    await expect(fs.rmdir(at('d'))).rejects.toMatchObject({ code: 'ENOTEMPTY' })
    await expect(fs.stat(at('nothing'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(fs.mkdir(at('d'))).rejects.toMatchObject({ code: 'EEXIST' })
    await fs.rm(at('d'), { recursive: true })
    await fs.unlink(at('e'))
    expect(await fs.readdir(mountpoint)).toEqual([])
    expect(store.count).toBe(1)
  })

  test('inode numbers are the tails of gfids, and the gfid itself can be asked for', async () => {
    await fs.writeFile(at('numbered'), '')
    const { ino, blksize } = await fs.stat(at('numbered'), { bigint: true })
    const file = store.root.entries.get('numbered')?.file
    expect(BigInt.asUintN(64, ino)).toBe(gfidInode(file?.gfid as NonNullable<typeof file>['gfid']))
    expect(blksize).toBe(131_072n)
    expect(await shell('getfattr --only-values -n glusterfs.gfid.string numbered')).toBe(
      gfidText(file?.gfid as NonNullable<typeof file>['gfid']),
    )
  })

  test('large writes and reads, in requests of up to a mebibyte, keep every byte', async () => {
    const data = env.random.bytes(5_000_003)
    await fs.writeFile(at('large'), data)
    expect((await fs.readFile(at('large'))).equals(data)).toBe(true)
    const handle = await fs.open(at('large'), constants.O_RDWR)
    await handle.write(Buffer.from('XYZ'), 0, 3, 3_000_001)
    const piece = Buffer.alloc(5)
    await handle.read(piece, 0, 5, 3_000_000)
    data.write('XYZ', 3_000_001)
    expect(piece.equals(data.subarray(3_000_000, 3_000_005))).toBe(true)
    await handle.close()
    await shell('dd if=large of=copy bs=1M iflag=direct oflag=direct status=none')
    expect((await fs.readFile(at('copy'))).equals(data)).toBe(true)
  })

  test('listings of many entries, with and without attributes, are complete', async () => {
    await fs.mkdir(at('many'))
    const names = Array.from({ length: 3000 }, (_, i) => `entry-${'x'.repeat(i % 50)}-${i}`)
    for (const name of names) await fs.writeFile(at('many', name), '')
    expect((await fs.readdir(at('many'))).sort()).toEqual([...names].sort())
    expect(await shell('ls -l many | wc -l')).toBe('3001')
    expect(await shell('find many -type f | wc -l')).toBe('3000')
    await fs.rm(at('many'), { recursive: true })
  })

  test('a file without a name lives on while it is open', async () => {
    const handle = await fs.open(at('brief'), 'w+')
    await handle.write('kept')
    await fs.unlink(at('brief'))
    expect((await handle.stat()).nlink).toBe(0)
    await handle.chmod(0o600)
    await handle.truncate(2)
    expect((await handle.stat()).size).toBe(2)
    await handle.close()
    await expect(fs.stat(at('brief'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('modes, owners, times and special files', async () => {
    await fs.writeFile(at('attrs'), '')
    await fs.chmod(at('attrs'), 0o4751)
    await fs.utimes(at('attrs'), 1_234_567_890.5, -100.25)
    const stat = await fs.stat(at('attrs'), { bigint: true })
    expect(stat.mode & 0o7777n).toBe(0o4751n)
    expect(stat.atimeNs).toBe(1_234_567_890_500_000_000n)
    expect(
      await shell('mkfifo fifo; test -p fifo; umask 027; mkdir masked; stat -c %a masked'),
    ).toBe('750')
    expect(await shell('stat -f -c "%s %l %b" .')).toBe('4096 255 262144')
  })

  test('extended attributes', async () => {
    expect(
      await shell(
        'touch x; setfattr -n user.k -v value x; setfattr -n user.l -v 0x0001ff x; ' +
          'getfattr --only-values -n user.k x; echo; getfattr -d -m - -e hex x | grep user',
      ),
    ).toBe('value\nuser.k=0x76616c7565\nuser.l=0x0001ff')
    expect(await shell('setfattr -x user.k x; getfattr -n user.k x 2>&1 || true')).toContain(
      'No such attribute',
    )
    expect(await shell('setfattr -n trusted.gfid -v x x 2>&1 || true')).toContain('not permitted')
    expect(await shell('getfattr -n security.capability x 2>&1 || true')).toContain(
      'No such attribute',
    )
    expect(await shell('getfattr -n system.posix_acl_access x 2>&1 || true')).toContain(
      'not supported',
    )
  })

  test('fallocate, holes and seeking', async () => {
    const result = await shell(`
      dd if=/dev/urandom of=f bs=64K count=8 status=none
      fallocate -p -o 65536 -l 65536 f
      cmp -n 65536 <(dd if=f bs=64K skip=1 count=1 status=none) /dev/zero && stat -c %s f
      fallocate -z -n -o 458752 -l 1000000 f; stat -c %s f
      cmp <(dd if=f bs=64K skip=7 count=1 status=none) <(head -c 65536 /dev/zero)
      fallocate -z -o 500000 -l 100000 f; stat -c %s f
      fallocate -l 700000 f; stat -c %s f
      fallocate -n -l 900000 f; stat -c %s f`)
    expect(result.split('\n')).toEqual(['524288', '524288', '600000', '700000', '700000'])
    const seeks = await shell(
      `truncate -s 1M h; dd if=/dev/urandom of=h bs=64K count=1 seek=2 conv=notrunc status=none; ` +
        `python3 -c "import os; fd = os.open('h', 0); print(os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 131073, os.SEEK_HOLE))"`,
    )
    expect(seeks).toBe('131072 196608')
    expect(
      await shell(
        `python3 -c "import os; os.lseek(os.open('h', 0), -1, os.SEEK_HOLE)" 2>&1 | tail -1`,
      ),
    ).toContain('No such device or address')
  })

  test('copy_file_range and names refused by rename flags', async () => {
    expect(
      await shell(`python3 - <<'EOF'
import os, ctypes
open('from', 'wb').write(os.urandom(300000))
a, b = os.open('from', os.O_RDONLY), os.open('to', os.O_CREAT | os.O_WRONLY)
print(os.copy_file_range(a, b, 200000, 100, 7), os.path.getsize('to'))
libc = ctypes.CDLL(None, use_errno=True)
for flags in (1, 2):
    r = libc.renameat2(-100, b'from', -100, b'to', flags)
    print(r, ctypes.get_errno())
EOF
cmp -n 200000 <(tail -c +101 from) <(tail -c +8 to); cmp -n 199993 <(tail -c +101 from) <(tail -c +8 to)`),
    ).toBe('200000 200007\n-1 17\n-1 22')
  })

  test('the set-user-id bit goes when somebody without privilege writes', async () => {
    if (sys.geteuid() !== 0) return
    expect(
      await shell(`
        chmod 777 .; touch s; chmod 6777 s; setpriv --reuid 1234 --clear-groups sh -c 'echo x >> s'; stat -c %a s
        chmod 6777 s; setpriv --reuid 1234 --clear-groups truncate -s 0 s; stat -c %a s
        chmod 6777 s; setpriv --reuid 1234 --clear-groups sh -c ': > s'; stat -c %a s
        chmod 6777 s; echo root >> s; stat -c %a s
        chmod 2767 s; setpriv --reuid 1234 --clear-groups sh -c 'echo x >> s'; stat -c %a s
        chown 5:5 s; stat -c '%a %u' s`),
    ).toBe(['777', '777', '777', '6777', '2767', '2767 5'].join('\n'))
  })

  test('locks exclude, wait, and are called off by a signal', async () => {
    await fs.writeFile(at('locked'), '')
    const output = await shell(`python3 - <<'EOF'
import fcntl, os, signal, struct, subprocess, sys, time
f = open('locked', 'r+')
fcntl.lockf(f, fcntl.LOCK_EX, 100, 50)
code = '''
import fcntl, signal, sys
f = open("locked", "r+")
try:
    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 60)
    print("got it")
except OSError as e:
    print("refused", e.errno)
sys.stdout.flush()
class Alarm(Exception): pass
def alarm(*_): raise Alarm()
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    fcntl.lockf(f, fcntl.LOCK_EX, 10, 60)
    print("granted")
except Alarm:
    print("interrupted")
sys.stdout.flush()
fcntl.lockf(f, fcntl.LOCK_EX, 10, 60)
print("granted at last")
'''
child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
for _ in range(2): print(child.stdout.readline().strip())
time.sleep(0.1)
fcntl.lockf(f, fcntl.LOCK_UN, 100, 50)
print(child.stdout.readline().strip())
child.wait()
fcntl.flock(f, fcntl.LOCK_EX)
g = open('locked')
try: fcntl.flock(g, fcntl.LOCK_SH | fcntl.LOCK_NB)
except OSError as e: print('flock', e.errno)
f.close()
fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
print('flock free')
EOF`)
    expect(output.split('\n')).toEqual([
      'refused 11',
      'interrupted',
      'granted at last',
      'flock 11',
      'flock free',
    ])
  })

  test('the kernel drops what it is told to drop', async () => {
    await fs.writeFile(at('watched'), 'before')
    const handle = await fs.open(at('watched'), 'r')
    expect(await handle.readFile('utf8')).toBe('before')
    // Somebody else changes the file, keeping size and time: only the news can tell.
    const file = store.root.entries.get('watched')?.file
    file?.pages.write(0, Buffer.from('after!'))
    const inode = graph.inodes.find(file?.gfid as NonNullable<typeof file>['gfid'])
    expect(inode).toBeDefined()
    bridge.graphEvent({ kind: 'inode-invalidate', inode: inode as NonNullable<typeof inode> })
    const text = Buffer.alloc(6)
    await expect
      .poll(async () => {
        await handle.read(text, 0, 6, 0)
        return text.toString()
      })
      .toBe('after!')
    await handle.close()
  })

  test('beyond the lru limit the kernel is asked to forget', async () => {
    await fs.mkdir(at('crowd'))
    for (let i = 0; i < 1500; i++) await fs.writeFile(at('crowd', `${i}`), '')
    await expect
      .poll(() => graph.inodes.lru.size + graph.inodes.invalidating.size)
      .toBeLessThan(1200)
    await fs.rm(at('crowd'), { recursive: true })
    await expect.poll(() => bridge.status().nodes).toBeLessThan(200)
  })

  test('open files, locks and names survive a change of graph', async () => {
    await fs.mkdir(at('deep'))
    const handle = await fs.open(at('deep', 'file'), 'w+')
    await handle.write('one ')
    const next = memoryGraph(store, 1)
    await next.start()
    const busy = fs.readFile(at('large'))
    await bridge.switchGraph(next)
    expect((await busy).length).toBe(5_000_003)
    await handle.write('two')
    const text = Buffer.alloc(7)
    await handle.read(text, 0, 7, 0)
    expect(text.toString()).toBe('one two')
    await fs.rename(at('deep', 'file'), at('deep', 'moved'))
    expect((await handle.stat()).size).toBe(7)
    await handle.close()
    expect(await fs.readdir(at('deep'))).toEqual(['moved'])
    await fs.rm(at('deep'), { recursive: true })
    expect(bridge.graph).toBe(next)
  })

  test('a busy mount refuses to go, an idle one goes', async () => {
    const handle = await fs.open(at('large'), 'r')
    if (sys.geteuid() === 0) expect(await bridge.unmount()).toBe(-16)
    await handle.close()
    await expect.poll(() => bridge.unmount()).toBe(0)
    await bridge.closed
    expect(bridge.status().files).toBe(0)
    expect(await fs.readFile('/proc/self/mounts', 'utf8')).not.toContain(mountpoint)
  })
})
