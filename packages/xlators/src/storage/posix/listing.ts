/** Listing a directory: readdir and readdirp. Facts: `posix_do_readdir`, posix-inode-fd-ops.c. */

import { setImmediate } from 'node:timers/promises'
import {
  type Ctx,
  type Dirent,
  type DirentPlus,
  direntType,
  EMPTY_IATT,
  Errno,
  type Failure,
  failure,
  type FopArgs,
  gfidInode,
  type Iatt,
  NULL_GFID,
  type ReaddirpReply,
  type Reply,
  ROOT_GFID,
} from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { type Brick, buildIatt, type FdState } from './brick.ts'
import { CONTENT_BYTES_MAX, isListed, TURN_MS, withContents } from './content.ts'
import { answer } from './requested.ts'

const DT_DIR = 4
/** What an entry is charged against the size asked for, besides its name. */
const ENTRY_BYTES = 32
const ENTRY_PLUS_BYTES = 184
/** An entry that took longer than this was read from the disk. */
const SLOW_ENTRY_MS = 0.15
/** Entries brought into memory side by side. */
const WARM_ENTRIES = 64
/** Below this for each entry nothing was read from the disk. */
const WARM_ENTRY_MS = 0.03

export class Listing {
  readonly #brick: Brick
  readonly #reader = new sys.DirectoryReader()
  /** Attributes come from the disk, not from memory, at present. */
  #cold = false

  constructor(brick: Brick) {
    this.#brick = brick
  }

  opendir(_ctx: Ctx, args: FopArgs['opendir']): Reply<'opendir'> {
    const brick = this.#brick
    const object = brick.object(args.loc.inode)
    if (typeof object === 'number') return failure(-object)
    const fd = sys.openat(
      sys.AT_FDCWD,
      object.path,
      sys.O.RDONLY | sys.O.DIRECTORY | sys.O.CLOEXEC | sys.O.NOFOLLOW,
    )
    if (fd < 0) return failure(-fd)
    brick.state(args.loc.inode).directory = true
    brick.fds.set(args.fd, { fd, cookie: 0n, misses: 0 })
    return { ok: true }
  }

  readdir(_ctx: Ctx, args: FopArgs['readdir']): Reply<'readdir'> {
    const listed = this.#list(args, ENTRY_BYTES)
    return 'errno' in listed ? listed : { ok: true, ...listed }
  }

