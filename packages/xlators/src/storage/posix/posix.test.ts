/** What operations leave on a brick, and what they answer, beside the plain making of things. */

import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import {
  Dict,
  entryLoc,
  Errno,
  exclusiveXdata,
  type Gfid,
  gfidText,
  inodeLoc,
  MdataFlag,
  OpenFlag,
  SetAttr,
  Xattrop,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { errnoOf, good, TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Handles } from './handles.ts'
import { BrickError, posix } from './index.ts'
import { parseMdata } from './mdata.ts'

let root: string
let volume: TestVolume
const key = (name: string): string => (sys.geteuid() === 0 ? name : `user.${name}`)
const MDATA_KEY = 'trusted.glusterfs.mdata'

function make(options = ''): TestVolume {
  return new TestVolume({
    brick: true,
    definitions: [posix],
    volfile: `volume p
  type storage/posix
  option directory ${root}
  ${options}
end-volume`,
  })
}

async function restart(options = ''): Promise<void> {
  await volume.stop()
  volume = make(options)
  await volume.graph.start()
}

beforeEach(async () => {
  root = await mkdtemp(`${tmpdir()}/posix-`)
  volume = make()
  await volume.graph.start()
})
afterEach(async () => {
  await volume.stop()
  await rm(root, { recursive: true })
})

const disk = (path: string): string => `${root}${path}`
const handle = (gfid: Gfid): string => {
  const text = gfidText(gfid)
  return disk(`/.glusterfs/${text.slice(0, 2)}/${text.slice(2, 4)}/${text}`)
}
const resting = (gfid: Gfid): string => disk(`/.glusterfs/unlink/${gfidText(gfid)}`)
/** What is stored, whatever the mode: without root, reading xattrs takes the owner's bits. */
function read(path: string, name: string): Buffer | number {
  const { mode } = statSync(path)
  chmodSync(path, mode | 0o600)
  const value = sys.lgetxattr(path, name)
  chmodSync(path, mode & 0o7777)
  return value
}
const xattr = (path: string, name: string): Buffer | number => read(disk(path), key(name))
const recordedNames = (path: string): string[] =>
  (sys.llistxattr(path) as string[])
    .filter(name => name.includes('trusted.gfid2path.'))
    .map(name => read(path, name).toString())
    .toSorted()
const at = (gfid: Gfid) => inodeLoc(volume.graph.inodes.obtain(gfid))

describe('opening a brick', () => {
  const opened = (options = ''): void => {
    make(options)
  }

  it('refuses one of another volume, or of none', async () => {
    await volume.stop()
    const id = '7baac823-4f40-4d31-91aa-111111111111'
    expect(() => opened(`option volume-id ${id}`)).toThrow(BrickError)
    expect(() => opened(`option volume-id ${id}`)).toThrow(/mounted/)
    sys.lsetxattr(root, key('trusted.glusterfs.volume-id'), Buffer.alloc(16, 7), 0)
    expect(() => opened(`option volume-id ${id}`)).toThrow(/another volume/)
    sys.lsetxattr(
      root,
      key('trusted.glusterfs.volume-id'),
      Buffer.from(id.replaceAll('-', ''), 'hex'),
      0,
    )
    volume = make(`option volume-id ${id}`)
    await volume.graph.start()
    expect(volume.events.some(event => event.kind === 'child-up')).toBe(true)
  })

  it('refuses a directory that is a part of another brick', async () => {
    await volume.stop()
    sys.lsetxattr(root, key('trusted.gfid'), Buffer.alloc(16, 9), 0)
    expect(() => opened()).toThrow(/gfid of another/)
    sys.lsetxattr(root, key('trusted.gfid'), Buffer.from(`${'00'.repeat(15)}01`, 'hex'), 0)
    volume = make()
  })

  it('throws away what was unlinked and open when it last stopped', async () => {
    writeFileSync(disk('/.glusterfs/unlink/11111111-1111-4111-8111-111111111111'), 'x')
    await restart()
    expect(readdirSync(disk('/.glusterfs/unlink'))).toEqual([])
  })
})

describe('names', () => {
  it('are recorded with the file as it is linked, renamed and unlinked', async () => {
    good(await volume.mkdir('/d'))
    const directory = gfidText((await volume.stat('/d')).gfid)
    const { gfid } = await volume.write('/a', 'data')
    const top = '00000000-0000-0000-0000-000000000001'
    expect(recordedNames(handle(gfid))).toEqual([`${top}/a`])
    good(await volume.link('/a', '/d/b'))
    expect(recordedNames(handle(gfid))).toEqual([`${top}/a`, `${directory}/b`].toSorted())
    good(await volume.rename('/a', '/d/c'))
    expect(recordedNames(handle(gfid))).toEqual([`${directory}/b`, `${directory}/c`])
    expect((await volume.stat('/d/c')).nlink).toBe(2)
    good(await volume.unlink('/d/b'))
    expect(recordedNames(handle(gfid))).toEqual([`${directory}/c`])
    expect(statSync(handle(gfid)).ino).toBe(statSync(disk('/d/c')).ino)
    const paths = good(await volume.getxattr('/d/c', 'glusterfs.gfidtopath')).dict
    expect(paths.getString('glusterfs.gfidtopath')).toBe('/d/c')
    good(await volume.unlink('/d/c'))
    expect(existsSync(handle(gfid))).toBe(false)
  })

  it('of directories are in their handles', async () => {
    good(await volume.mkdir('/d'))
    good(await volume.mkdir('/d/e'))
    const [d, e] = [(await volume.stat('/d')).gfid, (await volume.stat('/d/e')).gfid]
    good(await volume.rename('/d/e', '/f'))
    expect(readlinkSync(handle(e))).toBe('../../00/00/00000000-0000-0000-0000-000000000001/f')
    good(await volume.rename('/f', '/d/g'))
    expect(readlinkSync(handle(e))).toMatch(new RegExp(`/${gfidText(d)}/g$`))
    await volume.write('/d/g/deep', 'x')
    good(await volume.rename('/d', '/h'))
    expect(await volume.read('/h/g/deep')).toBe('x')
    await restart()
    expect((await volume.stat('/h/g')).gfid).toBe(e)
    expect(good(await volume.top.lookup(volume.ctx, { loc: at(e) })).stat.gfid).toBe(e)
  })

  it('that replace others take their handles away', async () => {
    const { gfid: lost } = await volume.write('/to', 'old')
    await volume.write('/from', 'new')
    good(await volume.rename('/from', '/to'))
    expect(existsSync(handle(lost))).toBe(false)
    expect(await volume.read('/to')).toBe('new')
    good(await volume.mkdir('/d'))
    good(await volume.mkdir('/e'))
    const empty = (await volume.stat('/e')).gfid
    good(await volume.rename('/d', '/e'))
    expect(existsSync(handle(empty)) || lstatExists(handle(empty))).toBe(false)
  })

  it('of one file renamed onto each other both stay', async () => {
    await volume.write('/a', 'x')
    good(await volume.link('/a', '/b'))
    good(await volume.rename('/a', '/b'))
    expect(await volume.names('/')).toEqual(['a', 'b'])
    const { gfid } = await volume.stat('/a')
    expect(recordedNames(handle(gfid))).toHaveLength(2)
  })

  it('as GlusterFS never makes them are refused', async () => {
    for (const name of ['a/b', ''])
      expect(
        errnoOf(
          await volume.top.mkdir(volume.ctx, {
            loc: { ...entryLoc(volume.graph.inodes.root, 'x', volume.graph.inodes.create()), name },
            mode: 0o755,
            umask: 0,
            xdata: volume.fresh(),
          }),
        ),
      ).toBe(Errno.EINVAL)
    expect(errnoOf(await volume.mkdir('/.glusterfs'))).toBe(Errno.EPERM)
    expect(errnoOf(await volume.lookup('/.glusterfs'))).toBe(Errno.EPERM)
    expect(errnoOf(await volume.rmdir('/.glusterfs', 1))).toBe(Errno.EPERM)
    expect(await volume.names('/')).toEqual([])
  })

  it('that are no UTF-8 come back as they were', async () => {
    const raw = Buffer.concat([Buffer.from(disk('/')), Buffer.from([0xff, 0x66, 0xe9])])
    writeFileSync(raw, 'x')
    const listed = await volume.names('/')
    expect(listed).toEqual(['\udcfff\udce9'])
  })
})

function lstatExists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

describe('files that are unlinked while they are open', () => {
  it('rest in unlink/ and go with the last fd', async () => {
    const { gfid } = await volume.write('/f', 'data')
    const fd = await volume.open('/f')
    const second = await volume.open('/f')
    good(await volume.unlink('/f'))
    expect(existsSync(handle(gfid))).toBe(false)
    expect(readFileSync(resting(gfid), 'utf8')).toBe('data')
    good(await volume.writeFd(fd, 'DATA'))
    expect(good(await volume.top.fstat(volume.ctx, { fd })).stat.nlink).toBe(0)
    fd.unref()
    expect(existsSync(resting(gfid))).toBe(true)
    const read = await volume.top.readv(volume.ctx, { fd: second, size: 9, offset: 0, flags: 0 })
    expect(good(read).data.toString()).toBe('DATA')
    second.unref()
    expect(existsSync(resting(gfid))).toBe(false)
  })

  it('are gone for lookups by gfid, unless these ask for such files', async () => {
    const { gfid } = await volume.write('/f', 'data')
    const fd = await volume.open('/f')
    good(await volume.unlink('/f'))
    expect(errnoOf(await volume.top.lookup(volume.ctx, { loc: at(gfid) }))).toBe(Errno.ESTALE)
    const xdata = new Dict().setUint('unlinked-lookup', 1)
    const found = good(await volume.top.lookup(volume.ctx, { loc: at(gfid), xdata }))
    expect(found.stat.nlink).toBe(0)
    fd.unref()
  })

  it('rest too when a rename takes their name', async () => {
    const { gfid } = await volume.write('/to', 'old')
    const fd = await volume.open('/to')
    await volume.write('/from', 'new')
    good(await volume.rename('/from', '/to'))
    expect(existsSync(resting(gfid))).toBe(true)
    const read = await volume.top.readv(volume.ctx, { fd, size: 9, offset: 0, flags: 0 })
    expect(good(read).data.toString()).toBe('old')
    fd.unref()
    expect(existsSync(resting(gfid))).toBe(false)
  })

  it('stay when the request says so', async () => {
    await volume.write('/f', 'data')
    const fd = await volume.open('/f')
    const xdata = new Dict().setInt('dont-unlink-for-open-fd', 1)
    expect(errnoOf(await volume.unlink('/f', xdata))).toBe(Errno.EBUSY)
    fd.unref()
    good(await volume.unlink('/f', xdata))
  })
})

describe('rename', () => {
  it('that must not replace anything is refused where something stands', async () => {
    await volume.write('/a', 'a')
    await volume.write('/b', 'b')
    const move = async (from: string, to: string): Promise<number> =>
      errnoOf(
        await volume.top.rename(volume.ctx, {
          oldloc: await volume.entry(from),
          newloc: await volume.entry(to),
          xdata: exclusiveXdata(),
        }),
      )
    expect(await move('/a', '/b')).toBe(Errno.EEXIST)
    expect(await move('/a', '/a')).toBe(Errno.EEXIST)
    expect(await move('/a', '/c')).toBe(0)
    expect(readFileSync(disk('/c'), 'utf8')).toBe('a')
    expect(readFileSync(disk('/b'), 'utf8')).toBe('b')
  })
})

describe('unlink', () => {
  it('that is cut off leaves no name without its handle', async () => {
    const { gfid } = await volume.write('/f', 'data')
    const stopped = vi.spyOn(Handles.prototype, 'unlink').mockImplementation(() => {
      throw new Error('the brick ends here')
    })
    await expect(volume.unlink('/f')).rejects.toThrow('ends here')
    stopped.mockRestore()
    await restart()
    expect(existsSync(disk('/f'))).toBe(false)
    expect(lstatSync(handle(gfid)).nlink).toBe(1)
    // The orphan is in nobody's way.
    await volume.write('/f', 'again')
    good(await volume.unlink('/f'))
  })

  it('tells how many links there were when it is asked', async () => {
    await volume.write('/f', 'x')
    good(await volume.link('/f', '/g'))
    const count = async (path: string) =>
      good(await volume.unlink(path, new Dict().setInt('get-link-count', 1))).xdata?.getNumber(
        'get-link-count',
      )
    expect(await count('/f')).toBe(2)
    expect(await count('/g')).toBe(1)
  })

  it('removes linkto files alone when the request says so', async () => {
    const only = () => new Dict().setInt('unlink-only-if-dht-linkto-file', 1)
    await volume.write('/f', 'x')
    expect(errnoOf(await volume.unlink('/f', only()))).toBe(Errno.EBUSY)
    await volume.setattr('/f', SetAttr.MODE, { mode: 0o1000 })
    expect(errnoOf(await volume.unlink('/f', only()))).toBe(Errno.EBUSY)
    const xdata = volume.fresh().setString('trusted.glusterfs.dht.linkto', 'gv0-client-1')
    good(await volume.mknod('/l', 0o101000, xdata))
    expect(xattr('/l', 'trusted.glusterfs.dht.linkto')).toEqual(Buffer.from('gv0-client-1\0'))
    good(await volume.unlink('/l', only()))
  })
})

describe('rmdir', () => {
  it('refuses what holds entries, and moves whole trees to the landfill when told', async () => {
    good(await volume.mkdir('/d'))
    await volume.write('/d/f', 'x')
    const { gfid } = await volume.stat('/d')
    expect(errnoOf(await volume.rmdir('/d'))).toBe(Errno.ENOTEMPTY)
    good(await volume.rmdir('/d', 1))
    expect(existsSync(disk('/d'))).toBe(false)
    expect(lstatExists(handle(gfid))).toBe(false)
    expect(readdirSync(disk('/.glusterfs/landfill'))).toHaveLength(1)
    expect(errnoOf(await volume.top.lookup(volume.ctx, { loc: at(gfid) }))).toBe(Errno.ESTALE)
  })
})

describe('making', () => {
  it('stores what the request brings, with the gfid it brings, or makes nothing', async () => {
    expect(errnoOf(await volume.mkdir('/d', 0o755, new Dict()))).toBe(Errno.EPERM)
    expect(errnoOf(await volume.mknod('/f', 0o100644, new Dict()))).toBe(Errno.EINVAL)
    expect(readdirSync(root)).toEqual(['.glusterfs'])
    const xdata = volume.fresh().setBytes('trusted.glusterfs.dht', Buffer.alloc(16, 1))
    xdata.setInt('glusterfs.entrylk-count', 1)
    good(await volume.mkdir('/d', 0o755, xdata))
    expect(xattr('/d', 'trusted.glusterfs.dht')).toEqual(Buffer.alloc(16, 1))
    const names = (sys.llistxattr(disk('/d')) as string[]).toSorted()
    expect(names).toEqual(['trusted.gfid', 'trusted.glusterfs.dht', MDATA_KEY].map(key).toSorted())
  })

  it('with the gfid of another file fails and leaves that file as it was', async () => {
    const { gfid } = await volume.write('/f', 'data')
    const fd = await volume.open('/f')
    const taken = new Dict().setGfid('gfid-req', gfid)
    expect(errnoOf(await volume.mknod('/g', 0o100644, taken))).toBe(Errno.EEXIST)
    expect(existsSync(disk('/g'))).toBe(false)
    expect(statSync(handle(gfid)).ino).toBe(statSync(disk('/f')).ino)
    // It is open still, and known to be.
    good(await volume.unlink('/f'))
    expect(existsSync(resting(gfid))).toBe(true)
    fd.unref()
  })

  it('a directory with the gfid of one elsewhere moves the identity to the new place', async () => {
    good(await volume.mkdir('/old'))
    const { gfid } = await volume.stat('/old')
    await volume.write('/old/f', 'x')
    good(await volume.mkdir('/new', 0o755, new Dict().setGfid('gfid-req', gfid)))
    expect(readlinkSync(handle(gfid))).toMatch(/\/new$/)
    const made = await volume.create('/new/here')
    good(made.reply)
    made.fd.unref()
    expect(readdirSync(disk('/new'))).toEqual(['here'])
  })

  it('sets all of a directory that a client of GlusterFS heals, though that names a size, too', async () => {
    if (sys.geteuid() !== 0) return
    good(await volume.mkdir('/healed'))
    const all = 0xff_ffff
    const times = { atime: 5, mtime: 6 }
    good(
      await volume.setattr('/healed', all & ~0x180, {
        mode: 0o750,
        uid: 3,
        gid: 4,
        size: 4096,
        ...times,
      }),
    )
    const { mode, uid, gid, mtimeMs } = statSync(disk('/healed'))
    expect([mode & 0o7777, uid, gid, mtimeMs]).toEqual([0o750, 3, 4, 6000])
  })

  it('below a set-gid directory inherits its group, directories the bit as well', async () => {
    if (sys.geteuid() !== 0) return
    good(await volume.mkdir('/d', 0o2775))
    await volume.setattr('/d', SetAttr.GID, { gid: 77 })
    await volume.setattr('/d', SetAttr.MODE, { mode: 0o2775 })
    volume.ctx = { ...volume.ctx, uid: 5, gid: 6 }
    const file = await volume.write('/d/f', 'x')
    expect([file.uid, file.gid]).toEqual([5, 77])
    good(await volume.mkdir('/d/e', 0o755))
    const made = statSync(disk('/d/e'))
    expect([made.uid, made.gid, (made.mode & 0o7777).toString(8)]).toEqual([5, 77, '2755'])
  })

  it('checks the layout of the parent that the request knows', async () => {
    good(
      await volume.mkdir(
        '/d',
        0o755,
        volume.fresh().setBytes('trusted.glusterfs.dht', Buffer.alloc(16, 1)),
      ),
    )
    const guarded = (byte: number) =>
      volume
        .fresh()
        .setString('glusterfs.preop.parent.key', 'trusted.glusterfs.dht')
        .setBytes('trusted.glusterfs.dht', Buffer.alloc(16, byte))
    const refused = await volume.mkdir('/d/e', 0o755, guarded(2))
    expect(errnoOf(refused)).toBe(Errno.EIO)
    expect(refused.xdata?.getNumber('glusterfs.preop.check.failed')).toBe(1)
    good(await volume.mkdir('/d/e', 0o755, guarded(1)))
    expect(xattr('/d/e', 'trusted.glusterfs.dht')).toBe(-Errno.ENODATA)
  })

  it('gives what its owner may neither read nor write all that other files have', async () => {
    for (const [path, mode] of [
      ['/none', 0],
      ['/readable', 0o444],
      ['/linkto', 0o1000],
    ] as const) {
      const { gfid } = await volume.write(path, 'data', mode)
      expect((statSync(disk(path)).mode & 0o7777).toString(8)).toBe(mode.toString(8))
      expect(statSync(handle(gfid)).ino).toBe(statSync(disk(path)).ino)
      await volume.setxattr(path, { 'trusted.x': Buffer.from('x') })
      await restart()
      expect((await volume.stat(path)).gfid).toBe(gfid)
      const value = good(await volume.getxattr(path, 'trusted.x')).dict.getBytes('trusted.x')
      expect(value?.toString()).toBe('x')
      good(await volume.rename(path, `${path}-moved`))
      expect(recordedNames(handle(gfid))).toHaveLength(1)
      expect((statSync(disk(`${path}-moved`)).mode & 0o7777).toString(8)).toBe(mode.toString(8))
    }
  })

  it('opens what is there unless it must be new', async () => {
    await volume.write('/f', 'data')
    const found = await volume.create('/f', { flags: OpenFlag.RDWR | OpenFlag.CREAT })
    expect(good(found.reply).stat.size).toBe(4)
    found.fd.unref()
    const flags = OpenFlag.RDWR | OpenFlag.CREAT | OpenFlag.EXCL
    expect(errnoOf((await volume.create('/f', { flags })).reply)).toBe(Errno.EEXIST)
  })
})

describe('what was put on the brick behind its back', () => {
  const FRESH_MS = 2100
  const age = (path: string): void => {
    // The change time of a file cannot be set: wait until it is not fresh any more.
    utimesSync(disk(path), 1, 1)
  }

  it('gets the gfid a lookup offers, and a handle, once it is not fresh', async () => {
    writeFileSync(disk('/f'), 'x')
    mkdirSync(disk('/d'))
    age('/f')
    const deadline = performance.now() + 2 * FRESH_MS
    expect(errnoOf(await volume.lookup('/f', volume.fresh()))).toBe(Errno.ENOENT)
    expect(errnoOf(await volume.lookup('/f'))).toBe(Errno.ENODATA)
    let reply = await volume.lookup('/f', volume.fresh())
    while (!reply.ok && performance.now() < deadline) {
      await new Promise(resolve => setImmediate(resolve))
      reply = await volume.lookup('/f', volume.fresh())
    }
    const { gfid } = good(reply).stat
    expect(statSync(handle(gfid)).ino).toBe(statSync(disk('/f')).ino)
    const directory = good(await volume.lookup('/d', volume.fresh())).stat
    expect(readlinkSync(handle(directory.gfid))).toMatch(/\/d$/)
  })

  it('is answered without a gfid to who asks for that', async () => {
    writeFileSync(disk('/f'), 'x')
    const xdata = new Dict().setInt('gfidless-lookup', 1)
    const reply = await volume.top.lookup(volume.ctx, { loc: await volume.entry('/f'), xdata })
    expect(good(reply).stat.size).toBe(1)
  })

  it('a file whose handle is lost gets it again', async () => {
    const { gfid } = await volume.write('/f', 'data')
    unlinkSync(handle(gfid))
    const { stat } = good(await volume.lookup('/f'))
    expect(stat.nlink).toBe(1)
    expect(await volume.read('/f')).toBe('data')
    expect(statSync(handle(gfid)).nlink).toBe(2)
  })

  it('a directory that was removed is stale', async () => {
    good(await volume.mkdir('/d'))
    const { gfid } = await volume.stat('/d')
    rmdirSync(disk('/d'))
    const reply = await volume.top.stat(volume.ctx, { loc: at(gfid) })
    expect(errnoOf(reply)).toBe(Errno.ESTALE)
  })

  it('links that lead out of the brick lead nowhere', async () => {
    const outside = `${root}-outside`
    writeFileSync(outside, 'secret')
    try {
      good(await volume.symlink('/l', outside))
      const loc = await volume.loc('/l')
      const fd = volume.graph.openFd(loc.inode, { flags: 0, pid: 1 })
      const { ctx, top } = volume
      expect(errnoOf(await top.truncate(ctx, { loc, offset: 0 }))).toBe(Errno.EINVAL)
      // A size means nothing but for files: healing clients send one for whatever they heal.
      good(await volume.setattr('/l', SetAttr.SIZE, { size: 0 }))
      expect(errnoOf(await top.open(ctx, { loc, fd, flags: 0 }))).toBe(Errno.ELOOP)
      const anonymous = volume.graph.anonymousFd(loc.inode, 2)
      const write = { fd: anonymous, data: Buffer.from('x'), offset: 0, flags: 0 }
      expect(errnoOf(await top.writev(ctx, write))).toBe(Errno.ELOOP)
      expect(errnoOf(await volume.setattr('/l', SetAttr.MODE, { mode: 0o777 }))).not.toBe(0)
      await volume.setattr('/l', SetAttr.UID, { uid: 12 })
      await volume.setattr('/l', SetAttr.MTIME | SetAttr.ATIME, { mtime: 1, atime: 1 })
      await volume.setxattr('/l', { 'trusted.x': Buffer.from('x') })
      const after = statSync(outside)
      expect([after.uid, after.mtimeMs > 1000]).toEqual([sys.geteuid(), true])
      expect(sys.llistxattr(outside)).toEqual([])
      expect(readFileSync(outside, 'utf8')).toBe('secret')
      // Nor does a directory that became a link.
      good(await volume.mkdir('/d'))
      const { gfid } = await volume.stat('/d')
      rmdirSync(disk('/d'))
      symlinkSync(tmpdir(), disk('/d'))
      const made = `made-${gfidText(gfid)}`
      const { inodes } = volume.graph
      const inside = entryLoc(inodes.obtain(gfid), made, inodes.create())
      const request = { loc: inside, mode: 0o755, umask: 0, xdata: volume.fresh() }
      expect(errnoOf(await top.mkdir(ctx, request))).toBe(Errno.ESTALE)
      await restart()
      expect(errnoOf(await volume.top.mkdir(ctx, request))).not.toBe(0)
      expect(existsSync(`${tmpdir()}/${made}`)).toBe(false)
    } finally {
      unlinkSync(outside)
    }
  })

  it('neither fifos nor devices are opened', async () => {
    good(await volume.mknod('/fifo', 0o010644))
    const loc = await volume.loc('/fifo')
    const fd = volume.graph.openFd(loc.inode, { flags: 0, pid: 1 })
    expect(errnoOf(await volume.top.open(volume.ctx, { loc, fd, flags: 0 }))).toBe(Errno.EINVAL)
    expect(errnoOf((await volume.create('/fifo', { flags: 0o101 })).reply)).toBe(Errno.EINVAL)
    const anonymous = volume.graph.anonymousFd(loc.inode, 0)
    const read = { fd: anonymous, size: 1, offset: 0, flags: 0 }
    expect(errnoOf(await volume.top.readv(volume.ctx, read))).toBe(Errno.EINVAL)
  })

  // Replicate leaves a file's dirty mark where a flush fails, unless the file itself is gone.
  it('a file that is gone is told from a descriptor that is', async () => {
    const { gfid } = await volume.write('/f', 'data')
    const inode = volume.graph.inodes.obtain(gfid)
    good(await volume.unlink('/f'))
    const anonymous = { fd: volume.graph.anonymousFd(inode, 0), datasync: true }
    expect(errnoOf(await volume.top.fsync(volume.ctx, anonymous))).toBe(Errno.ESTALE)
    const unopened = { fd: volume.graph.openFd(inode, { flags: 0, pid: 1 }), datasync: true }
    expect(errnoOf(await volume.top.fsync(volume.ctx, unopened))).toBe(Errno.EBADF)
  })

  it('a second file with the same gfid does not take the handle', async () => {
    const { gfid } = await volume.write('/f', 'data')
    writeFileSync(disk('/copy'), 'copy')
    sys.lsetxattr(disk('/copy'), key('trusted.gfid'), Buffer.from(gfid, 'latin1'), 0)
    await volume.lookup('/copy')
    expect(statSync(handle(gfid)).ino).toBe(statSync(disk('/f')).ino)
    linkSync(disk('/f'), disk('/more'))
    expect(good(await volume.lookup('/more')).stat.nlink).toBe(2)
  })
})

describe('times', () => {
  const at100 = { sec: 100, nsec: 5, flags: MdataFlag.MTIME | MdataFlag.CTIME }
  const stored = (path: string) => parseMdata(xattr(path, MDATA_KEY) as Buffer)

  it('are those of the client, and never go back by a change', async () => {
    const made = MdataFlag.ATIME | MdataFlag.MTIME | MdataFlag.CTIME
    volume.ctx = { ...volume.ctx, time: { sec: 50, nsec: 7, flags: made } }
    const { reply, fd } = await volume.create('/f')
    good(reply)
    volume.ctx = { ...volume.ctx, time: at100 }
    const written = good(await volume.writeFd(fd, 'x'))
    expect([written.poststat.mtime, written.poststat.mtimeNsec]).toEqual([100, 5])
    volume.ctx = { ...volume.ctx, time: { ...at100, sec: 60 } }
    good(await volume.writeFd(fd, 'y'))
    good(await volume.top.flush(volume.ctx, { fd }))
    fd.unref()
    expect(stored('/f')).toEqual({
      ctime: 100,
      ctimeNsec: 5,
      mtime: 100,
      mtimeNsec: 5,
      atime: 50,
      atimeNsec: 7,
    })
  })

  it('are set as told, whatever they were', async () => {
    await volume.write('/f', 'x')
    const times = { mtime: 1_000_000_001, mtimeNsec: 3, atime: 1_000_000_000, atimeNsec: 4 }
    const reply = good(await volume.setattr('/f', SetAttr.MTIME | SetAttr.ATIME, times))
    expect(reply.poststat).toMatchObject(times)
    expect(stored('/f')).toMatchObject(times)
    expect(Math.floor(statSync(disk('/f')).mtimeMs / 1000)).toBe(1_000_000_001)
  })

  it('that are set touch ctime, also when the client names no time that is touched', async () => {
    await volume.write('/f', 'x')
    // As GlusterFS's client sends it.
    volume.ctx = { ...volume.ctx, time: { sec: 4_000_000_000, nsec: 9, flags: MdataFlag.ATIME } }
    const times = { mtime: 1_000_000_001, mtimeNsec: 3, atime: 1_000_000_000, atimeNsec: 4 }
    const reply = good(await volume.setattr('/f', SetAttr.MTIME | SetAttr.ATIME, times))
    expect(reply.poststat).toMatchObject({
      ctime: 4_000_000_000,
      ctimeNsec: 9,
      mtime: 1_000_000_001,
    })
  })

  it('of a file that has none stored are those of the file system', async () => {
    writeFileSync(disk('/f'), 'x')
    utimesSync(disk('/f'), 111, 222)
    sys.lsetxattr(disk('/f'), key('trusted.gfid'), Buffer.alloc(16, 3), 0)
    const { stat } = good(await volume.lookup('/f'))
    expect([stat.atime, stat.mtime]).toEqual([111, 222])
    await volume.setattr('/f', SetAttr.MODE, { mode: 0o600 })
    expect((await volume.stat('/f')).mtime).toBe(222)
  })

  it('reach the disk when the brick stops', async () => {
    const { fd, reply } = await volume.create('/f')
    good(reply)
    volume.ctx = { ...volume.ctx, time: { ...at100, sec: 4_000_000_000 } }
    good(await volume.writeFd(fd, 'x'))
    await restart()
    expect((await volume.stat('/f')).mtime).toBe(4_000_000_000)
  })

  it('of a directory follow its entries', async () => {
    good(await volume.mkdir('/d'))
    const flags = MADE
    volume.ctx = { ...volume.ctx, time: { sec: 4_000_000_001, nsec: 0, flags } }
    good(await volume.mkdir('/d/e'))
    expect(await volume.stat('/d')).toMatchObject({ mtime: 4_000_000_001, ctime: 4_000_000_001 })
  })
})

const MADE =
  MdataFlag.ATIME | MdataFlag.MTIME | MdataFlag.CTIME | MdataFlag.PAR_CTIME | MdataFlag.PAR_MTIME

describe('xattrop', () => {
  const KEY = 'trusted.afr.gv0-client-0'
  const int32 = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 4)
    values.forEach((value, i) => bytes.writeInt32BE(value, i * 4))
    return bytes
  }
  const int64 = (...values: bigint[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 8)
    values.forEach((value, i) => bytes.writeBigInt64BE(value, i * 8))
    return bytes
  }
  const change = async (op: number, value: Buffer) => {
    const loc = await volume.loc('/f')
    return volume.top.xattrop(volume.ctx, { loc, op, dict: new Dict().setBytes(KEY, value) })
  }
  const changed = async (op: number, value: Buffer) =>
    good(await change(op, value)).dict.getBytes(KEY)

  beforeEach(async () => {
    await volume.write('/f', 'x')
  })

  it('adds, and answers the sums', async () => {
    expect(await changed(Xattrop.ADD_ARRAY, int32(1, 0, -1))).toEqual(int32(1, 0, -1))
    expect(await changed(Xattrop.ADD_ARRAY, int32(2, 1, 1))).toEqual(int32(3, 1, 0))
    expect(xattr('/f', KEY)).toEqual(int32(3, 1, 0))
    expect(await changed(Xattrop.ADD_ARRAY, int32(0x7fffffff, 0, 0))).toEqual(
      int32(-0x7ffffffe, 1, 0),
    )
  })

  it('only reads when it is to add zeros', async () => {
    expect(await changed(Xattrop.ADD_ARRAY, int32(0, 0, 0))).toEqual(int32(0, 0, 0))
    expect(xattr('/f', KEY)).toBe(-Errno.ENODATA)
  })

  it('extends shorter values, refuses longer ones', async () => {
    await changed(Xattrop.ADD_ARRAY, int32(1))
    expect(await changed(Xattrop.ADD_ARRAY, int32(1, 2))).toEqual(int32(2, 2))
    expect(errnoOf(await change(Xattrop.ADD_ARRAY, int32(1)))).toBe(Errno.ERANGE)
    expect(errnoOf(await change(Xattrop.ADD_ARRAY, Buffer.alloc(3, 1)))).toBe(Errno.EINVAL)
  })

  it('adds in 64 bits, and onto defaults', async () => {
    expect(await changed(Xattrop.ADD_ARRAY64, int64(2n ** 40n))).toEqual(int64(2n ** 40n))
    good(await volume.top.removexattr(volume.ctx, { loc: await volume.loc('/f'), name: KEY }))
    const op = Xattrop.ADD_ARRAY64_WITH_DEFAULT
    expect(await changed(op, int64(1n, 0n, 10n, 20n))).toEqual(int64(11n, 20n))
    expect(await changed(op, int64(1n, 1n, 10n, 20n))).toEqual(int64(12n, 21n))
  })

  it('exchanges values', async () => {
    expect(await changed(Xattrop.GET_AND_SET, int32(5))).toBeUndefined()
    expect(await changed(Xattrop.GET_AND_SET, int32(0))).toEqual(int32(5))
    expect(xattr('/f', KEY)).toEqual(int32(0))
  })

  it.each([Xattrop.OR_ARRAY, Xattrop.AND_ARRAY, 99])('knows no kind %i', async op => {
    expect(errnoOf(await change(op, int32(1)))).toBe(Errno.EINVAL)
  })
})

