/**
 * Outages and what heals make of them: a client works while a brick is cut off, the brick comes back,
 * and the self-heal daemon makes all copies alike.
 */

import { createHash } from 'node:crypto'
import {
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import {
  type AnyXlatorDefinition,
  EntrylkCommand,
  EntrylkType,
  Errno,
  entryLoc,
  failure,
  gfidText,
  inodeLoc,
  OpenFlag,
  S_IFCHR,
  SetAttr,
} from '@ashlar/core'
import {
  BrickSet,
  errnoOf,
  good,
  type Meddler,
  meddler,
  meddlerOf,
  type SetGraph,
  type TestVolume,
  until,
  within,
} from '@ashlar/testkit'
import { afterEach, expect, it } from 'vitest'
import { type SetHealer } from './index.ts'
import { replicate } from '../index.ts'
import { type HealingXlator, healerOf, type Healer } from '../healer.ts'

const VOLUME_ID = 'f3663609-b364-4aeb-b13b-4376c3ba237e'
const HEAL_MS = 45_000
const COMMON = {
  'granular-entry-heal': 'on',
  'use-anonymous-inode': 'on',
  'volume-id': VOLUME_ID,
  'self-heal-daemon': 'on',
}
const DAEMON = {
  ...COMMON,
  'iam-self-heal-daemon': 'on',
  'data-self-heal': 'on',
  'metadata-self-heal': 'on',
  'entry-self-heal': 'on',
  'background-self-heal-count': '0',
  'heal-timeout': '5',
}

let bricks: BrickSet
let client: SetGraph
afterEach(() => bricks.stop())

async function start(
  count: number,
  options: Record<string, string> = {},
  layers: () => readonly AnyXlatorDefinition[] = () => [],
): Promise<TestVolume> {
  bricks = await BrickSet.start({ count, layers })
  client = await bricks.join(replicate, {
    ...COMMON,
    'quorum-type': count > 2 ? 'auto' : 'none',
    ...options,
  })
  return client.volume
}

/** The daemon sees all bricks: it sweeps, until nothing is pending. */
async function heal(options: Record<string, string> = {}, ms = HEAL_MS): Promise<Healer> {
  const healer = await daemon(options)
  await until('nothing is pending', ms, async () => isHealed(healer))
  return healer
}

async function daemon(options: Record<string, string> = {}): Promise<Healer> {
  const graph = await bricks.join(replicate, {
    ...DAEMON,
    'quorum-type': bricks.bricks.length > 2 ? 'auto' : 'none',
    ...options,
  })
  return healerOf(graph.top as HealingXlator) as Healer
}

async function isHealed(healer: Healer): Promise<boolean> {
  const counts = await healer.counts()
  return counts.every(count => count === 0) && isIdle(healer)
}

/** It has swept, and is not sweeping now. */
function isIdle(healer: Healer): boolean {
  return healer.statistics().length > 0 && (healer as SetHealer).dump()['sweeping'] === false
}

/** Everything a brick has below a directory: names, kinds, owners, contents, links. */
function tree(index: number, path = ''): string[] {
  const root = `${bricks.roots[index]}${path}`
  return readdirSync(root)
    .filter(name => name !== '.glusterfs' && !name.startsWith('.glusterfs-anonymous'))
    .toSorted()
    .flatMap(name => {
      const at = `${path}/${name}`
      const stat = lstatSync(`${root}/${name}`)
      const gfid = bricks.xattr(index, at, 'trusted.gfid')?.toString('hex')
      const own = `${at} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${gfid}`
      if (stat.isDirectory()) return [own, ...tree(index, at)]
      if (stat.isSymbolicLink()) return [`${own} -> ${readlinkSync(`${root}/${name}`)}`]
      if (!stat.isFile()) return [`${own} ${stat.rdev}`]
      const sum = createHash('sha1')
        .update(readFileSync(`${root}/${name}`))
        .digest('hex')
      return [`${own} ${stat.nlink} ${stat.size} ${sum}`]
    })
}

function expectAlike(): string[] {
  const [one, ...rest] = bricks.roots.map((_, index) => tree(index))
  for (const other of rest) expect(other).toEqual(one)
  return one as string[]
}

// Found with GlusterFS's client beside ours: the heal of the directory said that it has no gfid, for ever.
it('heals a name that a brick was just making when it died', async () => {
  const volume = await start(3)
  good(await volume.mkdir('/directory'))
  await client.cut(2)
  await volume.write('/directory/file', 'content')
  writeFileSync(`${bricks.roots[2]}/directory/file`, '')
  await client.mend(2)
  await heal()
  expectAlike()
})

it('heals entries that were renamed during an outage', async () => {
  const volume = await start(3)
  for (const path of ['/a', '/b', '/dir', '/beside']) good(await volume.mkdir(path))
  for (const path of ['/a/file', '/dir/in', '/swap1', '/swap2']) await volume.write(path, path)
  const kept = bricks.xattr(2, '/dir/in', 'trusted.gfid')
  const inode = statSync(`${bricks.roots[2]}/dir/in`).ino
  await client.cut(2)
  good(await volume.rename('/a/file', '/b/moved'))
  good(await volume.rename('/dir', '/a/renamed'))
  good(await volume.rename('/beside', '/behind'))
  good(await volume.rename('/swap1', '/tmp'))
  good(await volume.rename('/swap2', '/swap1'))
  good(await volume.rename('/tmp', '/swap2'))
  await client.mend(2)
  await heal()
  expectAlike()
  expect(await bricks.brick(2).read('/b/moved')).toBe('/a/file')
  expect(await bricks.brick(2).read('/swap1')).toBe('/swap2')
  expect(await bricks.brick(2).read('/swap2')).toBe('/swap1')
  // The directory was moved, not copied.
  expect(bricks.xattr(2, '/a/renamed/in', 'trusted.gfid')).toEqual(kept)
  expect(statSync(`${bricks.roots[2]}/a/renamed/in`).ino).toBe(inode)
})

it('moves a renamed directory without an anonymous directory, too', async () => {
  const volume = await start(2, { 'use-anonymous-inode': 'off' })
  good(await volume.mkdir('/x'))
  good(await volume.mkdir('/x/deep'))
  await volume.write('/x/deep/f', 'kept')
  const inode = statSync(`${bricks.roots[1]}/x/deep/f`).ino
  await client.cut(1)
  good(await volume.rename('/x/deep', '/up'))
  await client.mend(1)
  await heal({ 'use-anonymous-inode': 'off' })
  expectAlike()
  expect(statSync(`${bricks.roots[1]}/up/f`).ino).toBe(inode)
})

/** Somebody waits for a lock of names on the brick. */
function isAwaited(brick: TestVolume): boolean {
  return [...brick.graph.xlators()].some(
    ({ type, xlator }) =>
      type === 'features/locks' &&
      Object.keys(xlator.dump?.() ?? {}).some(key => /^entrylk\..*\(BLOCKED\)$/.test(key)),
  )
}

// A heal that had most bricks waited for the lock of the old directory while it held that of the new
// one, for which a client's rename waited that had the old one: both for ever.
it('does not wait for a second directory while it holds the first', async () => {
  const volume = await start(3, { 'use-anonymous-inode': 'off' })
  for (const path of ['/a', '/b', '/a/moving']) good(await volume.mkdir(path))
  await client.cut(2)
  good(await volume.rename('/a/moving', '/b/moved'))
  await client.mend(2)
  const brick = bricks.brick(0)
  const lock = async (path: string, name: string, command: number): Promise<void> => {
    const ctx = { ...brick.ctx, client: 'another', lkOwner: 'another' }
    const loc = inodeLoc(await brick.inode(path))
    const domain = 'gv0-replicate-0'
    good(await brick.top.entrylk(ctx, { loc, domain, name, command, type: EntrylkType.WRLCK }))
  }
  await lock('/a', 'moving', EntrylkCommand.LOCK)
  const graph = await bricks.join(replicate, {
    ...DAEMON,
    'quorum-type': 'auto',
    'use-anonymous-inode': 'off',
  })
  let met = false
  graph.meddler(0).interfere((fop, args) => {
    met ||= fop === 'entrylk' && 'domain' in args && 'name' in args && args.name === 'moving'
    return undefined
  })
  const healer = healerOf(graph.top as HealingXlator) as SetHealer
  healer.healIndex()
  const remembers = (): boolean => Number(healer.dump()['remembered_failures']) > 0
  // It may have begun before we looked: then it waits there, or remembers that it could not go on.
  await until('the heal has met the lock', HEAL_MS, () => met || isAwaited(brick) || remembers())
  await within('the new directory is free', HEAL_MS, lock('/b', 'moved', EntrylkCommand.LOCK))
  await lock('/b', 'moved', EntrylkCommand.UNLOCK)
  await lock('/a', 'moving', EntrylkCommand.UNLOCK)
  await until('nothing is pending', HEAL_MS, async () => isHealed(healer))
  expectAlike()
}, 120_000)

it('leaves two files of one name alone, and says so (gfid mismatch)', async () => {
  const volume = await start(2)
  await client.cut(1)
  await volume.write('/f', 'made on 0')
  await client.mend(1)
  await client.cut(0)
  const other = await bricks.join(replicate, { ...COMMON, 'quorum-type': 'none' })
  await other.cut(0)
  await other.volume.write('/f', 'made on the other')
  await client.mend(0)
  const healer = await daemon()
  await until('a sweep has ended', HEAL_MS, () =>
    healer.statistics().some(crawl => crawl.ended !== undefined && crawl.splitBrain > 0),
  )
  expect(await bricks.contents('/f')).toEqual(['made on 0', 'made on the other'])
  const info = await healer.info()
  const [root] = info.map(({ entries }) =>
    'errno' in entries ? undefined : entries.find(entry => entry.path === '/'),
  )
  expect(root?.state).toBe('split-brain')
  expect(root?.reason).toContain('gfid mismatch')
  const policy = { policy: 'bigger-file' } as const
  expect(await healer.resolve(policy, '/f')).toEqual([
    { file: '/f', outcome: 'healed', reason: '', stage: 'gfid' },
  ])
  healer.healIndex()
  await until('nothing is pending', HEAL_MS, async () => isHealed(healer))
  expectAlike()
  expect(await bricks.contents('/f')).toEqual(['made on the other', 'made on the other'])
})

// The heal of the data makes the times alike by which attributes are decided, too.
it.each(['mtime', 'ctime'])(
  'lets the newer side win both data and attributes: %s',
  async policy => {
    const volume = await start(2)
    await volume.write('/f', 'base')
    await client.cut(0)
    await volume.write('/f', 'first')
    good(await volume.setattr('/f', SetAttr.MODE, { mode: 0o640 }))
    await client.mend(0)
    const other = await bricks.join(replicate, { ...COMMON, 'quorum-type': 'none' })
    await other.cut(1)
    await other.volume.write('/f', 'later')
    good(await other.volume.setattr('/f', SetAttr.MODE, { mode: 0o600 }))
    await heal({ 'favorite-child-policy': policy })
    expect(await bricks.contents('/f')).toEqual(['later', 'later'])
    expectAlike()
    const [mode] = tree(0).filter(line => line.includes('f'))
    expect(mode).toContain('600')
  },
)

it('merges a directory of ten thousand files, most of which are on one side only', async () => {
  const names = 3334
  await start(2)
  await bricks.mkdir('/d')
  for (let i = 0; i < names; i++) await bricks.write(`/d/same${i}`, '', [0, 1])
  for (let i = 0; i < names; i++) await bricks.write(`/d/zero${i}`, `${i}`, [0])
  for (let i = 0; i < names; i++) await bricks.write(`/d/one${i}`, `${i}`, [1])
  // Both missed what the other did, and neither noted a name.
  await bricks.blame(0, '/d', 1, [0, 0, 1])
  await bricks.blame(1, '/d', 0, [0, 0, 1])
  await heal({}, 3 * HEAL_MS)
  const all = expectAlike()
  expect(all.length).toBe(1 + 3 * names)
  expect(await bricks.contents('/d/zero7')).toEqual(['7', '7'])
}, 180_000)

it('heals a file that is written meanwhile', async () => {
  const volume = await start(3)
  const size = 6 * 1024 * 1024
  const { fd, reply } = await volume.create('/big')
  good(reply)
  const write = async (offset: number, byte: number, length: number): Promise<void> => {
    const data = Buffer.alloc(length, byte)
    const written = await volume.top.writev(volume.ctx, { fd, data, offset, flags: 0 })
    expect(good(written).written).toBe(length)
  }
  for (let at = 0; at < size; at += 131_072) await write(at, 1, 131_072)
  await client.cut(1)
  for (let at = 0; at < size; at += 131_072) await write(at, 2, 131_072)
  await client.mend(1)
  let healed = false
  const healing = heal().then(() => {
    healed = true
  })
  let writes = 0
  for (let i = 0; !healed && i < 5000; i++) {
    await write((i * 7919) % (size + 200_000), 3 + (i % 200), 4096)
    writes += 1
  }
  fd.unref()
  await healing
  expect(writes).toBeGreaterThan(5)
  // Writes of the end may have been in the way of the last sweep.
  await heal()
  expectAlike()
})

it('fills a brick that was replaced by an empty one', async () => {
  const volume = await start(3)
  good(await volume.mkdir('/d'))
  good(await volume.mkdir('/d/e'))
  await volume.write('/d/e/f', 'content')
  await volume.write('/top', 'top')
  good(await volume.symlink('/link', 'd/e/f'))
  good(await volume.link('/top', '/d/hard'))
  good(await volume.setxattr('/d/e/f', { 'user.a': Buffer.from('1') }))
  await bricks.replace(1)
  client = await bricks.join(replicate, { ...COMMON, 'quorum-type': 'auto' })
  const healer = healerOf(client.top as HealingXlator) as Healer
  expect(await healer.markEmpty('gv0-client-1')).toBeUndefined()
  await client.volume.write('/during', 'written before the heal')
  await heal()
  expect(expectAlike().length).toBe(7)
  expect(bricks.xattr(1, '/d/e/f', 'user.a')?.toString()).toBe('1')
})

it('heals hard links, symbolic links and devices', async () => {
  const volume = await start(3)
  await volume.write('/old', 'one')
  good(await volume.link('/old', '/old2'))
  await client.cut(0)
  good(await volume.link('/old', '/old3'))
  good(await volume.unlink('/old2'))
  await volume.write('/new', 'two')
  good(await volume.link('/new', '/new2'))
  good(await volume.symlink('/sym', 'somewhere/else'))
  good(await volume.mknod('/pipe', 0o010644))
  const loc = await volume.entry('/null')
  good(
    await volume.top.mknod(volume.ctx, {
      loc: entryLoc(volume.graph.inodes.root, 'null', loc.inode),
      mode: S_IFCHR | 0o600,
      rdev: 0x103,
      umask: 0,
      xdata: volume.fresh(),
    }),
  )
  await client.mend(0)
  await heal()
  expect(expectAlike().length).toBe(7)
  const inodes = ['new', 'new2'].map(name => statSync(`${bricks.roots[0]}/${name}`).ino)
  expect(inodes[0]).toBe(inodes[1])
})

it('waits while the sink is full, and says so', async () => {
  const volume = await start(2, {}, () => [meddler])
  const disk = meddlerOf(bricks.brick(1).graph.xlator('testing-meddler')) as Meddler
  await volume.write('/f', 'before')
  await client.cut(1)
  const fd = await volume.open('/f')
  good(await volume.writeFd(fd, 'x'.repeat(300_000)))
  fd.unref()
  const { gfid } = await volume.stat('/f')
  await client.mend(1)
  disk.interfere(fop => (fop === 'writev' ? failure(Errno.ENOSPC) : undefined))
  const healer = await daemon()
  await until('a heal has failed', HEAL_MS, () => {
    const failed = healer.statistics().some(crawl => crawl.failed > 0)
    return failed && isIdle(healer)
  })
  const [, brick] = [0, (await healer.info())[0]]
  const entries = brick === undefined || 'errno' in brick.entries ? [] : brick.entries
  expect(entries.map(entry => [entry.path, entry.state])).toEqual([['/f', 'pending']])
  expect(entries[0]?.reason).toMatch(/gv0-client-1 missed changes that gv0-client-0 has/)
  expect(entries[0]?.reason).toMatch(/gv0-client-1 cannot take the data: the brick is full/)
  expect(entries[0]?.age).toBeGreaterThanOrEqual(0)
  expect(bricks.indices(0).xattrop).toEqual([gfidText(gfid)])
  disk.interfere(undefined)
  await until('it is healed at the next sweep', HEAL_MS, async () => isHealed(healer))
  expectAlike()
})

it('keeps holes', async () => {
  const volume = await start(2)
  const size = 64 * 1024 * 1024
  await volume.write('/sparse', 'x')
  await client.cut(1)
  const fd = await volume.open('/sparse')
  good(await volume.top.ftruncate(volume.ctx, { fd, offset: size }))
  good(await volume.writeFd(fd, 'end', size - 100))
  good(await volume.writeFd(fd, 'middle', 33 * 1024 * 1024))
  fd.unref()
  await client.mend(1)
  await heal()
  const stats = bricks.roots.map(root => statSync(`${root}/sparse`))
  expect(stats.map(stat => stat.size)).toEqual([size, size])
  expect((stats[1]?.blocks ?? 0) * 512).toBeLessThan(1024 * 1024)
  expectAlike()
})

it('heals what a lookup finds missing, at once', async () => {
  const volume = await start(3, { 'data-self-heal': 'on' })
  await client.cut(2)
  await volume.write('/f', 'text')
  await client.mend(2)
  const healer = (client.top as HealingXlator & { healer: { healName: Function } }).healer
  expect(await healer.healName(volume.graph.inodes.root.gfid, 'f')).toBeUndefined()
  expect((await bricks.brick(2).lookup('/f')).ok).toBe(true)
})

it('heals directories that were removed and made again', async () => {
  const volume = await start(3)
  good(await volume.mkdir('/d'))
  for (let i = 0; i < 40; i++) await volume.write(`/d/f${i}`, `${i}`)
  await until('all writes are settled', HEAL_MS, () =>
    bricks.bricks.every((_, i) => bricks.indices(i).dirty.length === 0),
  )
  await client.cut(1)
  for (let i = 0; i < 40; i++) good(await volume.unlink(`/d/f${i}`))
  good(await volume.rmdir('/d'))
  good(await volume.mkdir('/d'))
  good(await volume.mkdir('/d/sub'))
  await volume.write('/d/sub/g', 'new')
  good(await volume.setattr('/d', SetAttr.MODE, { mode: 0o711 }))
  await client.mend(1)
  await heal()
  expect(expectAlike().length).toBe(3)
})

// Found by simulation: each brick kept it because the other one had it, and it was never healed.
it('removes what two bricks have put aside', async () => {
  await start(3)
  await bricks.mkdir('/d', [0, 1])
  await bricks.write('/d/f', 'text', [0, 1])
  // Only the third brick is without blame, and it has removed the directory.
  for (const index of [0, 1]) await bricks.blame(2, '/', index, [0, 0, 1], ['d'])
  await heal()
  expect(bricks.roots.map((_, index) => tree(index))).toEqual([[], [], []])
  const aside = (root: string): string[] =>
    readdirSync(root)
      .filter(name => name.startsWith('.glusterfs-anonymous'))
      .flatMap(name => readdirSync(`${root}/${name}`))
  await until('nothing is put aside', HEAL_MS, () => bricks.roots.flatMap(aside).length === 0)
})

it('finds by a full crawl what no index leads to', async () => {
  const volume = await start(3)
  good(await volume.mkdir('/d'))
  await volume.write('/d/f', 'text')
  // A brick has lost a directory and says nothing of it.
  good(await bricks.brick(1).unlink('/d/f'))
  good(await bricks.brick(1).rmdir('/d'))
  const healer = await heal()
  expect((await bricks.brick(1).lookup('/d')).ok).toBe(false)
  healer.healFull()
  await until('the crawl has ended', HEAL_MS, async () => {
    const full = healer.statistics().filter(crawl => crawl.type === 'FULL')
    return full.length >= 3 && (await isHealed(healer))
  })
  expectAlike()
})

it('answers what a reader of a file in heal asks', async () => {
  const volume = await start(2)
  await volume.write('/f', 'old')
  await client.cut(1)
  const fd = await volume.open('/f', OpenFlag.RDWR)
  good(await volume.writeFd(fd, 'new'))
  fd.unref()
  await client.mend(1)
  expect(await volume.read('/f')).toBe('new')
  await heal()
  expect(await volume.read('/f')).toBe('new')
  expect(errnoOf(await volume.lookup('/none'))).toBe(Errno.ENOENT)
})
