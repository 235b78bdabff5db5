import {
  Dict,
  Errno,
  inodeLoc,
  MODIFYING_FOPS,
  OpenFlag,
  parseVolfile,
  SetAttr,
  Xattrop,
} from '@ashlar/core'
import { errnoOf, good, memoryStorage, TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readOnly } from './index.ts'

let volume: TestVolume
const volfile = (option: string) => `
volume m
  type testing/memory
end-volume
volume r
  type features/read-only
  option read-only ${option}
  subvolumes m
end-volume`

beforeEach(async () => {
  volume = await TestVolume.start({
    definitions: [memoryStorage, readOnly],
    volfile: volfile('off'),
  })
  good(await volume.mkdir('/d'))
  await volume.write('/f', 'data')
  volume.graph.reconfigure(parseVolfile(volfile('on')))
})
afterEach(() => volume.stop())

describe('features/read-only', () => {
  it('refuses what changes something', async () => {
    const loc = await volume.loc('/f')
    const { ctx, top } = volume
    const fd = await volume.open('/f', OpenFlag.RDONLY)
    const replies = {
      mkdir: await volume.mkdir('/e'),
      mknod: await volume.mknod('/e'),
      symlink: await volume.symlink('/e', 'x'),
      create: (await volume.create('/e')).reply,
      link: await volume.link('/f', '/e'),
      unlink: await volume.unlink('/f'),
      rmdir: await volume.rmdir('/d'),
      rename: await volume.rename('/f', '/e'),
      writev: await volume.writeFd(fd, 'x'),
      truncate: await top.truncate(ctx, { loc, offset: 0 }),
      ftruncate: await top.ftruncate(ctx, { fd, offset: 0 }),
      setattr: await volume.setattr('/f', SetAttr.MODE, { mode: 0o777 }),
      setxattr: await volume.setxattr('/f', { 'user.a': Buffer.from('1') }),
      removexattr: await top.removexattr(ctx, { loc, name: 'user.a' }),
      fallocate: await top.fallocate(ctx, { fd, flags: 0, offset: 0, length: 1 }),
      discard: await top.discard(ctx, { fd, offset: 0, length: 1 }),
      zerofill: await top.zerofill(ctx, { fd, offset: 0, length: 1 }),
    }
    for (const [fop, reply] of Object.entries(replies)) {
      expect(MODIFYING_FOPS.has(fop as 'mkdir')).toBe(true)
      expect([fop, errnoOf(reply)]).toEqual([fop, Errno.EROFS])
    }
    for (const flags of [OpenFlag.WRONLY, OpenFlag.RDWR, OpenFlag.RDONLY | OpenFlag.TRUNC])
      expect(errnoOf(await top.open(ctx, { loc, fd, flags }))).toBe(Errno.EROFS)
    expect(await volume.read('/f')).toBe('data')
    expect(await volume.names('/')).toEqual(['d', 'f'])
  })

  it('lets internal clients pass, and the bookkeeping of replication', async () => {
    const op = { op: Xattrop.ADD_ARRAY, dict: new Dict() }
    const loc = inodeLoc(volume.graph.inodes.root)
    expect(errnoOf(await volume.top.xattrop(volume.ctx, { loc, ...op }))).toBe(Errno.EOPNOTSUPP)
    volume.ctx = { ...volume.ctx, pid: -6 }
    good(await volume.mkdir('/e'))
    good(await volume.rename('/f', '/g'))
  })

  it('lets everything pass when it is switched off', async () => {
    volume.graph.reconfigure(parseVolfile(volfile('off')))
    good(await volume.mkdir('/e'))
    await volume.write('/f', 'more')
  })
})
