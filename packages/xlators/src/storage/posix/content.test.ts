/** The content of small files beside their attributes: from memory, from the disk, or not at all. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Dict, Errno } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { good, TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { posix } from './index.ts'

vi.mock('@ashlar/sys', async original => {
  const real = await original<typeof sys>()
  return { ...real, preadv2: vi.fn(real.preadv2) }
})

let home: string
let volume: TestVolume
beforeEach(async () => {
  home = mkdtempSync(`${tmpdir()}/content-`)
  mkdirSync(`${home}/brick`)
  volume = await TestVolume.start({
    definitions: [posix],
    brick: true,
    volfile: `volume b\n  type storage/posix\n  option directory ${home}/brick\nend-volume`,
  })
})
afterEach(async () => {
  await volume.stop()
  rmSync(home, { recursive: true })
})

async function contentFor(path: string, uid: number, limit = 100): Promise<string | undefined> {
  const loc = await volume.entry(path)
  const ctx = { ...volume.ctx, uid, gid: uid }
  const xdata = new Dict().setUint('glusterfs.content', limit)
  const reply = good(await volume.top.lookup(ctx, { loc, xdata }))
  return reply.xdata?.getBytes('glusterfs.content')?.toString()
}

test('comes for those who may read the file', async () => {
  await volume.write('/secret', 'secret', 0o600)
  await volume.write('/open', 'open', 0o644)
  const { uid } = await volume.stat('/secret')
  expect(await contentFor('/secret', uid)).toBe('secret')
  expect(await contentFor('/secret', uid + 1)).toBeUndefined()
  expect(await contentFor('/open', uid + 1)).toBe('open')
})

test('comes for files up to the size that was asked', async () => {
  await volume.write('/f', 'content')
  expect(await contentFor('/f', 0, 7)).toBe('content')
  expect(await contentFor('/f', 0, 6)).toBeUndefined()
  await volume.write('/empty', '')
  expect(await contentFor('/empty', 0, 7)).toBe('')
})

test('is waited for when it is on the disk only', async () => {
  await volume.write('/f', 'content')
  vi.mocked(sys.preadv2).mockReturnValueOnce(-Errno.EAGAIN)
  expect(await contentFor('/f', 0)).toBe('content')
  vi.mocked(sys.preadv2).mockReturnValueOnce(3)
  expect(await contentFor('/f', 0)).toBe('content')
})

describe('with a listing', () => {
  async function list(uid: number, limit = 1024 * 1024): Promise<Map<string, string | undefined>> {
    const loc = await volume.loc('/')
    const fd = volume.graph.openFd(loc.inode, { flags: 0, pid: 1 })
    good(await volume.top.opendir(volume.ctx, { loc, fd }))
    fd.bind()
    const ctx = { ...volume.ctx, uid, gid: uid }
    const xdata = new Dict().setUint('ashlar.content', limit)
    const contents = new Map<string, string | undefined>()
    for (let offset = 0n; ; ) {
      const reply = good(await volume.top.readdirp(ctx, { fd, size: 1_000_000, offset, xdata }))
      pieces += 1
      for (const { name, dict } of reply.entries) {
        expect(contents.has(name)).toBe(false)
        contents.set(name, dict?.getBytes('ashlar.content')?.toString())
      }
      if (reply.eof) return contents
      offset = reply.entries.at(-1)?.offset ?? 0n
    }
  }
  let pieces = 0

  test('comes for those who may read the files', async () => {
    await volume.write('/secret', 'secret', 0o600)
    await volume.write('/open', 'open', 0o644)
    const { uid } = await volume.stat('/secret')
    expect((await list(uid)).get('secret')).toBe('secret')
    const others = await list(uid + 1)
    expect(others.get('secret')).toBeUndefined()
    expect(others.get('open')).toBe('open')
  })

  test('a reply holds a megabyte of it, and the listing goes on behind that', async () => {
    const size = 300_000
    for (let i = 0; i < 10; i++) await volume.write(`/f${i}`, String(i).repeat(size))
    pieces = 0
    const contents = await list(0)
    for (let i = 0; i < 10; i++) expect(contents.get(`f${i}`)).toBe(String(i).repeat(size))
    expect(pieces).toBe(3)
  })
})
