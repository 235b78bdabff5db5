import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ContextKey } from './context.ts'
import { Fd } from './fd.ts'
import { type Gfid, gfidFromBytes, gfidText, NULL_GFID, ROOT_GFID } from './gfid.ts'
import { S_IFDIR, S_IFREG } from './iatt.ts'
import { type Inode, InodeTable } from './inode.ts'
import { entryLoc, inodeLoc } from './loc.ts'

const gfid = (number: number): Gfid => {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(number, 8)
  bytes[15] = 0xff
  return gfidFromBytes(bytes)
}

function tableOf(lruLimit = 0): { table: InodeTable; forgotten: Inode[] } {
  const forgotten: Inode[] = []
  const table = new InodeTable({
    name: 'test',
    lruLimit,
    onForget: inode => forgotten.push(inode),
  })
  return { table, forgotten }
}

/** As a face of a volume does: linked under a name, and told to the kernel once. */
function add(
  table: InodeTable,
  number: number,
  parent: Inode,
  name: string,
  type = S_IFREG,
): Inode {
  const inode = table.link(table.create(), { gfid: gfid(number), type }, parent, name)
  table.lookup(inode)
  return inode
}

const sizes = (table: InodeTable): number[] => {
  const { activeSize, lruSize, purgeSize } = table.status()
  return [activeSize, lruSize, purgeSize]
}

