/** Which closes of files a brick is told of: those by which locks may end. */

import { type Ctx, Dict, type Fd, LockCommand, LockType, OpenFlag } from '@ashlar/core'
import {
  countedNetwork,
  good,
  memoryStorage,
  SocketBrick,
  type TestVolume,
  until,
} from '@ashlar/testkit'
import { tcpNetwork } from '@ashlar/transport'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { locks } from '../features/locks/index.ts'
import { Peer } from './client/peer.ts'

const UP_MS = 8000
const LOCK_INFO = 'trusted.glusterfs.lockinfo'
const network = countedNetwork(tcpNetwork())
let brick: SocketBrick
let volume: TestVolume
let other: TestVolume
let one: Ctx
let two: Ctx

beforeEach(async () => {
  brick = await SocketBrick.start({ layers: [memoryStorage, locks] })
  volume = await brick.mount({ env: { network } })
  other = await brick.mount({ env: { network } })
  one = { ...volume.ctx, lkOwner: 'owner-1' }
  two = { ...volume.ctx, lkOwner: 'owner-2' }
  await volume.write('/f', 'text')
})
afterEach(async () => {
  vi.restoreAllMocks()
  await brick.stop()
})

function lock(fd: Fd, who: Ctx, type: number = LockType.WRLCK): Promise<{ ok: boolean }> {
  const whole = { whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: who.lkOwner }
  return volume.top.lk(who, { fd, command: LockCommand.SETLK, flock: { ...whole, type } })
}

/** A process closes the fd; true when the brick is told. */
async function flushes(fd: Fd, who: Ctx): Promise<boolean> {
  network.take()
  good(await volume.top.flush(who, { fd }))
  return network.take().some(call => call.name === 'FLUSH')
}

/** True when somebody else can lock the whole file. */
async function isUnlocked(): Promise<boolean> {
  const fd = await other.open('/f')
  const flock = { type: LockType.WRLCK, whence: 0, start: 0n, len: 0n, pid: 2, lkOwner: 'third' }
  const reply = await other.top.lk(
    { ...other.ctx, lkOwner: 'third' },
    {
      ...{ fd, command: LockCommand.SETLK, flock },
    },
  )
  fd.unref()
  return reply.ok
}

describe('closing a file', () => {
  test('that nobody has locked is not told', async () => {
    const [first, second] = [await volume.open('/f'), await volume.open('/f')]
    good(await volume.writeFd(first, 'more'))
    expect(await flushes(first, one)).toBe(false)
    await volume.write('/g', 'text')
    const locked = await volume.open('/g')
    good(await lock(locked, one))
    expect(await flushes(second, one)).toBe(false)
    for (const fd of [first, second, locked]) fd.unref()
  })

  test('through another fd than the lock was had by ends the lock', async () => {
    const [first, second] = [await volume.open('/f'), await volume.open('/f', OpenFlag.RDONLY)]
    good(await lock(first, one))
    expect(await isUnlocked()).toBe(false)
    expect(await flushes(second, two)).toBe(true)
    expect(await isUnlocked()).toBe(false)
    expect(await flushes(second, one)).toBe(true)
    expect(await isUnlocked()).toBe(true)
    first.unref()
    second.unref()
  })

  test('that two processes have open ends the locks of each when that one closes it', async () => {
    const fd = await volume.open('/f')
    good(await lock(fd, one, LockType.RDLCK))
    good(await lock(fd, two, LockType.RDLCK))
    expect(await flushes(fd, one)).toBe(true)
    expect(await isUnlocked()).toBe(false)
    expect(await flushes(fd, two)).toBe(true)
    expect(await isUnlocked()).toBe(true)
    fd.unref()
  })

  test('that is locked by a file descriptor made along with it', async () => {
    const { reply, fd } = await volume.create('/new')
    good(reply)
    good(await lock(fd, one))
    const second = await volume.open('/new')
    expect(await flushes(second, one)).toBe(true)
    fd.unref()
    second.unref()
  })

  test('the fd by which it was locked ends its locks when it goes', async () => {
    const [first, second] = [await volume.open('/f'), await volume.open('/f')]
    good(await lock(first, one))
    first.unref()
    await until('the release', UP_MS, isUnlocked)
    expect(await flushes(second, one)).toBe(false)
    second.unref()
  })

  test('of which the lock was refused, or is waited for, is told', async () => {
    const holder = await other.open('/f')
    const flock = { type: LockType.WRLCK, whence: 0, start: 0n, len: 0n, pid: 2, lkOwner: 'third' }
    const third = { ...other.ctx, lkOwner: 'third' }
    good(await other.top.lk(third, { fd: holder, command: LockCommand.SETLK, flock }))
    const [first, second] = [await volume.open('/f'), await volume.open('/f')]
    const waiting = volume.top.lk(one, {
      ...{ fd: first, command: LockCommand.SETLKW, flock: { ...flock, lkOwner: 'owner-1' } },
    })
    expect(await flushes(second, two)).toBe(true)
    good(
      await other.top.lk(third, {
        ...{ fd: holder, command: LockCommand.SETLK, flock: { ...flock, type: LockType.UNLCK } },
      }),
    )
    good(await waiting)
    for (const fd of [holder, first, second]) fd.unref()
  })

  test('whose lock was had again after the connection broke ends that', async () => {
    const [first, second] = [await volume.open('/f'), await volume.open('/f')]
    good(await lock(first, one))
    volume.events.length = 0
    brick.disconnectAll()
    await until('the brick', UP_MS, () => volume.events.some(each => each.kind === 'child-up'))
    expect(await flushes(second, one)).toBe(true)
    first.unref()
    second.unref()
  })

  test('to which locks were moved from another connection is told', async () => {
    const [first, second] = [await volume.open('/f'), await volume.open('/f')]
    const dict = new Dict().setBytes(LOCK_INFO, Buffer.from('locks'))
    await volume.top.fsetxattr(one, { fd: first, dict, flags: 0 })
    expect(await flushes(second, one)).toBe(true)
    first.unref()
    second.unref()
  })

  test('that was opened and locked in one request is told', async () => {
    const loc = await volume.loc('/f')
    const fd = volume.graph.openFd(loc.inode, { flags: OpenFlag.RDWR, pid: 1 })
    const flock = {
      type: LockType.WRLCK,
      whence: 0,
      start: 0n,
      len: 0n,
      pid: 1,
      lkOwner: 'owner-1',
    }
    network.take()
    const reply = good(
      await volume.top.compound(one, {
        steps: [
          { fop: 'open', args: { loc, fd, flags: OpenFlag.RDWR } },
          { fop: 'lk', args: { fd, command: LockCommand.SETLK, flock } },
        ],
      }),
    )
    expect(reply.replies.map(each => each.ok)).toEqual([true, true])
    expect(network.take().map(call => call.name)).toEqual(['COMPOUND(OPEN LK)'])
    fd.bind()
    expect(await isUnlocked()).toBe(false)
    expect(await flushes(fd, one)).toBe(true)
    expect(await isUnlocked()).toBe(true)
    fd.unref()
  })

  test('that is not open here is told', async () => {
    const fd = volume.graph.anonymousFd((await volume.loc('/f')).inode, OpenFlag.RDWR)
    expect(await flushes(fd, one)).toBe(true)
    fd.unref()
  })

  test('is always told to a brick of GlusterFS', async () => {
    vi.spyOn(Peer.prototype, 'compounds', 'get').mockReturnValue(false)
    const fd = await volume.open('/f')
    expect(await flushes(fd, one)).toBe(true)
    fd.unref()
  })
})
