/**
 * features/access-control (GlusterFS's system/posix-acl): who may do what on a brick, by mode bits
 * and ACLs, and the umask of what is made. Root and internal clients pass. What decides is kept with
 * each inode, as every change of it comes through here. Facts: posix-acl.c.
 */

import {
  type ChangeReply,
  type Ctx,
  type ContextKey,
  defineOptions,
  defineXlator,
  Dict,
  Errno,
  failure,
  type Failure,
  type FopArgs,
  type Iatt,
  type Inode,
  type InodeTable,
  inodeLoc,
  type Loc,
  OpenFlag,
  type Reply,
  ROOT_CTX,
  SetAttr,
  type Subvolume,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import {
  ACL_ACCESS_KEY,
  ACL_DEFAULT_KEY,
  allows,
  type Guarded,
  isInGroup,
  parseAcl,
  printAcl,
} from './acl.ts'
import {
  ACL_ACCESS_TEXT_KEY,
  ACL_DEFAULT_TEXT_KEY,
  aclOfMode,
  parseAclText,
  printAclText,
} from './acl-text.ts'

const READ = 4
const WRITE = 2
const EXECUTE = 1
const S_ISVTX = 0o1000
/** Open flag of execve (FMODE_EXEC). */
const FOR_EXECUTION = 0o40

const options = defineOptions({})
type Self = XlatorSelf<typeof options>

/** What is known of an inode; a member is absent until somebody needed it. */
interface Known {
  guarded?: Guarded
  /** Directories: new entries inherit an ACL, and the umask is not applied. */
  hasDefaultAcl?: boolean
}

class AccessControl implements Xlator {
  readonly #child: Subvolume
  readonly #inodes: InodeTable
  readonly #known: ContextKey<Known>

  constructor(self: Self) {
    this.#child = self.child
    this.#inodes = self.inodes
    this.#known = self.contextKey<Known>()
  }

  async lookup(ctx: Ctx, args: FopArgs['lookup']): Promise<Reply<'lookup'>> {
    if (!isTrusted(ctx) && args.loc.parent !== undefined && args.loc.name !== '') {
      const refused = await this.#check(ctx, args.loc.parent, EXECUTE)
      if (refused !== undefined) return refused
    }
    return this.#child.lookup(ctx, args)
  }

  async mknod(ctx: Ctx, args: FopArgs['mknod']): Promise<Reply<'mknod'>> {
    const refused = await this.#mayChange(ctx, args.loc)
    if (refused !== undefined) return refused
    return this.#child.mknod(ctx, { ...args, mode: await this.#maskedMode(args.loc, args) })
  }

  async mkdir(ctx: Ctx, args: FopArgs['mkdir']): Promise<Reply<'mkdir'>> {
    const refused = await this.#mayChange(ctx, args.loc)
    if (refused !== undefined) return refused
    return this.#child.mkdir(ctx, { ...args, mode: await this.#maskedMode(args.loc, args) })
  }

  async create(ctx: Ctx, args: FopArgs['create']): Promise<Reply<'create'>> {
    const refused = await this.#mayChange(ctx, args.loc)
    const mode = await this.#maskedMode(args.loc, args)
    // Without flags it must be new, too (`posix_create`, posix-entry-ops.c).
    const mustBeNew = args.flags === 0 || (args.flags & OpenFlag.EXCL) !== 0
    if (mustBeNew || isTrusted(ctx)) return refused ?? this.#child.create(ctx, { ...args, mode })
    if (refused === undefined) {
      // What exists is another's, perhaps: making and opening are rights of their own.
      const flags = args.flags | OpenFlag.EXCL
      const made = await this.#child.create(ctx, { ...args, mode, flags })
      if (made.ok || made.errno !== Errno.EEXIST) return made
    }
    return this.#openExisting(ctx, args, refused)
  }

  /** Opening what exists needs no right to make it, but the right to open it. */
  async #openExisting(
    ctx: Ctx,
    args: FopArgs['create'],
    refused: Failure | undefined,
  ): Promise<Reply<'create'>> {
    const found = await this.#child.lookup(ROOT_CTX, { loc: args.loc })
    if (!found.ok) return refused ?? found
    if (found.stat.isDirectory) return failure(Errno.EISDIR)
    const inode = this.#inodes.obtain(found.stat.gfid)
    const opened = await this.open(ctx, {
      loc: inodeLoc(inode),
      fd: args.fd,
      flags: args.flags & ~OpenFlag.CREAT,
    })
    if (!opened.ok) return opened
    const { stat, postparent } = found
    return { ok: true, stat, preparent: postparent, postparent: postparent.clone() }
  }

  async symlink(ctx: Ctx, args: FopArgs['symlink']): Promise<Reply<'symlink'>> {
    return (await this.#mayChange(ctx, args.loc)) ?? this.#child.symlink(ctx, args)
  }

  async link(ctx: Ctx, args: FopArgs['link']): Promise<Reply<'link'>> {
    return (await this.#mayChange(ctx, args.newloc)) ?? this.#child.link(ctx, args)
  }

  async unlink(ctx: Ctx, args: FopArgs['unlink']): Promise<Reply<'unlink'>> {
    return (await this.#mayRemove(ctx, args.loc)) ?? this.#child.unlink(ctx, args)
  }

  async rmdir(ctx: Ctx, args: FopArgs['rmdir']): Promise<Reply<'rmdir'>> {
    return (await this.#mayRemove(ctx, args.loc)) ?? this.#child.rmdir(ctx, args)
  }

  async rename(ctx: Ctx, args: FopArgs['rename']): Promise<Reply<'rename'>> {
    if (!isTrusted(ctx)) {
      const refused =
        (await this.#mayRemove(ctx, args.oldloc)) ?? (await this.#mayRemove(ctx, args.newloc))
      if (refused !== undefined) return refused
    }
    return this.#child.rename(ctx, args)
  }

  async open(ctx: Ctx, args: FopArgs['open']): Promise<Reply<'open'>> {
    if (!isTrusted(ctx)) {
      const refused = await this.#check(ctx, args.loc.inode, wantedBy(args.flags))
      if (refused !== undefined) return refused
    }
    return this.#child.open(ctx, args)
  }

  async opendir(ctx: Ctx, args: FopArgs['opendir']): Promise<Reply<'opendir'>> {
    if (isTrusted(ctx)) return this.#child.opendir(ctx, args)
    return (await this.#check(ctx, args.loc.inode, READ)) ?? this.#child.opendir(ctx, args)
  }

  async truncate(ctx: Ctx, args: FopArgs['truncate']): Promise<Reply<'truncate'>> {
    if (isTrusted(ctx)) return this.#child.truncate(ctx, args)
    return (await this.#check(ctx, args.loc.inode, WRITE)) ?? this.#child.truncate(ctx, args)
  }

  async access(ctx: Ctx, args: FopArgs['access']): Promise<Reply<'access'>> {
    if (isTrusted(ctx)) return this.#child.access(ctx, args)
    return (await this.#check(ctx, args.loc.inode, args.mask & 7)) ?? { ok: true }
  }

  async setattr(ctx: Ctx, args: FopArgs['setattr']): Promise<Reply<'setattr'>> {
    const refused = await this.#maySetAttributes(ctx, args.loc.inode, args.stat, args.valid)
    return refused ?? this.#learnChange(args.loc.inode, await this.#child.setattr(ctx, args))
  }

  async fsetattr(ctx: Ctx, args: FopArgs['fsetattr']): Promise<Reply<'fsetattr'>> {
    const refused = await this.#maySetAttributes(ctx, args.fd.inode, args.stat, args.valid)
    return refused ?? this.#learnChange(args.fd.inode, await this.#child.fsetattr(ctx, args))
  }

  async setxattr(ctx: Ctx, args: FopArgs['setxattr']): Promise<Reply<'setxattr'>> {
    const dict = binaryAcls(args.dict)
    if (dict === undefined) return failure(Errno.EINVAL)
    for (const key of dict.keys()) {
      const refused = await this.#mayWriteXattr(ctx, args.loc.inode, key)
      if (refused !== undefined) return refused
    }
    return this.#forget(args.loc.inode, this.#child.setxattr(ctx, { ...args, dict }))
  }

  async fsetxattr(ctx: Ctx, args: FopArgs['fsetxattr']): Promise<Reply<'fsetxattr'>> {
    const dict = binaryAcls(args.dict)
    if (dict === undefined) return failure(Errno.EINVAL)
    for (const key of dict.keys()) {
      const refused = await this.#mayWriteXattr(ctx, args.fd.inode, key)
      if (refused !== undefined) return refused
    }
    return this.#forget(args.fd.inode, this.#child.fsetxattr(ctx, { ...args, dict }))
  }

  async removexattr(ctx: Ctx, args: FopArgs['removexattr']): Promise<Reply<'removexattr'>> {
    const refused = await this.#mayRemoveXattr(ctx, args.loc.inode, args)
    return refused ?? this.#forget(args.loc.inode, this.#child.removexattr(ctx, args))
  }

  async fremovexattr(ctx: Ctx, args: FopArgs['fremovexattr']): Promise<Reply<'fremovexattr'>> {
    const refused = await this.#mayRemoveXattr(ctx, args.fd.inode, args)
    return refused ?? this.#forget(args.fd.inode, this.#child.fremovexattr(ctx, args))
  }

  async getxattr(ctx: Ctx, args: FopArgs['getxattr']): Promise<Reply<'getxattr'>> {
    const key = TEXT_KEYS.get(args.name)
    if (key !== undefined) return this.#readAclText(args, key)
    if (!isTrusted(ctx) && args.name.startsWith('user.')) {
      const refused = await this.#check(ctx, args.loc.inode, READ)
      if (refused !== undefined) return refused
    }
    return this.#child.getxattr(ctx, args)
  }

  /** An object's list as text; without a list of its own, what its mode stands for. */
  async #readAclText(args: FopArgs['getxattr'], key: string): Promise<Reply<'getxattr'>> {
    const xdata = new Dict().setInt(key, 0)
    const reply = await this.#child.stat(ROOT_CTX, { loc: args.loc, xdata })
    if (!reply.ok) return reply
    if (key === ACL_DEFAULT_KEY && !reply.stat.isDirectory) return failure(Errno.EACCES)
    const value = reply.xdata?.getBytes(key)
    const stored = value === undefined ? undefined : parseAcl(value)
    const acl = stored ?? (key === ACL_ACCESS_KEY ? aclOfMode(reply.stat.mode) : [])
    return { ok: true, dict: new Dict().setString(args.name, printAclText(acl)) }
  }

  /** The mode of something new: the umask counts unless the directory hands down an ACL. */
  async #maskedMode(loc: Loc, args: { mode: number; umask: number }): Promise<number> {
    if (args.umask === 0 || loc.parent === undefined) return args.mode
    return (await this.#hasDefaultAcl(loc.parent)) ? args.mode : args.mode & ~args.umask
  }

  /** Asked of the layers below once for each directory that something is made in. */
  async #hasDefaultAcl(directory: Inode): Promise<boolean> {
    const known = this.#known.obtain(directory, () => ({}))
    if (known.hasDefaultAcl !== undefined) return known.hasDefaultAcl
    const reply = await this.#child.getxattr(ROOT_CTX, {
      loc: inodeLoc(directory),
      name: ACL_DEFAULT_KEY,
    })
    known.hasDefaultAcl = reply.ok
    return reply.ok
  }

  async #mayChange(ctx: Ctx, loc: Loc): Promise<Failure | undefined> {
    if (isTrusted(ctx) || loc.parent === undefined) return undefined
    return this.#check(ctx, loc.parent, WRITE | EXECUTE)
  }

  /** Removing or renaming a name: in a sticky directory only one's own, or in one's own. */
  async #mayRemove(ctx: Ctx, loc: Loc): Promise<Failure | undefined> {
    const refused = await this.#mayChange(ctx, loc)
    if (refused !== undefined || isTrusted(ctx) || loc.parent === undefined) return refused
    const parent = await this.#guarded(loc.parent)
    if ('errno' in parent) return parent
    if ((parent.mode & S_ISVTX) === 0 || parent.uid === ctx.uid) return undefined
    // What the name leads to now: its inode may not be known by name here.
    const object = await this.#child.lookup(ROOT_CTX, { loc })
    return object.ok && object.stat.uid !== ctx.uid ? failure(Errno.EPERM) : undefined
  }

  async #maySetAttributes(
    ctx: Ctx,
    inode: Inode,
    to: Iatt,
    valid: number,
  ): Promise<Failure | undefined> {
    if (isTrusted(ctx)) return undefined
    const guarded = await this.#guarded(inode)
    if ('errno' in guarded) return guarded
    const owner = guarded.uid === ctx.uid
    if ((valid & SetAttr.MODE) !== 0 && !owner) return failure(Errno.EPERM)
    if ((valid & SetAttr.UID) !== 0 && !(owner && to.uid === guarded.uid))
      return failure(Errno.EPERM)
    if (
      (valid & SetAttr.GID) !== 0 &&
      !(owner && (to.gid === guarded.gid || isInGroup(ctx, to.gid)))
    )
      return failure(Errno.EPERM)
    if ((valid & SetAttr.SIZE) !== 0 && !allows(guarded, ctx, WRITE)) return failure(Errno.EACCES)
    return owner ? undefined : mayTouch(guarded, ctx, valid)
  }

  async #mayWriteXattr(ctx: Ctx, inode: Inode, key: string): Promise<Failure | undefined> {
    if (isTrusted(ctx)) return undefined
    if (key.startsWith('trusted.')) return failure(Errno.EPERM)
    if (key.startsWith('user.')) return this.#check(ctx, inode, WRITE)
    if (!key.startsWith('system.posix_acl_')) return undefined
    const guarded = await this.#guarded(inode)
    if ('errno' in guarded) return guarded
    return guarded.uid === ctx.uid ? undefined : failure(Errno.EPERM)
  }

  async #mayRemoveXattr(
    ctx: Ctx,
    inode: Inode,
    args: { name: string; xdata?: Dict | undefined },
  ): Promise<Failure | undefined> {
    if (isTrusted(ctx)) return undefined
    // Several at once: their names are the keys of xdata.
    for (const key of args.name === '' ? (args.xdata?.keys() ?? []) : [args.name]) {
      const refused = await this.#mayWriteXattr(ctx, inode, key)
      if (refused !== undefined) return refused
    }
    return undefined
  }

  async #check(ctx: Ctx, inode: Inode, wanted: number): Promise<Failure | undefined> {
    const guarded = await this.#guarded(inode)
    if ('errno' in guarded) return guarded
    return allows(guarded, ctx, wanted) ? undefined : failure(Errno.EACCES)
  }

  async #guarded(inode: Inode): Promise<Guarded | Failure> {
    const known = this.#known.obtain(inode, () => ({}))
    if (known.guarded !== undefined) return known.guarded
    const reply = await this.#child.stat(ROOT_CTX, {
      loc: inodeLoc(inode),
      xdata: new Dict().setInt(ACL_ACCESS_KEY, 0),
    })
    if (!reply.ok) return reply
    const value = reply.xdata?.getBytes(ACL_ACCESS_KEY)
    const { uid, gid, mode } = reply.stat
    known.guarded = { uid, gid, mode, acl: value === undefined ? null : (parseAcl(value) ?? null) }
    return known.guarded
  }

  /** After a change of attributes what was known does not hold. */
  #learnChange(inode: Inode, reply: ChangeReply | Failure): ChangeReply | Failure {
    const known = this.#known.get(inode)
    if (known !== undefined) delete known.guarded
    return reply
  }

  async #forget<R>(inode: Inode, change: Promise<R>): Promise<R> {
    const reply = await change
    this.#known.set(inode, undefined)
    return reply
  }
}

