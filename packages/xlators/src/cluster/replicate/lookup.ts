/**
 * Lookup: all bricks are asked, so that what they disagree about comes to light here.
 *
 *   same gfid everywhere ───────────▶ attributes from a good copy
 *   there and not there ────────────▶ the name is healed if all bricks are up, and looked up again;
 *                                     else those decide whose copy of the directory is good
 *   different gfids ────────────────▶ likewise; EIO when the good copies disagree
 */

import {
  type Ctx,
  delay,
  type Dict,
  Errno,
  failure,
  type Failure,
  type FopArgs,
  type Gfid,
  Iatt,
  type LookupReply,
  NULL_GFID,
  type Reply,
} from '@ashlar/core'
import { ChangeKind } from './changelog.ts'
import type { Copies } from './copies.ts'
import { accusedBy } from './direction.ts'
import { first, has, indices, type Members, NOBODY, size, without } from './members.ts'
import { NO_QUORUM, type ReplicaSet, succeeded } from './replica-set.ts'
import { parentLoc } from './transaction/entry.ts'
import { whose, worstOf } from './transaction/outcome.ts'

const PARENT_ENTRYLK = 'glusterfs.parent-entrylk'
const CONTENT = 'glusterfs.content'
/** How often bricks that disagree are asked again, and after how long for the first time. */
const ATTEMPTS_MAX = 4
const ATTEMPT_MS = 10
/** Names of the root that are the volume's own business. */
const HIDDEN_PREFIX = '.glusterfs-anonymous-inode'
const HIDDEN_NAME = '.landfill'

/** Heals one name of a directory; a failure when it could not. */
export type HealName = (parent: Gfid, name: string) => Promise<Failure | undefined>

/** True for what users do not see in a volume's root. */
export function isHidden(name: string, ctx: Ctx): boolean {
  if (ctx.pid < 0) return false
  return name === HIDDEN_NAME || name.startsWith(HIDDEN_PREFIX)
}

export interface LookupParts {
  readonly set: ReplicaSet
  readonly copies: Copies
  readonly healName: HealName
  /** Something was found that is to be healed. */
  readonly found: (gfid: Gfid) => void
}

export async function lookup(
  parts: LookupParts,
  ctx: Ctx,
  args: FopArgs['lookup'],
): Promise<Reply<'lookup'>> {
  const { set } = parts
  const { loc } = args
  if (loc.name !== '' && isHidden(loc.name, ctx) && parentLoc(set, loc).inode.isRoot) {
    return failure(Errno.EPERM)
  }
  if (!set.hasQuorum(set.up)) return NO_QUORUM
  const quick = await askOne(parts, ctx, args)
  if (quick !== undefined) return quick
  let asking = args
  for (let attempt = 0; ; attempt++) {
    let round = await ask(parts, ctx, asking)
    if (isAnothers(args, round)) return failure(Errno.ESTALE)
    if (asking === args && isDoubted(args, round)) {
      asking = { ...args, loc: { ...loc, gfid: NULL_GFID, inode: set.self.inodes.create() } }
      round = await ask(parts, ctx, asking)
    }
    if (isAgreed(round) || loc.name === '') {
      if (await isUntold(parts, ctx, asking, round)) return failure(Errno.EIO)
      return theSame(args, conclude(parts, ctx, asking, round))
    }
    const decided = await decide(parts, ctx, asking, round)
    // Bricks are asked one after the other: names that change meanwhile look like a disagreement.
    const unsure =
      'ok' in decided ? decided.errno === Errno.EIO : isArbiterAlone(set, round, decided)
    if (!unsure || attempt >= ATTEMPTS_MAX) {
      return 'ok' in decided ? decided : theSame(args, conclude(parts, ctx, asking, decided))
    }
    await delay(set.env.clock, ATTEMPT_MS * 2 ** attempt)
  }
}

/**
 * Some brick does not know the object that we know under the name, others do: asked as strangers they
 * say what they have there.
 */
function isDoubted({ loc }: FopArgs['lookup'], { replies }: Round): boolean {
  if (loc.name === '' || !loc.inode.linked) return false
  return replies.some(reply => reply?.ok === false && reply.errno === Errno.ESTALE)
}

/** Who knows another object under the name looks it up anew. */
function theSame({ loc }: FopArgs['lookup'], reply: Reply<'lookup'>): Reply<'lookup'> {
  if (!reply.ok || !loc.inode.linked || reply.stat.gfid === loc.inode.gfid) return reply
  return failure(Errno.ESTALE)
}

