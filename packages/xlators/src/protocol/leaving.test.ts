/** A client that goes while a brick works for it: what it has begun is done under its locks. */

import {
  type Ctx,
  Errno,
  type Fd,
  Iatt,
  inodeLoc,
  LockCommand,
  LockType,
  type Log,
  SetAttr,
  silentLog,
} from '@ashlar/core'
import {
  errnoOf,
  good,
  meddler,
  meddlerOf,
  memoryStorage,
  SocketBrick,
  type TestVolume,
  until,
} from '@ashlar/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { locks } from '../features/locks/index.ts'

const UP_MS = 8000
let brick: SocketBrick
/** The disk changes nothing before `release`. */
let disk: Promise<void>
let release: () => void
/** Changes that have reached the disk's queue. */
let queued = 0
/** Clients of which the brick has noticed that they have gone. */
let noticed = 0

const log: Log = {
  ...silentLog,
  child: () => log,
  info: text => {
    if (text === 'a client has gone') noticed += 1
  },
}
const clients = (): string[] => brick.clients().map(each => each.client)

beforeEach(async () => {
  queued = 0
  noticed = 0
  disk = new Promise(resolve => (release = resolve))
  brick = await SocketBrick.start({ layers: [memoryStorage, meddler, locks], env: { log } })
  meddlerOf(brick.volume.graph.xlator('meddler'))?.interfere(async fop => {
    if (fop !== 'writev' && fop !== 'setattr') return undefined
    queued += 1
    await disk
    return undefined
  })
})
afterEach(async () => {
  release()
  await brick.stop()
})

type Kind = 'inodelk' | 'lk'

async function lock(volume: TestVolume, kind: Kind, fd: Fd): Promise<number> {
  const ctx: Ctx = { ...volume.ctx, lkOwner: 'somebody' }
  const whole = { type: LockType.WRLCK, whence: 0, start: 0n, len: 0n, pid: 1 }
  const request = { command: LockCommand.SETLK, flock: { ...whole, lkOwner: ctx.lkOwner } }
  const loc = inodeLoc(fd.inode)
  return errnoOf(
    kind === 'lk'
      ? await volume.top.lk(ctx, { fd, ...request })
      : await volume.top.inodelk(ctx, { loc, domain: 'd', ...request }),
  )
}

test.each<Kind>(['inodelk', 'lk'])(
  'a write that the disk has not finished when its client goes is done under its lock (%s)',
  async kind => {
    const [gone, other] = [await brick.mount(), await brick.mount()]
    const { fd } = good(await gone.create('/f'))
    const seen = await other.open('/f')
    expect(await lock(gone, kind, fd)).toBe(0)
    const written = gone.writeFd(fd, 'of the client that goes')
    await until('the write is on its way', UP_MS, () => queued === 1)
    const [connection] = clients()
    await gone.stop()
    expect(errnoOf(await written)).toBe(Errno.ENOTCONN)
    await until('the brick notices', UP_MS, () => noticed === 1)
    expect(await lock(other, kind, seen)).toBe(Errno.EAGAIN)
    expect(clients()).toContain(connection)
    release()
    await until('the lock is free', UP_MS, async () => (await lock(other, kind, seen)) === 0)
    expect(clients()).not.toContain(connection)
    expect(await other.read('/f')).toBe('of the client that goes')
    seen.unref()
  },
)

test('so is what follows in a compound on a lock that was waited for', async () => {
  const [gone, other] = [await brick.mount(), await brick.mount()]
  const { fd } = good(await gone.create('/f'))
  const seen = await other.open('/f')
  const loc = inodeLoc(fd.inode)
  const ctx: Ctx = { ...gone.ctx, lkOwner: 'somebody' }
  const flock = { type: LockType.WRLCK, whence: 0, start: 0n, len: 0n, pid: 1, lkOwner: 'somebody' }
  const stat = Object.assign(new Iatt(), { mode: 0o600 })
  const changed = gone.top.compound(ctx, {
    steps: [
      { fop: 'inodelk', args: { loc, domain: 'd', command: LockCommand.SETLKW, flock } },
      { fop: 'setattr', args: { loc, stat, valid: SetAttr.MODE } },
    ],
  })
  await until('the change is on its way', UP_MS, () => queued === 1)
  await gone.stop()
  await changed
  await until('the brick notices', UP_MS, () => noticed === 1)
  expect(await lock(other, 'inodelk', seen)).toBe(Errno.EAGAIN)
  release()
  await until('the lock is free', UP_MS, async () => (await lock(other, 'inodelk', seen)) === 0)
  expect((await other.stat('/f')).mode & 0o777).toBe(0o600)
  seen.unref()
})
