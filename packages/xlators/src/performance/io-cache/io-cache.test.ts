import { Errno, failure, type Fd, type Iatt, OpenFlag, type Reply, ROOT_CTX } from '@ashlar/core'
import { fileStat, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { ioCache } from './index.ts'
import { PAGE_BYTES } from './page-store.ts'

const MIB = 1024 * 1024

describe('io-cache', () => {
  let world: Scripted
  let fd: Fd
  let content: Buffer
  let stat: Iatt
  const start = (options: Record<string, string> = {}): void => {
    world = scripted(ioCache, options)
    fd = world.graph.openFd(world.file('f'), { flags: OpenFlag.RDWR, pid: 1 }).bind()
    write(Buffer.alloc(3 * PAGE_BYTES + 100, 'a'), 10)
  }
  /** What the file is on the brick from now on. */
  const write = (bytes: Buffer, time: number): void => {
    content = bytes
    stat = fileStat('f', time, bytes.length)
  }
  beforeEach(() => start())

  const read = (offset: number, size: number, on = fd): Promise<Reply<'readv'>> =>
    world.graph.top.readv(ROOT_CTX, { fd: on, offset, size, flags: 0 })
  /** Answers like a brick until nothing waits. */
  const serve = async (): Promise<void> => {
    for (await settled(); world.outstanding.length > 0; await settled()) {
      if (world.outstanding[0] === 'fstat') {
        await world.waiting('fstat').answer({ ok: true, stat })
        continue
      }
      const call = world.waiting('readv')
      const { offset, size } = call.args
      const data = Buffer.from(content.subarray(offset, offset + size))
      await call.answer({ ok: true, data, stat, eof: offset + size >= content.length })
    }
  }
  const text = async (reply: Promise<Reply<'readv'>>): Promise<string> => {
    await serve()
    const answer = await reply
    return answer.ok ? answer.data.toString() : `errno ${answer.errno}`
  }
  const fops = (): string[] => world.calls.map(call => call.fop)

  test('fetches whole pages and reads from them for a second', async () => {
    expect(await text(read(0, 3))).toBe('aaa')
    expect(world.calls.map(call => call.args)).toMatchObject([{ offset: 0, size: PAGE_BYTES }])
    expect(await text(read(100, 5))).toBe('aaaaa')
    expect(fops()).toEqual(['readv'])
    world.clock.advance(1500)
    expect(await text(read(100, 5))).toBe('aaaaa')
    expect(fops()).toEqual(['readv', 'fstat'])
  })

  test('a changed mtime drops what is held', async () => {
    await text(read(0, 3))
    write(Buffer.alloc(1000, 'b'), 20)
    world.clock.advance(1500)
    expect(await text(read(0, 3))).toBe('bbb')
    expect(fops()).toEqual(['readv', 'fstat', 'readv'])
  })

  test('reads over pages, to the end of the file and past it', async () => {
    await text(read(0, MIB))
    expect((await text(read(PAGE_BYTES - 10, 20))).length).toBe(20)
    const last = await read(3 * PAGE_BYTES, PAGE_BYTES)
    expect(last).toMatchObject({ ok: true, eof: true })
    expect(last.ok && last.data.length).toBe(100)
    expect(fops()).toEqual(['readv'])
    expect(await text(read(4 * PAGE_BYTES, 10))).toBe('')
  })

  test('a single small read in the midst is not worth a page, a second one is', async () => {
    const at = 2 * PAGE_BYTES + 4096
    expect((await text(read(at, 4096))).length).toBe(4096)
    expect(world.calls[0]?.args).toMatchObject({ offset: at, size: 4096 })
    await text(read(at + 8192, 4096))
    expect(world.calls[1]?.args).toMatchObject({ offset: 2 * PAGE_BYTES, size: PAGE_BYTES })
    await text(read(at, 4096))
    expect(fops()).toEqual(['readv', 'readv'])
  })

  test('readers of one page share one request', async () => {
    const one = read(0, 10)
    const other = read(0, 20)
    expect(await text(one)).toHaveLength(10)
    expect(await text(other)).toHaveLength(20)
    expect(fops()).toEqual(['readv'])
  })

  test.each(['writev', 'ftruncate', 'discard', 'zerofill', 'fallocate', 'fsetattr'] as const)(
    '%s drops what is held, and what is read meanwhile is not kept',
    async fop => {
      await text(read(0, 3))
      const args = { fd, data: Buffer.from('x'), offset: 0, flags: 0, length: 1, stat, valid: 0 }
      const change = (world.graph.top[fop] as (ctx: unknown, args: unknown) => Promise<unknown>)(
        ROOT_CTX,
        args,
      )
      const during = read(0, 3)
      await settled()
      const late = world.calls.findLast(call => call.fop === 'readv')
      await (world.waiting(fop) as { answer(reply: unknown): Promise<void> }).answer({ ok: true })
      await change
      await late?.answer({
        ...{ ok: true, data: Buffer.from('old'), eof: false },
        stat,
      } as never)
      await during
      write(Buffer.alloc(1000, 'c'), 30)
      expect(await text(read(0, 3))).toBe('ccc')
    },
  )

  test('data that was asked for before a change is not kept after it', async () => {
    const before = read(0, 3)
    await settled()
    const call = world.waiting('readv')
    const changed = world.graph.top.writev(ROOT_CTX, {
      ...{ fd, data: Buffer.from('x'), offset: 0, flags: 0 },
    })
    await world.waiting('writev').answer({ ok: true, prestat: stat, poststat: stat, written: 1 })
    await changed
    await call.answer({ ok: true, data: Buffer.from('aaaaa'), stat, eof: true })
    write(Buffer.from('xaaaa'), 20)
    expect(await text(before)).toBe('xaa')
    expect(await text(read(0, 3))).toBe('xaa')
  })

  test('O_DIRECT goes past it', async () => {
    const direct = world.graph.openFd(fd.inode, { flags: OpenFlag.DIRECT, pid: 1 })
    await text(read(0, 3, direct))
    await text(read(0, 3, direct))
    expect(world.calls.map(call => call.args)).toMatchObject([{ size: 3 }, { size: 3 }])
  })

  test('memory stays within cache-size, also when that is lowered', async () => {
    start({ 'cache-size': '8MB' })
    const dump = (): { bytes: number } => {
      const top = [...world.graph.xlators()].find(each => each.type === 'performance/io-cache')
      return top?.xlator.dump?.() as never
    }
    write(Buffer.alloc(12 * MIB, 'a'), 10)
    for (let at = 0; at < 12 * MIB; at += MIB) await text(read(at, MIB))
    expect(dump().bytes).toBeLessThanOrEqual(8 * MIB)
    expect(dump().bytes).toBeGreaterThan(4 * MIB)
    const calls = world.calls.length
    await text(read(11 * MIB, MIB))
    expect(world.calls).toHaveLength(calls)
    const { volfile } = world.graph
    const nodes = volfile.nodes.map(node =>
      node.name === 'top' ? { ...node, options: new Map([['cache-size', '4MB']]) } : node,
    )
    expect(world.graph.reconfigure({ nodes })).toBe(true)
    expect(dump().bytes).toBeLessThanOrEqual(4 * MIB)
  })

  test('failures are told and nothing is kept', async () => {
    const reply = read(0, 3)
    await settled()
    await world.waiting('readv').answer(failure(Errno.EIO))
    expect(await reply).toMatchObject({ ok: false, errno: Errno.EIO })
    expect(await text(read(0, 3))).toBe('aaa')
  })

  test('files outside of the sizes are not kept', async () => {
    start({ 'max-file-size': '1KB' })
    await text(read(0, 3))
    await text(read(0, 3))
    expect(fops()).toEqual(['readv', 'readv'])
  })
})
