/** Permissions on a brick: who may do what, and what new things look like. */

import { statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { type Ctx, Dict, Errno, inodeLoc, OpenFlag, SetAttr } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { breakableLink, errnoOf, good, linkOf, TestVolume } from '@ashlar/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { posix } from '../../storage/posix/index.ts'
import { ACL_ACCESS_KEY, ACL_DEFAULT_KEY, AclTag, parseAcl, printAcl } from './acl.ts'
import { accessControl } from './index.ts'

let root: string
let volume: TestVolume

const NOBODY_ID = 0xffffffff
const asUser = (uid: number, gid = uid, groups: number[] = []): void => {
  volume.ctx = { ...volume.ctx, uid, gid, groups }
}
const asRoot = (): void => asUser(0)
const mode = (path: string): string => (statSync(`${root}${path}`).mode & 0o7777).toString(8)

/** What errno a user gets; 0 when it is allowed. */
async function asked(uid: number, action: () => Promise<{ ok: boolean }>): Promise<number> {
  const before = volume.ctx
  asUser(uid)
  try {
    return errnoOf(await action())
  } finally {
    volume.ctx = before
  }
}

const acl = (user: number, permissions: number, mask = 7): Buffer =>
  printAcl([
    { tag: AclTag.USER_OBJ, permissions: 6, id: NOBODY_ID },
    { tag: AclTag.USER, permissions, id: user },
    { tag: AclTag.GROUP_OBJ, permissions: 0, id: NOBODY_ID },
    { tag: AclTag.MASK, permissions: mask, id: NOBODY_ID },
    { tag: AclTag.OTHER, permissions: 0, id: NOBODY_ID },
  ])

async function open(path: string, flags: number): Promise<{ ok: boolean }> {
  const before = volume.ctx
  asRoot()
  const loc = await volume.loc(path)
  volume.ctx = before
  const fd = volume.graph.openFd(loc.inode, { flags, pid: 1 })
  const reply = await volume.top.open(volume.ctx, { loc, fd, flags })
  fd.unref()
  return reply
}

// Owners and ACLs of other users take root.
describe.runIf(sys.geteuid() === 0)('features/access-control', () => {
  beforeEach(async () => {
    root = await mkdtemp(`${tmpdir()}/access-`)
    volume = await TestVolume.start({
      brick: true,
      definitions: [posix, breakableLink, accessControl],
      volfile: `
volume p
  type storage/posix
  option directory ${root}
end-volume
volume l
  type testing/link
  subvolumes p
end-volume
volume a
  type features/access-control
  subvolumes l
end-volume`,
    })
    good(await volume.setattr('/', SetAttr.MODE, { mode: 0o755 }))
    good(await volume.mkdir('/mine', 0o755))
    good(await volume.setattr('/mine', SetAttr.UID | SetAttr.GID, { uid: 1000, gid: 1000 }))
  })
  afterEach(async () => {
    await volume.stop()
    await rm(root, { recursive: true })
  })

  it('lets users change their own directories and no others', async () => {
    const attempts: [string, () => Promise<{ ok: boolean }>][] = [
      ['mkdir', () => volume.mkdir('/mine/d')],
      ['mknod', () => volume.mknod('/mine/n')],
      ['symlink', () => volume.symlink('/mine/s', 'x')],
      ['create', async () => (await volume.create('/mine/f')).reply],
      ['link', () => volume.link('/mine/n', '/mine/n2')],
      ['rename', () => volume.rename('/mine/n2', '/mine/n3')],
      ['unlink', () => volume.unlink('/mine/n3')],
      ['rmdir', () => volume.rmdir('/mine/d')],
    ]
    for (const [name, attempt] of attempts) {
      expect([name, await asked(1001, attempt)]).toEqual([name, Errno.EACCES])
      expect([name, await asked(1000, attempt)]).toEqual([name, 0])
    }
  })

  it('lets nobody through a directory that may not be searched', async () => {
    await volume.write('/mine/f', 'x')
    await volume.setattr('/mine', SetAttr.MODE, { mode: 0o700 })
    expect(await asked(1001, () => volume.lookup('/mine/f'))).toBe(Errno.EACCES)
    expect(await asked(1000, () => volume.lookup('/mine/f'))).toBe(0)
    const internal: Ctx = { ...volume.ctx, uid: 1001, pid: -6 }
    volume.ctx = internal
    good(await volume.lookup('/mine/f'))
  })

  it('opens by mode bits: owner, group, supplementary groups, others', async () => {
    await volume.write('/f', 'x', 0o640)
    await volume.setattr('/f', SetAttr.UID | SetAttr.GID, { uid: 1000, gid: 2000 })
    expect(await asked(1000, () => open('/f', OpenFlag.RDWR))).toBe(0)
    expect(await asked(1001, () => open('/f', OpenFlag.RDONLY))).toBe(Errno.EACCES)
    asUser(1001, 1001, [5, 2000])
    expect(errnoOf(await open('/f', OpenFlag.RDONLY))).toBe(0)
    expect(errnoOf(await open('/f', OpenFlag.WRONLY))).toBe(Errno.EACCES)
    expect(errnoOf(await open('/f', OpenFlag.RDONLY | OpenFlag.TRUNC))).toBe(Errno.EACCES)
  })

  it('opens what exists only to who may, when it is asked to create it', async () => {
    good(await volume.mkdir('/tmp', 0o1777))
    good(await volume.setattr('/tmp', SetAttr.MODE, { mode: 0o1777 }))
    await volume.write('/tmp/f', 'secret', 0o600)
    await volume.write('/tmp/open', 'public', 0o644)
    const create = (path: string, flags: number) => async () => {
      const { reply, fd } = await volume.create(path, { flags: flags | OpenFlag.CREAT })
      fd.unref()
      return reply
    }
    for (const flags of [OpenFlag.RDONLY, OpenFlag.RDWR, OpenFlag.WRONLY | OpenFlag.TRUNC])
      expect(await asked(1000, create('/tmp/f', flags))).toBe(Errno.EACCES)
    expect(statSync(`${root}/tmp/f`).size).toBe(6)
    expect(await asked(1000, create('/tmp/open', OpenFlag.RDONLY))).toBe(0)
    expect(await asked(1000, create('/tmp/open', OpenFlag.RDWR))).toBe(Errno.EACCES)
    expect(await asked(1000, create('/tmp/new', OpenFlag.RDWR))).toBe(0)
    expect(await asked(1000, create('/tmp/new', OpenFlag.RDWR | OpenFlag.EXCL))).toBe(Errno.EEXIST)
    // Also where nothing may be made.
    await volume.write('/public', 'x', 0o666)
    expect(await asked(1000, create('/public', OpenFlag.RDWR))).toBe(0)
    expect(await asked(1000, create('/missing', OpenFlag.RDWR))).toBe(Errno.EACCES)
  })

  it('keeps what others have in sticky directories', async () => {
    good(await volume.mkdir('/tmp', 0o1777))
    good(await volume.setattr('/tmp', SetAttr.MODE, { mode: 0o1777 }))
    asUser(1000)
    await volume.write('/tmp/f', 'x')
    asUser(1001)
    await volume.write('/tmp/g', 'x')
    expect(errnoOf(await volume.unlink('/tmp/f'))).toBe(Errno.EPERM)
    expect(errnoOf(await volume.rename('/tmp/f', '/tmp/h'))).toBe(Errno.EPERM)
    expect(errnoOf(await volume.rename('/tmp/g', '/tmp/f'))).toBe(Errno.EPERM)
    good(await volume.rename('/tmp/g', '/tmp/h'))
    good(await volume.unlink('/tmp/h'))
  })

  it('changes attributes for owners only, and owners for nobody', async () => {
    await volume.write('/f', 'x', 0o666)
    await volume.setattr('/f', SetAttr.UID | SetAttr.GID, { uid: 1000, gid: 1000 })
    const set = (valid: number, change: object) => () => volume.setattr('/f', valid, change)
    expect(await asked(1001, set(SetAttr.MODE, { mode: 0o777 }))).toBe(Errno.EPERM)
    expect(await asked(1000, set(SetAttr.MODE, { mode: 0o602 }))).toBe(0)
    expect(await asked(1000, set(SetAttr.UID, { uid: 1001 }))).toBe(Errno.EPERM)
    expect(await asked(1000, set(SetAttr.GID, { gid: 3000 }))).toBe(Errno.EPERM)
    asUser(1000, 1000, [3000])
    good(await volume.setattr('/f', SetAttr.GID, { gid: 3000 }))
    asRoot()
    // Now is for who may write, any other time for the owner.
    const now = SetAttr.MTIME | SetAttr.MTIME_NOW
    expect(await asked(1001, set(now, { mtime: 5 }))).toBe(0)
    expect(await asked(1001, set(SetAttr.MTIME, { mtime: 5 }))).toBe(Errno.EPERM)
    expect(await asked(1001, set(SetAttr.SIZE, { size: 0 }))).toBe(0)
    await volume.setattr('/f', SetAttr.MODE, { mode: 0o600 })
    expect(await asked(1001, set(SetAttr.SIZE, { size: 0 }))).toBe(Errno.EACCES)
    const loc = await volume.loc('/f')
    const truncate = () => volume.top.truncate(volume.ctx, { loc, offset: 0 })
    expect(await asked(1001, truncate)).toBe(Errno.EACCES)
    expect(await asked(1000, truncate)).toBe(0)
  })

  it('guards xattrs', async () => {
    await volume.write('/f', 'x', 0o644)
    await volume.setattr('/f', SetAttr.UID, { uid: 1000 })
    const loc = await volume.loc('/f')
    const set = (name: string) => () =>
      volume.top.setxattr(volume.ctx, {
        loc,
        dict: new Dict().setBytes(name, acl(1001, 7)),
        flags: 0,
      })
    const remove = (name: string, xdata?: Dict) => () =>
      volume.top.removexattr(volume.ctx, { loc, name, xdata })
    expect(await asked(1001, set('user.a'))).toBe(Errno.EACCES)
    expect(await asked(1000, set('user.a'))).toBe(0)
    expect(await asked(1000, set('trusted.a'))).toBe(Errno.EPERM)
    expect(await asked(1001, set(ACL_ACCESS_KEY))).toBe(Errno.EPERM)
    expect(await asked(1001, remove('user.a'))).toBe(Errno.EACCES)
    const several = () => new Dict().setInt('user.a', 0)
    expect(await asked(1001, remove('', several()))).toBe(Errno.EACCES)
    expect(await asked(1000, remove('', several()))).toBe(0)
    await volume.setattr('/f', SetAttr.MODE, { mode: 0o600 })
    const read = () => volume.top.getxattr(volume.ctx, { loc, name: 'user.a' })
    expect(await asked(1001, read)).toBe(Errno.EACCES)
  })

  describe('access lists', () => {
    it('give what mode bits do not, within the mask, from the moment they are set', async () => {
      await volume.write('/f', 'x', 0o600)
      expect(await asked(1001, () => open('/f', OpenFlag.RDONLY))).toBe(Errno.EACCES)
      good(await volume.setxattr('/f', { [ACL_ACCESS_KEY]: acl(1001, 6) }))
      expect(await asked(1001, () => open('/f', OpenFlag.RDWR))).toBe(0)
      expect(await asked(1002, () => open('/f', OpenFlag.RDONLY))).toBe(Errno.EACCES)
      good(await volume.setxattr('/f', { [ACL_ACCESS_KEY]: acl(1001, 6, 4) }))
      expect(await asked(1001, () => open('/f', OpenFlag.RDWR))).toBe(Errno.EACCES)
      expect(await asked(1001, () => open('/f', OpenFlag.RDONLY))).toBe(0)
      const loc = await volume.loc('/f')
      good(await volume.top.removexattr(volume.ctx, { loc, name: ACL_ACCESS_KEY }))
      expect(await asked(1001, () => open('/f', OpenFlag.RDONLY))).toBe(Errno.EACCES)
    })

    it('are read and written as text', async () => {
      await volume.write('/f', 'x', 0o640)
      const name = 'glusterfs.posix.acl'
      const read = async () => good(await volume.getxattr('/f', name)).dict.getString(name)
      expect(await read()).toBe('u::rw-,g::r--,o::---')
      const text = 'u::rw-,u:1001:r--,g::---,m::r--,o::---'
      good(await volume.setxattr('/f', { [name]: Buffer.from(text) }))
      expect(await read()).toBe(text)
      expect(await asked(1001, () => open('/f', OpenFlag.RDONLY))).toBe(0)
      const bad = { [name]: Buffer.from('nonsense') }
      expect(errnoOf(await volume.setxattr('/f', bad))).toBe(Errno.EINVAL)
      const mine = () => volume.setxattr('/f', { [name]: Buffer.from('u::rwx,g::rwx,o::rwx') })
      expect(await asked(1001, mine)).toBe(Errno.EPERM)
    })

    it('follow a change of mode', async () => {
      await volume.write('/f', 'x', 0o600)
      good(await volume.setxattr('/f', { [ACL_ACCESS_KEY]: acl(1001, 6) }))
      expect(await asked(1001, () => open('/f', OpenFlag.RDWR))).toBe(0)
      // The group's bits are the mask.
      good(await volume.setattr('/f', SetAttr.MODE, { mode: 0o640 }))
      expect(await asked(1001, () => open('/f', OpenFlag.RDWR))).toBe(Errno.EACCES)
      expect(await asked(1001, () => open('/f', OpenFlag.RDONLY))).toBe(0)
    })

    it('are handed down by directories, and the umask is not asked then', async () => {
      good(await volume.mkdir('/d'))
      good(await volume.setxattr('/d', { [ACL_DEFAULT_KEY]: acl(1001, 6) }))
      const { reply, fd } = await volume.create('/d/f', { mode: 0o666, umask: 0o077 })
      good(reply)
      fd.unref()
      const stored = sys.lgetxattr(`${root}/d/f`, ACL_ACCESS_KEY)
      const entries = typeof stored === 'number' ? undefined : parseAcl(stored)
      expect(entries?.find(entry => entry.tag === AclTag.USER)).toEqual({
        tag: AclTag.USER,
        permissions: 6,
        id: 1001,
      })
      expect(mode('/d/f')).toBe('660')
      expect(await asked(1001, () => open('/d/f', OpenFlag.RDWR))).toBe(0)
      good(await volume.mkdir('/d/e'))
      expect(sys.lgetxattr(`${root}/d/e`, ACL_DEFAULT_KEY)).toEqual(acl(1001, 6))
    })
  })

  it('takes the umask off what is new', async () => {
    const made = async (umask: number, path: string) => {
      const { reply, fd } = await volume.create(path, { mode: 0o666, umask })
      good(reply)
      fd.unref()
      return mode(path)
    }
    expect(await made(0o022, '/a')).toBe('644')
    expect(await made(0o077, '/b')).toBe('600')
    expect(await made(0, '/c')).toBe('666')
    const loc = await volume.entry('/d')
    const args = { loc, mode: 0o777, umask: 0o027, xdata: volume.fresh() }
    good(await volume.top.mkdir(volume.ctx, args))
    expect(mode('/d')).toBe('750')
  })

  it('asks the brick once for a directory, not for every file that is made', async () => {
    const link = linkOf(volume.graph.xlator('l'))
    const calls = () =>
      ['stat', 'lookup', 'getxattr'].reduce(
        (sum, name) => sum + (link?.calls.get(name as 'stat') ?? 0),
        0,
      )
    const parent = await volume.inode('/mine')
    const make = async (name: string) => {
      const loc = { ...(await volume.entry(`/${name}`)), parent, pargfid: parent.gfid }
      const before = calls()
      const args = { loc, mode: 0o100644, rdev: 0, umask: 0o022, xdata: volume.fresh() }
      good(await volume.top.mknod(volume.ctx, args))
      return calls() - before
    }
    await make('first')
    for (const name of ['a', 'b', 'c']) expect(await make(name)).toBe(0)
    asUser(1000)
    await make('second')
    for (const name of ['d', 'e', 'f']) expect(await make(name)).toBe(0)
  })

  it('answers access(2)', async () => {
    await volume.write('/f', 'x', 0o640)
    await volume.setattr('/f', SetAttr.UID, { uid: 1000 })
    const loc = inodeLoc((await volume.loc('/f')).inode)
    const may = (mask: number) => () => volume.top.access(volume.ctx, { loc, mask })
    expect(await asked(1000, may(6))).toBe(0)
    expect(await asked(1000, may(1))).toBe(Errno.EACCES)
    expect(await asked(1001, may(4))).toBe(Errno.EACCES)
    expect(await asked(1001, may(0))).toBe(0)
  })
})
