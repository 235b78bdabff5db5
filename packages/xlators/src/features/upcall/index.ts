/**
 * features/upcall: tells clients of changes that others make to what they have in their caches.
 *
 * A brick remembers for each inode which clients used it lately. A change is told to all of them but
 * the one that made it. Off unless `cache-invalidation` is on. Facts: xlators/features/upcall/src.
 *
 * Leases on the names of directories (names-leases.ts) are granted always: nothing is told unasked.
 */

import {
  type ContextKey,
  type Ctx,
  defineOptions,
  defineXlator,
  Dict,
  EMPTY_IATT,
  Errno,
  failure,
  FOP_NAMES,
  type FopArgs,
  type FopName,
  type Fops,
  gfidText,
  globRegExp,
  type Iatt,
  type Inode,
  type Loc,
  type Reply,
  ROOT_CTX,
  SetAttr,
  type Subvolume,
  UpcallFlag,
  valueBytes,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { leasingFops, NamesLeases } from './names-leases.ts'

const options = defineOptions({
  'cache-invalidation': {
    kind: 'bool',
    default: 'off',
    since: 30700,
    doc: 'Tell clients of changes to what they cache.',
  },
  'cache-invalidation-timeout': {
    kind: 'int',
    default: '60',
    min: 0,
    max: 600,
    since: 30700,
    doc: 'Seconds for which a client counts as caching what it used.',
  },
})

type Self = XlatorSelf<typeof options>
/** When each client last used an inode, in milliseconds of the clock. */
type Users = Map<string, number>

/** ipc operation by which clients name the xattrs they cache. */
const IPC_UPCALL = 2
/** Names of xattrs that clients may register, and the length of each. */
const PATTERNS_MAX = 256
const PATTERN_LENGTH_MAX = 256
const CHANGED_DATA = UpcallFlag.SIZE | UpcallFlag.TIMES

interface Change {
  readonly flags: number
  readonly stat?: Iatt
  readonly parentStat?: Iatt
  readonly oldParentStat?: Iatt
  readonly xdata?: Dict
}

class Upcall implements Xlator {
  readonly #self: Self
  readonly #child: Subvolume
  readonly #users: ContextKey<Users>
  /** Names of xattrs that some client caches. */
  readonly #xattrs = new Map<string, RegExp>()

  constructor(self: Self) {
    this.#self = self
    this.#child = self.child
    this.#users = self.contextKey<Users>()
  }

  async lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    const reply = await this.#child.lookup(ctx, args)
    if (reply.ok && this.#on) this.#used(ctx, this.#self.inodes.find(reply.stat.gfid))
    return reply
  }

  stat(ctx: Ctx, args: FopArgs['stat']): Promise<Reply<'stat'>> {
    this.#used(ctx, args.loc.inode)
    return this.#child.stat(ctx, args)
  }

  fstat(ctx: Ctx, args: FopArgs['fstat']): Promise<Reply<'fstat'>> {
    this.#used(ctx, args.fd.inode)
    return this.#child.fstat(ctx, args)
  }

  open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    this.#used(ctx, args.loc.inode)
    return this.#child.open(ctx, args)
  }

  opendir(ctx: Ctx, args: FopArgs['opendir']): Promise<Reply<'opendir'>> {
    this.#used(ctx, args.loc.inode)
    return this.#child.opendir(ctx, args)
  }

  readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    this.#used(ctx, args.fd.inode)
    return this.#child.readv(ctx, args)
  }

  getxattr(ctx: Ctx, args: FopArgs['getxattr']): Promise<Reply<'getxattr'>> {
    this.#used(ctx, args.loc.inode)
    return this.#child.getxattr(ctx, args)
  }

  readlink(ctx: Ctx, args: FopArgs['readlink']): Promise<Reply<'readlink'>> {
    this.#used(ctx, args.loc.inode)
    return this.#child.readlink(ctx, args)
  }

  async readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    const reply = await this.#child.readdirp(ctx, args)
    if (reply.ok && this.#on)
      for (const entry of reply.entries) this.#used(ctx, this.#self.inodes.find(entry.stat.gfid))
    return reply
  }

  async writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    const reply = await this.#child.writev(ctx, args)
    if (reply.ok) this.#changed(ctx, args.fd.inode, { flags: CHANGED_DATA, stat: reply.poststat })
    return reply
  }

  async truncate(ctx: Ctx, args: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    const reply = await this.#child.truncate(ctx, args)
    if (reply.ok) this.#changed(ctx, args.loc.inode, { flags: CHANGED_DATA, stat: reply.poststat })
    return reply
  }

  ftruncate(ctx: Ctx, args: FopArgs['ftruncate']): Promise<Reply<'ftruncate'>> {
    return this.#dataChange(ctx, args.fd.inode, this.#child.ftruncate(ctx, args))
  }

  fallocate(ctx: Ctx, args: FopArgs['fallocate']): Promise<Reply<'fallocate'>> {
    return this.#dataChange(ctx, args.fd.inode, this.#child.fallocate(ctx, args))
  }

  discard(ctx: Ctx, args: FopArgs['discard']): Promise<Reply<'discard'>> {
    return this.#dataChange(ctx, args.fd.inode, this.#child.discard(ctx, args))
  }

  zerofill(ctx: Ctx, args: FopArgs['zerofill']): Promise<Reply<'zerofill'>> {
    return this.#dataChange(ctx, args.fd.inode, this.#child.zerofill(ctx, args))
  }

  async copy_file_range(
    ctx: Ctx,
    args: FopArgs['copy_file_range'],
  ): Promise<Reply<'copy_file_range'>> {
    const reply = await this.#child.copy_file_range(ctx, args)
    if (reply.ok)
      this.#changed(ctx, args.target.inode, { flags: CHANGED_DATA, stat: reply.poststat })
    return reply
  }

  async setattr(ctx: Ctx, args: FopArgs['setattr']): Promise<Reply<'setattr'>> {
    const reply = await this.#child.setattr(ctx, args)
    if (reply.ok)
      this.#changed(ctx, args.loc.inode, {
        flags: attributeFlags(args.valid),
        stat: reply.poststat,
      })
    return reply
  }

  async fsetattr(ctx: Ctx, args: FopArgs['fsetattr']): Promise<Reply<'fsetattr'>> {
    const reply = await this.#child.fsetattr(ctx, args)
    if (reply.ok)
      this.#changed(ctx, args.fd.inode, { flags: attributeFlags(args.valid), stat: reply.poststat })
    return reply
  }

  async create(ctx: Ctx, args: FopArgs['create']): Promise<Reply<'create'>> {
    const reply = await this.#child.create(ctx, args)
    if (reply.ok) this.#madeEntry(ctx, args.loc.parent, reply)
    return reply
  }

  async mknod(ctx: Ctx, args: FopArgs['mknod']): Promise<Reply<'mknod'>> {
    const reply = await this.#child.mknod(ctx, args)
    if (reply.ok) this.#madeEntry(ctx, args.loc.parent, reply)
    return reply
  }

  async mkdir(ctx: Ctx, args: FopArgs['mkdir']): Promise<Reply<'mkdir'>> {
    const reply = await this.#child.mkdir(ctx, args)
    if (reply.ok) this.#madeEntry(ctx, args.loc.parent, reply)
    return reply
  }

  async symlink(ctx: Ctx, args: FopArgs['symlink']): Promise<Reply<'symlink'>> {
    const reply = await this.#child.symlink(ctx, args)
    if (reply.ok) this.#madeEntry(ctx, args.loc.parent, reply)
    return reply
  }

  async link(ctx: Ctx, args: FopArgs['link']): Promise<Reply<'link'>> {
    const reply = await this.#child.link(ctx, args)
    if (reply.ok) {
      this.#changed(ctx, args.oldloc.inode, {
        flags: UpcallFlag.NLINK | UpcallFlag.TIMES,
        stat: reply.stat,
      })
      this.#directoryChanged(ctx, args.newloc.parent, reply.postparent)
    }
    return reply
  }

  async unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    const inode = await this.#behind(args.loc)
    const reply = await this.#child.unlink(ctx, args)
    if (reply.ok) this.#lostEntry(ctx, inode, args.loc.parent, reply.postparent)
    return reply
  }

  async rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    const inode = await this.#behind(args.loc)
    const reply = await this.#child.rmdir(ctx, args)
    if (reply.ok) this.#lostEntry(ctx, inode, args.loc.parent, reply.postparent)
    return reply
  }

  async rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    const renamed = await this.#behind(args.oldloc)
    const replaced = await this.#behind(args.newloc)
    const reply = await this.#child.rename(ctx, args)
    if (reply.ok) {
      if (renamed !== undefined)
        this.#changed(ctx, renamed, {
          flags: UpcallFlag.RENAME,
          stat: reply.stat,
          parentStat: reply.postnewparent,
          oldParentStat: reply.postoldparent,
        })
      if (replaced !== undefined)
        this.#changed(ctx, replaced, { flags: UpcallFlag.NLINK | UpcallFlag.TIMES })
      this.#directoryChanged(ctx, args.oldloc.parent, reply.postoldparent)
      if (args.newloc.parent !== args.oldloc.parent)
        this.#directoryChanged(ctx, args.newloc.parent, reply.postnewparent)
    }
    return reply
  }

  async setxattr(ctx: Ctx, args: FopArgs['setxattr']): Promise<Reply<'setxattr'>> {
    const reply = await this.#child.setxattr(ctx, args)
    if (reply.ok) this.#xattrsChanged(ctx, args.loc.inode, UpcallFlag.XATTR, args.dict)
    return reply
  }

  async fsetxattr(ctx: Ctx, args: FopArgs['fsetxattr']): Promise<Reply<'fsetxattr'>> {
    const reply = await this.#child.fsetxattr(ctx, args)
    if (reply.ok) this.#xattrsChanged(ctx, args.fd.inode, UpcallFlag.XATTR, args.dict)
    return reply
  }

  async removexattr(ctx: Ctx, args: FopArgs['removexattr']): Promise<Reply<'removexattr'>> {
    const reply = await this.#child.removexattr(ctx, args)
    if (reply.ok) this.#xattrsChanged(ctx, args.loc.inode, UpcallFlag.XATTR_RM, removedNames(args))
    return reply
  }

  async fremovexattr(ctx: Ctx, args: FopArgs['fremovexattr']): Promise<Reply<'fremovexattr'>> {
    const reply = await this.#child.fremovexattr(ctx, args)
    if (reply.ok) this.#xattrsChanged(ctx, args.fd.inode, UpcallFlag.XATTR_RM, removedNames(args))
    return reply
  }

  async xattrop(ctx: Ctx, args: FopArgs['xattrop']): Promise<Reply<'xattrop'>> {
    const reply = await this.#child.xattrop(ctx, args)
    if (reply.ok)
      this.#xattrsChanged(ctx, args.loc.inode, UpcallFlag.XATTR, changedCounters(args.dict))
    return reply
  }

  async fxattrop(ctx: Ctx, args: FopArgs['fxattrop']): Promise<Reply<'fxattrop'>> {
    const reply = await this.#child.fxattrop(ctx, args)
    if (reply.ok)
      this.#xattrsChanged(ctx, args.fd.inode, UpcallFlag.XATTR, changedCounters(args.dict))
    return reply
  }

  async ipc(ctx: Ctx, args: FopArgs['ipc']): Promise<Reply<'ipc'>> {
    if (args.op !== IPC_UPCALL) return this.#child.ipc(ctx, args)
    for (const name of args.xdata?.keys() ?? []) {
      if (name.length > PATTERN_LENGTH_MAX || this.#xattrs.size >= PATTERNS_MAX)
        return failure(Errno.EINVAL)
      this.#xattrs.set(name, globRegExp(name))
    }
    return { ok: true }
  }

  /** A brick that forgets an inode forgets who uses it, too: those must not rely on news of it. */
  forget(inode: Inode): void {
    if (!this.#on) return
    const users = this.#users.get(inode)
    if (users === undefined) return
    for (const client of users.keys()) this.#tell(client, inode, { flags: UpcallFlag.FORGET })
  }

  /** A client that is gone is told nothing more. */
  clientGone(client: string): void {
    if (!this.#on) return
    for (const inode of this.#self.inodes) this.#users.get(inode)?.delete(client)
  }

  get #on(): boolean {
    return this.#self.options['cache-invalidation']
  }

  #used(ctx: Ctx, inode: Inode | undefined): void {
    if (!this.#on || inode === undefined || ctx.client === '') return
    this.#users.obtain(inode, () => new Map()).set(ctx.client, this.#self.env.clock.monotonic())
  }

  async #dataChange(
    ctx: Ctx,
    inode: Inode,
    change: Promise<Reply<'ftruncate'>>,
  ): Promise<Reply<'ftruncate'>> {
    const reply = await change
    if (reply.ok) this.#changed(ctx, inode, { flags: CHANGED_DATA, stat: reply.poststat })
    return reply
  }

  #madeEntry(ctx: Ctx, parent: Inode | undefined, reply: { stat: Iatt; postparent: Iatt }): void {
    if (!this.#on) return
    this.#used(ctx, this.#self.inodes.find(reply.stat.gfid))
    this.#directoryChanged(ctx, parent, reply.postparent)
  }

  #lostEntry(
    ctx: Ctx,
    inode: Inode | undefined,
    parent: Inode | undefined,
    postparent: Iatt,
  ): void {
    if (inode !== undefined)
      this.#changed(ctx, inode, {
        flags: UpcallFlag.NLINK | UpcallFlag.TIMES,
        parentStat: postparent,
      })
    this.#directoryChanged(ctx, parent, postparent)
  }

  /** The inode a name leads to: on a brick it may not be known by its name. */
  async #behind(loc: Loc): Promise<Inode | undefined> {
    if (!this.#on || loc.inode.linked) return loc.inode
    const found = await this.#child.lookup(ROOT_CTX, { loc })
    return found.ok ? this.#self.inodes.find(found.stat.gfid) : undefined
  }

  #directoryChanged(ctx: Ctx, directory: Inode | undefined, stat: Iatt): void {
    if (directory !== undefined)
      this.#changed(ctx, directory, { flags: UpcallFlag.TIMES | UpcallFlag.PARENT_TIMES, stat })
  }

  #xattrsChanged(ctx: Ctx, inode: Inode, flags: number, dict: Dict): void {
    if (!this.#on) return
    const cached = new Dict()
    for (const [key, value] of dict) {
      for (const pattern of this.#xattrs.values()) if (pattern.test(key)) cached.set(key, value)
    }
    if (cached.size > 0) this.#changed(ctx, inode, { flags, xdata: cached })
  }

  #changed(ctx: Ctx, inode: Inode, change: Change): void {
    if (!this.#on || !inode.linked) return
    const users = this.#users.get(inode)
    if (users !== undefined && ctx.client !== '') {
      const now = this.#self.env.clock.monotonic()
      const limit = this.#self.options['cache-invalidation-timeout'] * 1000
      for (const [client, last] of users) {
        if (client === ctx.client) continue
        if (now - last > 2 * limit) users.delete(client)
        else if (now - last < limit) this.#tell(client, inode, change)
      }
    }
    this.#used(ctx, inode)
  }

  #tell(client: string, inode: Inode, change: Change): void {
    this.#self.notify({
      kind: 'cache-invalidation',
      client,
      change: {
        gfid: inode.gfid,
        flags: change.flags,
        expireTime: this.#self.options['cache-invalidation-timeout'],
        stat: change.stat ?? EMPTY_IATT,
        parentStat: change.parentStat ?? EMPTY_IATT,
        oldParentStat: change.oldParentStat ?? EMPTY_IATT,
        xdata: change.xdata,
      },
    })
  }
}

