// Programs on two mounts that share a file under locks: what one has written is what the other reads
// once it has the lock, whatever its kernel had cached. And locks that are held while the volume changes.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Cluster, isAlive, type Mount, run, signal, succeed, until } from '@ashlar/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { mountedVolume, obstacle } from './mounted.ts'

const ROUNDS = 150
const python =
  obstacle === undefined && (await run('python3', ['-c', 'import sqlite3'])).status === 0
const missing = obstacle ?? (python ? undefined : 'python3 with sqlite3 is not installed')
if (missing !== undefined) process.stderr.write(`no locks in this test: ${missing}\n`)

/** Adds one to a number in a file, under a lock, so many times; what it read is on its way out. */
const COUNT = `
import fcntl, os, sys
path, kind, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
fd = os.open(path, os.O_RDWR)
for _ in range(rounds):
    lock = fcntl.lockf if kind == 'fcntl' else fcntl.flock
    lock(fd, fcntl.LOCK_EX)
    number = int(os.pread(fd, 64, 0) or b'0')
    os.pwrite(fd, b'%d' % (number + 1), 0)
    lock(fd, fcntl.LOCK_UN)
`

/** A lock of the whole file, then another descriptor comes and goes; another process asks for it. */
const CLOSE_ANOTHER = `
import fcntl, os, subprocess, sys
path, there, flags, before = sys.argv[1], sys.argv[2], getattr(os, sys.argv[3]), sys.argv[4] == 'before'
asking = 'import fcntl, sys\\nfcntl.lockf(open(sys.argv[1], "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)'
def is_free():
    return subprocess.run([sys.executable, '-c', asking, there], stderr=subprocess.DEVNULL).returncode == 0
another = os.open(path, flags) if before else None
fd = os.open(path, os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX)
print(is_free())
os.close(another if before else os.open(path, flags))
print(is_free())
`

/** Adds one to a row of a table, in transactions of its own, so many times. */
const TRANSACT = `
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for _ in range(int(sys.argv[2])):
    connection.execute('begin immediate')
    (number,) = connection.execute('select n from counter').fetchone()
    connection.execute('update counter set n = ?', (number + 1,))
    connection.execute('insert into log (who, n) values (?, ?)', (sys.argv[3], number + 1))
    connection.execute('commit')
`

describe.skipIf(missing !== undefined)('files shared under locks', () => {
  const volume = mountedVolume(2)
  let other: Mount

  beforeAll(async () => {
    other = await volume.cluster.mount('gv0')
  })

  const places = (name: string): [string, string] => [volume.at(name), join(other.path, name)]

  test.each(['fcntl', 'flock'])('a number that is counted up under %s', async kind => {
    const paths = places(`counter-${kind}`)
    await fs.writeFile(paths[0], '0')
    await Promise.all(
      paths.map(path => succeed('python3', ['-c', COUNT, path, kind, String(ROUNDS)])),
    )
    for (const path of paths) expect(await fs.readFile(path, 'utf8')).toBe(String(2 * ROUNDS))
  })

  // A rule of POSIX that surprises, and that programs rely on.
  test.each([
    ['O_RDONLY', 'after'],
    ['O_RDONLY', 'before'],
    ['O_RDWR', 'after'],
  ])('locks of a file end with any of its descriptors: %s, opened %s', async (flags, order) => {
    const [path, there] = places(`closed-${flags}-${order}`)
    await fs.writeFile(path, 'x')
    const said = await succeed('python3', ['-c', CLOSE_ANOTHER, path, there, flags, order])
    expect(said).toBe('False\nTrue\n')
  })

  test('a file that stays open, and grows and shrinks', async () => {
    const [path, there] = places('log')
    await fs.writeFile(path, 'first')
    const look = `
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for line in sys.stdin:
    fcntl.lockf(fd, fcntl.LOCK_SH)
    print(os.fstat(fd).st_size, os.pread(fd, 64, 0).decode(), flush=True)
    fcntl.lockf(fd, fcntl.LOCK_UN)
    with open(sys.argv[2], 'r+') as out:
        fcntl.lockf(out, fcntl.LOCK_EX)
        out.truncate()
        out.write(line.strip())
`
    const said = await succeed('python3', ['-c', look, there, path], {
      input: 'the second\n3rd\nand the fourth\n\n',
    })
    expect(said).toBe('5 first\n10 the second\n3 3rd\n14 and the fourth\n')
  })

  test('a database of sqlite', async () => {
    const paths = places('shared.db')
    const query = (path: string, ...statements: readonly string[]): Promise<string> =>
      succeed('python3', [
        '-c',
        `import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for statement in sys.argv[2:]:
    print(connection.execute(statement).fetchall())`,
        path,
        ...statements,
      ])
    await query(
      paths[0],
      'create table counter (n integer)',
      'insert into counter values (0)',
      'create table log (who text, n integer unique)',
    )
    await Promise.all(
      paths.map((path, i) => succeed('python3', ['-c', TRANSACT, path, '150', `mount ${i}`])),
    )
    for (const path of paths) {
      expect(
        await query(
          path,
          'select n from counter',
          'select count(*), count(distinct who), max(n) from log',
          'pragma integrity_check',
        ),
      ).toBe("[(300,)]\n[(300, 2, 300)]\n[('ok',)]\n")
    }
  })
})

