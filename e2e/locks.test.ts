// Programs on two mounts that share a file under locks: what one has written is what the other reads
// once it has the lock, whatever its kernel had cached.
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { type Mount, run, succeed } from '@ashlar/testkit'
import { beforeAll, describe, expect, test } from 'vitest'
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
