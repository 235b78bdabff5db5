/**
 * cluster/replicate: the same files on every brick of a set. Reads come from one good copy; changes
 * go to all, and what a brick has missed is noted on the others, so that it can be healed. What it
 * writes to bricks is GlusterFS's: changelogs, heal indices, locks (see README.md beside this file).
 */

import {
  type Ctx,
  defineXlator,
  delay,
  type EntryReply,
  Errno,
  failure,
  type FopArgs,
  type Gfid,
  gfidText,
  type GraphEvent,
  type Inode,
  inodeLoc,
  type Loc,
  LOCK_INFO,
  NULL_GFID,
  OptionError,
  type ParentReply,
  type RenameReply,
  type Reply,
  S_IFMT,
  S_IFREG,
  type Step,
  type Subvolume,
} from '@ashlar/core'
import { Copies } from './copies.ts'
import { Files } from './files.ts'
import { makeHealer, type SetHealer } from './heal/index.ts'
import type { HealingXlator } from './healer.ts'
import type { InodeState } from './inode-state.ts'
import * as listing from './listing.ts'
import { claimLocks } from './lock-info.ts'
import * as above from './locks-above.ts'
import { lookup, type LookupParts } from './lookup.ts'
import { MEMBERS_MAX, NOBODY } from './members.ts'
import { replicateOptions } from './options.ts'
import { ReplicaSet, type Self } from './replica-set.ts'
import { DataTransactions } from './transaction/data.ts'
import type { DirectoryLock } from './transaction/directory-lock.ts'
import { EntryTransactions, parentLoc } from './transaction/entry.ts'
import { EntryLocking, type Lockee } from './transaction/entry-locking.ts'
import type { FileLock } from './transaction/file-lock.ts'
import { MetadataTransactions } from './transaction/metadata.ts'
import { type Choice, SplitBrainChoices } from './split-brain-choice.ts'
import { isReserved, Xattrs } from './xattrs.ts'

/** How long the end of a graph waits for bricks that do not answer. */
const STOP_MS = 3000

class Replicate implements HealingXlator {
  readonly healer: SetHealer
  readonly #set: ReplicaSet
  readonly #choices: SplitBrainChoices
  readonly #copies: Copies
  readonly #locking: EntryLocking
  readonly #entries: EntryTransactions
  readonly #data: DataTransactions
  readonly #metadata: MetadataTransactions
  readonly #files: Files
  readonly #xattrs: Xattrs
  readonly #lookups: LookupParts
  readonly #reported: boolean[]
  #announced = false