/** Ways of locking a whole file: POSIX's of a process, those of an open file, and flock's. */
const KINDS = ['fcntl', 'ofd', 'flock'] as const
const TAKE = `
import fcntl, os, signal, struct, sys
def take(fd, kind, wait=False):
    how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
    if kind == 'ofd':
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack('hhllhh', fcntl.F_WRLCK, 0, 0, 0, 0, 0))
    else:
        (fcntl.lockf if kind == 'fcntl' else fcntl.flock)(fd, how)
def tell(words):
    print(words, flush=True)
`
/** Holds a lock of each kind, each on a file of its own; uses the files whenever it is told to. */
const HOLD = `${TAKE}
fds = [os.open(path, os.O_CREAT | os.O_RDWR) for path in sys.argv[1:]]
for fd, path in zip(fds, sys.argv[1:]):
    take(fd, path.split('-')[-1])
tell('held')
for _ in sys.stdin:
    try:
        for fd in fds:
            os.pwrite(fd, b'used', 0)
            os.fsync(fd)
            assert os.pread(fd, 4, 0) == b'used'
        tell('used')
    except OSError as problem:
        tell(problem.strerror)
`
/** Locks a byte of its own far behind, then waits for the start of the file. */
const WAIT = `${TAKE}
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2]))
signal.signal(signal.SIGUSR1, lambda *_: 1 / 0)
try:
    tell('waits')
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 0)
    tell('has it')
except ZeroDivisionError:
    tell('interrupted')
for _ in sys.stdin:
    pass
`
/** What another process finds that asks for the lock. */
const ASK = `${TAKE}
try:
    take(os.open(sys.argv[1], os.O_RDWR), sys.argv[2])
    print('free')
except BlockingIOError:
    print('held')
`