/** The xattr that each text stands for. */
const TEXT_KEYS: ReadonlyMap<string, string> = new Map([
  [ACL_ACCESS_TEXT_KEY, ACL_ACCESS_KEY],
  [ACL_DEFAULT_TEXT_KEY, ACL_DEFAULT_KEY],
])

/** The same attributes with texts in the form in which they are stored; undefined for a bad text. */
function binaryAcls(dict: Dict): Dict | undefined {
  let binary = dict
  for (const [text, key] of TEXT_KEYS) {
    if (!dict.has(text)) continue
    const acl = parseAclText(dict.getString(text) ?? '')
    if (acl === undefined) return undefined
    if (binary === dict) binary = dict.clone()
    binary.delete(text)
    binary.setBytes(key, printAcl(acl))
  }
  return binary
}

function isTrusted(ctx: Ctx): boolean {
  return ctx.uid === 0 || ctx.pid < 0
}

function wantedBy(flags: number): number {
  const mode = flags & OpenFlag.ACCMODE
  let wanted = mode === OpenFlag.RDONLY ? READ : mode === OpenFlag.WRONLY ? WRITE : READ | WRITE
  if ((flags & FOR_EXECUTION) !== 0) wanted = EXECUTE
  if ((flags & OpenFlag.TRUNC) !== 0) wanted |= WRITE
  return wanted
}

/** Times: "now" for who may write, anything else for the owner. */
function mayTouch(guarded: Guarded, ctx: Ctx, valid: number): Failure | undefined {
  const explicit =
    ((valid & SetAttr.ATIME) !== 0 && (valid & SetAttr.ATIME_NOW) === 0) ||
    ((valid & SetAttr.MTIME) !== 0 && (valid & SetAttr.MTIME_NOW) === 0)
  if (explicit) return failure(Errno.EPERM)
  if ((valid & (SetAttr.ATIME | SetAttr.MTIME)) === 0) return undefined
  return allows(guarded, ctx, WRITE) ? undefined : failure(Errno.EACCES)
}

export const accessControl = defineXlator({
  type: 'features/access-control',
  options,
  create: self => new AccessControl(self),
})
/** The same under the name it has in GlusterFS's tree. */
export const posixAcl = defineXlator({
  type: 'system/posix-acl',
  options,
  create: self => new AccessControl(self),
})
