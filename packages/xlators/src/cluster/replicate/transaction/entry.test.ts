import {
  EntrylkCommand,
  EntrylkType,
  entryLoc,
  Errno,
  failure,
  type FopArgs,
  gfidText,
  inodeLoc,
  type Reply,
} from '@ashlar/core'
import { BrickSet, errnoOf, good, type SetGraph, until, within } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { decodeCounters } from '../changelog.ts'
import { replicate } from '../index.ts'

const DOMAIN = 'gv0-replicate-0'
const DONE_MS = 8000

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, { 'quorum-type': 'auto' })
})
afterEach(() => bricks.stop())

const brokenFops = new Set(['mkdir', 'create', 'link'])

/** The second brick makes nothing any more. */
function breakSecond(): void {
  client.meddler(1).interfere(fop => (brokenFops.has(fop) ? failure(Errno.EIO) : undefined))
}

// Found by simulation: the second mkdir made another directory on the brick that had failed, and
// the two of different gfids were never healed.
it('takes a name away again that too few bricks have made', async () => {
  await bricks.write('/old', 'content')
  await client.cut(0)
  breakSecond()
  expect(errnoOf(await client.volume.mkdir('/directory'))).toBe(Errno.EIO)
  const { reply, fd } = await client.volume.create('/file')
  fd.unref()
  expect(errnoOf(reply)).toBe(Errno.EIO)
  expect(errnoOf(await client.volume.link('/old', '/other'))).toBe(Errno.EIO)
  expect(await bricks.brick(2).names('/')).toEqual(['old'])

  client.meddler(1).interfere(undefined)
  good(await client.volume.mkdir('/directory'))
  const [one, other] = [
    await bricks.brick(1).stat('/directory'),
    await bricks.brick(2).stat('/directory'),
  ]
  expect(other.gfid).toBe(one.gfid)
})

it('leaves a file alone that a create has found', async () => {
  await bricks.write('/file', 'content')
  await client.cut(0)
  breakSecond()
  const { reply, fd } = await client.volume.create('/file')
  fd.unref()
  expect(reply.ok).toBe(false)
  expect(await bricks.brick(2).read('/file')).toBe('content')
})

// Found by simulation: the brick that had missed what is in it let it go, and a heal went by that brick.
it('removes no directory that is empty only where names were missed', async () => {
  for (const path of ['/directory', '/other']) await bricks.mkdir(path)
  await bricks.write('/directory/file', 'content', [0, 1])
  for (const index of [0, 1]) await bricks.blame(index, '/directory', 2, [0, 0, 1], ['file'])
  const { volume } = client
  expect(errnoOf(await volume.rmdir('/directory'))).toBe(Errno.ENOTEMPTY)
  expect(errnoOf(await volume.rename('/other', '/directory'))).toBe(Errno.ENOTEMPTY)
  expect((await bricks.brick(2).names('/')).toSorted()).toEqual(['directory', 'other'])
})

// Found by simulation: one brick had the one file under that name and the others the other one.
it('moves nothing over a file that too few bricks have', async () => {
  await bricks.write('/file', 'content')
  await bricks.write('/new', 'changed', [0, 1])
  for (const index of [0, 1]) await bricks.blame(index, '/', 2, [0, 0, 1], ['new'])
  const { volume } = client
  await client.cut(1)
  expect((await volume.rename('/new', '/file')).ok).toBe(false)
  expect(await bricks.contents('/file')).toEqual(['content', 'content', 'content'])
})

// Found by simulation: it had another file under the name, moved that, and counted as good.
it('blames a brick that has moved another file', async () => {
  await bricks.write('/file', 'content', [0, 1])
  await bricks.write('/file', 'outdated', [2])
  for (const index of [0, 1]) await bricks.blame(index, '/', 2, [0, 0, 1], ['file'])
  client.meddler(2).interfere(fop => (fop === 'lookup' ? failure(Errno.EIO) : undefined))
  await client.volume.inode('/file')
  good(await client.volume.rename('/file', '/new'))
  const key = `trusted.afr.${bricks.childName(2)}`
  for (const index of [0, 1])
    expect(decodeCounters(bricks.xattr(index, '/', key))).toEqual([0, 0, 3])
})

/** Another client locks or unlocks a name of the root on one brick; undefined: all names. */
async function othersLock(
  index: number,
  owner: string,
  command: number,
  name: string | undefined,
): Promise<Reply<'entrylk'>> {
  const { top, ctx, graph } = bricks.brick(index)
  const loc = inodeLoc(graph.inodes.root)
  const type = EntrylkType.WRLCK
  return top.entrylk(
    { ...ctx, client: owner, lkOwner: owner },
    { loc, domain: DOMAIN, name, command, type },
  )
}

/** Resolves when the client waits for a lock of a name on a brick. */
async function waitsOn(index: number): Promise<void> {
  let waits = false
  client.meddler(index).interfere((fop, args) => {
    waits ||= fop === 'entrylk' && (args as FopArgs['entrylk']).command === EntrylkCommand.LOCK
    return undefined
  })
  await until('it waits', DONE_MS, () => waits)
}

