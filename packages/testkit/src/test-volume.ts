/**
 * A graph with hands: the operations of a volume by path, for tests of translators. It does what a
 * face of a volume does (looks names up, keeps inodes and fds, brings a gfid for what is new) and
 * nothing more, and gives replies as they came.
 */

import {
  type AnyXlatorDefinition,
  type Ctx,
  Dict,
  type DirentPlus,
  type Env,
  Errno,
  entryLoc,
  type Failure,
  type Fd,
  Graph,
  type GraphEvent,
  Iatt,
  type Inode,
  inodeLoc,
  type Loc,
  offlineNetwork,
  OpenFlag,
  parseVolfile,
  type Reply,
  ROOT_CTX,
  silentLog,
  systemClock,
  systemRandom,
} from '@ashlar/core'

const LIST_BYTES = 4096
/** More calls than this for one directory: its listing runs in circles. */
const LIST_CALLS_MAX = 10_000

export interface TestVolumeOptions {
  readonly volfile: string
  readonly definitions: Iterable<AnyXlatorDefinition>
  readonly env?: Partial<Env>
  /**
   * As below protocol/server: names are not kept in the inode table, and the inode of an entry is
   * provisional.
   */
  readonly brick?: boolean
  readonly lruLimit?: number
  /** Identity of the process; two graphs of one brick need two. */
  readonly uuid?: string
  /** The directory that a client has as its root. */
  readonly subdirectory?: string | undefined
}

/** The reply, or an error that names the errno. */
export function good<R extends object>(reply: R | Failure): Exclude<R, Failure> {
  if ((reply as Failure).ok === false) throw new Error(`errno ${(reply as Failure).errno}`)
  return reply as Exclude<R, Failure>
}

/** The errno of a reply; 0 when all went well. */
export function errnoOf(reply: { readonly ok: boolean }): number {
  return reply.ok ? 0 : (reply as Failure).errno
}

export class TestVolume {
  readonly graph: Graph
  readonly env: Env
  readonly events: GraphEvent[] = []
  /** The caller of everything that is not told another one. */
  ctx: Ctx = { ...ROOT_CTX, pid: 4711, lkOwner: 'owner' }
  readonly #brick: boolean

  /** Builds and starts the graph. */
  static async start(options: TestVolumeOptions): Promise<TestVolume> {
    const volume = new TestVolume(options)
    await volume.graph.start()
    return volume
  }

  constructor(options: TestVolumeOptions) {
    this.#brick = options.brick ?? false
    this.env = {
      clock: systemClock,
      random: systemRandom(),
      log: silentLog,
      network: offlineNetwork,
      ...options.env,
    }
    this.graph = new Graph({
      volfile: parseVolfile(options.volfile),
      definitions: new Map([...options.definitions].map(each => [each.type, each])),
      env: this.env,
      process: {
        uuid: options.uuid ?? '01234567-89ab-4cde-8f01-23456789abcd',
        name: 'test',
        hostname: 'host',
        pid: 1,
        volfileId: 'test',
        ...(options.subdirectory === undefined ? {} : { subdirectory: options.subdirectory }),
      },
      onEvent: event => this.events.push(event),
      ...(options.lruLimit === undefined ? {} : { lruLimit: options.lruLimit }),
    })
  }

  stop(): Promise<void> {
    return this.graph.stop()
  }

  get top(): Graph['top'] {
    return this.graph.top
  }

  /** xdata with the gfid of something new. */
  fresh(): Dict {
    return new Dict().setGfid('gfid-req', this.env.random.uuid())
  }

  /** The inode of a path; throws when it does not exist. */
  async inode(path: string): Promise<Inode> {
    let at = this.graph.inodes.root
    for (const name of path.split('/').filter(part => part !== '')) {
      const { loc, reply } = await this.#look(entryLoc(at, name, this.#known(at, name)))
      at = this.#learn(loc, good(reply).stat)
    }
    return at
  }

  async loc(path: string): Promise<Loc> {
    return inodeLoc(await this.inode(path))
  }