/** One brick's answer, while all bricks agree: it speaks for all. */
async function askOne(
  parts: LookupParts,
  ctx: Ctx,
  args: FopArgs['lookup'],
): Promise<Reply<'lookup'> | undefined> {
  const { set, copies } = parts
  const { loc } = args
  // The root tells whether the bricks agree: it is always asked of all.
  if (loc.inode.isRoot || !copies.agreement.holds()) return undefined
  const { generation } = set
  const known = loc.inode.linked || loc.name === '' ? loc.inode : parentLoc(set, loc).inode
  const reply = await set.child(copies.choose(set.dataBricks, known, ctx)).lookup(ctx, args)
  if (set.generation !== generation) return undefined
  if (!reply.ok) return reply.errno === Errno.ENOENT && !loc.inode.linked ? reply : undefined
  if (loc.inode.linked && reply.stat.gfid !== loc.inode.gfid) return undefined
  copies.learnAllGood(set.self.inodes.find(reply.stat.gfid) ?? loc.inode)
  return reply
}

/** One round of asking. */
interface Round {
  readonly generation: number
  readonly asked: Members
  readonly replies: readonly (Reply<'lookup'> | undefined)[]
}

async function ask(parts: LookupParts, ctx: Ctx, args: FopArgs['lookup']): Promise<Round> {
  const { set, copies } = parts
  const xdata: Dict = copies.ask(args.xdata)
  if (args.loc.name !== '') xdata.setUint(PARENT_ENTRYLK, 0)
  const { generation } = set
  const asked = set.up
  const request = { loc: args.loc, xdata }
  const replies = await set.onAll(asked, child => child.lookup(ctx, request))
  return { generation, asked, replies }
}

/** Most bricks have another object under the name by now; those that have missed that do not count. */
function isAnothers({ loc }: FopArgs['lookup'], { asked, replies }: Round): boolean {
  if (loc.name === '' || !loc.inode.linked) return false
  const stale = whose(replies, asked, reply => !reply.ok && reply.errno === Errno.ESTALE)
  return size(stale) > size(succeeded(replies))
}

/** Nobody says anything else than the others. */
function isAgreed({ replies }: Round): boolean {
  let gfid: Gfid | undefined
  let absent = false
  for (const reply of replies) {
    if (reply === undefined) continue
    if (!reply.ok) {
      if (reply.errno === Errno.ENOENT || reply.errno === Errno.ENODATA) absent = true
    } else if (gfid === undefined) gfid = reply.stat.gfid
    else if (gfid !== reply.stat.gfid) return false
  }
  return gfid === undefined || !absent
}

/**
 * Nobody has the name, but each that says so is accused of having missed names of its directory, and
 * others are away: one of these may have it. Who were told ENOENT would make it anew.
 */
async function isUntold(
  { set, copies }: LookupParts,
  ctx: Ctx,
  { loc }: FopArgs['lookup'],
  { asked, replies }: Round,
): Promise<boolean> {
  if (loc.name === '' || succeeded(replies) !== NOBODY) return false
  const answered = whose(replies, asked, isAnswer)
  if (answered === NOBODY || answered === set.all) return false
  const state = await copies.state(ctx, parentLoc(set, loc).inode)
  return !('ok' in state) && without(answered, state.accused) === NOBODY
}

/** The bricks disagree about a name: it is healed, or the good copies of the directory decide. */
async function decide(
  parts: LookupParts,
  ctx: Ctx,
  args: FopArgs['lookup'],
  round: Round,
): Promise<Round | Failure> {
  const { set, copies } = parts
  const parent = parentLoc(set, args.loc)
  const answered = whose(round.replies, round.asked, isAnswer)
  const there = succeeded(round.replies)
  if (isBusy(round)) {
    // Somebody is making or removing it right now: whoever are enough say how it stands.
    if (there === NOBODY || !set.hasQuorum(there)) return failure(Errno.ENOENT)
    if (gfids(round, there).size === 1) return restricted(round, there)
  }
  if (answered === set.all) {
    await parts.healName(parent.gfid, args.loc.name)
    const again = await ask(parts, ctx, args)
    if (isAgreed(again)) return again
    return byGoodDirectory(parts, ctx, args, again)
  }
  copies.forget(parent.inode)
  return byGoodDirectory(parts, ctx, args, round)
}

async function byGoodDirectory(
  parts: LookupParts,
  ctx: Ctx,
  args: FopArgs['lookup'],
  round: Round,
): Promise<Round | Failure> {
  const { set, copies } = parts
  const parent = parentLoc(set, args.loc)
  const state = await copies.state(ctx, parent.inode)
  const answered = whose(round.replies, round.asked, isAnswer)
  const good = 'ok' in state ? answered : answered & without(set.all, state.accused)
  // Each has missed names, and the copy that has not may be away.
  if (good === NOBODY && answered !== set.all) return failure(Errno.EIO)
  const judges = good === NOBODY ? answered : good
  const there = succeeded(round.replies) & judges
  if (there === NOBODY) return failure(Errno.ENOENT)
  if (gfids(round, there).size > 1) return failure(Errno.EIO)
  return restricted(round, there)
}

