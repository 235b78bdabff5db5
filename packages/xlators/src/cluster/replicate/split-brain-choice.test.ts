import { Dict, Errno, inodeLoc, type Reply } from '@ashlar/core'
import { BrickSet, errnoOf, type SetGraph } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { replicate } from './index.ts'

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 2 })
  client = await bricks.join(replicate, {
    'data-self-heal': 'off',
    'metadata-self-heal': 'off',
    'entry-self-heal': 'off',
  })
  await bricks.write('/file', 'as it was')
})
afterEach(() => bricks.stop())

async function command(name: string, value: string, uid = 0): Promise<Reply<'setxattr'>> {
  const { volume } = client
  const dict = new Dict().setBytes(`replica.split-brain-${name}`, Buffer.from(value))
  const loc = inodeLoc(await volume.inode('/file'))
  return volume.top.setxattr({ ...volume.ctx, uid }, { loc, dict, flags: 0 })
}

/** Each brick has its own content, and blames the other one for data or attributes. */
async function split(counters: readonly [number, number, number]): Promise<void> {
  for (const index of [0, 1]) {
    await bricks.overwrite(index, '/file', `copy of ${index}`)
    await bricks.blame(index, '/file', 1 - index, counters)
  }
}

async function read(): Promise<string | number> {
  const { volume } = client
  const fd = await volume.open('/file')
  const reply = await volume.top.readv(volume.ctx, { fd, offset: 0, size: 100, flags: 0 })
  fd.unref()
  return reply.ok ? reply.data.toString() : errnoOf(reply)
}

it.each([
  ['data', [1, 0, 0]],
  ['attributes', [0, 1, 0]],
] as const)('shows the chosen copy of %s, and none any more', async (_kind, counters) => {
  await split(counters)
  expect(await read()).toBe(Errno.EIO)
  for (const index of [1, 0, 1]) {
    expect(await command('choice', bricks.childName(index))).toMatchObject({ ok: true })
    expect(await read()).toBe(`copy of ${index}`)
  }
  expect(await command('choice', 'none')).toMatchObject({ ok: true })
  expect(await read()).toBe(Errno.EIO)
})

it('shows it no longer than was said', async () => {
  await split([1, 0, 0])
  expect(await command('choice-timeout', '0')).toMatchObject({ ok: true })
  expect(await command('choice', bricks.childName(0))).toMatchObject({ ok: true })
  await expect.poll(read).toBe(Errno.EIO)
})

it('makes the named copy that of all bricks', async () => {
  await split([1, 1, 0])
  expect(await command('choice', bricks.childName(0))).toMatchObject({ ok: true })
  expect(await command('heal-finalize', bricks.childName(1))).toMatchObject({ ok: true })
  expect(await read()).toBe('copy of 1')
  expect(await bricks.contents('/file')).toEqual(['copy of 1', 'copy of 1'])
})

it('says what is wrong, and changes nothing', async () => {
  expect(errnoOf(await command('choice', bricks.childName(0)))).toBe(Errno.EINVAL)
  expect(errnoOf(await command('heal-finalize', bricks.childName(0)))).toBe(Errno.EINVAL)
  await split([1, 0, 0])
  for (const name of ['choice', 'heal-finalize']) {
    expect(errnoOf(await command(name, 'gv0-client-7'))).toBe(Errno.EINVAL)
    expect(errnoOf(await command(name, bricks.childName(0), 1000))).toBe(Errno.EPERM)
  }
  expect(errnoOf(await command('choice-timeout', 'long'))).toBe(Errno.EINVAL)
  await expect.poll(read).toBe(Errno.EIO)
  expect(await bricks.contents('/file')).toEqual(['copy of 0', 'copy of 1'])
})