describe('xattrs', () => {
  it('that are the brick’s own are neither shown nor changed', async () => {
    await volume.write('/f', 'x')
    await volume.setxattr('/f', { 'user.color': Buffer.from('blue') })
    const all = good(await volume.getxattr('/f', '')).dict
    expect([...all.keys()]).toEqual(['user.color'])
    const own = { 'trusted.gfid': Buffer.alloc(16, 1) }
    expect(errnoOf(await volume.setxattr('/f', own))).toBe(Errno.EPERM)
    const loc = await volume.loc('/f')
    const removed = await volume.top.removexattr(volume.ctx, { loc, name: 'trusted.gfid' })
    expect(errnoOf(removed)).toBe(Errno.EPERM)
    expect(errnoOf(await volume.getxattr('/f', MDATA_KEY))).toBe(Errno.ENODATA)
  })

  it('come with a lookup that asks for them, by name or pattern', async () => {
    await volume.write('/f', 'content')
    await volume.setxattr('/f', { 'user.a': Buffer.from('1'), 'user.b': Buffer.from('2') })
    const asked = new Dict().setInt('user.a', 0).setInt('user.missing', 0).setInt('user.*', 0)
    asked.setUint('glusterfs.content', 100).setInt('get-size', 1)
    const { xdata } = good(await volume.lookup('/f', asked))
    expect([...(xdata?.keys() ?? [])].toSorted()).toEqual([
      'get-size',
      'glusterfs.content',
      'user.a',
      'user.b',
    ])
    expect(xdata?.getBytes('glusterfs.content')?.toString()).toBe('content')
    const small = new Dict().setUint('glusterfs.content', 3)
    expect(good(await volume.lookup('/f', small)).xdata).toBeUndefined()
  })

  it('tell where a file lies', async () => {
    good(await volume.mkdir('/d'))
    await volume.write('/d/f', 'x')
    const name = 'trusted.glusterfs.pathinfo'
    const info = good(await volume.getxattr('/d/f', name)).dict.getString(name)
    expect(info).toBe(`<POSIX(${root}):host:${root}/d/f>`)
    const real = good(await volume.getxattr('/d', 'glusterfs.get_real_filename:F')).dict
    expect(real.getString('glusterfs.get_real_filename:F')).toBe('f')
  })
})

