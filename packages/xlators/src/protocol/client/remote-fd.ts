/**
 * RemoteFds: which number each open fd has on the brick, and which fds are to be opened again after
 * a reconnect.
 */

import {
  type ContextKey,
  type Errno,
  type Fd,
  type Gfid,
  HeldLocks,
  LockType,
  OpenFlag,
} from '@ashlar/core'

/** "None open: use the gfid" (`GF_ANON_FD_NO`). */
export const FD_ANONYMOUS = -2
/** Not open on the brick since the connection broke. */
export const FD_LOST = -1

export class RemoteFd {
  readonly gfid: Gfid
  readonly directory: boolean
  /** As the file is opened again: nothing is created or cut a second time. */
  readonly flags: number
  number: number
  /** Its locks could not be had again. */
  locksLost = false
  locks: HeldLocks | undefined
  /** While it is being opened by somebody who needs it. */
  opening: Promise<Errno> | undefined

  constructor(gfid: Gfid, number: number, flags: number, directory: boolean) {
    this.gfid = gfid
    this.number = number
    this.flags = flags & ~(OpenFlag.CREAT | OpenFlag.EXCL | OpenFlag.TRUNC)
    this.directory = directory
  }

  get open(): boolean {
    return this.number >= 0
  }

  lost(): void {
    this.number = FD_LOST
  }
}

export class RemoteFds {
  readonly #key: ContextKey<RemoteFd>
  readonly #all = new Set<RemoteFd>()
  /** Fds through which somebody has asked for a lock, whatever became of that. */
  readonly #locking = new WeakSet<Fd>()

  constructor(key: ContextKey<RemoteFd>) {
    this.#key = key
  }

  add(fd: Fd, remote: RemoteFd): void {
    this.#key.set(fd, remote)
    this.#all.add(remote)
  }

  get(fd: Fd): RemoteFd | undefined {
    return this.#key.get(fd)
  }

  /** Number for a request. */
  numberOf(fd: Fd): number {
    const remote = this.#key.get(fd)
    return remote?.open === true ? remote.number : FD_ANONYMOUS
  }

  remove(fd: Fd): RemoteFd | undefined {
    const remote = this.#key.get(fd)
    if (remote === undefined) return undefined
    this.#key.set(fd, undefined)
    this.#all.delete(remote)
    return remote
  }

  /** The connection broke: no number is good any more. */
  lose(): void {
    for (const remote of this.#all) remote.lost()
  }

  has(remote: RemoteFd): boolean {
    return this.#all.has(remote)
  }

  get size(): number {
    return this.#all.size
  }

  [Symbol.iterator](): IterableIterator<RemoteFd> {
    return this.#all.values()
  }

  /** An owner has closed the file of this fd: its locks on it are gone, whichever fd they came by. */
  closedBy(fd: Fd, lkOwner: string): void {
    for (const each of fd.inode.fds) this.#key.get(each)?.locks?.closed(lkOwner)
    this.#key.get(fd)?.locks?.closed(lkOwner)
  }

  /** A lock is about to be asked for through the fd. */
  asksForLock(fd: Fd): void {
    this.#locking.add(fd)
  }

  /** Some owner may have locks on the file of the fd by this client. */
  mayHoldLocks(fd: Fd): boolean {
    if (this.#key.get(fd) === undefined || this.#locking.has(fd)) return true
    for (const each of fd.inode.fds) if (this.#locking.has(each)) return true
    return false
  }

  /** The locks of the fd go to another connection: this one does not ask for them again. */
  handsOn(fd: Fd): void {
    const remote = this.#key.get(fd)
    if (remote !== undefined) remote.locks = undefined
  }

  /** A lock request through the fd was granted. */
  locked(fd: Fd, flock: Parameters<HeldLocks['granted']>[0]): void {
    const remote = this.#key.get(fd)
    if (remote === undefined) return
    if (flock.type === LockType.UNLCK) {
      // POSIX locks belong to owner and file: an unlock through one fd ends what another one got.
      for (const each of fd.inode.fds) this.#key.get(each)?.locks?.granted(flock)
    }
    if (flock.type === LockType.UNLCK && remote.locks === undefined) return
    remote.locks ??= new HeldLocks()
    remote.locks.granted(flock)
  }
}
