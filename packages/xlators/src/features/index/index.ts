/**
 * features/index: keeps, beside a brick's files, the list of those that wait to be healed, so that a
 * healer reads a short list and not the whole volume. It follows the counters that cluster/replicate
 * and cluster/disperse keep by xattrop. Nothing to follow, nothing done.
 * Facts: xlators/features/index/src/index.c.
 */

import {
  askingWhatGoes,
  type ContextKey,
  type Ctx,
  defineOptions,
  defineXlator,
  Dict,
  Errno,
  failure,
  type Fd,
  type FopArgs,
  type Gfid,
  gfidText,
  type Inode,
  inodeLoc,
  type Reply,
  ROOT_CTX,
  type Subvolume,
  takeWhatWent,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { type Indexed, IndexStore } from './index-store.ts'
import { isPlainName, type View, VIEW_NAMES, Views } from './views.ts'
import { Watch, WatchList } from './watch-list.ts'

const options = defineOptions({
  'index-base': {
    kind: 'path',
    since: 1,
    doc: 'Directory of the index: `.glusterfs/indices` of the brick.',
  },
  'xattrop-pending-watchlist': {
    kind: 'list',
    default: '',
    doc: 'Prefixes of the counters that say what is to be healed.',
  },
  'xattrop-dirty-watchlist': {
    kind: 'list',
    default: '',
    doc: 'Prefixes of the counters that say that a change is under way.',
  },
  'xattrop64-watchlist': {
    kind: 'list',
    default: '',
    doc: 'As the pending ones, of counters of 64 bits.',
  },
})

type Self = XlatorSelf<typeof options>

const LINK_COUNT_KEY = 'link-count'
const COUNT_NAMES = {
  pending: 'glusterfs.xattrop_index_count',
  dirty: 'glusterfs.xattrop_dirty_count',
} as const
const ENTRY_CREATE = 'glusterfs.xattrop-entry-create'
const ENTRY_DELETE = 'glusterfs.xattrop-entry-delete'

/** Counters of one inode change one after the other: an entry must not go after its counter came. */
interface Turn {
  /** Resolves when the last one in line has finished. */
  last: Promise<unknown>
}

class Index implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #store: IndexStore
  readonly #views: Views
  readonly #turns: ContextKey<Turn>
  /** Files without a name that are still open: writes to them are noted like others. */
  readonly #nameless = new Set<Gfid>()
  #watch: WatchList

  constructor(self: Self, base: string) {
    this.#self = self
    this.#child = self.child
    const { random, log } = self.env
    this.#store = new IndexStore({ base, random, log, indexed: self.contextKey<Indexed>() })
    this.#turns = self.contextKey<Turn>()
    this.#views = new Views({
      store: this.#store,
      random,
      inodes: self.inodes,
      child: self.child,
      named: self.contextKey<View>(),
      descriptors: self.contextKey<number>(),
    })
    this.#watch = watchList(self)
  }

  reconfigure(): void {
    this.#watch = watchList(this.#self)
  }

  xattrop(ctx: Ctx, args: FopArgs['xattrop']): Promise<Reply<'xattrop'>> {
    return this.#follow(args.loc.inode, args, () => this.#child.xattrop(ctx, args))
  }

  fxattrop(ctx: Ctx, args: FopArgs['fxattrop']): Promise<Reply<'fxattrop'>> {
    return this.#follow(args.fd.inode, args, () => this.#child.fxattrop(ctx, args))
  }

  lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    const { loc, xdata } = args
    const view = this.#views.find(loc.name === '' ? loc.gfid : loc.pargfid)
    if (view !== undefined) {
      return Promise.resolve(
        loc.name === ''
          ? this.#views.lookup(view, loc.gfid)
          : this.#views.lookupEntry(view, loc.name),
      )
    }
    const reply = this.#child.lookup(ctx, args)
    return xdata === undefined || !asksLinkCount(xdata) ? reply : this.#withLinkCount(reply)
  }

  fstat(ctx: Ctx, args: FopArgs['fstat']): Promise<Reply<'fstat'>> {
    const { inode } = args.fd
    const view = this.#views.find(inode.gfid)
    if (view !== undefined) return Promise.resolve(this.#views.lookup(view, inode.gfid))
    const reply = this.#child.fstat(ctx, args)
    const asks = args.xdata !== undefined && asksLinkCount(args.xdata)
    return asks ? this.#withLinkCount(reply) : reply
  }

  getxattr(ctx: Ctx, args: FopArgs['getxattr']): Promise<Reply<'getxattr'>> {
    const { name } = args
    if (!name.startsWith('glusterfs.xattrop_') || !isTrusted(ctx))
      return this.#child.getxattr(ctx, args)
    const dict = new Dict()
    if (Object.hasOwn(VIEW_NAMES, name)) {
      const kind = VIEW_NAMES[name as keyof typeof VIEW_NAMES]
      dict.setBytes(name, Buffer.from(this.#views.gfid(kind), 'latin1'))
    } else if (name === COUNT_NAMES.pending) dict.setUint(name, this.#store.pendingCount)
    else if (name === COUNT_NAMES.dirty) dict.setUint(name, this.#store.dirtyCount)
    else return this.#child.getxattr(ctx, args)
    return Promise.resolve({ ok: true, dict })
  }

  opendir(ctx: Ctx, args: FopArgs['opendir']): Promise<Reply<'opendir'>> {
    const view = this.#views.find(args.loc.inode.gfid)
    if (view === undefined) return this.#child.opendir(ctx, args)
    return Promise.resolve(isTrusted(ctx) ? { ok: true } : failure(Errno.EACCES))
  }

  readdir(ctx: Ctx, args: FopArgs['readdir']): Promise<Reply<'readdir'>> {
    const view = this.#views.find(args.fd.inode.gfid)
    return view === undefined ? this.#child.readdir(ctx, args) : this.#views.readdir(view, args)
  }

  unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    const view = this.#views.find(args.loc.pargfid)
    if (view === undefined)
      return this.#removing(args, 'file', request => this.#child.unlink(ctx, request))
    return Promise.resolve(
      isTrusted(ctx) ? this.#views.unlink(view, args.loc.name) : failure(Errno.EACCES),
    )
  }

  rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    const view = this.#views.find(args.loc.pargfid)
    if (view === undefined)
      return this.#removing(args, 'directory', request => this.#child.rmdir(ctx, request))
    return Promise.resolve(
      isTrusted(ctx) ? this.#views.rmdir(view, args.loc.name, args.xflags) : failure(Errno.EACCES),
    )
  }

  rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    return this.#removing(args, 'either', request => this.#child.rename(ctx, request))
  }

  release(fd: Fd): void {
    this.#views.release(fd)
    const { inode } = fd
    if (!this.#nameless.has(inode.gfid) || isOpen(inode)) return
    this.#nameless.delete(inode.gfid)
    // The layers below close the file in this turn, after us.
    queueMicrotask(() => void this.#inTurn(inode, () => this.#dropIfGone(inode)))
  }

  dump(): Readonly<Record<string, unknown>> {
    return { pending: this.#store.pendingCount, dirty: this.#store.dirtyCount }
  }

  /** What loses its last name needs no heal: that it goes elsewhere, too, is its directory's. */
  async #removing<
    A extends { readonly xdata?: Dict | undefined },
    R extends Reply<'unlink'> | Reply<'rename'>,
  >(args: A, kind: 'file' | 'directory' | 'either', call: (args: A) => Promise<R>): Promise<R> {
    if (this.#watch.isEmpty) return call(args)
    const reply = await call({ ...args, xdata: askingWhatGoes(args.xdata) })
    const gone = reply.ok ? takeWhatWent(reply.xdata) : undefined
    if (gone === undefined) return reply
    const inode = this.#self.inodes.find(gone)
    if (kind !== 'file') this.#inTurnOf(inode, () => this.#store.purgeNames(gfidText(gone)))
    if (inode !== undefined && kind !== 'directory' && isOpen(inode)) this.#nameless.add(gone)
    else this.#inTurnOf(inode, () => this.#store.drop(gone, inode))
    return reply
  }

  /** A file without a name was closed: is it gone, or has it come back by a heal meanwhile? */
  async #dropIfGone(inode: Inode): Promise<void> {
    const found = await this.#child.lookup(ROOT_CTX, { loc: inodeLoc(inode) })
    if (!found.ok && isGone(found.errno)) this.#store.drop(inode.gfid, inode)
  }

  /** Counters of the inode that are being changed come first: their entries are then there to go. */
  #inTurnOf(inode: Inode | undefined, action: () => void): void {
    if (inode === undefined) action()
    else void this.#inTurn(inode, async () => action())
  }

  #follow(
    inode: Inode,
    args: { op: number; dict: Dict; xdata?: Dict | undefined },
    call: () => Promise<Reply<'xattrop'>>,
  ): Promise<Reply<'xattrop'>> {
    const { op, dict, xdata } = args
    const before = this.#watch.inspect(op, dict)
    const name = xdata?.getString(ENTRY_CREATE)
    const gone = xdata?.getString(ENTRY_DELETE)
    if (before.present === 0 && name === undefined && gone === undefined) return call()
    return this.#inTurn(inode, async () => {
      this.#store.add(inode, before.nonZero)
      let noted = -1
      if (name !== undefined && isPlainName(name)) {
        // Without the note a heal that looks at noted names only would never see this one.
        noted = this.#store.addName(inode, name)
        if (noted < 0) return failure(-noted)
      }
      const reply = await call()
      if (!reply.ok) {
        if (!isGone(reply.errno)) return reply
        this.#store.drop(inode.gfid, inode)
        if (noted === 0) this.#store.takeBackName(gfidText(inode.gfid), name as string)
        return reply
      }
      const after = this.#watch.inspect(op, reply.dict)
      this.#store.add(inode, after.nonZero)
      this.#store.remove(inode, after.present & ~after.nonZero)
      this.#settleNames(inode, gone, after)
      return reply
    })
  }

  #settleNames(
    inode: Inode,
    gone: string | undefined,
    after: { present: number; nonZero: number },
  ): void {
    const directory = gfidText(inode.gfid)
    if (gone !== undefined && isPlainName(gone)) this.#store.removeName(directory, gone)
    // What is noted beside a dirty counter is looked at by name, too.
    const healed = after.present === (Watch.PENDING | Watch.DIRTY) && after.nonZero === 0
    if (healed && inode.isDirectory) this.#store.purgeNames(directory)
  }

  async #inTurn<R>(inode: Inode, action: () => Promise<R>): Promise<R> {
    const turn = this.#turns.get(inode)
    const running = turn === undefined ? action() : turn.last.then(action, action)
    const mine: Turn = { last: running }
    this.#turns.set(inode, mine)
    try {
      return await running
    } finally {
      if (this.#turns.get(inode) === mine) this.#turns.set(inode, undefined)
    }
  }

  async #withLinkCount<R extends Reply<'fstat'> | Reply<'lookup'>>(call: Promise<R>): Promise<R> {
    const reply = await call
    if (!reply.ok) return reply
    const xdata = (reply.xdata ?? new Dict()).setInt(
      LINK_COUNT_KEY,
      this.#store.pendingCount > 0 ? 1 : 0,
    )
    return { ...reply, xdata }
  }
}

/** The index is for healers and administrators: its directories on disk are root's, too. */
function isTrusted(ctx: Ctx): boolean {
  return ctx.uid === 0 || ctx.pid < 0
}

function asksLinkCount(xdata: Dict): boolean {
  return xdata.has(LINK_COUNT_KEY) && xdata.getString(LINK_COUNT_KEY) === COUNT_NAMES.pending
}

/** Somebody has it open who may still change it. */
function isOpen(inode: Inode): boolean {
  for (const fd of inode.fds) if (!fd.anonymous) return true
  return false
}

function isGone(errno: Errno): boolean {
  return errno === Errno.ENOENT || errno === Errno.ESTALE
}

function watchList(self: Self): WatchList {
  return new WatchList({
    pending: self.options['xattrop-pending-watchlist'],
    dirty: self.options['xattrop-dirty-watchlist'],
    pending64: self.options['xattrop64-watchlist'],
  })
}

export const index = defineXlator({
  type: 'features/index',
  options,
  create: (self: Self): Xlator => {
    const base = self.options['index-base']
    // A graph without a brick of its own has no place for an index.
    return base === undefined ? {} : new Index(self, base.replace(/\/+$/, ''))
  },
})
