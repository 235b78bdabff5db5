/** The arbiter over a real brick: data operations succeed and leave the file empty. */

import { statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { Dict, Errno } from '@ashlar/core'
import { errnoOf, good, TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { posix } from '../../storage/posix/index.ts'
import { arbiter } from './index.ts'

let root: string
let volume: TestVolume

beforeEach(async () => {
  root = await mkdtemp(`${tmpdir()}/arbiter-`)
  volume = await TestVolume.start({
    brick: true,
    definitions: [posix, arbiter],
    volfile: `
volume p
  type storage/posix
  option directory ${root}
end-volume
volume a
  type features/arbiter
  subvolumes p
end-volume`,
  })
})
afterEach(async () => {
  await volume.stop()
  await rm(root, { recursive: true })
})

it('takes data and keeps none of it', async () => {
  const { reply, fd } = await volume.create('/f')
  good(reply)
  const { top, ctx } = volume
  const data = Buffer.from('twelve bytes')
  const xdata = new Dict().setUint('glusterfs.write-is-append', 1)
  const written = good(await top.writev(ctx, { fd, data, offset: 0, flags: 0, xdata }))
  expect(written.written).toBe(12)
  expect(written.poststat.size).toBe(0)
  expect(written.xdata?.getNumber('glusterfs.write-is-append')).toBe(1)
  good(await top.ftruncate(ctx, { fd, offset: 1000 }))
  good(await top.truncate(ctx, { loc: await volume.loc('/f'), offset: 1000 }))
  good(await top.fallocate(ctx, { fd, flags: 0, offset: 0, length: 4096 }))
  good(await top.zerofill(ctx, { fd, offset: 0, length: 4096 }))
  good(await top.discard(ctx, { fd, offset: 0, length: 4096 }))
  expect(statSync(`${root}/f`).size).toBe(0)
  fd.unref()
})

it('has nothing to read', async () => {
  await volume.write('/f', 'text')
  const fd = await volume.open('/f')
  const read = await volume.top.readv(volume.ctx, { fd, size: 10, offset: 0, flags: 0 })
  expect(errnoOf(read)).toBe(Errno.ENOSYS)
  const sought = await volume.top.seek(volume.ctx, { fd, offset: 0, what: 0 })
  expect(errnoOf(sought)).toBe(Errno.ENOSYS)
  fd.unref()
})

it('keeps names and attributes', async () => {
  await volume.write('/f', 'text', 0o640)
  good(await volume.rename('/f', '/g'))
  expect((await volume.stat('/g')).mode & 0o777).toBe(0o640)
})