/** The names a removal took away: several at once are the keys of xdata. */
function removedNames(args: { name: string; xdata?: Dict | undefined }): Dict {
  const names = new Dict()
  for (const name of args.name === '' ? (args.xdata?.keys() ?? []) : [args.name])
    names.setString(name, '')
  return names
}

/** Counters of replication that zero is added to do not change. */
function changedCounters(dict: Dict): Dict {
  const changed = new Dict()
  for (const [key, value] of dict) {
    const zero = key.startsWith('trusted.afr.') && valueBytes(value)?.every(byte => byte === 0)
    if (zero !== true) changed.set(key, value)
  }
  return changed
}

function attributeFlags(valid: number): number {
  let flags: number = UpcallFlag.TIMES
  if ((valid & SetAttr.MODE) !== 0) flags |= UpcallFlag.MODE | UpcallFlag.PERM
  if ((valid & (SetAttr.UID | SetAttr.GID)) !== 0) flags |= UpcallFlag.OWN
  if ((valid & SetAttr.SIZE) !== 0) flags |= UpcallFlag.SIZE
  return flags
}

type AnyFop = (ctx: Ctx, args: FopArgs[FopName]) => Promise<Reply<FopName>>

/** While it is off a call goes straight on: one test, no promise of its own. */
function create(self: Self): Xlator {
  const upcalls: Xlator = new Upcall(self)
  const fops: Record<string, unknown> = {}
  for (const fop of FOP_NAMES) {
    const watched = (upcalls[fop] as AnyFop | undefined)?.bind(upcalls)
    if (watched === undefined) continue
    const child = self.child[fop] as AnyFop
    // Names of xattrs are registered once, when a client connects: they are kept for later.
    fops[fop] =
      fop === 'ipc'
        ? watched
        : (ctx: Ctx, args: FopArgs[FopName]) =>
            self.options['cache-invalidation'] ? watched(ctx, args) : child(ctx, args)
  }
  const { clock, random } = self.env
  const leases = new NamesLeases(clock, gfidText(random.uuid()), (client, gfid, lease) =>
    self.notify({ kind: 'names-recall', client, gfid, lease }),
  )
  return Object.assign(fops as Xlator, leasingFops(leases, { ...fops } as unknown as Fops), {
    forget: (inode: Inode) => upcalls.forget?.(inode),
    clientGone: (client: string) => {
      leases.clientGone(client)
      upcalls.clientGone?.(client)
    },
    dump: () => ({ namesLeases: leases.size }),
  })
}

export const upcall = defineXlator({ type: 'features/upcall', options, create })
