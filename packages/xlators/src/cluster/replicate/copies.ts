/**
 * Copies: which brick an inode is read from, and how that is found out anew.
 *
 *   known, and no brick has come or gone ──────────▶ the copies that are good
 *   else: refresh = lookup of the gfid on all ─────▶ interpret the changelogs, remember
 *
 * Among good copies one is chosen by the volume's read policy; the others are tried when it fails.
 */

import {
  type ContextKey,
  type Ctx,
  Dict,
  EMPTY_IATT,
  Errno,
  failure,
  type Failure,
  type Fd,
  type Gfid,
  gfidToBytes,
  type Inode,
  inodeLoc,
  type LookupReply,
  type Reply,
  ROOT_CTX,
  type Subvolume,
  valueText,
} from '@ashlar/core'
import { Agreement } from './agreement.ts'
import { type CopyAnswer, type InodeState, interpret, type Interpretation } from './inode-state.ts'
import { first, has, indices, type Members, NOBODY, only, without } from './members.ts'
import { NO_QUORUM, type ReplicaSet, succeeded } from './replica-set.ts'
import { superFastHash } from './read-hash.ts'
import type { SplitBrainChoices } from './split-brain-choice.ts'
import { gfidLoc } from './transaction/lock-calls.ts'

const INODELK_COUNT = 'glusterfs.inodelk-count'
const PATHINFO = 'trusted.glusterfs.pathinfo'
const BAD_INODE = 'glusterfs.bad-inode'
/** How long what was learnt of a copy counts while copies are not known to be all good. */
const UNAGREED_MS = 1000
const COPY_DAMAGED = failure(Errno.EIO)

/** Failures of a brick that say nothing of the file: the next copy is asked. */
const OTHER_COPY: ReadonlySet<Errno> = new Set([
  Errno.ENOTCONN,
  Errno.EIO,
  Errno.ESTALE,
  Errno.ENOENT,
  Errno.EBADFD,
  Errno.EUCLEAN,
])

/** What the choice of a copy depends on: an inode, or attributes. */
interface Identified {
  readonly gfid: Gfid
  readonly isDirectory: boolean
}

/** What of an inode is read. */
export type ReadKind = 'data' | 'metadata'

export class Copies {
  readonly #set: ReplicaSet
  readonly #states: ContextKey<InodeState>
  readonly #choices: SplitBrainChoices
  readonly agreement: Agreement
  /** Bricks of this host. */
  #local: Members = NOBODY
  /** Reads under way, by child. */
  readonly #reading: number[]

  constructor(set: ReplicaSet, states: ContextKey<InodeState>, choices: SplitBrainChoices) {
    this.#set = set
    this.#states = states
    this.#choices = choices
    this.agreement = new Agreement(set)
    this.#reading = Array.from({ length: set.count }, () => 0)
  }

  /** A brick has come up: is it one of this host? */
  async locate(index: number): Promise<void> {
    const set = this.#set
    const loc = inodeLoc(set.self.inodes.root)
    const reply = await set.child(index).getxattr(ROOT_CTX, { loc, name: PATHINFO })
    const entry = reply.ok ? reply.dict.get(PATHINFO) : undefined
    const text = entry === undefined ? undefined : valueText(entry)
    // `<POSIX(brick):host:path>`
    const host = text === undefined ? undefined : /^<POSIX\(.*?\):([^:]*):/.exec(text)?.[1]
    const { hostname } = set.self.graph.process
    this.#local = host === hostname ? this.#local | only(index) : without(this.#local, only(index))
  }

  /** What is known of the inode, if it is still to be trusted. */
  known(inode: Inode): InodeState | undefined {
    const state = this.#states.get(inode)
    if (state?.generation !== this.#set.generation) return undefined
    return state.epoch === this.agreement.epoch ? state : undefined
  }

  /**
   * What is known, and would have been heard of if it had changed: while all copies are good news of
   * blame makes all of it void; while some are not, more blame is no news, and it is looked at again.
   */
  #current(inode: Inode): InodeState | undefined {
    const state = this.known(inode)
    if (state === undefined || this.agreement.holds()) return state
    return this.#set.env.clock.monotonic() - state.learnt < UNAGREED_MS ? state : undefined
  }

  /** What is known of an object of which every copy is good. */
  learnAllGood(inode: Inode): void {
    const { generation, dataBricks } = this.#set
    this.learn(inode, generation, {
      data: dataBricks,
      metadata: dataBricks,
      accused: NOBODY,
      disputed: false,
      needsHeal: false,
    })
  }

  /** Remembers what the answers of all bricks said. */
  learn(inode: Inode, generation: number, found: Interpretation): InodeState {
    const { data, metadata, accused, disputed } = found
    const { epoch } = this.agreement
    const learnt = this.#set.env.clock.monotonic()
    const state = { data, metadata, accused, disputed, generation, epoch, learnt }
    this.#states.set(inode, state)
    return state
  }

