/** What a brick can tell of its clients, their open files and the calls that wait. */

import {
  type Ctx,
  EntrylkCommand,
  EntrylkType,
  inodeLoc,
  LockCommand,
  LockType,
  OpenFlag,
  ROOT_CTX,
} from '@ashlar/core'
import { good, memoryStorage, SocketBrick, until } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { locks } from '../features/locks/index.ts'
import {
  type PendingCall,
  type ServedClient,
  servingOf,
  type ServingXlator,
} from './server/serving.ts'

const WAIT_MS = 8000
let brick: SocketBrick
let server: ServingXlator

beforeEach(async () => {
  brick = await SocketBrick.start({ layers: [memoryStorage, locks] })
  const [found] = [...brick.volume.graph.xlators()].flatMap(({ xlator }) => servingOf(xlator) ?? [])
  server = found as ServingXlator
})
afterEach(() => brick.stop())

const clients = (): ServedClient[] => [...server.servedClients()]
const calls = (): PendingCall[] => [...server.pendingCalls()]

const ctx: Ctx = { ...ROOT_CTX, uid: 1000, gid: 100, pid: 4711, lkOwner: 'owner-1' }
const other: Ctx = { ...ctx, pid: 4712, lkOwner: 'owner-2' }

test('clients and their open files', async () => {
  const first = await brick.mount()
  await brick.mount()
  const [busy, idle] = clients() as [ServedClient, ServedClient]
  expect(busy.hostname).toMatch(/^127\.0\.0\.1:\d+$/)
  expect(busy.bytesRead).toBeGreaterThan(0)
  expect(busy.bytesWritten).toBeGreaterThan(0)
  const { top, inodes } = first.graph
  const fds = [1, 2, 3].map(pid => first.graph.openFd(inodes.root, { flags: OpenFlag.RDONLY, pid }))
  for (const fd of fds)
    good(await top.opendir({ ...ctx, pid: fd.pid }, { loc: inodeLoc(inodes.root), fd }))
  fds[1]?.unref()
  await until('the release', WAIT_MS, () => busy.fds.size === 2)
  const open = (): number[][] =>
    [...busy.fds].map(([number, { pid, flags }]) => [number, pid, flags])
  expect(open()).toEqual([
    [0, 1, OpenFlag.RDONLY],
    [2, 3, OpenFlag.RDONLY],
  ])
  expect([busy.fds.firstFree, busy.fds.max > 2, idle.fds.size]).toEqual([1, true, 0])
  const read = clients()[0]?.bytesRead ?? 0
  expect(read).toBeGreaterThan(busy.bytesRead)
  expect([...idle.fds]).toEqual([])
  fds[0]?.unref()
  fds[2]?.unref()
})

test('a lock that is waited for, and a compound with one, until they are answered', async () => {
  const { graph } = await brick.mount()
  const loc = inodeLoc(graph.inodes.root)
  const lock = (type: number) => ({
    loc,
    domain: 'd',
    command: LockCommand.SETLKW,
    flock: { type, whence: 0, start: 0n, len: 0n, pid: 0, lkOwner: '' },
  })
  good(await graph.top.inodelk(ctx, lock(LockType.WRLCK)))
  expect(calls()).toEqual([])
  const waiting = graph.top.inodelk(other, lock(LockType.WRLCK))
  await until('the call', WAIT_MS, () => calls().length === 1)
  const [client] = clients()
  const [call] = calls()
  expect(call).toEqual({
    client: client?.hostname,
    uid: 1000,
    gid: 100,
    pid: 4712,
    unique: call?.unique,
    translator: 'server',
    call: '/b->inodelk',
  })

  const steps = [
    { fop: 'inodelk', args: lock(LockType.WRLCK), ctx: { ...other, lkOwner: 'owner-3' } },
    {
      fop: 'entrylk',
      args: { loc, domain: 'd', name: 'n', command: EntrylkCommand.LOCK, type: EntrylkType.WRLCK },
    },
  ] as const
  const compound = graph.top.compound(other, { steps })
  await until('the compound', WAIT_MS, () => calls().length === 2)
  expect(calls()[1]?.call).toBe('/b->compound(inodelk,entrylk)')

  good(await graph.top.inodelk(ctx, lock(LockType.UNLCK)))
  good(await waiting)
  good(await graph.top.inodelk(other, lock(LockType.UNLCK)))
  await compound
  await until('no call is left', WAIT_MS, () => calls().length === 0)
})