  /**
   * On a cold disk an entry's attributes are one or two reads away: once an entry was slow, those
   * that follow are brought into memory side by side, off the loop, however fast the disk.
   */
  async readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    for (let { offset } = args; ; ) {
      const reply = await this.#describeFrom(ctx, args, offset)
      // No entries mean the end of the directory: where all were left out, it goes on.
      if (!reply.ok || reply.eof || reply.entries.length > 0) return reply
      offset = reply.next
    }
  }

  async #describeFrom(
    ctx: Ctx,
    asked: FopArgs['readdirp'],
    offset: bigint,
  ): Promise<(ReaddirpReply & { next: bigint }) | Failure> {
    const brick = this.#brick
    const args = { ...asked, offset }
    const listed = this.#list(args, ENTRY_PLUS_BYTES)
    if ('errno' in listed) return listed
    const open = brick.fds.get(args.fd)
    if (open === undefined) {
      const plain = listed.entries.map(entry => ({ ...entry, stat: EMPTY_IATT }))
      return { ok: true, entries: plain, eof: listed.eof, next: offset }
    }
    const { clock } = brick.self.env
    const filter = args.xdata?.has('readdir-filter-directories') === true
    const entries: DirentPlus[] = []
    let { eof } = listed
    let next = offset
    /** Bytes of contents that go along. */
    let content = 0
    let warm = 0
    let ahead: Promise<void> | undefined
    let turn = clock.monotonic()
    for (const [i, entry] of listed.entries.entries()) {
      if (this.#cold && i >= warm) {
        const present =
          (i === warm ? ahead : undefined) ??
          this.#warm(open, listed.entries.slice(i, i + WARM_ENTRIES))
        warm = i + WARM_ENTRIES
        // The disk goes on with the next ones while these are described.
        const coming = listed.entries.slice(warm, warm + WARM_ENTRIES)
        ahead = coming.length === 0 ? undefined : this.#warm(open, coming)
        await present
        if (brick.fds.get(args.fd) !== open) return failure(Errno.EBADF)
        turn = clock.monotonic()
      }
      if (clock.monotonic() - turn > TURN_MS) {
        await setImmediate()
        if (brick.fds.get(args.fd) !== open) return failure(Errno.EBADF)
        turn = clock.monotonic()
      }
      const start = clock.monotonic()
      const plus = this.#describe(open, entry, args)
      if (!this.#cold && clock.monotonic() - start > SLOW_ENTRY_MS) this.#cold = true
      next = entry.offset
      if (plus === undefined || (filter && plus.type === DT_DIR)) continue
      entries.push(plus)
      if (!isListed(ctx, args.xdata, plus.stat)) continue
      content += plus.stat.size
      if (content < CONTENT_BYTES_MAX || i === listed.entries.length - 1) continue
      // A reply of a reasonable size: the descriptor stands further on, the next call seeks back.
      eof = false
      open.cookie = -1n
      break
    }
    if (content === 0) return { ok: true, entries, eof, next }
    return { ok: true, entries: await withContents(brick, ctx, args.xdata, entries), eof, next }
  }

  async #warm(open: FdState, entries: readonly Dirent[]): Promise<void> {
    const { clock } = this.#brick.self.env
    const start = clock.monotonic()
    await Promise.all(
      entries.map(entry => sys.warmXattrs(`/proc/self/fd/${open.fd}/${entry.name}`)),
    )
    // It was all in memory: the disk is not cold any more.
    if ((clock.monotonic() - start) / entries.length < WARM_ENTRY_MS) this.#cold = false
  }

  /** Entries that fit `size`, and whether the directory ends with them. */
  #list(
    args: FopArgs['readdir'],
    overhead: number,
  ): { entries: Dirent[]; eof: boolean } | ReturnType<typeof failure> {
    const brick = this.#brick
    const borrowed = brick.borrow(args.fd, sys.O.RDONLY | sys.O.DIRECTORY)
    if (typeof borrowed === 'number') return failure(-borrowed)
    try {
      const open = brick.fds.get(args.fd)
      if (open?.cookie !== args.offset || args.offset === 0n) {
        const result = sys.seekDirectory(borrowed.fd, args.offset)
        if (result < 0) return failure(-result)
      }
      const atRoot = args.fd.inode.gfid === ROOT_GFID
      const entries: Dirent[] = []
      let budget = args.size
      for (;;) {
        const read = this.#reader.read(borrowed.fd)
        if (typeof read === 'number') return failure(-read)
        if (read.length === 0) return this.#listed(open, entries, args.offset, true)
        for (const entry of read) {
          if (atRoot && entry.name === '.glusterfs') continue
          budget -= overhead + entry.name.length
          if (budget < 0 && entries.length > 0) {
            // The descriptor stands further on: the next call seeks back.
            if (open !== undefined) open.cookie = -1n
            return { entries, eof: false }
          }
          entries.push(entry)
        }
        if (open !== undefined) open.cookie = (read.at(-1) as Dirent).offset
      }
    } finally {
      borrowed.done()
    }
  }

  #listed(
    open: FdState | undefined,
    entries: Dirent[],
    offset: bigint,
    eof: boolean,
  ): { entries: Dirent[]; eof: boolean } {
    if (open !== undefined) open.cookie = entries.at(-1)?.offset ?? offset
    return { entries, eof }
  }

  /** An entry with attributes; undefined when it has gone meanwhile. */
  #describe(open: FdState, entry: Dirent, args: FopArgs['readdirp']): DirentPlus | undefined {
    const brick = this.#brick
    const found = sys.statat(open.fd, entry.name, brick.stat)
    // Without root, the directory's mode may let the brick read its names and no more.
    if (found < 0) return found === -Errno.ENOENT ? undefined : { ...entry, stat: EMPTY_IATT }
    if (entry.name === '.' || entry.name === '..') {
      // Without identity, but known to be directories: distribute shows each from one brick only.
      return { ...entry, stat: buildIatt(brick.stat, NULL_GFID, null) }
    }
    const path = `/proc/self/fd/${open.fd}/${entry.name}`
    const gfid = brick.storedGfid(path)
    // Without a gfid it must be looked up, which gives it one.
    if (gfid === NULL_GFID) return { ...entry, stat: EMPTY_IATT }
    const stat: Iatt = brick.iattOf(gfid, path)
    const inode = brick.self.inodes.find(gfid)
    const dict = answer(brick, args.xdata, { inode, gfid, path, stat })
    return {
      name: entry.name,
      ino: gfidInode(gfid),
      offset: entry.offset,
      // Not every file system has the type in its directories.
      type: entry.type === 0 ? direntType(stat.mode) : entry.type,
      stat,
      dict,
    }
  }
}