  /** The entry a path names, whether it exists or not. */
  async entry(path: string): Promise<Loc> {
    const { parent, name } = await this.#parentOf(path)
    return entryLoc(parent, name, this.#known(parent, name))
  }

  async lookup(path: string, xdata?: Dict): Promise<Reply<'lookup'>> {
    if (path === '/') {
      const loc = inodeLoc(this.graph.inodes.root)
      return this.top.lookup(this.ctx, { loc, xdata })
    }
    const { loc, reply } = await this.#look(await this.entry(path), xdata)
    if (reply.ok) this.#learn(loc, reply.stat)
    return reply
  }

  async stat(path: string): Promise<Iatt> {
    return good(await this.top.stat(this.ctx, { loc: await this.loc(path) })).stat
  }

  async mkdir(path: string, mode = 0o755, xdata = this.fresh()): Promise<Reply<'mkdir'>> {
    const loc = await this.#free(path)
    const reply = await this.top.mkdir(this.ctx, { loc, mode, umask: 0, xdata })
    if (reply.ok) this.#learn(loc, reply.stat)
    return reply
  }

  async mknod(path: string, mode = 0o100644, xdata = this.fresh()): Promise<Reply<'mknod'>> {
    const loc = await this.#free(path)
    const reply = await this.top.mknod(this.ctx, { loc, mode, rdev: 0, umask: 0, xdata })
    if (reply.ok) this.#learn(loc, reply.stat)
    return reply
  }

  async symlink(path: string, target: string): Promise<Reply<'symlink'>> {
    const loc = await this.#free(path)
    const reply = await this.top.symlink(this.ctx, { loc, target, umask: 0, xdata: this.fresh() })
    if (reply.ok) this.#learn(loc, reply.stat)
    return reply
  }

  /** Creates a file and gives its reply, with the fd when it is open. */
  async create(
    path: string,
    options: { mode?: number; umask?: number; flags?: number; xdata?: Dict } = {},
  ): Promise<{ reply: Reply<'create'>; fd: Fd }> {
    const loc = await this.#free(path)
    const flags = options.flags ?? OpenFlag.RDWR | OpenFlag.CREAT
    const fd = this.graph.openFd(loc.inode, { flags, pid: this.ctx.pid })
    const reply = await this.top.create(this.ctx, {
      loc,
      fd,
      flags,
      mode: options.mode ?? 0o644,
      umask: options.umask ?? 0,
      xdata: options.xdata ?? this.fresh(),
    })
    if (reply.ok) fd.moveTo(this.#learn(loc, reply.stat)).bind()
    return { reply, fd }
  }

  /** Makes a file with this content and closes it. */
  async write(path: string, content: string, mode = 0o644): Promise<Iatt> {
    const { reply, fd } = await this.create(path, { mode })
    const { stat } = good(reply)
    good(await this.writeFd(fd, content))
    fd.unref()
    return stat
  }

  writeFd(fd: Fd, content: string, offset = 0): Promise<Reply<'writev'>> {
    return this.top.writev(this.ctx, { fd, data: Buffer.from(content), offset, flags: 0 })
  }

  async open(path: string, flags: number = OpenFlag.RDWR): Promise<Fd> {
    const loc = await this.loc(path)
    const fd = this.graph.openFd(loc.inode, { flags, pid: this.ctx.pid })
    good(await this.top.open(this.ctx, { loc, fd, flags }))
    return fd.bind()
  }

  async read(path: string): Promise<string> {
    const fd = await this.open(path, OpenFlag.RDONLY)
    const reply = await this.top.readv(this.ctx, { fd, size: 65_536, offset: 0, flags: 0 })
    fd.unref()
    return good(reply).data.toString()
  }

  async link(from: string, to: string): Promise<Reply<'link'>> {
    const old = await this.loc(from)
    const { parent, name } = await this.#parentOf(to)
    const newloc = entryLoc(parent, name, old.inode)
    const reply = await this.top.link(this.ctx, { oldloc: old, newloc })
    if (reply.ok && !this.#brick) this.graph.inodes.link(old.inode, old.inode, parent, name)
    return reply
  }

  async unlink(path: string, xdata?: Dict): Promise<Reply<'unlink'>> {
    const loc = await this.#present(path)
    const reply = await this.top.unlink(this.ctx, { loc, xflags: 0, xdata })
    if (reply.ok && loc.parent !== undefined) this.graph.inodes.unlink(loc.parent, loc.name)
    return reply
  }

  async rmdir(path: string, xflags = 0): Promise<Reply<'rmdir'>> {
    const loc = await this.#present(path)
    const reply = await this.top.rmdir(this.ctx, { loc, xflags })
    if (reply.ok && loc.parent !== undefined) this.graph.inodes.unlink(loc.parent, loc.name)
    return reply
  }

  async rename(from: string, to: string): Promise<Reply<'rename'>> {
    const oldloc = await this.#present(from)
    const newloc = await this.#present(to)
    const reply = await this.top.rename(this.ctx, { oldloc, newloc })
    if (reply.ok && oldloc.parent !== undefined && newloc.parent !== undefined)
      this.graph.inodes.rename(oldloc.parent, oldloc.name, newloc.parent, newloc.name)
    return reply
  }

  async setattr(path: string, valid: number, change: Partial<Iatt>): Promise<Reply<'setattr'>> {
    const stat = Object.assign(new Iatt(), change)
    return this.top.setattr(this.ctx, { loc: await this.loc(path), stat, valid })
  }

  async setxattr(path: string, values: Record<string, Buffer>): Promise<Reply<'setxattr'>> {
    const loc = await this.loc(path)
    return this.top.setxattr(this.ctx, { loc, dict: Dict.from(values), flags: 0 })
  }

  async getxattr(path: string, name: string): Promise<Reply<'getxattr'>> {
    return this.top.getxattr(this.ctx, { loc: await this.loc(path), name })
  }

  /** Everything in a directory, in pieces of `size` bytes. */
  async list(path: string, size = LIST_BYTES): Promise<DirentPlus[]> {
    const loc = await this.loc(path)
    const fd = this.graph.openFd(loc.inode, { flags: OpenFlag.DIRECTORY, pid: 1 })
    good(await this.top.opendir(this.ctx, { loc, fd }))
    fd.bind()
    const entries: DirentPlus[] = []
    let offset = 0n
    for (let calls = 0; ; calls++) {
      if (calls === LIST_CALLS_MAX) throw new Error('a listing does not end')
      const reply = good(await this.top.readdirp(this.ctx, { fd, size, offset }))
      entries.push(...reply.entries)
      const last = reply.entries.at(-1)
      if (last === undefined) break
      offset = last.offset
      if (reply.eof) break
    }
    fd.unref()
    return entries
  }

  /** Names in a directory, sorted, without `.` and `..`. */
  async names(path: string, size = LIST_BYTES): Promise<string[]> {
    const entries = await this.list(path, size)
    return entries
      .map(entry => entry.name)
      .filter(name => name !== '.' && name !== '..')
      .sort()
  }

  async #parentOf(path: string): Promise<{ parent: Inode; name: string }> {
    const cut = path.lastIndexOf('/')
    return { parent: await this.inode(path.slice(0, cut)), name: path.slice(cut + 1) }
  }

  /** For something to be made: a name whose inode is not known. */
  async #free(path: string): Promise<Loc> {
    const { parent, name } = await this.#parentOf(path)
    return entryLoc(parent, name, this.graph.inodes.create())
  }

  /** For something that is there, perhaps: looked up first, as the kernel does. */
  async #present(path: string): Promise<Loc> {
    if (this.#brick) return this.entry(path)
    await this.lookup(path)
    return this.entry(path)
  }

  /**
   * Looks a name up, as mounts do: what was known of it may be another client's work by now, and is
   * forgotten then, or the next operation would act on the file that had the name before.
   */
  async #look(loc: Loc, xdata?: Dict): Promise<{ loc: Loc; reply: Reply<'lookup'> }> {
    const reply = await this.top.lookup(this.ctx, { loc, xdata })
    const { parent } = loc
    if (reply.ok || !loc.inode.linked || parent === undefined) return { loc, reply }
    if (reply.errno === Errno.ENOENT) this.graph.inodes.unlink(parent, loc.name)
    if (reply.errno !== Errno.ESTALE) return { loc, reply }
    const fresh = entryLoc(parent, loc.name, this.graph.inodes.create())
    return { loc: fresh, reply: await this.top.lookup(this.ctx, { loc: fresh, xdata }) }
  }

  #known(parent: Inode, name: string): Inode {
    const known = this.#brick ? undefined : this.graph.inodes.child(parent, name)
    return known ?? this.graph.inodes.create()
  }

  #learn(loc: Loc, stat: Iatt): Inode {
    const { inodes } = this.graph
    const identity = { gfid: stat.gfid, type: stat.type }
    const linked = this.#brick
      ? inodes.link(loc.inode, identity)
      : inodes.link(loc.inode, identity, loc.parent, loc.name)
    inodes.lookup(linked)
    return linked
  }
}
