/** Leases on the names of directories between two clients and a brick, over real sockets. */

import { Errno, type Stream } from '@ashlar/core'
import {
  type CountedNetwork,
  countedNetwork,
  errnoOf,
  FakeClock,
  good,
  memoryStorage,
  settled,
  SocketBrick,
  type TestVolume,
  until,
} from '@ashlar/testkit'
import { tcpNetwork } from '@ashlar/transport'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { upcall } from '../features/upcall/index.ts'
import { mdCache } from '../performance/md-cache/index.ts'

const UP_MS = 8000

/** The time of the brick: leases run out when the test says so. */
let clock: FakeClock
let brick: SocketBrick

const inFlight = (): number => brick.clients().reduce((sum, one) => sum + one.inFlight, 0)

beforeEach(async () => {
  clock = new FakeClock()
  brick = await SocketBrick.start({ layers: [memoryStorage, upcall], env: { clock } })
})
afterEach(() => brick.stop())

/** A client and the wire it has. */
interface Mount {
  readonly volume: TestVolume
  readonly network: CountedNetwork
  /** It hears nothing more, as a process that is stopped, until it goes on. */
  stop(): void
  goOn(): void
}

async function mount(subdirectory?: string): Promise<Mount> {
  const streams = new Set<Stream>()
  const tcp = tcpNetwork()
  const network = countedNetwork({
    connect(...args) {
      const stream = tcp.connect(...args)
      streams.add(stream)
      return stream
    },
    listen: (...args) => tcp.listen(...args),
  })
  const volume = await brick.mount({ layers: [mdCache], env: { network }, subdirectory })
  return {
    ...{ volume, network },
    stop: () => streams.forEach(stream => stream.pause()),
    goOn: () => streams.forEach(stream => stream.resume()),
  }
}

/** True when the answer is that nothing has the name, and no brick was asked for it. */
async function knowsFree({ volume, network }: Mount, path: string): Promise<boolean> {
  network.take()
  const reply = await volume.lookup(path)
  const asked = network.take().some(call => call.name === 'LOOKUP')
  return !asked && errnoOf(reply) === Errno.ENOENT
}

/** Has the mount look names up until it has listed the directory under a lease. */
async function learn(mounted: Mount, path: string): Promise<void> {
  let names = 0
  await until('the listing', UP_MS, () => knowsFree(mounted, `${path}/none-${names++}`))
}

/** Begins something that another client's lease is in the way of; `over` once it is answered. */
async function begin(act: () => Promise<{ ok: boolean }>): Promise<{ over: boolean }> {
  const state = { over: false }
  const before = inFlight()
  void act().then(reply => {
    good(reply)
    state.over = true
  })
  await until('the request', UP_MS, () => state.over || inFlight() > before)
  return state
}

test('a name that is made is known to others before its maker is answered', async () => {
  const [a, b] = [await mount(), await mount()]
  await b.volume.write('/source', 'text')
  const makings: Record<string, (path: string) => Promise<{ ok: boolean }>> = {
    create: async path => (await b.volume.create(path)).reply,
    mknod: path => b.volume.mknod(path),
    mkdir: path => b.volume.mkdir(path),
    symlink: path => b.volume.symlink(path, 'target'),
    link: path => b.volume.link('/source', path),
    rename: path => b.volume.rename('/source', path),
  }
  for (const [how, make] of Object.entries(makings)) {
    good(await b.volume.mkdir(`/${how}`))
    await learn(a, `/${how}`)
    expect(await knowsFree(a, `/${how}/new`)).toBe(true)
    good(await make(`/${how}/new`))
    expect(errnoOf(await a.volume.lookup(`/${how}/new`)), how).toBe(0)
  }
})

test('it is not made before the lease was returned', async () => {
  const [a, b] = [await mount(), await mount()]
  await learn(a, '')
  a.stop()
  const making = await begin(() => b.volume.mkdir('/new'))
  await settled()
  expect(making.over).toBe(false)
  // As far as this client has heard, and so says rightly: nobody has been told otherwise.
  expect(await knowsFree(a, '/new')).toBe(true)
  a.goOn()
  await until('the making', UP_MS, () => making.over)
  expect(errnoOf(await a.volume.lookup('/new'))).toBe(0)
})

test('a client that is silent holds others up for two seconds, and no longer', async () => {
  const [a, b] = [await mount(), await mount()]
  good(await a.volume.mkdir('/d'))
  good(await b.volume.lookup('/d'))
  await learn(a, '')
  await learn(a, '/d')
  a.stop()
  const makings = [
    await begin(() => b.volume.mkdir('/new')),
    await begin(() => b.volume.mkdir('/d/new')),
  ]
  clock.advance(1999)
  await settled()
  expect(makings.map(making => making.over)).toEqual([false, false])
  clock.advance(1)
  await until('the making', UP_MS, () => makings.every(making => making.over))
  // Whoever comes next does not wait at all.
  good(await b.volume.mkdir('/newer'))
  a.goOn()
  await until('the news', UP_MS, async () => (await a.volume.lookup('/new')).ok)
})

test('a client that goes holds nobody up', async () => {
  const [a, b] = [await mount(), await mount()]
  await learn(a, '')
  a.stop()
  const making = await begin(() => b.volume.mkdir('/new'))
  expect(making.over).toBe(false)
  await a.volume.stop()
  await until('the making', UP_MS, () => making.over)
})

test('what was known under a lease counts no more when the connection has broken', async () => {
  const a = await mount()
  await learn(a, '')
  a.volume.events.length = 0
  brick.disconnectAll()
  // Seen at once: the client tries again 50 ms later.
  const isDown = () => a.volume.events.some(each => each.kind === 'child-down')
  await vi.waitUntil(isDown, { interval: 1, timeout: UP_MS })
  expect(errnoOf(await a.volume.lookup('/x'))).toBe(Errno.ENOTCONN)
  await until('the brick', UP_MS, () => a.volume.events.some(each => each.kind === 'child-up'))
  expect(await knowsFree(a, '/x')).toBe(false)
})

test('who has a part of the volume as its root hears of names there', async () => {
  const b = await mount()
  good(await b.volume.mkdir('/part'))
  const a = await mount('/part')
  await learn(a, '')
  good(await b.volume.mkdir('/beside'))
  expect(await knowsFree(a, '/new')).toBe(true)
  good(await b.volume.mkdir('/part/new'))
  expect(errnoOf(await a.volume.lookup('/new'))).toBe(0)
})

test('two clients that make names in turn see each other, and end', async () => {
  const mounts = [await mount(), await mount()]
  for (let i = 0; i < 60; i++) {
    const [maker, reader] = i % 2 === 0 ? [0, 1] : [1, 0]
    const [a, b] = [mounts[maker] as Mount, mounts[reader] as Mount]
    for (let n = 0; n < 4; n++) await b.volume.lookup(`/none-${i}-${n}`)
    good(await a.volume.mknod(`/n${i}`))
    expect(errnoOf(await b.volume.lookup(`/n${i}`)), `n${i}`).toBe(0)
  }
  await Promise.all(
    mounts.map(async ({ volume }, who) => {
      for (let i = 0; i < 60; i++) {
        expect(errnoOf(await volume.lookup(`/${who}-${i}`))).toBe(Errno.ENOENT)
        good(await volume.mknod(`/${who}-${i}`))
      }
    }),
  )
})
