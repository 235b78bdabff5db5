import { Errno, failure, type Fd, OpenFlag, ROOT_CTX } from '@ashlar/core'
import { fileStat, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { readAhead } from './index.ts'

/** With this page-size a block is of 32 KiB. */
const OPTIONS = { 'page-size': '4KB', 'page-count': '2' }
const BLOCK = 32_768

describe('read-ahead', () => {
  let world: Scripted
  let fd: Fd
  let content: Buffer
  const start = (options: Record<string, string> = OPTIONS): void => {
    world = scripted(readAhead, options)
    fd = world.graph.openFd(world.file('f'), { flags: OpenFlag.RDWR, pid: 1 }).bind()
    content = Buffer.alloc(10 * BLOCK + 100)
    for (let i = 0; i < content.length; i++) content[i] = (i * 7 + (i >> 8)) & 0xff
  }
  beforeEach(() => start())

  const serve = async (): Promise<void> => {
    for (await settled(); world.outstanding.length > 0; await settled()) {
      const call = world.waiting('readv')
      const { offset, size } = call.args
      const data = Buffer.from(content.subarray(offset, offset + size))
      const stat = fileStat('f', 10, content.length)
      await call.answer({ ok: true, data, stat, eof: offset + size >= content.length })
    }
  }
  const ask = (offset: number, size: number) =>
    world.graph.top.readv(ROOT_CTX, { fd, offset, size, flags: 0 })
  const read = async (offset: number, size: number): Promise<void> => {
    const reply = ask(offset, size)
    await serve()
    const got = await reply
    if (!got.ok) throw new Error(`errno ${got.errno}`)
    expect(got.data.equals(content.subarray(offset, offset + size))).toBe(true)
    if (offset + size >= content.length) expect(got.eof).toBe(true)
  }
  /** Ranges asked of the brick since the last call. */
  const asked = (): [number, number][] =>
    world.calls.splice(0).map(({ args }) => {
      const { offset, size } = args as { offset: number; size: number }
      return [offset, size]
    })

  test('asks for more and more of what follows, in blocks', async () => {
    await read(0, 1000)
    expect(asked()).toEqual([
      [0, 1000],
      [1000, BLOCK],
    ])
    await read(1000, 1000)
    expect(asked()).toEqual([[1000 + BLOCK, BLOCK]])
    await read(2000, 1000)
    expect(asked()).toEqual([])
  })

  test('reads whatever sizes follow each other, to the end of the file', async () => {
    let at = 0
    for (let size = 500; at < content.length; size = (size * 3) % 100_000) {
      await read(at, size)
      at += size
    }
    const calls = asked()
    const most = calls.reduce((sum, [, size]) => sum + size, 0)
    expect(most).toBeLessThan(content.length + 4 * BLOCK)
  })

  test('elsewhere it begins anew', async () => {
    await read(0, 1000)
    await read(50_000, 1000)
    asked()
    await read(7, 1000)
    expect(asked()).toEqual([[7, 1000]])
  })

  test('a change drops what was read before it', async () => {
    await read(0, 1000)
    const write = { fd, data: Buffer.from('x'), offset: 1000, flags: 0 }
    const writing = world.graph.top.writev(ROOT_CTX, write)
    await settled()
    content[1000] = 0x78
    const stat = fileStat('f', 10)
    await world.waiting('writev').answer({ ok: true, prestat: stat, poststat: stat, written: 1 })
    await writing
    await read(1000, 1000)
  })

  test('what has waited too long is read again', async () => {
    await read(0, 1000)
    world.clock.advance(1001)
    content[1500] = 0x55
    await read(1000, 1000)
  })

  test('a block that failed is read again by whoever wants it', async () => {
    const first = ask(0, 1000)
    await settled()
    const [own] = world.calls
    await world.calls[1]?.answer(failure(Errno.EIO))
    const data = content.subarray(0, 1000)
    await own?.answer({ ok: true, data, stat: fileStat('f', 1), eof: false } as never)
    await first
    await read(1000, 1000)
  })

  test('O_DIRECT and pass-through read nothing ahead', async () => {
    start({ 'pass-through': 'on' })
    await read(0, 1000)
    expect(asked()).toEqual([[0, 1000]])
    start()
    fd.flags |= OpenFlag.DIRECT
    await read(0, 1000)
    expect(asked()).toEqual([[0, 1000]])
  })
})