describe('data', () => {
  it('is zeroed, punched, allocated and found again', async () => {
    const { reply, fd } = await volume.create('/f')
    good(reply)
    const { ctx, top } = volume
    good(await volume.writeFd(fd, 'x'.repeat(8192)))
    good(await top.zerofill(ctx, { fd, offset: 4096, length: 8192 }))
    expect(statSync(disk('/f')).size).toBe(12_288)
    expect(
      readFileSync(disk('/f'))
        .subarray(4096)
        .every(byte => byte === 0),
    ).toBe(true)
    good(await top.discard(ctx, { fd, offset: 0, length: 4096 }))
    expect(readFileSync(disk('/f')).every(byte => byte === 0)).toBe(true)
    expect(statSync(disk('/f')).size).toBe(12_288)
    good(await top.fallocate(ctx, { fd, flags: 1, offset: 12_288, length: 4096 }))
    expect(statSync(disk('/f')).size).toBe(12_288)
    good(await top.fallocate(ctx, { fd, flags: 0, offset: 12_288, length: 4096 }))
    expect(statSync(disk('/f')).size).toBe(16_384)
    good(await volume.writeFd(fd, 'data', 1024 * 1024))
    expect(good(await top.seek(ctx, { fd, offset: 20_000, what: 0 })).offset).toBe(1024 * 1024)
    good(await top.ftruncate(ctx, { fd, offset: 3 }))
    expect(statSync(disk('/f')).size).toBe(3)
    fd.unref()
  })

  it('is read as far as there is any, however much is asked', async () => {
    await volume.write('/f', 'data')
    const fd = await volume.open('/f')
    const read = (size: number, offset = 0) =>
      volume.top.readv(volume.ctx, { fd, size, offset, flags: 0 })
    const all = good(await read(0xffff_ffff))
    expect([all.data.toString(), all.eof]).toEqual(['data', true])
    const part = good(await read(2))
    expect([part.data.toString(), part.eof]).toEqual(['da', false])
    const none = good(await read(0xffff_ffff, 100))
    expect([none.data.length, none.eof]).toEqual([0, true])
    const range = { fd, offset: 0, length: 0xffff_ffff }
    expect(errnoOf(await volume.top.rchecksum(volume.ctx, range))).toBe(Errno.EINVAL)
    fd.unref()
  })

  it('is told to be appended or not', async () => {
    const { reply, fd } = await volume.create('/f')
    good(reply)
    const xdata = () => new Dict().setInt('glusterfs.write-is-append', 1)
    const write = async (offset: number) =>
      good(
        await volume.top.writev(volume.ctx, {
          fd,
          data: Buffer.from('1234'),
          offset,
          flags: 0,
          xdata: xdata(),
        }),
      ).xdata?.getNumber('glusterfs.write-is-append')
    expect(await write(0)).toBe(1)
    expect(await write(4)).toBe(1)
    expect(await write(6)).toBe(0)
    fd.unref()
  })
})

