/**
 * features/locks: who may do what to which part of a file or directory, on a brick.
 *
 *   inodelk, entrylk   of the clients' own translators, in domains
 *   lk                 of users: fcntl and flock
 *
 * All locks of a client go when its connection does. Facts: xlators/features/locks/src.
 */

import {
  type Ctx,
  defineOptions,
  defineXlator,
  Dict,
  EntrylkCommand,
  Errno,
  failure,
  type Fd,
  type Flock,
  type FopArgs,
  type FopName,
  gfidText,
  type Inode,
  type Loc,
  LOCK_INFO,
  LockCommand,
  LockType,
  ONLY_GRANTED,
  type Reply,
  ROOT_CTX,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { clearLocks, parseClearLocks } from './clear-locks.ts'
import { addCounts, asksCounts, withoutCounts } from './counts.ts'
import { dumpLocks } from './dump.ts'
import { InodeLocks } from './inode-locks.ts'
import { parseLockInfo, printLockInfo } from './lock-info.ts'
import type { PosixLock } from './posix-locks.ts'
import { RANGE_END, type RangeLock } from './range-locks.ts'
import { type Holder, holderOf, type Outcome, ownerOf } from './waiting.ts'

const options = defineOptions({
  'notify-contention': {
    kind: 'bool',
    default: 'yes',
    since: 40000,
    doc: 'Tell the holder of a lock that somebody waits for it.',
  },
  'notify-contention-delay': {
    kind: 'int',
    default: '5',
    min: 0,
    max: 60,
    since: 40000,
    doc: 'Seconds between two such notices for one lock.',
  },
  trace: { kind: 'bool', default: 'off', doc: 'Log every lock.' },
})

type Self = XlatorSelf<typeof options>

/** An inodelk at this offset without length locks an inode's metadata: a domain of its own. */
const METADATA_START = (1n << 63n) - 2n

/** Locks on an inode's attributes stand in a domain of their own beside the one they name. */
const METADATA_SUFFIX = ':metadata'

/** Fops whose xdata may ask for lock counts. */
const COUNTING = [
  'lookup',
  'stat',
  'fstat',
  'readv',
  'writev',
  'fsync',
  'xattrop',
  'fxattrop',
  'setattr',
  'fsetattr',
  'truncate',
  'ftruncate',
] as const

class Locks implements Xlator {
  readonly #self: Self
  readonly #key
  /** No other brick of the volume has this name, nor this one the next time: fds are numbered anew. */
  readonly #brick: string
  /** Inodes with locks, for clients that go. */
  readonly #locked = new Set<InodeLocks>()
  /** Inodes with inodelks, and the one client that has them all; undefined: several. */
  readonly #rangeLocked = new Set<InodeLocks>()
  #onlyClient: string | undefined
  /** When the holder of a lock was told last. Each lock by itself: who takes it anew is told anew. */
  readonly #notified = new WeakMap<Holder, number>()

  constructor(self: Self) {
    this.#self = self
    this.#key = self.contextKey<InodeLocks>()
    const run = gfidText(self.env.random.uuid())
    this.#brick = `${self.graph.process.volfileId}:${self.name}:${run}`
    for (const fop of COUNTING) this.#count(fop)
  }

  async inodelk(ctx: Ctx, args: FopArgs['inodelk']): Promise<Reply<'inodelk'>> {
    return this.#rangeLock(ctx, args.loc.inode, args)
  }

  async finodelk(ctx: Ctx, args: FopArgs['finodelk']): Promise<Reply<'finodelk'>> {
    return this.#rangeLock(ctx, args.fd.inode, args)
  }

  async #rangeLock(
    ctx: Ctx,
    inode: Inode,
    args: { domain: string; command: number; flock: Flock },
  ): Promise<Reply<'inodelk'>> {
    const { flock } = args
    if (ctx.lkOwner === '' || flock.start < 0n || flock.len < 0n) return failure(Errno.EINVAL)
    if (args.command !== LockCommand.SETLK && args.command !== LockCommand.SETLKW)
      return failure(Errno.EOPNOTSUPP)
    const metadata = flock.start === METADATA_START && flock.len === 0n
    const domain = metadata ? `${args.domain}${METADATA_SUFFIX}` : args.domain
    const range = {
      start: flock.start,
      end: flock.len === 0n ? RANGE_END : flock.start + flock.len - 1n,
    }
    const locks = this.#obtain(inode)
    if (this.#rangeLocked.size === 0) this.#onlyClient = ctx.client
    else if (this.#onlyClient !== ctx.client) this.#onlyClient = undefined
    const lock: RangeLock = { ...holderOf(ctx), ...range, write: flock.type === LockType.WRLCK }
    const outcome =
      flock.type === LockType.UNLCK
        ? locks.range(domain).release(lock)
        : locks
            .range(domain)
            .acquire(lock, args.command === LockCommand.SETLKW, holder =>
              this.#contend(inode, args.domain, holder, undefined),
            )
    return this.#finish(locks, outcome)
  }

  async entrylk(ctx: Ctx, args: FopArgs['entrylk']): Promise<Reply<'entrylk'>> {
    return this.#entryLock(ctx, args.loc.inode, args)
  }

  async fentrylk(ctx: Ctx, args: FopArgs['fentrylk']): Promise<Reply<'fentrylk'>> {
    return this.#entryLock(ctx, args.fd.inode, args)
  }

  async #entryLock(
    ctx: Ctx,
    inode: Inode,
    args: { domain: string; name: string | undefined; command: number; type: number },
  ): Promise<Reply<'entrylk'>> {
    if (ctx.lkOwner === '') return failure(Errno.EINVAL)
    const locks = this.#obtain(inode)
    const lock = { ...holderOf(ctx), name: args.name, type: args.type }
    const outcome =
      args.command === EntrylkCommand.UNLOCK
        ? locks.entry(args.domain).release(lock)
        : locks
            .entry(args.domain)
            .acquire(lock, args.command === EntrylkCommand.LOCK, holder =>
              this.#contend(inode, args.domain, holder, args.name ?? ''),
            )
    return this.#finish(locks, outcome)
  }

  async #finish(
    locks: InodeLocks,
    outcome: Promise<Outcome> | Outcome,
  ): Promise<{ ok: true } | ReturnType<typeof failure>> {
    this.#settle(locks)
    const result = await outcome
    if (typeof outcome !== 'number') this.#settle(locks)
    return result === 0 ? { ok: true } : failure(result)
  }

  async lk(ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
    const { flock, fd } = args
    const range = normalise(flock)
    if (range === undefined || ctx.lkOwner === '') return failure(Errno.EINVAL)
    const locks = this.#obtain(fd.inode)
    const lock: PosixLock = {
      ...holderOf(ctx),
      ...range,
      pid: flock.pid,
      caller: ctx.pid,
      write: flock.type === LockType.WRLCK,
      fd: fd.serial,
    }
    const echo: Flock = { ...flock, lkOwner: ctx.lkOwner }
    if (args.command === LockCommand.GETLK) {
      const held = locks.posix.conflict(lock)
      return {
        ok: true,
        flock: held === undefined ? { ...echo, type: LockType.UNLCK } : describe(held),
      }
    }
    if (args.command !== LockCommand.SETLK && args.command !== LockCommand.SETLKW)
      return failure(Errno.EOPNOTSUPP)
    if (flock.type === LockType.UNLCK) {
      locks.posix.unlock(lock)
      this.#settle(locks)
      return { ok: true, flock: echo }
    }
    const outcome = locks.posix.acquire(lock, args.command === LockCommand.SETLKW)
    const result = await this.#finish(locks, outcome)
    return result.ok ? { ok: true, flock: echo } : result
  }

  /** POSIX: closing any descriptor of a file drops the owner's locks on it. */
  async flush(ctx: Ctx, args: FopArgs['flush']): Promise<Reply<'flush'>> {
    const locks = this.#key.get(args.fd.inode)
    if (locks !== undefined && !locks.posix.empty) {
      const { owner } = holderOf(ctx)
      // A server that flushes for a client that has gone knows no owner: all locks of the fd.
      locks.posix.drop(lock =>
        ctx.lkOwner === '' ? lock.fd === args.fd.serial : lock.owner === owner,
      )
      this.#settle(locks)
    }
    return this.#self.child.flush(ctx, args)
  }

  release(fd: Fd): void {
    const locks = this.#key.get(fd.inode)
    if (locks === undefined || locks.posix.empty) return
    locks.posix.drop(lock => lock.fd === fd.serial)
    this.#settle(locks)
  }

  async unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    await this.#removal(ctx, args.loc)
    return this.#withParentCounts(args, args.loc, request => this.#self.child.unlink(ctx, request))
  }

  async rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    await this.#removal(ctx, args.loc)
    return this.#withParentCounts(args, args.loc, request => this.#self.child.rmdir(ctx, request))
  }

  async rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    await this.#removal(ctx, args.newloc)
    return this.#withParentCounts(args, args.oldloc, request =>
      this.#self.child.rename(ctx, request),
    )
  }

  async getxattr(ctx: Ctx, args: FopArgs['getxattr']): Promise<Reply<'getxattr'>> {
    return this.#cleared(ctx, args.loc.inode, args.name) ?? this.#self.child.getxattr(ctx, args)
  }

  async fgetxattr(ctx: Ctx, args: FopArgs['fgetxattr']): Promise<Reply<'fgetxattr'>> {
    if (args.name === LOCK_INFO) return this.#lockInfo(args.fd)
    return this.#cleared(ctx, args.fd.inode, args.name) ?? this.#self.child.fgetxattr(ctx, args)
  }

  async fsetxattr(ctx: Ctx, args: FopArgs['fsetxattr']): Promise<Reply<'fsetxattr'>> {
    if (args.dict.has(LOCK_INFO)) return this.#claim(ctx, args)
    return this.#self.child.fsetxattr(ctx, args)
  }

  #lockInfo(fd: Fd): Reply<'fgetxattr'> {
    const held = this.#key.get(fd.inode)?.posix.through(fd.serial) === true
    return { ok: true, dict: held ? printLockInfo(this.#brick, fd.serial) : new Dict() }
  }

  /** The locks of another connection's fd are from now on this one's. */
  #claim(ctx: Ctx, { fd, dict, xdata }: FopArgs['fsetxattr']): Reply<'fsetxattr'> {
    const claimed = parseLockInfo(dict, this.#brick)
    if (typeof claimed === 'number') return failure(claimed)
    const locks = this.#key.get(fd.inode)
    if (claimed.fd !== undefined && locks !== undefined) {
      const heir = { client: ctx.client, fd: fd.serial }
      locks.posix.move(claimed.fd, heir, xdata?.has(ONLY_GRANTED) !== true)
      this.#settle(locks)
    }
    return { ok: true }
  }

  /** Removes the locks that the name of an xattr tells to; undefined: it is the name of an xattr. */
  #cleared(ctx: Ctx, inode: Inode, name: string): Reply<'getxattr'> | undefined {
    const request = parseClearLocks(name)
    if (request === undefined) return undefined
    const locks = this.#key.get(inode)
    const cleared =
      locks === undefined ? { blocked: 0, granted: 0 } : clearLocks(locks, request, ctx)
    const text =
      cleared.blocked + cleared.granted === 0
        ? 'No locks cleared.'
        : `${this.#self.graph.process.volfileId}: ${request.type} blocked locks=${cleared.blocked} granted locks=${cleared.granted}`
    return { ok: true, dict: new Dict().setString(name, text) }
  }

  async getactivelk(_ctx: Ctx, args: FopArgs['getactivelk']): Promise<Reply<'getactivelk'>> {
    const granted = this.#key.get(args.loc.inode)?.posix.granted ?? []
    return {
      ok: true,
      locks: granted.map(lock => ({ flock: describe(lock), client: lock.client, flags: 0 })),
    }
  }

  async setactivelk(_ctx: Ctx, args: FopArgs['setactivelk']): Promise<Reply<'setactivelk'>> {
    const locks = this.#obtain(args.loc.inode)
    for (const { flock, client } of args.locks) {
      const range = normalise(flock)
      if (range === undefined) return failure(Errno.EINVAL)
      const holder: Holder = {
        owner: ownerOf(client, flock.lkOwner),
        client,
        lkOwner: flock.lkOwner,
        pid: flock.pid,
      }
      const outcome = locks.posix.acquire(
        { ...holder, ...range, caller: flock.pid, write: flock.type === LockType.WRLCK, fd: 0 },
        false,
      )
      if (outcome !== 0) {
        this.#settle(locks)
        return failure(Errno.EAGAIN)
      }
    }
    this.#settle(locks)
    return { ok: true }
  }

  clientGone(client: string): void {
    for (const locks of this.#locked) {
      locks.dropClient(client)
      this.#settle(locks)
    }
  }

  dump(): Readonly<Record<string, unknown>> {
    return dumpLocks(this.#locked)
  }

  /** Makes a fop answer the lock counts that its xdata asks for. */
  #count(fop: (typeof COUNTING)[number]): void {
    const child = this.#self.child[fop] as (
      ctx: Ctx,
      args: FopArgs[FopName],
    ) => Promise<Reply<FopName>>
    const counted = async (ctx: Ctx, args: FopArgs[typeof fop]): Promise<Reply<FopName>> => {
      const { xdata } = args
      if (!asksCounts(xdata)) return child(ctx, args)
      const reply = await child(ctx, { ...args, xdata: withoutCounts(xdata) })
      if (!reply.ok) return reply
      const inode = this.#subject(args, reply)
      const loc = 'loc' in args ? args.loc : undefined
      return {
        ...reply,
        xdata: addCounts(xdata, reply.xdata, {
          locks: inode === undefined ? undefined : this.#key.get(inode),
          ...(loc?.parent === undefined
            ? {}
            : { parentLocks: this.#key.get(loc.parent), name: loc.name }),
        }),
      }
    }
    Object.assign(this, { [fop]: counted })
  }

  /** A lookup counts what it has found, everything else what it was called on. */
  #subject(args: FopArgs[FopName], reply: Reply<FopName>): Inode | undefined {
    if ('fd' in args) return args.fd.inode
    if (!('loc' in args)) return undefined
    if (args.loc.inode.linked || !('stat' in reply)) return args.loc.inode
    return this.#self.inodes.find((reply as { stat: { gfid: Inode['gfid'] } }).stat.gfid)
  }

  async #withParentCounts<
    A extends { xdata?: Dict | undefined },
    R extends { ok: boolean; xdata?: Dict | undefined },
  >(args: A, loc: FopArgs['unlink']['loc'], call: (args: A) => Promise<R>): Promise<R> {
    const { xdata } = args
    if (!asksCounts(xdata)) return call(args)
    const reply = await call({ ...args, xdata: withoutCounts(xdata) })
    if (!reply.ok) return reply
    const locks = loc.parent === undefined ? undefined : this.#key.get(loc.parent)
    return {
      ...reply,
      xdata: addCounts(xdata, reply.xdata, { locks, parentLocks: locks, name: loc.name }),
    }
  }

  /** Waits until nobody else holds an inodelk on what is about to lose this name. */
  async #removal(ctx: Ctx, loc: Loc): Promise<void> {
    if (ctx.pid < 0 || this.#rangeLocked.size === 0 || this.#onlyClient === ctx.client) return
    let inode: Inode | undefined = loc.inode
    if (!inode.linked) {
      // On a brick an entry's inode is not known by its name: what is there now is asked.
      const found = await this.#self.child.lookup(ROOT_CTX, { loc })
      inode = found.ok ? this.#self.inodes.find(found.stat.gfid) : undefined
    }
    if (inode === undefined) return
    const removed = inode
    await this.#key.get(inode)?.removable(ctx.client, (holder, domain) => {
      this.#contend(removed, domain.replace(METADATA_SUFFIX, ''), holder, undefined)
    })
  }

  #obtain(inode: Inode): InodeLocks {
    return this.#key.obtain(inode, () => new InodeLocks(inode))
  }

  #settle(locks: InodeLocks): void {
    locks.settle()
    const held = !locks.posix.empty || locks.ranges.size > 0 || locks.entries.size > 0
    if (held) this.#locked.add(locks)
    else this.#locked.delete(locks)
    if (locks.ranges.size > 0) this.#rangeLocked.add(locks)
    else this.#rangeLocked.delete(locks)
  }

  /** Tells the holder of a lock that it is waited for, not too often. */
  #contend(inode: Inode, domain: string, holder: Holder, name: string | undefined): void {
    const { options: set, env } = this.#self
    if (!set['notify-contention']) return
    const now = env.clock.monotonic()
    const told = this.#notified.get(holder) ?? Number.NEGATIVE_INFINITY
    if (now - told <= set['notify-contention-delay'] * 1000) return
    this.#notified.set(holder, now)
    this.#self.notify(contentionEvent(inode, domain, holder, name))
  }
}

function contentionEvent(
  inode: Inode,
  domain: string,
  holder: Holder,
  name: string | undefined,
): Parameters<Self['notify']>[0] {
  const { gfid } = inode
  const { client } = holder
  return name === undefined
    ? { kind: 'inodelk-contention', gfid, domain, client }
    : { kind: 'entrylk-contention', gfid, domain, name, client }
}

/** The range of a flock; undefined when it begins before the file. */
function normalise(flock: Flock): { start: bigint; end: bigint } | undefined {
  let { start, len } = flock
  if (len < 0n) {
    start += len
    len = -len
  }
  if (start < 0n) return undefined
  return { start, end: len === 0n ? RANGE_END : start + len - 1n }
}

function describe(lock: PosixLock): Flock {
  return {
    type: lock.write ? LockType.WRLCK : LockType.RDLCK,
    whence: 0,
    start: lock.start,
    len: lock.end === RANGE_END ? 0n : lock.end - lock.start + 1n,
    pid: lock.pid,
    lkOwner: lock.lkOwner,
  }
}

export const locks = defineXlator({
  type: 'features/locks',
  options,
  create: self => new Locks(self),
})