/** A program that is told something a line at a time, and answers so. */
class Program {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(script: string, ...words: readonly string[]) {
    const child = spawn('python3', ['-c', script, ...words], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child = child
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  /** Its next line. */
  async says(): Promise<string | undefined> {
    return (await this.#lines.next()).value
  }

  async ask(): Promise<string | undefined> {
    this.#child.stdin?.write('\n')
    return this.says()
  }

  interrupt(): void {
    signal(this.#child.pid, 'SIGUSR1')
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.stdin?.end()
    await once(this.#child, 'exit')
  }
}

describe.skipIf(missing !== undefined).each([
  { volume: 'distributed', bricks: 2, shape: [] },
  { volume: 'replicated', bricks: 3, shape: ['replica', '3'] },
])('locks over a change of the graph of a $volume volume', ({ bricks, shape }) => {
  let cluster: Cluster
  let mounts: [Mount, Mount]
  const programs: Program[] = []

  beforeAll(async () => {
    cluster = await Cluster.start()
    await cluster.volume('gv0', bricks, {}, shape)
    mounts = [await cluster.mount('gv0'), await cluster.mount('gv0')]
  })
  afterEach(async () => {
    await Promise.all(programs.splice(0).map(program => program.end()))
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  function start(script: string, ...words: readonly string[]): Program {
    const program = new Program(script, ...words)
    programs.push(program)
    return program
  }

  /** What others find, by mount and kind of lock. */
  async function found(name: string, kinds: readonly string[]): Promise<string[]> {
    const answers: string[] = []
    // One mount after the other: who asks has the lock for a moment.
    for (const { path } of mounts) {
      const said = kinds.map(kind =>
        succeed('python3', ['-c', ASK, join(path, `${name}-${kind}`), kind]),
      )
      answers.push(...(await Promise.all(said)).map(each => each.trim()))
    }
    return answers
  }

  async function switches(mount: Mount): Promise<number> {
    return (await fs.readFile(mount.log, 'utf8')).split('switched to a new graph').length - 1
  }

  async function changeGraph(quickRead: 'on' | 'off'): Promise<void> {
    const before = await Promise.all(mounts.map(switches))
    await cluster.command('volume', 'set', 'gv0', 'performance.quick-read', quickRead)
    for (const [i, mount] of mounts.entries())
      await until(
        'the mount goes over to the new graph',
        30_000,
        async () => (await switches(mount)) > (before[i] as number),
      )
  }

  test('are held on the new one, and after its connections broke', async () => {
    const paths = KINDS.map(kind => join(mounts[0].path, `held-${kind}`))
    const holder = start(HOLD, ...paths)
    expect(await holder.says()).toBe('held')
    const held = [...KINDS, ...KINDS].map(() => 'held')
    expect(await found('held', KINDS)).toEqual(held)
    await changeGraph('off')
    expect(await found('held', KINDS)).toEqual(held)
    expect(await holder.ask()).toBe('used')

    const pids = Array.from({ length: bricks }, (_, i) => cluster.brickPid('gv0', i + 1) as number)
    for (const pid of pids) signal(pid, 'SIGKILL')
    await until('the bricks are dead', 5_000, () => !pids.some(isAlive))
    await cluster.command('volume', 'start', 'gv0', 'force')
    // A client that is back has its locks again; the other one may be earlier.
    await until('the holder has its bricks again', 30_000, async () => {
      return (await holder.ask()) === 'used'
    })
    await until('all see the locks', 30_000, async () => {
      expect(await found('held', KINDS)).toEqual(held)
      return true
    })
    await holder.end()
    await until('the locks are gone', 5_000, async () => {
      expect(await found('held', KINDS)).toEqual(held.map(() => 'free'))
      return true
    })
  })

  test('are waited for on the new one, and not left to who has given up', async () => {
    const path = join(mounts[0].path, 'waited-fcntl')
    const holder = start(HOLD, path)
    expect(await holder.says()).toBe('held')
    await holder.end()
    const first = start(WAIT, path, '100')
    expect([await first.says(), await first.says()]).toEqual(['waits', 'has it'])
    const [before, across, patient] = ['101', '102', '103'].map(byte =>
      start(WAIT, path, byte),
    ) as [Program, Program, Program]
    for (const waiting of [before, across, patient]) expect(await waiting.says()).toBe('waits')
    before.interrupt()
    expect(await before.says()).toBe('interrupted')
    await changeGraph('on')
    across.interrupt()
    expect(await across.says()).toBe('interrupted')
    await first.end()
    expect(await patient.says()).toBe('has it')
    await patient.end()
    const probe = start(WAIT, path, '104')
    expect([await probe.says(), await probe.says()]).toEqual(['waits', 'has it'])
    await Promise.all([before, across, probe].map(program => program.end()))
    await until('nobody has it any more', 5_000, async () => {
      expect(await found('waited', ['fcntl'])).toEqual(['free', 'free'])
      return true
    })
  })
})