describe('listings', () => {
  const names = Array.from({ length: 300 }, (_, i) => `entry-${i}`).toSorted()

  beforeEach(async () => {
    good(await volume.mkdir('/d'))
    for (const name of names) good(await volume.mknod(`/d/${name}`))
  })

  it.each([1, 500, 4096, 1_000_000])('hold everything once, in pieces of %i bytes', async size => {
    const entries = await volume.list('/d', size)
    expect(entries.map(entry => entry.name).toSorted()).toEqual(['.', '..', ...names])
    const files = entries.filter(entry => entry.name !== '.' && entry.name !== '..')
    for (const entry of files) {
      expect(entry.stat.gfid).not.toBe('\0'.repeat(16))
      expect([entry.type, entry.stat.nlink]).toEqual([8, 1])
    }
  })

  it('go on at an offset in another fd, and after entries have gone', async () => {
    const entries = await volume.list('/d')
    const loc = await volume.loc('/d')
    const fd = volume.graph.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: 1 })
    good(await volume.top.opendir(volume.ctx, { loc, fd }))
    fd.bind()
    const middle = entries[150] as (typeof entries)[0]
    const from = { fd, size: 1, offset: middle.offset }
    const next = good(await volume.top.readdir(volume.ctx, from)).entries[0]
    expect(next?.name).toBe(entries[151]?.name)
    if (!middle.name.startsWith('.')) good(await volume.unlink(`/d/${middle.name}`))
    const again = good(await volume.top.readdir(volume.ctx, from)).entries[0]
    expect(again?.name).toBe(entries[151]?.name)
    fd.unref()
  })

  it('without directories go on until there is something else, or the end', async () => {
    for (let i = 0; i < 200; i++) good(await volume.mkdir(`/d/sub-${i}`))
    const loc = await volume.loc('/d')
    const fd = volume.graph.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: 1 })
    good(await volume.top.opendir(volume.ctx, { loc, fd }))
    fd.bind()
    const found: string[] = []
    for (let offset = 0n; ; ) {
      const xdata = new Dict().setInt('readdir-filter-directories', 1)
      const reply = good(await volume.top.readdirp(volume.ctx, { fd, size: 1, offset, xdata }))
      if (!reply.eof) expect(reply.entries.length).toBeGreaterThan(0)
      found.push(...reply.entries.map(entry => entry.name))
      if (reply.eof) break
      offset = reply.entries.at(-1)?.offset as bigint
    }
    expect(found.toSorted()).toEqual(names)
    fd.unref()
  })

  it('end with the end told', async () => {
    const loc = await volume.loc('/d')
    const fd = volume.graph.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: 1 })
    good(await volume.top.opendir(volume.ctx, { loc, fd }))
    fd.bind()
    const all = good(await volume.top.readdirp(volume.ctx, { fd, size: 1_000_000, offset: 0n }))
    expect(all.eof).toBe(true)
    const offset = all.entries.at(-1)?.offset as bigint
    const rest = good(await volume.top.readdirp(volume.ctx, { fd, size: 4096, offset }))
    expect([rest.entries.length, rest.eof]).toEqual([0, true])
    fd.unref()
  })
})

describe('limits', () => {
  it('on links are kept', async () => {
    await restart('option max-hardlinks 3')
    await volume.write('/f', 'x')
    good(await volume.link('/f', '/g'))
    good(await volume.link('/f', '/h'))
    expect(errnoOf(await volume.link('/f', '/i'))).toBe(Errno.EMLINK)
  })

  it('on space stop users and nobody else', async () => {
    await restart('option reserve 100%')
    expect(errnoOf(await volume.mkdir('/d'))).toBe(Errno.ENOSPC)
    volume.ctx = { ...volume.ctx, pid: -6 }
    good(await volume.mkdir('/d'))
  })

  it('on depth are not there', async () => {
    let path = ''
    for (let depth = 0; depth < 60; depth++) {
      path += '/d'
      good(await volume.mkdir(path))
    }
    const { gfid } = await volume.stat(path)
    await restart()
    expect(good(await volume.top.stat(volume.ctx, { loc: at(gfid) })).stat.gfid).toBe(gfid)
  })
})
