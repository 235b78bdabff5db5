/**
 * NamesLeases: a brick's side of the leases on the names of directories (core/names-lease.ts).
 *
 *   grant ─▶ held ─▶ another client makes a name: recalled ─▶ returned, run out or gone ─▶ it is made
 *
 * While a client's change of a directory is under way no other client is granted a lease on it: that
 * one could list the directory before the change and not be told of it.
 *
 * With copies, a name may have been made on other bricks than the one that was listed. Whoever makes
 * it so blames the bricks that lack it, before the maker is answered: a change of the directory's
 * changelog ends leases like a new name.
 */

import {
  type Clock,
  type Ctx,
  Dict,
  Errno,
  failure,
  type Fops,
  type Gfid,
  IPC_NAMES_RETURNED,
  type Loc,
  NAMES_LEASE,
  NAMES_LEASE_MS,
  S_IFREG,
  valueBytes,
} from '@ashlar/core'

/** Directories with leases; for further ones none are granted until some have run out. */
const DIRECTORIES_MAX = 4096
/** How long a lease that has run out may be taken up again, if nobody has made a name meanwhile. */
const KEPT_MS = 300_000

interface Lease {
  readonly client: string
  readonly number: string
  until: number
}

interface Recall {
  readonly client: string
  readonly over: Promise<void>
  readonly end: () => void
}

interface Directory {
  readonly leases: Map<string, Lease>
  /** Changes under way, by client. */
  readonly changes: Map<string, number>
  /** By the number of the lease. */
  readonly recalls: Map<string, Recall>
}

/** Tells a client that its lease is wanted back. */
export type TellRecall = (client: string, directory: Gfid, lease: string) => void

export class NamesLeases {
  readonly #clock: Clock
  readonly #tell: TellRecall
  readonly #directories = new Map<Gfid, Directory>()
  readonly #recalls = new Map<string, Recall>()
  #numbers = 0
  /** Keeps the numbers of this process apart from those of the one before; text without spaces. */
  readonly #start: string

  constructor(clock: Clock, start: string, tell: TellRecall) {
    this.#clock = clock
    this.#start = start
    this.#tell = tell
  }

  /** The number of the client's lease, new or unbroken; undefined when it cannot have one now. */
  grant(client: string, gfid: Gfid): string | undefined {
    if (client === '') return undefined
    const now = this.#clock.monotonic()
    const directory = this.#obtain(gfid, now)
    if (directory === undefined || directory.recalls.size > 0) return undefined
    for (const other of directory.changes.keys()) if (other !== client) return undefined
    let lease = directory.leases.get(client)
    if (lease === undefined) {
      this.#numbers += 1
      lease = { client, number: `${this.#start}.${this.#numbers}`, until: 0 }
      directory.leases.set(client, lease)
    }
    lease.until = now + NAMES_LEASE_MS
    return lease.number
  }

  /**
   * A client is about to make a name. Undefined when nobody else has a lease; else it has to wait.
   * Each call is followed by one of `end`.
   */
  begin(client: string, gfid: Gfid): Promise<unknown> | undefined {
    let directory = this.#directories.get(gfid)
    if (directory === undefined) {
      directory = { leases: new Map(), changes: new Map(), recalls: new Map() }
      this.#directories.set(gfid, directory)
    }
    const { changes, leases, recalls } = directory
    changes.set(client, (changes.get(client) ?? 0) + 1)
    for (const lease of leases.values())
      if (lease.client !== client) this.#recall(gfid, directory, lease)
    if (recalls.size === 0) return undefined
    const others = [...recalls.values()].filter(recall => recall.client !== client)
    return others.length === 0 ? undefined : Promise.all(others.map(recall => recall.over))
  }

  /** What was begun has been done, or has failed. */
  end(client: string, gfid: Gfid): void {
    const directory = this.#directories.get(gfid)
    if (directory === undefined) return
    const left = (directory.changes.get(client) ?? 0) - 1
    if (left > 0) directory.changes.set(client, left)
    else directory.changes.delete(client)
    this.#tidy(gfid, directory)
  }

  /** A client answers from the lease no more. */
  returned(client: string, number: string): void {
    const recall = this.#recalls.get(number)
    if (recall?.client === client) recall.end()
  }

  clientGone(client: string): void {
    for (const [gfid, directory] of this.#directories) {
      directory.leases.delete(client)
      for (const recall of directory.recalls.values()) if (recall.client === client) recall.end()
      this.#tidy(gfid, directory)
    }
  }

  get size(): number {
    return this.#directories.size
  }

