/** What a process tells comes through the dict whole, and is cut off where there is too much of it. */

import {
  Dict,
  Fd,
  type Gfid,
  gfidFromRandom,
  gfidText,
  InodeTable,
  S_IFREG,
  systemRandom,
} from '@ashlar/core'
import {
  CALLS_LISTED_MAX,
  FDS_LISTED_MAX,
  INODES_LISTED_MAX,
  statusOperation,
  type StatusSource,
} from '@ashlar/host'
import { dictS, Reader, Writer } from '@ashlar/wire'
import type { PendingCall, ServedClient } from '@ashlar/xlators'
import { describe, expect, it } from 'vitest'
import {
  type ProcessDetail,
  type ProcessState,
  processState,
  statusQuestion,
} from './process-state.ts'

const random = systemRandom()
const newGfid = (): Gfid => gfidFromRandom(random.bytes(16))
const NOTHING: StatusSource = { inodes: undefined, clients: [], calls: [] }

/** Question and answer as they go over the control socket. */
function ask(detail: ProcessDetail, source: Partial<StatusSource> = {}): ProcessState {
  const command = statusQuestion(detail, 'gv0').getNumber('cmd') as number
  const writer = new Writer()
  dictS.encode(writer, statusOperation(command, { ...NOTHING, ...source }))
  const answer = dictS.decode(Reader.of(writer.toBuffer()))
  if (answer === undefined) throw new Error('no answer')
  return processState(detail, answer)
}

function clientOf(fds: readonly [number, Fd][], hostname = 'h:1'): ServedClient {
  const table = { size: fds.length, max: 1_000_000, firstFree: 0 }
  return {
    hostname,
    name: 'fuse',
    opVersion: 100_000,
    bytesRead: 5_000_000_000,
    bytesWritten: 7,
    fds: { ...table, [Symbol.iterator]: () => fds.values() },
  }
}

function callOf(unique: number): PendingCall {
  return { client: 'h:1', uid: 4_294_967_294, gid: 2, pid: -6, unique, translator: 's', call: 'lk' }
}

