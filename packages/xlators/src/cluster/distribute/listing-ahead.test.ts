import {
  type Clock,
  ContextKey,
  type DirentPlus,
  EMPTY_IATT,
  Fd,
  InodeTable,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { beforeEach, describe, expect, test } from 'vitest'
import { ListingAhead } from './listing-ahead.ts'

const SIZE = 4096
const PIECES = 9
const first = { index: 0 } as Subvolume
const second = { index: 1 } as Subvolume

let now: number
let ahead: ListingAhead
let fd: Fd
/** `SUBVOLUME@OFFSET` of what the bricks were asked for. */
let asked: string[]
let released: number

beforeEach(() => {
  now = 0
  asked = []
  released = 0
  ahead = new ListingAhead({ monotonic: () => now } as Clock, new ContextKey(0))
  const inode = new InodeTable({ name: 'v', lruLimit: 0 }).create()
  fd = new Fd({ inode, flags: 0, pid: 1, onRelease: () => released++ })
})

/** A piece of a listing of nine, each with one entry. */
async function ask(child: Subvolume, offset: bigint): Promise<Reply<'readdirp'>> {
  asked.push(`${child.index}@${offset}`)
  const entry = { name: `f${offset}`, offset: offset + 1n, stat: EMPTY_IATT } as DirentPlus
  return { ok: true, entries: [entry], eof: offset + 1n === BigInt(PIECES) }
}

const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const take = (child: Subvolume, offset: bigint, size = SIZE) =>
  ahead.take(fd, child, { offset, size })

describe('pieces of a subvolume', () => {
  test('are asked for one after the other, as many as may wait', async () => {
    ahead.ask(fd, second, { offset: 0n, size: SIZE }, ask)
    expect(asked).toEqual(['1@0'])
    await settled()
    expect(asked).toEqual(['1@0', '1@1', '1@2', '1@3'])
    expect(await take(second, 0n)).toMatchObject({ ok: true, entries: [{ name: 'f0' }] })
    ahead.ask(fd, second, { offset: 1n, size: SIZE }, ask)
    await settled()
    expect(asked.slice(4)).toEqual(['1@4'])
  })

  test('end where the directory ends, each asked for once', async () => {
    for (let offset = 0n; offset < PIECES; offset++) {
      ahead.ask(fd, second, { offset, size: SIZE }, ask)
      await settled()
      expect(await take(second, offset)).toMatchObject({ ok: true })
    }
    expect(asked).toEqual(Array.from({ length: PIECES }, (_, i) => `1@${i}`))
  })

  test('do not push out those of others', async () => {
    ahead.ask(fd, first, { offset: 0n, size: SIZE }, ask)
    ahead.ask(fd, second, { offset: 0n, size: SIZE }, ask)
    await settled()
    expect(take(first, 1n)).toBeDefined()
    expect(take(second, 0n)).toBeDefined()
  })

  test('are of no use to who reads elsewhere, or in other sizes', async () => {
    ahead.ask(fd, second, { offset: 0n, size: SIZE }, ask)
    await settled()
    expect(take(second, 7n)).toBeUndefined()
    expect(take(second, 1n)).toBeUndefined()
    ahead.ask(fd, second, { offset: 0n, size: SIZE }, ask)
    expect(take(second, 0n, SIZE / 2)).toBeUndefined()
  })

  test('are not believed when they are old, and not added to', async () => {
    ahead.ask(fd, second, { offset: 0n, size: SIZE }, ask)
    now = 501
    await settled()
    expect(asked).toEqual(['1@0'])
    expect(take(second, 0n)).toBeUndefined()
  })

  test('are not believed after a change, nor is anything asked for ahead any more', async () => {
    ahead.ask(fd, second, { offset: 0n, size: SIZE }, ask)
    await settled()
    ahead.changes += 1
    expect(take(second, 0n)).toBeUndefined()
    asked = []
    ahead.ask(fd, second, { offset: 0n, size: SIZE }, ask)
    await settled()
    expect(asked).toEqual([])
  })

  test('hold the directory open until they are there, and no longer', async () => {
    ahead.ask(fd, second, { offset: 0n, size: SIZE }, ask)
    fd.unref()
    expect(released).toBe(0)
    await settled()
    expect(released).toBe(1)
    expect(asked).toEqual(['1@0'])
  })
})
