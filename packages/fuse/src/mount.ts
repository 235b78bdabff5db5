/**
 * Mounting: root calls mount(2), anybody else asks fusermount3, which opens /dev/fuse for us and
 * passes the descriptor over a socket.
 */

import { spawn } from 'node:child_process'
import { realpathSync, statSync } from 'node:fs'
import { Errno, errnoText } from '@ashlar/core'
import * as sys from '@ashlar/sys'

/** The type under which /proc/mounts lists the file system; users look for it there. */
export const FS_SUBTYPE = 'glusterfs'

export interface MountOptions {
  /** `host:/volume`, as df shows it. */
  readonly source: string
  readonly mountpoint: string
  readonly readOnly?: boolean
  /** Other users than the one that mounts see it too. As root the default is yes, else no. */
  readonly allowOther?: boolean
  /** The kernel checks modes itself (and ACLs, when they are negotiated). Default yes. */
  readonly defaultPermissions?: boolean
  /** Bytes of the largest read; a multiple of the page size. */
  readonly maxRead: number
  /** MS_* besides NOSUID and NODEV, which a mount without root always has. */
  readonly flags?: number
  /** Other words for the kernel's mount data, such as `context=…`. */
  readonly extra?: readonly string[]
}

/** A mount that did not come about. */
export class MountError extends Error {
  override name = 'MountError'
  readonly errno: number | undefined

  constructor(message: string, errno?: number) {
    super(errno === undefined ? message : `${message}: ${errnoText(errno)}`)
    this.errno = errno
  }
}

/** Mounts and returns the descriptor of the FUSE device. Throws MountError. */
export async function mountDevice(options: MountOptions): Promise<number> {
  return sys.geteuid() === 0 ? mountAsRoot(options) : await mountByHelper(options)
}

/** The directory behind symbolic links, under which the kernel will list the mount. Throws MountError. */
export function realMountpoint(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    throw new MountError(`cannot mount on ${path}`, errnoOf(error))
  }
}

function errnoOf(error: unknown): number | undefined {
  const { errno } = error as NodeJS.ErrnoException
  return errno === undefined ? undefined : -errno
}

function mountData(options: MountOptions): string[] {
  const data: string[] = []
  if (options.defaultPermissions !== false) data.push('default_permissions')
  data.push(`max_read=${options.maxRead}`, ...(options.extra ?? []))
  return data
}

function mountAsRoot(options: MountOptions): number {
  const { mountpoint, source } = options
  let mode: number
  try {
    mode = statSync(mountpoint).mode & 0o170000
  } catch (error) {
    throw new MountError(`cannot mount on ${mountpoint}`, errnoOf(error))
  }
  const fd = sys.openat(sys.AT_FDCWD, '/dev/fuse', sys.O.RDWR | sys.O.CLOEXEC | sys.O.NONBLOCK)
  if (fd < 0) throw new MountError('cannot open /dev/fuse', -fd)
  const words = [`fd=${fd}`, `rootmode=${mode.toString(8)}`, 'user_id=0', 'group_id=0']
  if (options.allowOther !== false) words.push('allow_other')
  words.push(...mountData(options))
  const result = sys.mount({
    source,
    target: mountpoint,
    type: `fuse.${FS_SUBTYPE}`,
    flags: (options.flags ?? 0) | (options.readOnly === true ? sys.MS_RDONLY : 0),
    data: words.join(','),
  })
  if (result < 0) {
    sys.close(fd)
    throw new MountError(`cannot mount on ${mountpoint}`, -result)
  }
  return fd
}

/** Descriptor number at which fusermount3 finds its socket. */
const HELPER_SOCKET = 3

/** Flags that fusermount3 knows by name. */
const HELPER_WORDS = [
  [sys.MS_NOEXEC, 'noexec'],
  [sys.MS_SYNCHRONOUS, 'sync'],
  [sys.MS_DIRSYNC, 'dirsync'],
  [sys.MS_NOATIME, 'noatime'],
] as const

async function mountByHelper(options: MountOptions): Promise<number> {
  const pair = sys.socketpair()
  if (typeof pair === 'number') throw new MountError('cannot make a socket pair', -pair)
  const [own, theirs] = pair
  const words = [
    options.readOnly === true ? 'ro' : 'rw',
    'nosuid',
    'nodev',
    `fsname=${options.source.replaceAll(/[\\,]/g, match => `\\${match}`)}`,
    `subtype=${FS_SUBTYPE}`,
  ]
  for (const [flag, word] of HELPER_WORDS) if (((options.flags ?? 0) & flag) !== 0) words.push(word)
  if (options.allowOther === true) words.push('allow_other')
  words.push(...mountData(options))
  const helper = spawn('fusermount3', ['-o', words.join(','), '--', options.mountpoint], {
    stdio: ['ignore', 'ignore', 'pipe', theirs],
    env: { ...process.env, _FUSE_COMMFD: String(HELPER_SOCKET) },
  })
  let complaint = ''
  helper.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  const ended = new Promise<string | undefined>(resolve => {
    helper.once('error', error => resolve(String(error)))
    helper.once('close', code => resolve(code === 0 ? undefined : complaint.trim()))
  })
  try {
    const problem = await ended
    if (problem !== undefined) throw new MountError(problem === '' ? 'fusermount3 failed' : problem)
    const fd = sys.receiveDescriptor(own)
    if (fd < 0) throw new MountError('fusermount3 passed no descriptor', -fd)
    sys.fcntl(fd, sys.F_SETFL, sys.fcntl(fd, sys.F_GETFL) | sys.O.NONBLOCK)
    return fd
  } finally {
    sys.close(own)
  }
}

/**
 * Unmounts; `lazy` detaches a mount that is in use, which then ends with its last user. 0 or −errno
 * (without root, −EBUSY stands for whatever fusermount3 was unhappy about).
 */
export async function unmountPath(mountpoint: string, lazy: boolean): Promise<number> {
  if (sys.geteuid() === 0) {
    return await sys.umountAsync(mountpoint, sys.UMOUNT_NOFOLLOW | (lazy ? sys.MNT_DETACH : 0))
  }
  const flags = lazy ? ['-u', '-z'] : ['-u']
  const helper = spawn('fusermount3', [...flags, '--', mountpoint], { stdio: 'ignore' })
  return await new Promise(resolve => {
    helper.once('error', () => resolve(-Errno.EPERM))
    helper.once('close', code => resolve(code === 0 ? 0 : -Errno.EBUSY))
  })
}
