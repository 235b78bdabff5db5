/**
 * Where the brick's own extended attributes live.
 *
 * As root, in `trusted.*` as GlusterFS has them. Without root that name space is closed, and each
 * `trusted.NAME` is stored as `user.trusted.NAME`; nothing else differs. Linux allows no `user.*`
 * on symbolic links and special files: theirs are kept on a file of their own,
 * `.glusterfs/sidecar/<inode number>`. And it asks for the owner's permission bits to read or write
 * them, which linkto files and many others lack: those bits are lent for the moment of the call.
 */

import { Errno } from '@ashlar/core'
import * as sys from '@ashlar/sys'

const HIDDEN_PREFIX = 'user.trusted.'

export interface XattrSpace {
  get(path: string, name: string): Buffer | number
  set(path: string, name: string, value: Buffer, flags: number): number
  remove(path: string, name: string): number
  list(path: string): string[] | number
  fset(fd: number, name: string, value: Buffer, flags: number): number
  fget(fd: number, name: string): Buffer | number
  /** The object under `path` is about to lose its last name. */
  forget(path: string): void
}

/** `trusted.*` as such. */
export const trustedSpace: XattrSpace = {
  get: sys.lgetxattr,
  set: sys.lsetxattr,
  remove: sys.lremovexattr,
  list: sys.llistxattr,
  fset: sys.fsetxattr,
  fget: sys.fgetxattr,
  forget: () => {},
}

function stored(name: string): string {
  return name.startsWith('trusted.') ? `user.${name}` : name
}

function shown(name: string): string {
  return name.startsWith(HIDDEN_PREFIX) ? name.slice('user.'.length) : name
}

/** For a brick served without root; `sidecars` is the directory for objects that can hold none. */
export class UserSpace implements XattrSpace {
  readonly #sidecars: string
  readonly #stat = new sys.Stat()

  constructor(sidecars: string) {
    this.#sidecars = sidecars
  }

  /** The path whose xattrs stand for those of `path`; made when `create` is set. */
  #bearer(path: string, create: boolean): string | number {
    const result = sys.statat(sys.AT_FDCWD, path, this.#stat)
    if (result < 0) return result
    const type = this.#stat.mode & 0o170000
    if (type === 0o100000 || type === 0o040000) return path
    const sidecar = `${this.#sidecars}/${this.#stat.ino}`
    if (create) {
      const fd = sys.openat(
        sys.AT_FDCWD,
        sidecar,
        sys.O.CREAT | sys.O.RDONLY | sys.O.CLOEXEC,
        0o600,
      )
      if (fd < 0) return fd
      sys.close(fd)
    }
    return sidecar
  }

  get(path: string, name: string): Buffer | number {
    const bearer = this.#bearer(path, false)
    if (typeof bearer === 'number') return bearer
    const value = lend(bearer, () => sys.lgetxattr(bearer, stored(name)))
    return value === -Errno.ENOENT && bearer !== path ? -Errno.ENODATA : value
  }

  set(path: string, name: string, value: Buffer, flags: number): number {
    const bearer = this.#bearer(path, true)
    if (typeof bearer === 'number') return bearer
    return lend(bearer, () => sys.lsetxattr(bearer, stored(name), value, flags))
  }

  remove(path: string, name: string): number {
    const bearer = this.#bearer(path, false)
    if (typeof bearer === 'number') return bearer
    return lend(bearer, () => sys.lremovexattr(bearer, stored(name)))
  }

  list(path: string): string[] | number {
    const bearer = this.#bearer(path, false)
    if (typeof bearer === 'number') return bearer
    const names = sys.llistxattr(bearer)
    if (typeof names === 'number') return names === -Errno.ENOENT && bearer !== path ? [] : names
    return names.map(shown)
  }

  fset(fd: number, name: string, value: Buffer, flags: number): number {
    return lend(fd, () => sys.fsetxattr(fd, stored(name), value, flags))
  }

  fget(fd: number, name: string): Buffer | number {
    return lend(fd, () => sys.fgetxattr(fd, stored(name)))
  }

  forget(path: string): void {
    const bearer = this.#bearer(path, false)
    if (typeof bearer === 'string' && bearer !== path) sys.unlinkat(sys.AT_FDCWD, bearer)
  }
}

const OWNER_BITS = 0o600
const PERMISSION_BITS = 0o7777

/** Runs a call on an object of ours, with its owner's bits set for the moment when it needs them. */
function lend<R extends Buffer | number>(object: string | number, call: () => R): R | number {
  const result = call()
  if (result !== -Errno.EACCES) return result
  const stat = new sys.Stat()
  const found =
    typeof object === 'number' ? sys.fstat(object, stat) : sys.statat(sys.AT_FDCWD, object, stat)
  if (found < 0) return result
  const mode = stat.mode & PERMISSION_BITS
  if (setMode(object, mode | OWNER_BITS) < 0) return result
  try {
    return call()
  } finally {
    setMode(object, mode)
  }
}

/** Of a regular file or directory: nothing here follows a symbolic link. */
function setMode(object: string | number, mode: number): number {
  return typeof object === 'number'
    ? sys.fchmod(object, mode)
    : sys.fchmodat(sys.AT_FDCWD, object, mode)
}
