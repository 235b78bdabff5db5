import {
  type Ctx,
  Dict,
  EMPTY_IATT,
  entryLoc,
  Errno,
  type FopName,
  failure,
  type Gfid,
  type GraphEvent,
  type Inode,
  inodeLoc,
  IPC_NAMES_RETURNED,
  NAMES_LEASE,
  type Reply,
  ROOT_CTX,
  S_IFDIR,
  Xattrop,
} from '@ashlar/core'
import { FakeClock, fileStat, gfidOf, type Scripted, scripted, settled } from '@ashlar/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { upcall } from './index.ts'
import { NamesLeases } from './names-leases.ts'

const DIRECTORY = gfidOf('dir')

describe('leases on names', () => {
  let clock: FakeClock
  let leases: NamesLeases
  let told: { client: string; gfid: Gfid; lease: string }[]

  beforeEach(() => {
    clock = new FakeClock()
    told = []
    leases = new NamesLeases(clock, 'start', (client, gfid, lease) =>
      told.push({ client, gfid, lease }),
    )
  })

  const grant = (client: string, gfid = DIRECTORY): string | undefined => leases.grant(client, gfid)

  /** A change by `client` begins: whether it may go on, as soon as that is so. */
  function begin(client: string, gfid = DIRECTORY): { goesOn: boolean } {
    const state = { goesOn: false }
    const others = leases.begin(client, gfid)
    if (others === undefined) state.goesOn = true
    else void others.then(() => (state.goesOn = true))
    return state
  }

  test('nobody has one: names are made at once, and nothing is kept', () => {
    expect(begin('b').goesOn).toBe(true)
    leases.end('b', DIRECTORY)
    expect(leases.size).toBe(0)
  })

  test('another client waits until it is returned', async () => {
    const lease = grant('a') as string
    const change = begin('b')
    await settled()
    expect(told).toEqual([{ client: 'a', gfid: DIRECTORY, lease }])
    expect(change.goesOn).toBe(false)
    leases.returned('a', lease)
    await settled()
    expect(change.goesOn).toBe(true)
    leases.end('b', DIRECTORY)
    expect(leases.size).toBe(0)
  })

  test('or has run out, when the client is silent', async () => {
    grant('a')
    clock.advance(500)
    const change = begin('b')
    clock.advance(1499)
    await settled()
    expect(change.goesOn).toBe(false)
    clock.advance(1)
    await settled()
    expect(change.goesOn).toBe(true)
    // The next one does not wait again.
    expect(begin('b').goesOn).toBe(true)
    expect(told).toHaveLength(1)
  })

  test('or the client has gone', async () => {
    grant('a')
    grant('a', gfidOf('other'))
    const change = begin('b')
    leases.clientGone('a')
    await settled()
    expect(change.goesOn).toBe(true)
    expect(begin('b', gfidOf('other')).goesOn).toBe(true)
    expect(told).toHaveLength(1)
  })

  test('one that has run out is not asked for', () => {
    grant('a')
    clock.advance(2000)
    expect(begin('b').goesOn).toBe(true)
    expect(told).toEqual([])
  })

  test('only its holder returns it, and by its number', async () => {
    const lease = grant('a') as string
    const change = begin('b')
    leases.returned('b', lease)
    leases.returned('a', 'start.17')
    await settled()
    expect(change.goesOn).toBe(false)
    leases.returned('a', lease)
    leases.returned('a', lease)
    await settled()
    expect(change.goesOn).toBe(true)
  })

  test("all others' are waited for, the maker's own is not", async () => {
    const [a, b, c] = ['a', 'b', 'c'].map(client => grant(client) as string)
    const change = begin('b')
    expect(told.map(each => each.client)).toEqual(['a', 'c'])
    leases.returned('a', a as string)
    await settled()
    expect(change.goesOn).toBe(false)
    leases.returned('c', c as string)
    await settled()
    expect(change.goesOn).toBe(true)
    leases.end('b', DIRECTORY)
    expect(grant('b')).toBe(b)
  })

  test('who makes a name while others wait for the same lease waits with them', async () => {
    const lease = grant('a') as string
    const [first, second] = [begin('b'), begin('c')]
    expect(told).toHaveLength(1)
    // The holder itself knows what it makes.
    expect(begin('a').goesOn).toBe(true)
    leases.returned('a', lease)
    await settled()
    expect([first.goesOn, second.goesOn]).toEqual([true, true])
  })

  test('none is granted to others while a change is under way', async () => {
    begin('b')
    begin('b')
    expect(grant('a')).toBeUndefined()
    expect(grant('b')).toBeDefined()
    leases.end('b', DIRECTORY)
    expect(grant('a')).toBeUndefined()
    leases.end('b', DIRECTORY)
    expect(grant('a')).toBeDefined()
  })

  test('none is granted while one is recalled, not even to the holder', () => {
    const lease = grant('a') as string
    begin('b')
    leases.end('b', DIRECTORY)
    expect(grant('a')).toBeUndefined()
    expect(grant('c')).toBeUndefined()
    leases.returned('a', lease)
    expect(grant('a')).toBeDefined()
  })

  test('the number is the same as long as nobody else has made a name', () => {
    const lease = grant('a')
    expect(grant('a')).toBe(lease)
    clock.advance(60_000)
    expect(grant('a')).toBe(lease)
    begin('a')
    leases.end('a', DIRECTORY)
    expect(grant('a')).toBe(lease)
    clock.advance(60_000)
    begin('b')
    leases.end('b', DIRECTORY)
    const next = grant('a')
    expect(next).toBeDefined()
    expect(next).not.toBe(lease)
    const other = new NamesLeases(clock, 'restart', () => undefined)
    expect(other.grant('a', DIRECTORY)).not.toBe(lease)
  })

  test('nobody in particular has none', () => {
    expect(grant('')).toBeUndefined()
    grant('a')
    expect(begin('').goesOn).toBe(false)
  })

  test('directories with leases are limited; what has run out makes room', () => {
    const directory = (i: number): Gfid => gfidOf(`d${i}`)
    for (let i = 0; i < 4096; i++) expect(grant('a', directory(i))).toBeDefined()
    expect(grant('a', gfidOf('one more'))).toBeUndefined()
    clock.advance(1000)
    const kept = grant('a', directory(0))
    clock.advance(1001)
    expect(grant('a', gfidOf('one more'))).toBeDefined()
    expect(leases.size).toBe(2)
    expect(grant('a', directory(0))).toBe(kept)
    // Whatever else is full, a change is kept account of.
    for (let i = 0; i < 5000; i++) grant('a', directory(i))
    begin('b', gfidOf('changed'))
    expect(grant('a', gfidOf('changed'))).toBeUndefined()
  })
})