describe('what a process tells', () => {
  it('memory, as it is', () => {
    const { memory } = ask('memory')
    const rss = process.memoryUsage.rss()
    expect(Math.abs((memory?.node?.rss ?? 0) - rss)).toBeLessThan(rss / 2)
    expect(memory?.node?.heapUsed).toBeGreaterThan(0)
    expect(memory?.node?.heapUsed).toBeLessThan(memory?.node?.heapTotal ?? 0)
    const { mallinfo } = memory ?? {}
    if (mallinfo) expect(mallinfo.uordblks + mallinfo.fordblks).toBe(mallinfo.arena)
  })

  it('clients', () => {
    expect(ask('clients', { clients: [clientOf([])] })).toEqual({
      clients: [
        {
          hostname: 'h:1',
          name: 'fuse',
          opVersion: 100_000,
          bytesRead: 5_000_000_000,
          bytesWritten: 7,
        },
      ],
    })
    expect(ask('clients')).toEqual({ clients: [] })
  })

  it('inodes of each list', () => {
    const inodes = new InodeTable({ name: 't', lruLimit: 77 })
    const [kept, used] = [newGfid(), newGfid()]
    inodes.obtain(kept)
    const open = inodes.obtain(used)
    open.type = S_IFREG
    inodes.ref(inodes.ref(open))
    const none = { size: 0, listed: [] }
    expect(ask('inodes', { inodes, clients: [clientOf([]), clientOf([])] }).inodes).toEqual({
      connections: 2,
      table: {
        lruLimit: 77,
        active: {
          size: 2,
          listed: [
            { gfid: gfidText(inodes.root.gfid), lookups: 0, references: 1, type: 2 },
            { gfid: gfidText(used), lookups: 1, references: 2, type: 1 },
          ],
        },
        lru: { size: 1, listed: [{ gfid: gfidText(kept), lookups: 1, references: 0, type: 0 }] },
        purge: none,
      },
    })
    expect(ask('inodes').inodes).toEqual({ connections: 0, table: null })
  })

  it('open files, whose numbers have gaps', () => {
    const { root } = new InodeTable({ name: 't', lruLimit: 0 })
    const fd = new Fd({ inode: root, flags: 0o100002, pid: 42 })
    fd.ref()
    const clients = [
      clientOf([]),
      clientOf(
        [
          [3, fd],
          [900_000, fd],
        ],
        'h:2',
      ),
    ]
    const table = { name: 'fuse', references: 1, max: 1_000_000, firstFree: 0 }
    const same = { pid: 42, references: 2, flags: 0o100002 }
    expect(ask('fds', { clients }).fds).toEqual([
      { ...table, client: 'h:1', open: 0, listed: [] },
      {
        ...table,
        client: 'h:2',
        open: 2,
        listed: [
          { ...same, number: 3 },
          { ...same, number: 900_000 },
        ],
      },
    ])
  })

  it('calls', () => {
    expect(ask('calls', { calls: [callOf(9)] })).toEqual({
      calls: { count: 1, listed: [callOf(9)] },
    })
    expect(ask('calls')).toEqual({ calls: { count: 0, listed: [] } })
  })

  it('what bricks of GlusterFS tell, and no more', () => {
    const answer = new Dict()
      .setInt('conncount', 128)
      .setInt('conn1.itable.lru_limit', 16_384)
      .setInt('conn1.itable.active_size', 3)
      .setInt('mallinfo.arena', 5)
      .setInt('callpool.count', 1)
      .setInt('callpool.stack0.unique', 95)
      .setInt('callpool.stack0.pid', 199)
    const none = { size: 0, listed: [] }
    const lists = { active: { size: 3, listed: [] }, lru: none, purge: none }
    expect(processState('inodes', answer)).toEqual({
      inodes: { connections: 128, table: { lruLimit: 16_384, ...lists } },
    })
    expect(processState('memory', answer).memory).toMatchObject({
      mallinfo: { arena: 5 },
      node: null,
    })
    const call = { uid: 0, gid: 0, pid: 199, unique: 95 }
    expect(processState('calls', answer).calls?.listed).toEqual([
      { ...call, client: null, translator: null, call: null },
    ])
  })

  it('nothing that is not one of these', () => {
    expect(statusOperation(0x20, NOTHING)).toBeUndefined()
    // A bit that says that a brick was named.
    expect(statusOperation(0x410, NOTHING)?.getNumber('callpool.count')).toBe(0)
  })
})

describe('lists end at their limits, counts do not', () => {
  it('inodes', () => {
    const inodes = new InodeTable({ name: 't', lruLimit: 0 })
    for (let i = 0; i < INODES_LISTED_MAX + 5; i++) inodes.obtain(newGfid())
    const lru = ask('inodes', { inodes }).inodes?.table?.lru
    expect([lru?.size, lru?.listed.length]).toEqual([INODES_LISTED_MAX + 5, INODES_LISTED_MAX])
  })

  it('open files of all clients together', () => {
    const { root } = new InodeTable({ name: 't', lruLimit: 0 })
    const fd = new Fd({ inode: root, flags: 0, pid: 1 })
    const many = Array.from({ length: FDS_LISTED_MAX - 1 }, (_, n): [number, Fd] => [n, fd])
    const clients = [clientOf(many), clientOf(many.slice(0, 3)), clientOf([])]
    expect(ask('fds', { clients }).fds?.map(({ open, listed }) => [open, listed.length])).toEqual([
      [FDS_LISTED_MAX - 1, FDS_LISTED_MAX - 1],
      [3, 1],
      [0, 0],
    ])
  })

  it('calls', () => {
    const calls = Array.from({ length: CALLS_LISTED_MAX + 5 }, (_, n) => callOf(n))
    const told = ask('calls', { calls }).calls
    expect([told?.count, told?.listed.length]).toEqual([CALLS_LISTED_MAX + 5, CALLS_LISTED_MAX])
  })
})
