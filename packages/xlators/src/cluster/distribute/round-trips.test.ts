/** How many round trips an operation of a distributed volume takes, over real sockets. */

import { mkdirSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { inodeLoc, OpenFlag, systemClock, type TcpAddress } from '@ashlar/core'
import { countedNetwork, good, TestVolume, until } from '@ashlar/testkit'
import { tcpNetwork } from '@ashlar/transport'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { accessControl } from '../../features/access-control/index.ts'
import { locks } from '../../features/locks/index.ts'
import { client } from '../../protocol/client/index.ts'
import { Peer } from '../../protocol/client/peer.ts'
import { type Server, server } from '../../protocol/server/index.ts'
import { openBehind } from '../../performance/open-behind/index.ts'
import { quickRead } from '../../performance/quick-read/index.ts'
import { posix } from '../../storage/posix/index.ts'
import { distribute } from './index.ts'

const BRICKS = 2
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const network = countedNetwork(tcpNetwork())
const env = { clock: systemClock, network }
let home: string
let bricks: TestVolume[]
let volume: TestVolume

async function startBrick(index: number): Promise<TestVolume> {
  return TestVolume.start({
    definitions: [posix, locks, accessControl, server],
    env,
    brick: true,
    volfile: `
volume posix
  type storage/posix
  option directory ${home}/b${index}
end-volume
volume acl
  type features/access-control
  subvolumes posix
end-volume
volume /b${index}
  type features/locks
  subvolumes acl
end-volume
volume server
  type protocol/server
  option transport.socket.bind-address 127.0.0.1
  option auth.addr./b${index}.allow *
  subvolumes /b${index}
end-volume`,
  })
}

function clientOf(brick: TestVolume, index: number): string {
  const { port } = (brick.graph.xlator('server') as Server).address as TcpAddress
  return `
volume client-${index}
  type protocol/client
  option remote-host 127.0.0.1
  option remote-port ${port}
  option remote-subvolume /b${index}
end-volume`
}

/** Two bricks and a mount, with an empty directory. */
async function start(): Promise<void> {
  home = mkdtempSync(`${tmpdir()}/round-trips-`)
  for (let i = 0; i < BRICKS; i++) mkdirSync(`${home}/b${i}`)
  bricks = await Promise.all(Array.from({ length: BRICKS }, (_, i) => startBrick(i)))
  volume = await TestVolume.start({
    definitions: [client, distribute, openBehind, quickRead],
    env,
    volfile: `${bricks.map(clientOf).join('')}
volume dht
  type cluster/distribute
  subvolumes ${bricks.map((_, i) => `client-${i}`).join(' ')}
end-volume
volume open-behind
  type performance/open-behind
  subvolumes dht
end-volume
volume quick-read
  type performance/quick-read
  subvolumes open-behind
end-volume`,
  })
  await until('the bricks', 10_000, () => volume.events.some(each => each.kind === 'child-up'))
  good(await volume.lookup('/'))
  good(await volume.mkdir('/dir'))
}

async function stop(): Promise<void> {
  vi.restoreAllMocks()
  await volume.stop()
  for (const brick of bricks) await brick.stop()
  await rm(home, { recursive: true })
}

/**
 * What an operation sends: calls of one round beside each other, in the order of their names, rounds
 * behind each other; behind `|` what is sent when the caller has its answer.
 */
async function sentBy(operation: () => Promise<{ ok: boolean }>): Promise<string> {
  await quiet()
  network.take()
  expect((await operation()).ok).toBe(true)
  const { rounds } = network
  await quiet()
  // Of files that were written before; nobody waits for it.
  const calls = network.take().filter(call => call.name !== 'RELEASE')
  const named = (round: number): string =>
    calls
      .filter(call => (round > rounds ? call.round > rounds : call.round === round))
      .map(call => call.name)
      .sort()
      .join(', ')
  const answered = Array.from({ length: rounds }, (_, i) => named(i + 1)).join(' > ')
  return named(rounds + 1) === '' ? answered : `${answered} | ${named(rounds + 1)}`
}

/** Everything that was asked for, lazily too, has been answered. */
async function quiet(): Promise<void> {
  await until('answers', 5000, () =>
    bricks.every((_, i) => volume.graph.xlator(`client-${i}`)?.dump?.()['outstanding'] === 0),
  )
}

/** All the ways in which an operation goes over several names, for these hash to either brick. */
async function over(operation: (path: string) => Promise<string>): Promise<string[]> {
  const ways = new Set<string>()
  for (const name of NAMES) ways.add(await operation(`/dir/${name}`))
  return [...ways].sort()
}

/** Looks a file up, reads it from its beginning and closes it. */
async function readWhole(path: string, size: number): Promise<string> {
  await volume.write(path, 'x'.repeat(size))
  const loc = await volume.entry(path)
  const { top, ctx, graph } = volume
  return sentBy(async () => {
    const { stat } = good(await top.lookup(ctx, { loc }))
    const fd = graph.openFd(graph.inodes.obtain(stat.gfid), { flags: OpenFlag.RDONLY, pid: 1 })
    good(await top.open(ctx, { loc: inodeLoc(fd.inode), fd, flags: OpenFlag.RDONLY }))
    fd.bind()
    const reply = good(await top.readv(ctx, { fd, size, offset: 0, flags: 0 }))
    expect(reply.data.toString()).toBe('x'.repeat(size))
    good(await top.flush(ctx, { fd }))
    fd.unref()
    return reply
  })
}

const OPERATIONS: Record<string, () => Promise<string[]>> = {
  'reading a small file': () => over(path => readWhole(path, 4096)),
  'reading a file of 100 KiB': () => over(path => readWhole(path, 102_400)),
  mkdir: () =>
    over(async path => {
      const loc = await volume.entry(path)
      const args = { loc, mode: 0o755, umask: 0, xdata: volume.fresh() }
      return sentBy(() => volume.top.mkdir(volume.ctx, args))
    }),
  rmdir: () =>
    over(async path => {
      good(await volume.mkdir(path))
      const loc = await volume.entry(path)
      return sentBy(() => volume.top.rmdir(volume.ctx, { loc, xflags: 0 }))
    }),
  create: () =>
    over(async path => {
      const loc = await volume.entry(path)
      const flags = OpenFlag.RDWR | OpenFlag.CREAT
      const fd = volume.graph.openFd(loc.inode, { flags, pid: 1 })
      const args = { loc, fd, flags, mode: 0o644, umask: 0, xdata: volume.fresh() }
      return sentBy(() => volume.top.create(volume.ctx, args))
    }),
  lookup: () =>
    over(async path => {
      const loc = await volume.entry(path)
      await volume.write(path, 'text')
      return sentBy(() => volume.top.lookup(volume.ctx, { loc }))
    }),
  stat: () =>
    over(async path => {
      await volume.write(path, 'text')
      const loc = await volume.loc(path)
      return sentBy(() => volume.top.stat(volume.ctx, { loc }))
    }),
  unlink: () =>
    over(async path => {
      await volume.write(path, 'text')
      await volume.lookup(path)
      const loc = await volume.entry(path)
      return sentBy(() => volume.top.unlink(volume.ctx, { loc, xflags: 0 }))
    }),
  'rename of a file': () =>
    over(async path => {
      await volume.write(path, 'text')
      await volume.lookup(path)
      const oldloc = await volume.entry(path)
      const newloc = await volume.entry(`${path}.new`)
      return sentBy(() => volume.top.rename(volume.ctx, { oldloc, newloc }))
    }),
  'rename of a directory': () =>
    over(async path => {
      good(await volume.mkdir(path))
      const oldloc = await volume.entry(path)
      const newloc = await volume.entry(`${path}.new`)
      return sentBy(() => volume.top.rename(volume.ctx, { oldloc, newloc }))
    }),
}

/** Without locks there is nothing to save. */
const ALWAYS = {
  create: ['CREATE'],
  lookup: ['LOOKUP'],
  stat: ['STAT'],
  unlink: ['UNLINK'],
  'reading a small file': ['LOOKUP'],
}

describe('round trips', () => {
  afterEach(stop)

  test.each(
    Object.entries({
      ...ALWAYS,
      mkdir: ['COMPOUND(INODELK ENTRYLK MKDIR SETXATTR) > MKDIR | COMPOUND(INODELK ENTRYLK)'],
      // What closing a file does, ending its locks, there is no need of here.
      'reading a file of 100 KiB': ['LOOKUP > OPEN > READ'],
      rmdir: ['COMPOUND(INODELK ENTRYLK) > RMDIR > COMPOUND(RMDIR INODELK ENTRYLK)'],
      'rename of a file': [
        // To a name that hashes to the other brick.
        'COMPOUND(INODELK ENTRYLK LOOKUP), COMPOUND(INODELK INODELK ENTRYLK LOOKUP)' +
          ' > MKNOD > COMPOUND(RENAME INODELK INODELK ENTRYLK) | COMPOUND(INODELK ENTRYLK)',
        // To one that hashes to the same.
        'COMPOUND(INODELK INODELK ENTRYLK INODELK ENTRYLK LOOKUP LOOKUP)' +
          ' > COMPOUND(RENAME INODELK INODELK ENTRYLK INODELK ENTRYLK)',
      ],
      'rename of a directory': [
        'COMPOUND(INODELK ENTRYLK INODELK ENTRYLK RENAME)' +
          ' > RENAME | COMPOUND(INODELK ENTRYLK INODELK ENTRYLK)',
        'COMPOUND(INODELK ENTRYLK), COMPOUND(INODELK ENTRYLK)' +
          ' > RENAME > RENAME | COMPOUND(INODELK ENTRYLK), COMPOUND(INODELK ENTRYLK)',
      ],
    }),
  )('%s, to bricks that know compounds', async (name, ways) => {
    await start()
    expect(await OPERATIONS[name]?.()).toEqual(ways)
  })

  test.each(
    Object.entries({
      ...ALWAYS,
      mkdir: ['ENTRYLK, INODELK > MKDIR > MKDIR, SETXATTR | ENTRYLK, INODELK'],
      'reading a file of 100 KiB': ['LOOKUP > OPEN > READ > FLUSH'],
      rmdir: ['ENTRYLK, INODELK > RMDIR > RMDIR | ENTRYLK, INODELK'],
      'rename of a file': [
        'ENTRYLK, ENTRYLK, INODELK, INODELK, INODELK > LOOKUP, LOOKUP' +
          ' > MKNOD > RENAME | ENTRYLK, ENTRYLK, INODELK, INODELK, INODELK',
        'ENTRYLK, ENTRYLK, INODELK, INODELK, INODELK > LOOKUP, LOOKUP' +
          ' > RENAME | ENTRYLK, ENTRYLK, INODELK, INODELK, INODELK',
      ],
      'rename of a directory': [
        'ENTRYLK, ENTRYLK, INODELK, INODELK > RENAME' +
          ' > RENAME | ENTRYLK, ENTRYLK, INODELK, INODELK',
      ],
    }),
  )('%s, to bricks that do not', async (name, ways) => {
    vi.spyOn(Peer.prototype, 'compounds', 'get').mockReturnValue(false)
    await start()
    expect(await OPERATIONS[name]?.()).toEqual(ways)
  })
})