  /** A new object that these bricks have made. */
  learnNew(inode: Inode, generation: number, made: Members): void {
    const { arbiter, all } = this.#set
    const data = arbiter < 0 ? made : without(made, only(arbiter))
    this.learn(inode, generation, {
      data,
      metadata: data,
      accused: without(all, made),
      disputed: false,
      needsHeal: false,
    })
  }

  /** These bricks have not done what the others did. */
  blame(inode: Inode, members: Members, what: ReadKind | 'both'): void {
    if (members === NOBODY) return
    this.agreement.broken()
    const state = this.#states.get(inode)
    if (state === undefined) return
    this.#states.set(inode, {
      data: what === 'metadata' ? state.data : without(state.data, members),
      metadata: what === 'data' ? state.metadata : without(state.metadata, members),
      accused: what === 'metadata' ? state.accused : state.accused | members,
      disputed: state.disputed,
      generation: state.generation,
      epoch: state.epoch,
      learnt: state.learnt,
    })
  }

  /**
   * Asks `members` to do something and to blame bricks that are away. One of these may come back
   * meanwhile, and be looked at with the others just before they note what it has missed.
   */
  async blaming<R>(
    { away, of, what }: { away: Members; of: readonly Inode[]; what: ReadKind },
    members: Members,
    call: (child: Subvolume, index: number) => Promise<R>,
  ): Promise<(R | undefined)[]> {
    if (away === NOBODY) return this.#set.onAll(members, call)
    for (const inode of of) this.blame(inode, away, what)
    const replies = await this.#set.onAll(members, call)
    for (const inode of of) this.blame(inode, away, what)
    return replies
  }

  forget(inode: Inode): void {
    this.#states.set(inode, undefined)
  }

  /** The xdata of a lookup that is to tell how good the copies are. */
  ask(xdata?: Dict): Dict {
    return this.#set.askChangelog(xdata).setUint(INODELK_COUNT, 0)
  }

  /** What the replies to such lookups say. */
  interpret(replies: readonly (Reply<'lookup'> | undefined)[]): Interpretation {
    return interpret(
      replies.map(reply => (reply?.ok === true ? this.answer(reply) : undefined)),
      this.#set.arbiter,
    )
  }

  answer(reply: LookupReply): CopyAnswer {
    const { xdata, stat } = reply
    return {
      stat,
      changelog: this.#set.changelog(xdata),
      bad: xdata?.has(BAD_INODE) === true,
      locked: (xdata?.getNumber(INODELK_COUNT) ?? 0) > 0,
    }
  }

  /** Asks all bricks about the inode. */
  async refresh(ctx: Ctx, inode: Inode): Promise<InodeState | Failure> {
    const set = this.#set
    const { generation } = set
    const loc = gfidLoc(inode)
    const xdata = this.ask(new Dict())
    const caller: Ctx = { ...ctx, uid: 0, gid: 0, groups: [] }
    const fd = openFdOf(inode)
    const replies = await set.askAll(set.up, async (child): Promise<Reply<'lookup'>> => {
      if (fd === undefined) return child.lookup(caller, { loc, xdata })
      // A file that has no name any more is known by its open fd only.
      const reply = await child.fstat(caller, { fd, xdata })
      return reply.ok ? { ...reply, postparent: EMPTY_IATT } : reply
    })
    const answered = succeeded(replies)
    if (answered === NOBODY) {
      return replies.find((reply): reply is Failure => reply?.ok === false) ?? NO_QUORUM
    }
    if (!set.hasQuorum(answered)) return NO_QUORUM
    return this.learn(inode, generation, this.interpret(replies))
  }

  /**
   * Some of these bricks, which have done what others failed to do, had a good copy before. Else the
   * outdated copies would blame the good ones that failed: a split-brain. Asked of the bricks, as
   * another client may have blamed one since we have looked.
   */
  async keeps(ctx: Ctx, inode: Inode, kind: ReadKind | 'entry', done: Members): Promise<boolean> {
    const before = this.#states.get(inode)
    const found = await this.refresh(ctx, inode)
    // Too few are left to ask: what was known when they were more.
    const state = 'ok' in found ? before : found
    if (state === undefined) return false
    // An arbiter knows names, and nothing of what is in files.
    const good = kind === 'entry' ? without(this.#set.all, state.accused) : state[kind]
    return (done & good) !== NOBODY
  }

  /** What is known, or else found out now. */
  async state(ctx: Ctx, inode: Inode): Promise<InodeState | Failure> {
    const known = this.#current(inode)
    if (known !== undefined) return known
    if (!this.agreement.holds() || this.#mayBeUnlisted(inode)) return this.refresh(ctx, inode)
    this.learnAllGood(inode)
    return this.known(inode) as InodeState
  }

  /**
   * The bricks' indices need not tell of it: a file that has been removed while it is open, by whom
   * ever, is healed no more and leaves them, whatever its copies have against each other. One that
   * has just been opened for the first time was there.
   */
  #mayBeUnlisted(inode: Inode): boolean {
    if (openFdOf(inode) === undefined) return false
    return inode.dentries.size === 0 || this.#states.get(inode) !== undefined
  }

  /** Good copies of the kind that is read, the one to try first in front. */
  order(state: InodeState, inode: Inode, ctx: Ctx, kind: ReadKind): number[] {
    const up = this.#set.up
    const both = state.data & state.metadata & up
    const wanted = both === NOBODY ? this.chosenBy(inode, up) : undefined
    if (wanted !== undefined) return [wanted]
    const attributes = state.metadata & up
    const directory = inode.isDirectory
    if (state.disputed && !directory) return []
    // A directory whose entries nobody has all of is still shown: what is there is there.
    const good =
      both !== NOBODY ? both : directory && kind === 'metadata' ? attributes : state.data & up
    const usable = good !== NOBODY || !directory ? good : attributes
    if (usable === NOBODY) return []
    const chosen = this.choose(usable, inode, ctx)
    return [chosen, ...indices(without(usable, only(chosen)))]
  }

  /**
   * Of `done`, which have all done what was asked, the one whose reply tells how the inode is now: a
   * brick that takes part may have missed what was done before.
   */
  async teller(ctx: Ctx, inode: Inode, done: Members): Promise<number> {
    const state = this.known(inode) ?? (await this.#learntAnew(ctx, inode))
    const tellers = state === undefined ? [] : [state.data & state.metadata, state.data]
    for (const members of [...tellers, this.#set.dataBricks, done]) {
      if ((members & done) !== NOBODY) return this.choose(members & done, inode, ctx)
    }
    return first(done)
  }

  async #learntAnew(ctx: Ctx, inode: Inode): Promise<InodeState | undefined> {
    const state = await this.state(ctx, inode)
    return 'ok' in state ? undefined : state
  }

  /** The one of `members` that a user has chosen to read, for want of a good one. */
  chosenBy(inode: Inode, members: Members): number | undefined {
    const index = this.#choices.of(inode)
    return index !== undefined && has(members, index) ? index : undefined
  }

  /** One of `members`, by the volume's policy. */
  choose(members: Members, object: Identified, ctx: Ctx): number {
    const { options } = this.#set
    const wished = this.#wished()
    if (wished >= 0 && has(members, wished)) return wished
    const near = members & this.#local
    const hashed = this.#hashed(members, object, ctx)
    if (options['choose-local'] && near !== NOBODY) return has(near, hashed) ? hashed : first(near)
    return has(members, hashed) ? hashed : first(members)
  }

  #wished(): number {
    const { options, children } = this.#set
    const name = options['read-subvolume']
    if (name !== undefined) return children.findIndex(child => child.name === name)
    return options['read-subvolume-index']
  }

  #hashed(members: Members, { gfid, isDirectory }: Identified, ctx: Ctx): number {
    const { options, count, latencies } = this.#set
    switch (options['read-hash-mode']) {
      case 1:
        return superFastHash(gfidToBytes(gfid)) % count
      case 2: {
        const bytes = gfidToBytes(gfid)
        if (!isDirectory) bytes.writeInt32LE(bytes.readInt32LE(0) ^ ctx.pid, 0)
        return superFastHash(bytes) % count
      }
      case 3:
        return this.#idlest(members)
      case 4:
        return latencies.quickest(members)
      case 5:
        return latencies.quickest(members, index => (this.#reading[index] as number) + 1)
      default:
        return first(members)
    }
  }

  /** The member with the fewest reads under way. */
  #idlest(members: Members): number {
    let best = first(members)
    for (const index of indices(members)) {
      if ((this.#reading[index] as number) < (this.#reading[best] as number)) best = index
    }
    return best
  }

  /** Reads from a good copy; from another one when that fails. */
  async read<R extends { readonly ok: true }>(
    ctx: Ctx,
    inode: Inode,
    kind: ReadKind,
    call: (index: number) => Promise<R | Failure>,
  ): Promise<R | Failure> {
    const set = this.#set
    if (!set.hasQuorum(set.up)) return NO_QUORUM
    const known = this.#current(inode)
    let state = known ?? (await this.state(ctx, inode))
    if ('ok' in state) return state
    let order = this.order(state, inode, ctx, kind)
    if (order.length === 0 && known !== undefined) {
      const anew = await this.refresh(ctx, inode)
      if ('ok' in anew) return anew
      state = anew
      order = this.order(state, inode, ctx, kind)
    }
    if (order.length === 0) return COPY_DAMAGED
    let failed: R | Failure = COPY_DAMAGED
    for (const index of order) {
      this.#reading[index] = (this.#reading[index] as number) + 1
      failed = await call(index)
      this.#reading[index] = (this.#reading[index] as number) - 1
      if (failed.ok || !OTHER_COPY.has(failed.errno)) return failed
      this.forget(inode)
    }
    return failed
  }
}

/** An fd by which a file is open here. */
function openFdOf(inode: Inode): Fd | undefined {
  if (inode.isDirectory) return undefined
  for (const fd of inode.fds) if (!fd.anonymous) return fd
  return undefined
}