/** What has the name keeps no data, and a brick that does says that there is no such name. */
function isArbiterAlone({ dataBricks }: ReplicaSet, { asked, replies }: Round, by: Round): boolean {
  const there = succeeded(by.replies)
  if (there === NOBODY || (there & dataBricks) !== NOBODY) return false
  return whose(replies, asked & dataBricks, isAnswer) !== NOBODY
}

/** The brick knows whether the name is there. */
function isAnswer(reply: Reply<'lookup'>): boolean {
  return reply.ok || reply.errno === Errno.ENOENT || reply.errno === Errno.ENODATA
}

function isBusy({ replies }: Round): boolean {
  return replies.some(reply => (reply?.xdata?.getNumber(PARENT_ENTRYLK) ?? 0) > 0)
}

function gfids({ replies }: Round, members: Members): Set<Gfid> {
  const found = new Set<Gfid>()
  for (const index of indices(members)) {
    const reply = replies[index]
    if (reply?.ok === true) found.add(reply.stat.gfid)
  }
  return found
}

function restricted(round: Round, members: Members): Round {
  return {
    ...round,
    replies: round.replies.map((reply, index) =>
      (members & (1 << index)) === 0 ? undefined : reply,
    ),
  }
}

/** Remembers how good the copies are, and answers from one of the good ones. */
function conclude(
  parts: LookupParts,
  ctx: Ctx,
  args: FopArgs['lookup'],
  round: Round,
): Reply<'lookup'> {
  const { set, copies } = parts
  const there = succeeded(round.replies)
  if (there === NOBODY) {
    const failures = round.replies.filter((reply): reply is Failure => reply?.ok === false)
    return failures.length === 0 ? NO_QUORUM : worstOf(failures)
  }
  const any = round.replies[first(there)] as LookupReply
  const inode = set.self.inodes.find(any.stat.gfid) ?? args.loc.inode
  const found = copies.interpret(round.replies)
  for (const each of new Set([inode, args.loc.inode])) {
    // Too few have it to know of all blame: those who lack it may have removed it, and still tell by
    // an open fd what they hold against the others.
    if (set.hasQuorum(there)) copies.learn(each, round.generation, found)
    else copies.forget(each)
  }
  if (found.needsHeal) parts.found(any.stat.gfid)
  const data = there & set.dataBricks
  if (data === NOBODY) return failure(Errno.ENOTCONN)
  const both = there & found.data & found.metadata
  const attributes = there & found.metadata
  const good = both !== NOBODY ? both : attributes !== NOBODY ? attributes : data
  const wanted = both === NOBODY ? copies.chosenBy(inode, data) : undefined
  const chosen = wanted ?? copies.choose(good, any.stat, ctx)
  const reply = round.replies[chosen] as LookupReply
  if (found.needsHeal) reply.xdata?.delete(CONTENT)
  if (both !== NOBODY || wanted !== undefined) return reply
  const shown = attributes === NOBODY ? withArbiter(set, round, reply) : reply
  const sizes = there & found.data
  return withLongest(round, shown, sizes === NOBODY ? data : sizes)
}

/**
 * No copy is good in everything: the file is as long as the longest of `members`. Taken to be shorter
 * it would be read as far as that, and a split-brain without data on one side not be asked for at all.
 */
function withLongest(round: Round, reply: LookupReply, members: Members): LookupReply {
  let longest = reply.stat
  if (!longest.isRegular) return reply
  for (const index of indices(members)) {
    const other = round.replies[index]
    if (other?.ok !== true || !other.stat.isRegular) continue
    if (longest === reply.stat || other.stat.size > longest.size) longest = other.stat
  }
  const { size, blocks } = longest
  return { ...reply, stat: Object.assign(new Iatt(), reply.stat, { size, blocks }) }
}

/** No copy with data has good attributes: an arbiter that has them tells all that is not of the data. */
function withArbiter(set: ReplicaSet, round: Round, reply: LookupReply): LookupReply {
  const arbiter = round.replies[set.arbiter]
  if (arbiter?.ok !== true) return reply
  const logs = round.replies.map(each =>
    each?.ok === true ? set.changelog(each.xdata) : undefined,
  )
  if (has(accusedBy(ChangeKind.METADATA, logs), set.arbiter)) return reply
  const { size, blocks } = reply.stat
  return { ...reply, stat: Object.assign(new Iatt(), arbiter.stat, { size, blocks }) }
}