  constructor(self: Self) {
    if (self.children.length < 2 || self.children.length > MEMBERS_MAX) {
      throw new OptionError(`${self.name} needs 2 to ${MEMBERS_MAX} subvolumes`)
    }
    const set = new ReplicaSet(self)
    this.#set = set
    this.#choices = new SplitBrainChoices(set, self.contextKey<Choice>())
    this.#copies = new Copies(set, self.contextKey<InodeState>(), this.#choices)
    this.#locking = new EntryLocking(set, self.contextKey<DirectoryLock>())
    this.#entries = new EntryTransactions(set, this.#copies, this.#locking)
    this.#data = new DataTransactions(set, this.#copies, self.contextKey<FileLock>())
    this.#metadata = new MetadataTransactions(set, this.#copies)
    this.#files = new Files(set, this.#copies, this.#data, {
      open: self.contextKey(),
      locked: self.contextKey<boolean>(),
    })
    this.#xattrs = new Xattrs(set, this.#copies)
    this.healer = makeHealer(set)
    this.#lookups = {
      set,
      copies: this.#copies,
      healName: (parent, name) => this.healer.healName(parent, name),
      found: gfid => this.#foundDamage(gfid),
    }
    this.#reported = self.children.map(() => false)
  }

  start(): void {
    this.healer.start()
  }

  /** What is dirty is made clean before the connections end, if the bricks let it. */
  async stop(): Promise<void> {
    this.healer.stop()
    this.#choices.stop()
    await Promise.race([this.#set.idle.drain(), delay(this.#set.env.clock, STOP_MS)])
  }

  reconfigure(): void {
    this.healer.reconfigure()
  }

  lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    return lookup(this.#lookups, ctx, args)
  }

  // Reads.

  stat(ctx: Ctx, args: FopArgs['stat']): Promise<Reply<'stat'>> {
    return this.#copies.read(ctx, args.loc.inode, 'metadata', index =>
      this.#set.child(index).stat(ctx, args),
    )
  }

  fstat(ctx: Ctx, args: FopArgs['fstat']): Promise<Reply<'fstat'>> {
    return this.#copies.read(ctx, args.fd.inode, 'metadata', index =>
      this.#set.child(index).fstat(ctx, args),
    )
  }

  access(ctx: Ctx, args: FopArgs['access']): Promise<Reply<'access'>> {
    return this.#copies.read(ctx, args.loc.inode, 'metadata', index =>
      this.#set.child(index).access(ctx, args),
    )
  }

  readlink(ctx: Ctx, args: FopArgs['readlink']): Promise<Reply<'readlink'>> {
    return this.#copies.read(ctx, args.loc.inode, 'data', index =>
      this.#set.child(index).readlink(ctx, args),
    )
  }

  readv(ctx: Ctx, args: FopArgs['readv']): Promise<Reply<'readv'>> {
    return this.#copies.read(ctx, args.fd.inode, 'data', index =>
      this.#set.child(index).readv(ctx, args),
    )
  }

  seek(ctx: Ctx, args: FopArgs['seek']): Promise<Reply<'seek'>> {
    return this.#copies.read(ctx, args.fd.inode, 'data', index =>
      this.#set.child(index).seek(ctx, args),
    )
  }

  rchecksum(ctx: Ctx, args: FopArgs['rchecksum']): Promise<Reply<'rchecksum'>> {
    return this.#copies.read(ctx, args.fd.inode, 'data', index =>
      this.#set.child(index).rchecksum(ctx, args),
    )
  }

  getxattr(ctx: Ctx, args: FopArgs['getxattr']): Promise<Reply<'getxattr'>> {
    return this.#xattrs.get(ctx, args.loc.inode, args.name, index =>
      this.#set.child(index).getxattr(ctx, args),
    )
  }

  fgetxattr(ctx: Ctx, args: FopArgs['fgetxattr']): Promise<Reply<'fgetxattr'>> {
    return this.#xattrs.get(ctx, args.fd.inode, args.name, index =>
      this.#set.child(index).fgetxattr(ctx, args),
    )
  }

  readdir(ctx: Ctx, args: FopArgs['readdir']): Promise<Reply<'readdir'>> {
    return listing.readdir(this.#listingParts, ctx, args)
  }

  readdirp(ctx: Ctx, args: FopArgs['readdirp']): Promise<Reply<'readdirp'>> {
    return listing.readdirp(this.#listingParts, ctx, args)
  }

  // Open files.

  open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    return this.#files.open(ctx, args)
  }

  opendir(ctx: Ctx, args: FopArgs['opendir']): Promise<Reply<'opendir'>> {
    return this.#files.opendir(ctx, args)
  }

  flush(ctx: Ctx, args: FopArgs['flush']): Promise<Reply<'flush'>> {
    return this.#files.flush(ctx, args)
  }

  fsync(ctx: Ctx, args: FopArgs['fsync']): Promise<Reply<'fsync'>> {
    return this.#files.fsync(ctx, args)
  }

  fsyncdir(ctx: Ctx, args: FopArgs['fsyncdir']): Promise<Reply<'fsyncdir'>> {
    return this.#files.fsyncdir(ctx, args)
  }

  statfs(ctx: Ctx, args: FopArgs['statfs']): Promise<Reply<'statfs'>> {
    return this.#files.statfs(ctx, args)
  }

  // Data.

  writev(ctx: Ctx, args: FopArgs['writev']): Promise<Reply<'writev'>> {
    return this.#data.writev(ctx, args)
  }

  truncate(ctx: Ctx, args: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    return this.#data.truncate(ctx, args)
  }

  ftruncate(ctx: Ctx, args: FopArgs['ftruncate']): Promise<Reply<'ftruncate'>> {
    return this.#data.ftruncate(ctx, args)
  }

  fallocate(ctx: Ctx, args: FopArgs['fallocate']): Promise<Reply<'fallocate'>> {
    return this.#data.fallocate(ctx, args)
  }

  discard(ctx: Ctx, args: FopArgs['discard']): Promise<Reply<'discard'>> {
    return this.#data.discard(ctx, args)
  }

  zerofill(ctx: Ctx, args: FopArgs['zerofill']): Promise<Reply<'zerofill'>> {
    return this.#data.zerofill(ctx, args)
  }

  /** Callers read and write instead, which keeps the copies alike. */
  copy_file_range(): Promise<Reply<'copy_file_range'>> {
    return Promise.resolve(failure(Errno.EOPNOTSUPP))
  }

  // Attributes.

  setattr(ctx: Ctx, args: FopArgs['setattr']): Promise<Reply<'setattr'>> {
    return this.#change<'setattr'>(ctx, args.loc.inode, { fop: 'setattr', args })
  }

  fsetattr(ctx: Ctx, args: FopArgs['fsetattr']): Promise<Reply<'fsetattr'>> {
    return this.#change<'fsetattr'>(ctx, args.fd.inode, { fop: 'fsetattr', args })
  }

  async setxattr(ctx: Ctx, args: FopArgs['setxattr']): Promise<Reply<'setxattr'>> {
    const special = await this.#setSpecial(ctx, args.loc.inode, args)
    if (special !== undefined) return special
    const once = args.flags !== 0
    return this.#change<'setxattr'>(ctx, args.loc.inode, { fop: 'setxattr', args }, once)
  }

  async fsetxattr(ctx: Ctx, args: FopArgs['fsetxattr']): Promise<Reply<'fsetxattr'>> {
    if (args.dict.has(LOCK_INFO)) {
      this.#files.locked(args.fd.inode)
      return claimLocks(this.#set, ctx, args)
    }
    const special = await this.#setSpecial(ctx, args.fd.inode, args)
    if (special !== undefined) return special
    const once = args.flags !== 0
    return this.#change<'fsetxattr'>(ctx, args.fd.inode, { fop: 'fsetxattr', args }, once)
  }

  removexattr(ctx: Ctx, args: FopArgs['removexattr']): Promise<Reply<'removexattr'>> {
    if (isReserved(args.name) && ctx.pid >= 0) return Promise.resolve(failure(Errno.EPERM))
    return this.#change<'removexattr'>(ctx, args.loc.inode, { fop: 'removexattr', args }, true)
  }

  fremovexattr(ctx: Ctx, args: FopArgs['fremovexattr']): Promise<Reply<'fremovexattr'>> {
    if (isReserved(args.name) && ctx.pid >= 0) return Promise.resolve(failure(Errno.EPERM))
    return this.#change<'fremovexattr'>(ctx, args.fd.inode, { fop: 'fremovexattr', args }, true)
  }

  xattrop(ctx: Ctx, args: FopArgs['xattrop']): Promise<Reply<'xattrop'>> {
    return this.#change<'xattrop'>(ctx, args.loc.inode, { fop: 'xattrop', args }, true)
  }

  fxattrop(ctx: Ctx, args: FopArgs['fxattrop']): Promise<Reply<'fxattrop'>> {
    return this.#change<'fxattrop'>(ctx, args.fd.inode, { fop: 'fxattrop', args }, true)
  }

  // Entries.

  create(ctx: Ctx, args: FopArgs['create']): Promise<Reply<'create'>> {
    return this.#make(ctx, args, { fop: 'create', args }, 'file')
  }

  mknod(ctx: Ctx, args: FopArgs['mknod']): Promise<Reply<'mknod'>> {
    const kind = (args.mode & S_IFMT) === S_IFREG ? 'file' : 'other'
    return this.#make(ctx, args, { fop: 'mknod', args }, kind)
  }

  mkdir(ctx: Ctx, args: FopArgs['mkdir']): Promise<Reply<'mkdir'>> {
    return this.#make(ctx, args, { fop: 'mkdir', args }, 'directory')
  }

  symlink(ctx: Ctx, args: FopArgs['symlink']): Promise<Reply<'symlink'>> {
    return this.#make(ctx, args, { fop: 'symlink', args }, undefined)
  }

  link(ctx: Ctx, args: FopArgs['link']): Promise<Reply<'link'>> {
    const { lockee, change } = this.#name(args.newloc)
    return this.#entries.run<EntryReply>(ctx, {
      lockees: [lockee],
      changes: [change],
      step: { fop: 'link', args },
      undo: { fop: 'unlink', args: { loc: args.newloc, xflags: 0 } },
      shown: reply => reply.stat.gfid,
    })
  }

  unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    const { lockee, change } = this.#name(args.loc)
    return this.#entries.run<ParentReply>(ctx, {
      lockees: [lockee],
      changes: [change],
      step: { fop: 'unlink', args },
      removes: args.loc,
      shown: () => undefined,
    })
  }

  async rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    const { lockee, change } = this.#name(args.loc)
    const lockees = [lockee]
    // Nothing may be made in it while it goes.
    if (args.loc.inode.linked) lockees.push({ loc: inodeLoc(args.loc.inode), name: undefined })
    const reply = await this.#entries.run<ParentReply>(ctx, {
      lockees,
      changes: [change],
      step: { fop: 'rmdir', args },
      removes: args.loc,
      empties: args.loc.inode.linked ? args.loc.inode : undefined,
      shown: () => undefined,
    })
    if (reply.ok) this.#locking.removed(args.loc.inode)
    return reply
  }

  rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    const from = this.#name(args.oldloc)
    const to = this.#name(args.newloc)
    const lockees = [from.lockee, to.lockee]
    const { inode } = args.newloc
    const target = inode.linked && inode.isDirectory ? inode : undefined
    if (target !== undefined) lockees.push({ loc: inodeLoc(target), name: undefined })
    return this.#entries.run<RenameReply>(ctx, {
      lockees,
      changes: [from.change, to.change],
      step: { fop: 'rename', args },
      moves: args.oldloc,
      empties: target,
      shown: reply => reply.stat.gfid,
    })
  }

  // Locks of the layers above.

  lk(ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
    this.#files.locked(args.fd.inode)
    return above.lk(this.#set, ctx, args)
  }

  inodelk(ctx: Ctx, args: FopArgs['inodelk']): Promise<Reply<'inodelk'>> {
    return above.inodelk(this.#set, ctx, args)
  }

  finodelk(ctx: Ctx, args: FopArgs['finodelk']): Promise<Reply<'finodelk'>> {
    return above.finodelk(this.#set, ctx, args)
  }

  entrylk(ctx: Ctx, args: FopArgs['entrylk']): Promise<Reply<'entrylk'>> {
    return above.entrylk(this.#set, ctx, args)
  }

  fentrylk(ctx: Ctx, args: FopArgs['fentrylk']): Promise<Reply<'fentrylk'>> {
    return above.fentrylk(this.#set, ctx, args)
  }

  notify(event: GraphEvent, from: Subvolume): void {
    const set = this.#set
    switch (event.kind) {
      case 'child-up':
        set.compounds[from.index] = event.compounds === true
        this.#brickUp(from)
        return
      case 'child-down':
        this.#brickDown(from)
        return
      case 'inodelk-contention': {
        const inode = event.domain === set.name ? set.self.inodes.find(event.gfid) : undefined
        if (inode !== undefined) this.#data.lockOf(inode)?.giveBack()
        return
      }
      case 'entrylk-contention': {
        const inode = event.domain === set.name ? set.self.inodes.find(event.gfid) : undefined
        if (inode !== undefined) this.#locking.contended(inode)
        return
      }
      default:
        set.self.notify(event)
    }
  }

  dump(): Readonly<Record<string, unknown>> {
    const set = this.#set
    return {
      subvolumes: set.children.map((child, i) => `${child.name} ${set.isUp(i) ? 'up' : 'down'}`),
      pendingKeys: set.pendingKeys,
      arbiter: set.arbiter,
      quorum: set.quorum,
      hasQuorum: set.hasQuorum(set.up),
      generation: set.generation,
      healing: this.healer.dump(),
    }
  }

  get #listingParts(): listing.ListingParts {
    return { set: this.#set, copies: this.#copies, files: this.#files }
  }

  #change<F extends ChangingFop>(
    ctx: Ctx,
    inode: Inode,
    step: Step,
    once = false,
  ): Promise<Reply<F>> {
    return this.#metadata.run(ctx, { inode, step, once }) as Promise<Reply<F>>
  }

  /** The virtual xattrs, and those that only replicate itself writes. */
  async #setSpecial(
    ctx: Ctx,
    inode: Inode,
    { dict }: Pick<FopArgs['setxattr'], 'dict'>,
  ): Promise<Reply<'setxattr'> | undefined> {
    if (ctx.pid < 0) return undefined
    for (const key of dict.keys()) if (isReserved(key)) return failure(Errno.EPERM)
    return this.#choices.command(ctx, inode, dict, async (resolution, { gfid }) => {
      const [resolved] = await this.healer.resolve(resolution, `gfid:${gfidText(gfid)}`)
      this.#copies.forget(inode)
      return resolved
    })
  }

  /** A name, as the object of an entry operation. */
  #name(loc: Loc): { lockee: Lockee; change: { parent: Inode; name: string } } {
    const parent = parentLoc(this.#set, loc)
    return {
      lockee: { loc: parent, name: loc.name },
      change: { parent: parent.inode, name: loc.name },
    }
  }

  /** Makes a new object: its gfid is known before, so that all bricks give it the same. */
  #make(
    ctx: Ctx,
    args: { loc: Loc; xdata?: FopArgs['mkdir']['xdata'] },
    step: Step,
    kind: 'file' | 'directory' | 'other' | undefined,
  ): Promise<Reply<'mkdir'>> {
    const gfid = args.xdata?.getGfid('gfid-req') ?? NULL_GFID
    if (gfid === NULL_GFID) return Promise.resolve(failure(Errno.EINVAL))
    const { lockee, change } = this.#name(args.loc)
    const { loc } = args
    return this.#entries.run<EntryReply>(ctx, {
      lockees: [lockee],
      changes: [change],
      makes: { gfid, inode: loc.inode, kind },
      step,
      undo: { fop: kind === 'directory' ? 'rmdir' : 'unlink', args: { loc, xflags: 0 } },
      shown: reply => reply.stat.gfid,
    })
  }

  /** Copies differ: this process heals them when its options let it. */
  #foundDamage(gfid: Gfid): void {
    const { options } = this.#set
    const heals =
      options['data-self-heal'] !== 'off' ||
      options['metadata-self-heal'] ||
      options['entry-self-heal']
    if (!heals || options['iam-self-heal-daemon']) return
    this.healer.healInode(gfid).catch((bug: unknown) => {
      this.#set.env.log.critical('a heal failed with an exception', { error: String(bug) })
    })
  }

  #brickUp(from: Subvolume): void {
    const set = this.#set
    const before = set.up
    set.gained(from.index)
    this.healer.brickUp(from.index)
    this.#copies.locate(from.index).catch((bug: unknown) => {
      set.env.log.critical('looking where a brick is failed', { error: String(bug) })
    })
    this.#report(from, before === NOBODY ? 'child-up' : undefined)
  }

  #brickDown(from: Subvolume): void {
    const set = this.#set
    set.lost(from.index)
    // What was written and not synced is blamed on the brick before it can be back without it.
    set.idle.brickLost()
    this.healer.brickDown(from.index)
    this.#report(from, set.up === NOBODY ? 'child-down' : 'some-descendent-down')
  }

  /** The layers above hear of us once every brick has said whether it is up. */
  #report(
    from: Subvolume,
    kind: 'child-up' | 'child-down' | 'some-descendent-down' | undefined,
  ): void {
    const { self, up } = this.#set
    this.#reported[from.index] = true
    if (!this.#announced) {
      if (!this.#reported.every(Boolean)) return
      this.#announced = up !== NOBODY
      self.notify({ kind: this.#announced ? 'child-up' : 'child-down' })
      return
    }
    if (kind !== undefined) self.notify({ kind })
  }
}

type ChangingFop =
  | 'setattr'
  | 'fsetattr'
  | 'setxattr'
  | 'fsetxattr'
  | 'removexattr'
  | 'fremovexattr'
  | 'xattrop'
  | 'fxattrop'

export const replicate = defineXlator({
  type: 'cluster/replicate',
  options: replicateOptions,
  create: self => new Replicate(self),
})