describe('an inode', () => {
  it('is on the active list while it is referenced, on lru while it is remembered', () => {
    const { table, forgotten } = tableOf()
    const inode = add(table, 1, table.root, 'f')
    expect([inode.list?.name, ...sizes(table)]).toEqual(['lru', 1, 1, 0])
    table.ref(inode)
    expect([inode.list?.name, ...sizes(table)]).toEqual(['active', 2, 0, 0])
    table.unref(inode)
    expect(inode.list?.name).toBe('lru')
    table.forget(inode, 1)
    expect(forgotten).toEqual([inode])
    expect([inode.list, table.find(gfid(1)), table.child(table.root, 'f')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('that nobody has been told of goes with its last reference', () => {
    const { table, forgotten } = tableOf()
    const inode = table.link(table.create(), { gfid: gfid(1), type: S_IFREG }, table.root, 'f')
    table.ref(inode)
    table.unref(inode)
    expect(forgotten).toEqual([inode])
  })

  it('outlives its lookups while it is referenced', () => {
    const { table, forgotten } = tableOf()
    const inode = add(table, 1, table.root, 'f')
    table.ref(inode)
    table.forget(inode, 99)
    expect([inode.nlookup, inode.list?.name]).toEqual([0, 'active'])
    expect(forgotten).toEqual([])
    table.unref(inode)
    expect(forgotten).toEqual([inode])
  })

  it('is held by its open fds and by its entries', () => {
    const { table, forgotten } = tableOf()
    const directory = add(table, 1, table.root, 'd', S_IFDIR)
    const file = add(table, 2, directory, 'f')
    expect(directory.list?.name).toBe('active')
    const released: Fd[] = []
    const fd = new Fd({ inode: file, flags: 0, pid: 1, onRelease: each => released.push(each) })
    fd.bind().bind()
    expect([file.fdCount, file.ref]).toEqual([1, 1])
    table.forget(file, 1)
    table.forget(directory, 1)
    expect(forgotten).toEqual([])
    fd.ref()
    fd.unref()
    expect(released).toEqual([])
    fd.unref()
    expect(released).toEqual([fd])
    expect(forgotten).toEqual([file, directory])
    expect(() => fd.unref()).toThrow()
  })

  it('keeps one context for each translator, until it is forgotten', () => {
    const { table } = tableOf()
    const [one, other] = [new ContextKey<string>(0), new ContextKey<string>(3)]
    const inode = add(table, 1, table.root, 'f')
    one.set(inode, 'a')
    expect(other.obtain(inode, () => 'b')).toBe('b')
    expect([one.get(inode), other.get(inode)]).toEqual(['a', 'b'])
    table.forget(inode, 1)
    expect([one.get(inode), other.get(inode)]).toEqual([undefined, undefined])
  })

  it('is evicted whatever refers to it', () => {
    const { table, forgotten } = tableOf()
    const directory = add(table, 1, table.root, 'd', S_IFDIR)
    const file = add(table, 2, directory, 'f')
    table.ref(directory)
    table.evict(directory)
    expect(forgotten).toEqual([directory])
    expect([file.dentries.size, table.find(gfid(2))]).toEqual([0, file])
    table.unref(directory)
    table.evict(directory)
    table.evict(table.root)
    expect(forgotten).toEqual([directory])
  })
})

describe('linking', () => {
  it('gives the inode that the table has for a gfid', () => {
    const { table } = tableOf()
    const first = add(table, 1, table.root, 'f')
    const fresh = table.create()
    const again = table.link(fresh, { gfid: gfid(1), type: S_IFREG }, table.root, 'g')
    expect([again, fresh.gfid]).toEqual([first, NULL_GFID])
    expect([...first.dentries].map(dentry => dentry.name)).toEqual(['f', 'g'])
  })

  it('moves a name from the inode that had it', () => {
    const { table } = tableOf()
    const old = add(table, 1, table.root, 'f')
    const fresh = add(table, 2, table.root, 'f')
    expect(table.child(table.root, 'f')).toBe(fresh)
    expect(old.dentries.size).toBe(0)
  })

  it('gives a directory one name: news of another means that it has moved', () => {
    const { table } = tableOf()
    const directory = add(table, 1, table.root, 'd', S_IFDIR)
    add(table, 1, table.root, 'e', S_IFDIR)
    expect([...directory.dentries].map(dentry => dentry.name)).toEqual(['e'])
    expect(table.child(table.root, 'd')).toBeUndefined()
  })

  it('takes back an inode that was forgotten while somebody was looking it up', () => {
    const { table } = tableOf()
    const inode = add(table, 1, table.root, 'log')
    table.unlink(table.root, 'log')
    table.forget(inode, 1)
    expect(table.find(gfid(1))).toBeUndefined()
    table.ref(inode)
    const linked = table.link(inode, { gfid: gfid(1), type: S_IFREG }, table.root, 'log')
    expect(linked).toBe(inode)
    expect(table.child(table.root, 'log')).toBe(inode)
    expect(inode.list).toBe(table.active)
    table.unref(inode)
  })

  it('makes no circles and no dots', () => {
    const { table } = tableOf()
    const directory = add(table, 1, table.root, 'd', S_IFDIR)
    const below = add(table, 2, directory, 'e', S_IFDIR)
    add(table, 1, below, 'loop', S_IFDIR)
    add(table, 1, directory, 'self', S_IFDIR)
    expect(directory.path()).toBe('/d')
    expect(table.child(below, 'loop')).toBeUndefined()
    table.link(below, { gfid: gfid(2), type: S_IFDIR }, directory, '..')
    table.link(below, { gfid: gfid(2), type: S_IFDIR }, directory, '.')
    expect([...directory.children.keys()]).toEqual(['e'])
  })

  it('never takes the null gfid, a slash, or an inode of another table', () => {
    const { table } = tableOf()
    const link = (inode: Inode, name: string, id = gfid(1)) =>
      table.link(inode, { gfid: id, type: S_IFREG }, table.root, name)
    expect(() => link(table.create(), 'f', NULL_GFID)).toThrow()
    expect(() => link(table.create(), 'a/b')).toThrow()
    expect(() => link(tableOf().table.create(), 'f')).toThrow()
    const known = add(table, 3, table.root, 'x')
    expect(() => link(known, 'y', gfid(4))).toThrow()
  })
})

describe('names', () => {
  it('move by rename, over what was there', () => {
    const { table } = tableOf()
    const directory = add(table, 1, table.root, 'd', S_IFDIR)
    const file = add(table, 2, table.root, 'f')
    const lost = add(table, 3, directory, 'g')
    table.rename(table.root, 'f', directory, 'g')
    expect([table.child(directory, 'g'), file.path(), lost.dentries.size]).toEqual([
      file,
      '/d/g',
      0,
    ])
    // A name that is not known takes what is known of the new one away.
    table.rename(table.root, 'unknown', directory, 'g')
    expect(table.child(directory, 'g')).toBeUndefined()
  })

  it('that go leave the others', () => {
    const { table } = tableOf()
    const file = add(table, 1, table.root, 'f')
    add(table, 1, table.root, 'g')
    table.unlink(table.root, 'f')
    table.unlink(table.root, 'never there')
    expect([table.child(table.root, 'f'), file.path()]).toEqual([undefined, '/g'])
  })

  it('make paths, as far as they are known', () => {
    const { table } = tableOf()
    expect(table.root.path()).toBe('/')
    const lonely = table.obtain(gfid(7))
    const text = `<gfid:${gfidText(gfid(7))}>`
    expect(lonely.path()).toBe(text)
    lonely.type = S_IFDIR
    const below = add(table, 8, lonely, 'f')
    expect(below.path()).toBe(`${text}/f`)
    expect(inodeLoc(below)).toMatchObject({ gfid: gfid(8), pargfid: NULL_GFID, name: '' })
    expect(entryLoc(table.root, 'x', below)).toMatchObject({
      path: '/x',
      pargfid: ROOT_GFID,
      name: 'x',
      gfid: gfid(8),
    })
    expect(entryLoc(lonely, 'f', below).path).toBe(`${text}/f`)
  })
})

describe('the limit', () => {
  it('makes the oldest unused inodes go', () => {
    const { table, forgotten } = tableOf(3)
    const inodes = [1, 2, 3, 4, 5].map(number => {
      const inode = table.obtain(gfid(number))
      return inode
    })
    expect(forgotten).toEqual(inodes.slice(0, 2))
    // Use makes young again.
    table.unref(table.ref(inodes[2] as Inode))
    table.obtain(gfid(6))
    expect(forgotten.at(-1)).toBe(inodes[3])
    expect(table.size).toBe(4)
  })

  it('spares what is referenced, and takes what was made of it', () => {
    const { table, forgotten } = tableOf(1)
    const directory = table.obtain(gfid(1))
    directory.type = S_IFDIR
    add(table, 2, directory, 'f')
    add(table, 3, directory, 'g')
    table.prune()
    expect(forgotten.map(inode => inode.gfid)).toEqual([gfid(2)])
    table.lruLimit = 0
    for (let number = 10; number < 20; number++) table.obtain(gfid(number))
    expect(table.lru.size).toBe(11)
    table.lruLimit = 2
    table.prune()
    expect(table.lru.size).toBe(2)
    expect(directory.list?.name).toBe('lru')
  })

  it('asks the kernel, where it is one that knows of the inodes', () => {
    const { table, forgotten } = tableOf(1)
    const asked: Inode[] = []
    table.setInvalidator(inode => asked.push(inode))
    const [first, second] = [add(table, 1, table.root, 'a'), add(table, 2, table.root, 'b')]
    table.prune()
    expect([asked, forgotten, first.list?.name]).toEqual([[first], [], 'invalidate'])
    table.prune()
    expect(asked).toEqual([first])
    // Used in between, it is asked of again later.
    table.unref(table.ref(first))
    table.prune()
    expect(asked).toEqual([first, second])
    table.forget(second, 1)
    expect(forgotten).toEqual([second])
    expect(table.find(gfid(1))).toBe(first)
  })
})

describe('whatever happens', () => {
  it('lists, names and references agree', () => {
    const step = fc.record({
      action: fc.constantFrom(
        'link',
        'ref',
        'unref',
        'forget',
        'unlink',
        'rename',
        'evict',
        'obtain',
      ),
      number: fc.integer({ min: 1, max: 6 }),
      other: fc.integer({ min: 0, max: 6 }),
      name: fc.constantFrom('a', 'b', 'c'),
      to: fc.constantFrom('a', 'b', 'c'),
    })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 0, max: 4 }),
        (steps, limit) => {
          const { table, forgotten } = tableOf(limit)
          const held = new Map<Inode, number>()
          for (const { action, number, other, name, to } of steps) {
            // Odd numbers are directories.
            const inode = table.find(gfid(number))
            const parent = (other % 2 === 1 ? table.find(gfid(other)) : undefined) ?? table.root
            if (action === 'link') add(table, number, parent, name, number % 2 ? S_IFDIR : S_IFREG)
            else if (action === 'obtain') table.obtain(gfid(number))
            else if (action === 'unlink') table.unlink(parent, name)
            else if (action === 'rename') table.rename(table.root, name, parent, to)
            else if (inode !== undefined && action === 'ref') {
              table.ref(inode)
              held.set(inode, (held.get(inode) ?? 0) + 1)
            } else if (inode !== undefined && action === 'unref' && (held.get(inode) ?? 0) > 0) {
              held.set(inode, (held.get(inode) as number) - 1)
              table.unref(inode)
            } else if (inode !== undefined && action === 'forget') table.forget(inode, 1)
            else if (inode !== undefined && action === 'evict') {
              table.evict(inode)
              held.delete(inode)
            }
          }
          expect(new Set(forgotten).size).toBe(forgotten.length)
          table.prune()
          checkTable(table, held, limit)
        },
      ),
      { numRuns: 500 },
    )
  })
})

function checkTable(table: InodeTable, held: Map<Inode, number>, limit: number): void {
  let listed = 0
  for (const list of [table.active, table.lru, table.purge, table.invalidating]) {
    const members = [...list]
    expect(members.length).toBe(list.size)
    for (const inode of members) expect(inode.list).toBe(list)
    listed += members.length
  }
  expect(listed).toBe(table.size)
  if (limit > 0) expect(table.lru.size).toBeLessThanOrEqual(limit)
  for (const inode of table) {
    expect(table.find(inode.gfid)).toBe(inode)
    if (inode !== table.root) {
      expect(inode.ref).toBe((held.get(inode) ?? 0) + inode.children.size)
      expect(inode.list?.name === 'active').toBe(inode.ref > 0)
    }
    for (const dentry of inode.dentries)
      expect(dentry.parent.children.get(dentry.name)).toBe(dentry)
    for (const [name, dentry] of inode.children) {
      expect([dentry.name, dentry.parent]).toEqual([name, inode])
      expect(table.find(dentry.inode.gfid)).toBe(dentry.inode)
    }
    if (inode.isDirectory) expect(inode.dentries.size).toBeLessThanOrEqual(1)
  }
}