// A healer had all names on the brick that was back, and waited for the first name on the next one.
it('asks a brick for no further name that has lost the first one', async () => {
  await bricks.write('/a', 'content')
  good(await othersLock(1, 'writer', EntrylkCommand.LOCK, 'a'))
  const waits = waitsOn(1)
  const renaming = client.volume.rename('/a', '/b')
  await waits
  await client.cut(0)
  await client.mend(0)
  good(await othersLock(0, 'healer', EntrylkCommand.LOCK, undefined))
  const healing = othersLock(1, 'healer', EntrylkCommand.LOCK, undefined)
  good(await othersLock(1, 'writer', EntrylkCommand.UNLOCK, 'a'))
  good(await within('it is renamed', DONE_MS, renaming))
  good(await within('the healer has the lock', DONE_MS, healing))
  expect(await bricks.brick(1).names('/')).toEqual(['b'])
})

// The first name's lock was had by all bricks, and what stood for "no failure" was told.
it('tells why one of two names could not be locked', async () => {
  client = await bricks.join(replicate, { 'quorum-type': 'auto', 'eager-lock': 'off' })
  await bricks.write('/file', 'content')
  const room = await bricks.mkdir('/room')
  for (const index of [0, 1, 2]) {
    client.meddler(index).interfere((fop, args) => {
      if (fop !== 'entrylk') return undefined
      const { loc } = args as FopArgs['entrylk']
      return loc.gfid === room ? failure(Errno.ESTALE) : undefined
    })
  }
  expect(errnoOf(await client.volume.rename('/file', '/room/file'))).toBe(Errno.ESTALE)
})

// The counter of the brick that was away came to zero again, and that of the other one was not looked at.
it('leaves a directory to be healed that was listed before it refused something', async () => {
  const gfid = await bricks.mkdir('/d')
  await bricks.mkdir('/d/there')
  await bricks.blame(0, '/d', 1, [0, 0, 1], ['missed'])
  await bricks.blame(0, '/d', 1, [0, 1, 0])
  const listed = (): boolean => bricks.indices(0).xattrop.includes(gfidText(gfid))
  expect(listed()).toBe(true)
  const key = `trusted.afr.${bricks.childName(2)}`
  const takenBack = (): Promise<unknown> =>
    until('the blame of the third is taken back', DONE_MS, () => {
      const bytes = bricks.xattr(0, '/d', key)
      return bytes !== undefined && bytes.every(byte => byte === 0)
    })
  await client.cut(2)
  const { volume } = client
  const loc = entryLoc(await volume.inode('/d'), 'there', volume.graph.inodes.create())
  const made = await volume.top.mkdir(volume.ctx, {
    loc,
    mode: 0o755,
    umask: 0,
    xdata: volume.fresh(),
  })
  expect(errnoOf(made)).toBe(Errno.EEXIST)
  await takenBack()
  expect(listed()).toBe(true)
  const removed = { loc: await volume.loc('/d'), name: 'user.not-there' }
  expect(errnoOf(await volume.top.removexattr(volume.ctx, removed))).toBe(Errno.ENODATA)
  await takenBack()
  expect(listed()).toBe(true)
})

// Found with a full brick: it could not note what another one missed, the last one did the rename alone,
// and a gfid mismatch stayed where the rename had been answered with an error.
it('does what cannot be taken back nowhere when too few can note it', async () => {
  for (const path of ['/file', '/other']) await bricks.write(path, path)
  await bricks.mkdir('/d')
  await client.cut(0)
  client.meddler(1).interfere(async fop => (fop === 'xattrop' ? failure(Errno.ENOSPC) : undefined))
  const { volume } = client
  expect(errnoOf(await volume.rename('/file', '/other'))).toBe(Errno.ENOSPC)
  expect(errnoOf(await volume.unlink('/file'))).toBe(Errno.ENOSPC)
  expect(errnoOf(await volume.rmdir('/d'))).toBe(Errno.ENOSPC)
  expect((await bricks.brick(2).names('/')).toSorted()).toEqual(['d', 'file', 'other'])
  expect(await bricks.brick(2).read('/other')).toBe('/other')
})

// Found with two bricks stopped: they went on with what was sent to them when it was undone elsewhere,
// and nothing told of the name that they had and the third had not.
it('remembers to look at a name that was undone, when a brick may yet make it', async () => {
  for (const index of [0, 1])
    client
      .meddler(index)
      .interfere(async fop => (fop === 'mkdir' ? failure(Errno.ENOTCONN) : undefined))
  expect(errnoOf(await client.volume.mkdir('/new'))).toBe(Errno.ENOTCONN)
  expect(await bricks.brick(2).names('/')).toEqual([])
  const dirty = bricks.xattr(2, '/', 'trusted.afr.dirty')
  expect(dirty === undefined ? undefined : decodeCounters(dirty)).toEqual([0, 0, 1])
})