describe('on a brick', () => {
  let world: Scripted
  let directory: Inode
  const a: Ctx = { ...ROOT_CTX, client: 'a' }
  const b: Ctx = { ...ROOT_CTX, client: 'b' }

  beforeEach(() => {
    world = scripted(upcall)
    directory = makeDirectory('dir')
  })

  function makeDirectory(name: string): Inode {
    const { inodes } = world.graph
    return inodes.link(inodes.create(), { gfid: gfidOf(name), type: S_IFDIR }, inodes.root, name)
  }

  async function opendir(ctx: Ctx, xdata?: Dict): Promise<Dict | undefined> {
    const fd = world.graph.openFd(directory, { flags: 0, pid: 1 })
    const reply = world.graph.top.opendir(ctx, { loc: inodeLoc(directory), fd, xdata })
    await world.waiting('opendir').answer({ ok: true })
    fd.unref()
    return (await reply).xdata
  }
  const wish = (): Dict => new Dict().setString(NAMES_LEASE, 'wanted')
  const leased = async (ctx: Ctx): Promise<string | undefined> =>
    (await opendir(ctx, wish()))?.getString(NAMES_LEASE)
  const recalls = (): GraphEvent[] => world.events.filter(each => each.kind === 'names-recall')
  const giveBack = (ctx: Ctx, xdata?: Dict): Promise<Reply<'ipc'>> =>
    world.graph.top.ipc(ctx, { op: IPC_NAMES_RETURNED, xdata })

  test('who does not ask is granted none, nor who may not open the directory', async () => {
    expect(await opendir(a)).toBeUndefined()
    const fd = world.graph.openFd(directory, { flags: 0, pid: 1 })
    const loc = inodeLoc(directory)
    const refused = world.graph.top.opendir(a, { loc, fd, xdata: wish() })
    await world.waiting('opendir').answer(failure(Errno.EACCES))
    expect(await refused).toEqual(failure(Errno.EACCES))
    expect(world.graph.xlator('top')?.dump?.()).toEqual({ namesLeases: 0 })
  })

  // It was bytes: with a NUL among them, one number in twenty came back cut, and was like all others.
  test('the number of a lease is plain text', async () => {
    expect(await leased(a)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.1$/)
  })

  test('a lease that is returned without a number', async () => {
    expect(await giveBack(a)).toMatchObject({ ok: false, errno: Errno.EINVAL })
    expect(world.calls).toEqual([])
  })

  const fresh = (name: string) => entryLoc(directory, name, world.graph.inodes.create())
  const elsewhere = (name: string) =>
    entryLoc(world.graph.inodes.root, name, world.graph.inodes.create())
  const blame = (value: number) =>
    new Dict().setBytes(
      'trusted.afr.gv0-client-1',
      Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, value]),
    )
  const CHANGES: Record<string, () => Promise<Reply<FopName>>> = {
    create: () => {
      const loc = fresh('new')
      const fd = world.graph.openFd(loc.inode, { flags: 0o102, pid: 1 })
      return world.graph.top.create(b, { loc, fd, flags: 0o102, mode: 0o644, umask: 0 })
    },
    mknod: () => world.graph.top.mknod(b, { loc: fresh('n'), mode: 0o100644, rdev: 0, umask: 0 }),
    mkdir: () => world.graph.top.mkdir(b, { loc: fresh('new'), mode: 0o755, umask: 0 }),
    symlink: () => world.graph.top.symlink(b, { loc: fresh('new'), target: 't', umask: 0 }),
    link: () => world.graph.top.link(b, { oldloc: elsewhere('old'), newloc: fresh('new') }),
    rename: () => world.graph.top.rename(b, { oldloc: elsewhere('old'), newloc: fresh('new') }),
    'mkdir by the gfid of its parent': () =>
      world.graph.top.mkdir(b, {
        loc: { ...fresh('new'), parent: undefined, pargfid: directory.gfid },
        ...{ mode: 0o755, umask: 0 },
      }),
    'xattrop that blames another brick': () => {
      const loc = inodeLoc(directory)
      return world.graph.top.xattrop(b, { loc, op: Xattrop.ADD_ARRAY, dict: blame(1) })
    },
  }

  test.each(Object.keys(CHANGES))('%s waits for the lease, and then takes place', async how => {
    const lease = (await leased(a)) as string
    const change = (CHANGES[how] as () => Promise<Reply<FopName>>)()
    await settled()
    expect(world.outstanding).toEqual([])
    expect(recalls()).toEqual([{ kind: 'names-recall', client: 'a', gfid: directory.gfid, lease }])
    expect(await giveBack(a, new Dict().setString(NAMES_LEASE, lease))).toEqual({ ok: true })
    await settled()
    expect(world.outstanding).toEqual([how.split(' ')[0]])
    // Until it has been answered nobody else is granted one.
    expect(await leased(a)).toBeUndefined()
    await world.waiting(how.split(' ')[0] as FopName).answer(failure(Errno.EIO))
    expect(await change).toEqual(failure(Errno.EIO))
    expect(await leased(a)).toBeDefined()
  })

  test("a change waits for no lease on another directory, nor its maker's own", async () => {
    expect(await leased(b)).toBeDefined()
    void (CHANGES['mkdir'] as () => unknown)()
    await world.waiting('mkdir').answer(failure(Errno.EEXIST))
    await leased(a)
    void world.graph.top.mkdir(b, { loc: elsewhere('x'), mode: 0o755, umask: 0 })
    void world.graph.top.rename(b, { oldloc: fresh('gone'), newloc: elsewhere('y') })
    expect(world.outstanding).toEqual(['mkdir', 'rename'])
  })

  test('reading a changelog, or changing that of a file, is no change of names', async () => {
    await leased(a)
    const file = world.file('file')
    const { top } = world.graph
    const op = Xattrop.ADD_ARRAY
    void top.xattrop(b, { loc: inodeLoc(directory), op, dict: blame(0) })
    void top.xattrop(b, { loc: inodeLoc(file), op, dict: blame(1) })
    await settled()
    expect(world.outstanding).toEqual(['xattrop', 'xattrop'])
    expect(recalls()).toEqual([])
  })

  test('a silent client holds a change up for two seconds', async () => {
    await leased(a)
    void (CHANGES['create'] as () => unknown)()
    world.clock.advance(1999)
    await settled()
    expect(world.outstanding).toEqual([])
    world.clock.advance(1)
    await settled()
    expect(world.outstanding).toEqual(['create'])
    await world.waiting('create').answer({
      ...{ ok: true, stat: fileStat('f', 1), preparent: EMPTY_IATT, postparent: EMPTY_IATT },
    })
    expect(world.graph.xlator('top')?.dump?.()).toEqual({ namesLeases: 0 })
  })

  test('a client that goes leaves nothing behind', async () => {
    await leased(a)
    world.graph.clientGone('a')
    expect(world.graph.xlator('top')?.dump?.()).toEqual({ namesLeases: 0 })
  })
})
