import {
  EMPTY_IATT,
  Errno,
  failure,
  type Fd,
  type Loan,
  LockCommand,
  LockType,
  OpenFlag,
  type Reply,
  ROOT_CTX,
} from '@ashlar/core'
import { fileStat, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { writeBehind } from './index.ts'

const MIB = 1024 * 1024
const after = fileStat('f', 10, 4096)

function wrote(written: number): Reply<'writev'> {
  return { ok: true, prestat: after, poststat: after, written }
}

/** What a promise has come to by now; undefined while it waits. */
async function now<T>(promise: Promise<T>): Promise<T | undefined> {
  await settled()
  return Promise.race([promise, Promise.resolve(undefined)])
}

describe('write-behind', () => {
  let world: Scripted
  let fd: Fd
  const start = (options: Record<string, string> = {}): void => {
    world = scripted(writeBehind, options)
    fd = world.graph.openFd(world.file('f'), { flags: OpenFlag.RDWR, pid: 1 }).bind()
  }
  beforeEach(() => start())

  const write = (
    offset: number,
    data: string | Buffer,
    flags = 0,
    on = fd,
  ): Promise<Reply<'writev'>> =>
    world.graph.top.writev(ROOT_CTX, { fd: on, data: Buffer.from(data), offset, flags })
  const flush = (): Promise<Reply<'flush'>> => world.graph.top.flush(ROOT_CTX, { fd })
  const fsync = (on = fd): Promise<Reply<'fsync'>> =>
    world.graph.top.fsync(ROOT_CTX, { fd: on, datasync: false })
  const writes = (): string[] =>
    world.calls
      .filter(call => call.fop === 'writev')
      .map(call => {
        const { offset, data } = call.args as { offset: number; data: Buffer }
        return `${offset}:${data.length > 20 ? data.length : data.toString()}`
      })

  test('answers at once with attributes unknown', async () => {
    expect(await write(0, 'abc')).toEqual({
      ok: true,
      written: 3,
      prestat: EMPTY_IATT,
      poststat: EMPTY_IATT,
    })
    expect(world.outstanding).toEqual(['writev'])
  })

  test('puts together what adjoins while a write is in transit', async () => {
    await write(0, 'a')
    await write(1, 'b')
    await write(2, 'c')
    await write(3, 'd')
    expect(writes()).toEqual(['0:a'])
    await world.waiting('writev').answer(wrote(1))
    expect(writes()).toEqual(['0:a', '1:bcd'])
  })

  test('an overlapping write waits for the earlier one, another does not', async () => {
    await write(0, 'aaaa')
    await write(2, 'bb')
    await write(100, 'cc')
    await write(200, 'd')
    expect(writes()).toEqual(['0:aaaa', '100:cc'])
    await world.waiting('writev').answer(wrote(4))
    expect(writes()).toEqual(['0:aaaa', '100:cc', '2:bb'])
  })

  test('with strict-write-ordering every write waits for the one before', async () => {
    start({ 'strict-write-ordering': 'on' })
    await write(0, 'a')
    await write(100, 'b')
    await write(200, 'c')
    await settled()
    expect(writes()).toEqual(['0:a'])
    await world.waiting('writev').answer(wrote(1))
    expect(writes()).toEqual(['0:a', '100:b'])
  })

  test('appends go one after the other', async () => {
    const on = world.graph.openFd(fd.inode, { flags: OpenFlag.APPEND | OpenFlag.WRONLY, pid: 1 })
    await write(0, 'a', 0, on)
    await write(50, 'b', 0, on)
    await write(90, 'c', 0, on)
    expect(writes()).toEqual(['0:a'])
    await world.waiting('writev').answer(wrote(1))
    expect(writes()).toEqual(['0:a', '50:b'])
  })

  test('keeps ten large writes in transit and lets the next caller wait', async () => {
    const data = Buffer.alloc(MIB)
    for (let i = 0; i < 9; i++) await write(i * MIB, data)
    const next = write(9 * MIB, data)
    expect(await now(next)).toBeUndefined()
    expect(writes()).toHaveLength(10)
    await world.waiting('writev').answer(wrote(MIB))
    expect(await now(next)).toMatchObject({ ok: true, written: MIB })
  })

  test('a read waits for the writes that it overlaps alone', async () => {
    await write(0, 'abc')
    const args = { fd, size: 10, flags: 0 }
    void world.graph.top.readv(ROOT_CTX, { ...args, offset: 100 })
    void world.graph.top.readv(ROOT_CTX, { ...args, offset: 2 })
    await settled()
    expect(world.outstanding).toEqual(['writev', 'readv'])
    await world.waiting('writev').answer(wrote(3))
    expect(world.outstanding).toEqual(['readv', 'readv'])
  })

  test.each(['fstat', 'stat', 'ftruncate', 'fsetattr', 'fsync', 'lk', 'fallocate'] as const)(
    '%s waits for all writes',
    async fop => {
      await write(0, 'abc')
      const loc = {
        gfid: fd.inode.gfid,
        inode: fd.inode,
        name: '',
        path: '',
        pargfid: fd.inode.gfid,
      }
      const flock = { type: LockType.UNLCK, whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: 'x' }
      const args = {
        ...{ fd, loc: { ...loc, parent: undefined }, offset: 0, stat: EMPTY_IATT, valid: 0 },
        ...{ datasync: false, command: LockCommand.SETLK, flock, flags: 0, length: 1 },
      }
      void (world.graph.top[fop] as (ctx: unknown, args: unknown) => Promise<unknown>)(
        ROOT_CTX,
        args,
      )
      await settled()
      expect(world.outstanding).toEqual(['writev'])
      await world.waiting('writev').answer(wrote(3))
      expect(world.outstanding).toEqual([fop])
    },
  )

  test('flush is answered when the data is down, whenever the brick hears of it', async () => {
    await write(0, 'abc')
    const flushed = flush()
    expect(await now(flushed)).toBeUndefined()
    expect(world.outstanding).toEqual(['writev', 'flush'])
    await world.waiting('writev').answer(wrote(3))
    expect(await now(flushed)).toEqual({ ok: true })
    // The brick must not hear of the release before it.
    fd.unref()
    expect(fd.references).toBe(1)
    await world.waiting('flush').answer({ ok: true })
    expect(fd.references).toBe(0)
  })

  test('flush waits for the brick when the file was locked', async () => {
    const flock = { type: LockType.WRLCK, whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: 'x' }
    void world.graph.top.lk(ROOT_CTX, { fd, command: LockCommand.SETLK, flock })
    await settled()
    await world.waiting('lk').answer({ ok: true, flock })
    await write(0, 'abc')
    const flushed = flush()
    await settled()
    // Whoever gets the lock next must find the data.
    expect(world.outstanding).toEqual(['writev'])
    await world.waiting('writev').answer(wrote(3))
    expect(await now(flushed)).toBeUndefined()
    await world.waiting('flush').answer({ ok: true })
    expect(await now(flushed)).toEqual({ ok: true })
  })

  test('an error comes out once at flush', async () => {
    await write(0, 'abc')
    const flushed = flush()
    await settled()
    await world.waiting('writev').answer(failure(Errno.ENOSPC))
    expect(await flushed).toMatchObject({ ok: false, errno: Errno.ENOSPC })
    expect(await flush()).toEqual({ ok: true })
  })

  test('an error comes out at fsync of every fd that was open, and of none opened later', async () => {
    const other = world.graph.openFd(fd.inode, { flags: OpenFlag.RDWR, pid: 1 }).bind()
    await write(0, 'abc')
    await world.waiting('writev').answer(failure(Errno.EDQUOT))
    const later = world.graph.openFd(fd.inode, { flags: OpenFlag.RDWR, pid: 1 })
    const loc = {
      ...{ gfid: fd.inode.gfid, inode: fd.inode, name: '', path: '' },
      ...{ pargfid: fd.inode.gfid, parent: undefined },
    }
    void world.graph.top.open(ROOT_CTX, { loc, fd: later, flags: OpenFlag.RDWR })
    for (const [on, ok] of [
      [fd, false],
      [other, false],
      [later, true],
      [fd, true],
    ] as const) {
      const synced = fsync(on)
      await settled()
      await world.waiting('fsync').answer({ ok: true, prestat: after, poststat: after })
      expect((await synced).ok).toBe(ok)
    }
  })

  test('an error comes out at the next write, and then writing goes on', async () => {
    await write(0, 'abc')
    await world.waiting('writev').answer(failure(Errno.ENOSPC))
    expect(await write(3, 'def')).toMatchObject({ ok: false, errno: Errno.ENOSPC })
    expect(await write(3, 'def')).toMatchObject({ ok: true })
  })

  test('what a brick leaves of a promise is sent again', async () => {
    await write(10, 'abcdef')
    const flushed = flush()
    await settled()
    await world.waiting('writev').answer(wrote(2))
    expect(writes()).toEqual(['10:abcdef', '12:cdef'])
    expect(await now(flushed)).toBeUndefined()
    await world.waiting('writev').answer(wrote(4))
    expect(await now(flushed)).toEqual({ ok: true })
  })

  test('an O_SYNC write is answered by the brick, short if the brick is', async () => {
    const reply = write(0, 'abcdef', OpenFlag.DSYNC)
    expect(await now(reply)).toBeUndefined()
    await world.waiting('writev').answer(wrote(2))
    expect(await reply).toMatchObject({ ok: true, written: 2, poststat: after })
    expect(writes()).toHaveLength(1)
  })

  test('strict-O_DIRECT: such an fd writes through', async () => {
    start({ 'strict-O_DIRECT': 'on' })
    expect(await now(write(0, 'abc', OpenFlag.DIRECT))).toBeUndefined()
    expect(await write(10, 'abc')).toMatchObject({ ok: true })
  })

  test('memory that is lent is kept until the data is down, and not released after a failure', async () => {
    const users = [1, 1]
    const loan = (i: number): Loan => ({
      keep: () => (users[i] = (users[i] as number) + 1),
      release: () => (users[i] = (users[i] as number) - 1),
    })
    const data = Buffer.from('abc')
    await world.graph.top.writev(ROOT_CTX, { fd, data, offset: 0, flags: 0, loan: loan(0) })
    await world.graph.top.writev(ROOT_CTX, { fd, data, offset: 100, flags: 0, loan: loan(1) })
    expect(users).toEqual([2, 2])
    await world.waiting('writev').answer(wrote(3))
    await world.waiting('writev').answer(failure(Errno.ENOTCONN))
    expect(users).toEqual([1, 2])
  })

  test('a listing has no attributes of files whose data was on its way meanwhile', async () => {
    const quiet = world.file('q')
    const dir = world.graph.openFd(world.graph.inodes.root, { flags: 0, pid: 1 })
    const entry = (gfid: string): object => ({
      ...{ name: gfid, ino: 1n, offset: 1n, type: 8, stat: fileStat(gfid, 5) },
    })
    await write(0, 'abc')
    const listing = world.graph.top.readdirp(ROOT_CTX, { fd: dir, size: 1000, offset: 0n })
    await world.waiting('writev').answer(wrote(3))
    await world.waiting('readdirp').answer({
      ...{ ok: true, eof: true },
      entries: [entry('f'), entry(quiet.gfid.slice(0, 1))] as never,
    })
    const reply = await listing
    expect(reply.ok && reply.entries.map(each => each.stat.isEmpty)).toEqual([true, false])
  })

  test('the graph stops when its promises are kept', async () => {
    await world.graph.start()
    await write(0, 'a')
    await write(1, 'b')
    const stopped = world.graph.stop().then(() => true)
    expect(await now(stopped)).toBeUndefined()
    await world.waiting('writev').answer(wrote(1))
    await world.waiting('writev').answer(wrote(1))
    expect(await now(stopped)).toBe(true)
  })
})