  #recall(gfid: Gfid, directory: Directory, lease: Lease): void {
    directory.leases.delete(lease.client)
    const left = lease.until - this.#clock.monotonic()
    if (left <= 0) return
    const { client, number } = lease
    let resolve = (): void => undefined
    const over = new Promise<void>(done => {
      resolve = done
    })
    const end = (): void => {
      timer.cancel()
      directory.recalls.delete(number)
      this.#recalls.delete(number)
      this.#tidy(gfid, directory)
      resolve()
    }
    const timer = this.#clock.after(left, end)
    const recall = { client, over, end }
    directory.recalls.set(number, recall)
    this.#recalls.set(number, recall)
    this.#tell(client, gfid, number)
  }

  #obtain(gfid: Gfid, now: number): Directory | undefined {
    const known = this.#directories.get(gfid)
    if (known !== undefined) return known
    if (this.#directories.size >= DIRECTORIES_MAX) this.#drop(now)
    if (this.#directories.size >= DIRECTORIES_MAX) return undefined
    const made = { leases: new Map(), changes: new Map(), recalls: new Map() }
    this.#directories.set(gfid, made)
    return made
  }

  /** Makes room: leases that have run out go, the old ones first and then any. */
  #drop(now: number): void {
    for (const age of [KEPT_MS, 0]) {
      for (const [gfid, directory] of this.#directories) {
        for (const lease of directory.leases.values())
          if (lease.until + age < now) directory.leases.delete(lease.client)
        this.#tidy(gfid, directory)
      }
      if (this.#directories.size < DIRECTORIES_MAX) return
    }
  }

  #tidy(gfid: Gfid, { leases, changes, recalls }: Directory): void {
    if (leases.size === 0 && changes.size === 0 && recalls.size === 0)
      this.#directories.delete(gfid)
  }
}

type LeasingFop =
  | 'opendir'
  | 'create'
  | 'mknod'
  | 'mkdir'
  | 'symlink'
  | 'link'
  | 'rename'
  | 'xattrop'
  | 'ipc'

/** The fops that grant leases, wait for them and take them back; `below` does what they are for. */
export function leasingFops(
  leases: NamesLeases,
  below: Pick<Fops, LeasingFop>,
): Pick<Fops, LeasingFop> {
  /** Makes a name once nobody relies on its not being there. */
  const naming = <R>(ctx: Ctx, loc: Loc, make: () => Promise<R>): Promise<R> =>
    changing(ctx, loc.parent?.gfid ?? loc.pargfid, make)
  const changing = async <R>(ctx: Ctx, directory: Gfid, make: () => Promise<R>): Promise<R> => {
    const others = leases.begin(ctx.client, directory)
    try {
      if (others !== undefined) await others
      return await make()
    } finally {
      leases.end(ctx.client, directory)
    }
  }
  return {
    async opendir(ctx, args) {
      const reply = await below.opendir(ctx, args)
      if (!reply.ok || args.xdata?.has(NAMES_LEASE) !== true) return reply
      const lease = leases.grant(ctx.client, args.loc.inode.gfid)
      if (lease === undefined) return reply
      return { ...reply, xdata: (reply.xdata?.clone() ?? new Dict()).setString(NAMES_LEASE, lease) }
    },
    create: (ctx, args) => naming(ctx, args.loc, () => below.create(ctx, args)),
    mknod: (ctx, args) => naming(ctx, args.loc, () => below.mknod(ctx, args)),
    mkdir: (ctx, args) => naming(ctx, args.loc, () => below.mkdir(ctx, args)),
    symlink: (ctx, args) => naming(ctx, args.loc, () => below.symlink(ctx, args)),
    link: (ctx, args) => naming(ctx, args.newloc, () => below.link(ctx, args)),
    rename: (ctx, args) => naming(ctx, args.newloc, () => below.rename(ctx, args)),
    xattrop(ctx, args) {
      const blame = () => below.xattrop(ctx, args)
      const { gfid, type } = args.loc.inode
      if (type === S_IFREG || !raises(args.dict)) return blame()
      return changing(ctx, gfid, blame)
    },
    async ipc(ctx, args) {
      if (args.op !== IPC_NAMES_RETURNED) return below.ipc(ctx, args)
      const lease = args.xdata?.getString(NAMES_LEASE)
      if (lease === undefined) return failure(Errno.EINVAL)
      leases.returned(ctx.client, lease)
      return { ok: true }
    },
  }
}

/** True when a counter of a changelog is changed, and not only read. */
function raises(dict: Dict): boolean {
  for (const [key, value] of dict)
    if (key.startsWith('trusted.afr.') && valueBytes(value)?.some(byte => byte !== 0) === true)
      return true
  return false
}
