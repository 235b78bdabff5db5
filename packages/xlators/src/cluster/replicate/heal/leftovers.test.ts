/** What heal indices hold of files and directories that are gone: nothing, soon after they went. */

import { rmdirSync, unlinkSync } from 'node:fs'
import { Errno, failure, type FopArgs, gfidText } from '@ashlar/core'
import {
  BrickSet,
  good,
  type Indices,
  type SetGraph,
  type TestVolume,
  until,
} from '@ashlar/testkit'
import { afterEach, describe, expect, it } from 'vitest'
import { healerOf, type HealingXlator } from '../healer.ts'
import { replicate } from '../index.ts'

const SETTLED_MS = 10_000
const HEAL_MS = 30_000
const ROOT = '00000000-0000-0000-0000-000000000001'
const OPTIONS = { 'granular-entry-heal': 'on', 'quorum-type': 'auto' }
const DAEMON = {
  ...OPTIONS,
  'iam-self-heal-daemon': 'on',
  'data-self-heal': 'on',
  'metadata-self-heal': 'on',
  'entry-self-heal': 'on',
}

let bricks: BrickSet
let client: SetGraph
afterEach(() => bricks.stop())

async function start(): Promise<TestVolume> {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, OPTIONS)
  return client.volume
}

/** Resolves when the brick's index holds that and nothing else. */
async function holds(index: number, expected: Partial<Indices>): Promise<void> {
  const whole = JSON.stringify({ xattrop: [], dirty: [], entryChanges: {}, ...expected })
  await until(`brick ${index} holds ${whole}`, SETTLED_MS, () => {
    const { xattrop, dirty, entryChanges } = bricks.indices(index)
    return JSON.stringify({ xattrop, dirty, entryChanges }) === whole
  })
}

async function heal(): Promise<void> {
  const daemon = await bricks.join(replicate, DAEMON)
  const healer = healerOf(daemon.top as HealingXlator)
  await until('each brick was swept', HEAL_MS, () => {
    const crawls = healer?.statistics() ?? []
    return crawls.length >= 3 && crawls.every(crawl => crawl.ended !== undefined)
  })
}

/** The root still has to be healed of the name that a brick has missed; the file has not. */
const ROOT_ONLY = (name: string): Partial<Indices> => ({
  xattrop: [ROOT],
  entryChanges: { [ROOT]: [name] },
})

// A test suite of file systems left eight of them on each brick.
describe.each([
  ['all bricks up', false],
  ['one brick down', true],
])('with %s', (_, down) => {
  const left = down ? ROOT_ONLY('f') : {}

  it('a file that was written and removed is not noted', async () => {
    const volume = await start()
    if (down) await client.cut(2)
    await volume.write('/f', 'content')
    good(await volume.unlink('/f'))
    for (const index of [0, 1]) await holds(index, left)
  })

  it('a file that was removed, written and closed is not noted', async () => {
    const volume = await start()
    if (down) await client.cut(2)
    const { fd } = await volume.create('/f')
    good(await volume.unlink('/f'))
    good(await volume.writeFd(fd, 'content'))
    fd.unref()
    for (const index of [0, 1]) await holds(index, left)
  })

  it('a file that another has replaced is not noted', async () => {
    const volume = await start()
    await volume.mknod('/other')
    if (down) await client.cut(2)
    await volume.write('/f', 'content')
    good(await volume.rename('/other', '/f'))
    const names = { [ROOT]: ['f', 'other'] }
    for (const index of [0, 1])
      await holds(index, down ? { xattrop: [ROOT], entryChanges: names } : {})
  })
})

it('a directory that was removed with what was in it is not noted, and its removal is healed', async () => {
  const volume = await start()
  good(await volume.mkdir('/d'))
  for (const name of ['a', 'b']) await volume.write(`/d/${name}`, name)
  // Written and done with on all bricks.
  for (const index of [0, 1, 2]) await holds(index, {})
  await client.cut(2)
  for (const name of ['a', 'b']) good(await volume.unlink(`/d/${name}`))
  good(await volume.rmdir('/d'))
  for (const index of [0, 1]) await holds(index, ROOT_ONLY('d'))
  await client.mend(2)
  await heal()
  for (const index of [0, 1, 2]) await holds(index, {})
  expect(await bricks.brick(2).names('/')).not.toContain('d')
})

it('a sweep forgets what is noted of things that are gone, and nothing else', async () => {
  await start()
  const gfid = await bricks.write('/f', 'content')
  const directory = await bricks.mkdir('/d')
  const kept = await bricks.mkdir('/kept')
  await bricks.blame(0, '/f', 'dirty', [1, 0, 0])
  await bricks.blame(0, '/f', 1, [1, 0, 0])
  await bricks.blame(0, '/d', 1, [0, 0, 1], ['a', 'b'])
  await bricks.blame(0, '/kept', 1, [0, 0, 0], ['c'])
  // As a brick does that ends in between, or one of GlusterFS.
  for (const index of [0, 1, 2]) removeBehind(index, gfidText(gfid), gfidText(directory))
  expect(bricks.indices(0).dirty).toEqual([gfidText(gfid)])
  expect(Object.keys(bricks.indices(0).entryChanges)).toContain(gfidText(directory))
  await heal()
  await holds(0, { entryChanges: { [gfidText(kept)]: ['c'] } })
})

// Found on a full brick: the name was removed there never, and nothing told of it.
it('a name that is noted again while its directory is healed in part stays noted', async () => {
  const volume = await start()
  const daemon = await bricks.join(replicate, DAEMON)
  for (const graph of [daemon, client]) await graph.cut(2)
  for (const name of ['a', 'b']) await volume.write(`/${name}`, name)
  let full = true
  daemon.meddler(2).interfere(async (fop, args) => {
    if (fop !== 'mknod' || (args as FopArgs['mknod']).loc.name !== 'b' || !full) return undefined
    full = false
    // What the third brick cannot do, either, once the heal has made it there.
    for (const index of [0, 1]) {
      good(await bricks.brick(index).unlink('/a'))
      await bricks.blame(index, '/', 2, [0, 0, 1], ['a'])
    }
    return failure(Errno.ENOSPC)
  })
  for (const graph of [daemon, client]) await graph.mend(2)
  await until('all is healed', HEAL_MS, () => !full && bricks.indices(0).xattrop.length === 0)
  for (const index of [0, 1, 2]) expect(await bricks.brick(index).names('/')).toEqual(['b'])
})

/** Removes the file /f and the directory /d, and the ways to them, without the brick's knowledge. */
function removeBehind(index: number, file: string, directory: string): void {
  const root = bricks.roots[index] as string
  const handle = (gfid: string): string =>
    `${root}/.glusterfs/${gfid.slice(0, 2)}/${gfid.slice(2, 4)}/${gfid}`
  unlinkSync(`${root}/f`)
  unlinkSync(handle(file))
  rmdirSync(`${root}/d`)
  unlinkSync(handle(directory))
}
