/**
 * Locks that layers above take: file locks of programs, and the locks of cluster/distribute. They are
 * taken on all bricks; those that wait are asked for without waiting first, and when somebody has one
 * of them, one brick after the other, so that two clients never wait for each other.
 */

import {
  type Ctx,
  EntrylkCommand,
  Errno,
  failure,
  type Failure,
  type Flock,
  type FopArgs,
  LockCommand,
  LockType,
  type Reply,
  type Subvolume,
} from '@ashlar/core'
import { first, indices, type Members, NOBODY, only } from './members.ts'
import { NO_QUORUM, type ReplicaSet, succeeded } from './replica-set.ts'
import { worstOf } from './transaction/outcome.ts'

/** One lock, as each brick is asked for it. */
interface LockAsking<R> {
  readonly waits: boolean
  readonly ask: (child: Subvolume, how: 'try' | 'wait' | 'unlock') => Promise<R | Failure>
}

async function lockAll<R extends { readonly ok: true }>(
  set: ReplicaSet,
  asking: LockAsking<R>,
): Promise<R | Failure> {
  if (!set.hasQuorum(set.up)) return NO_QUORUM
  const members = set.up
  const replies = await set.onAll(members, child => asking.ask(child, 'try'))
  const granted = succeeded(replies)
  const failures = failuresIn(replies)
  const taken = failures.some(each => each.errno === Errno.EAGAIN)
  if (!taken && set.hasQuorum(granted)) return replies[first(granted)] as R
  await giveBack(set, asking, granted)
  if (!taken) return failures.length === 0 ? NO_QUORUM : worstOf(failures)
  if (!asking.waits) return failure(Errno.EAGAIN)
  return waitInTurn(set, asking, members)
}

async function waitInTurn<R extends { readonly ok: true }>(
  set: ReplicaSet,
  asking: LockAsking<R>,
  members: Members,
): Promise<R | Failure> {
  let held = NOBODY
  let reply: R | Failure = NO_QUORUM
  for (const index of indices(members)) {
    const answer = await asking.ask(set.child(index), 'wait')
    if (answer.ok) {
      held |= only(index)
      reply = answer
    } else if (answer.errno === Errno.EINTR || answer.errno === Errno.EDEADLK) {
      // The caller has given up.
      await giveBack(set, asking, held)
      return answer
    }
  }
  if (set.hasQuorum(held)) return reply
  await giveBack(set, asking, held)
  return reply.ok ? NO_QUORUM : reply
}

async function giveBack<R>(
  set: ReplicaSet,
  asking: LockAsking<R>,
  members: Members,
): Promise<void> {
  await set.onAll(members, child => asking.ask(child, 'unlock'))
}

/** An unlock goes to everybody who may have the lock. */
async function unlockEverywhere<R extends { readonly ok: true }>(
  set: ReplicaSet,
  call: (child: Subvolume) => Promise<R | Failure>,
): Promise<R | Failure> {
  const replies = await set.onAll(set.up, call)
  const done = succeeded(replies)
  if (done !== NOBODY) return replies[first(done)] as R
  const failures = failuresIn(replies)
  return failures.length === 0 ? NO_QUORUM : worstOf(failures)
}

function unlocking(flock: Flock): Flock {
  return { ...flock, type: LockType.UNLCK }
}

/** File locks of programs. */
export async function lk(set: ReplicaSet, ctx: Ctx, args: FopArgs['lk']): Promise<Reply<'lk'>> {
  const { flock, command } = args
  if (command === LockCommand.GETLK) {
    const index = first(set.up)
    return index < 0 ? NO_QUORUM : set.child(index).lk(ctx, args)
  }
  if (flock.type === LockType.UNLCK) {
    return unlockEverywhere(set, child => child.lk(ctx, args))
  }
  return lockAll(set, {
    waits: command === LockCommand.SETLKW,
    ask: (child, how) =>
      how === 'unlock'
        ? child.lk(
            { ...ctx, signal: undefined },
            { ...args, command: LockCommand.SETLK, flock: unlocking(flock) },
          )
        : child.lk(ctx, {
            ...args,
            command: how === 'wait' ? LockCommand.SETLKW : LockCommand.SETLK,
          }),
  })
}

type InodeLockArgs = FopArgs['inodelk'] | FopArgs['finodelk']

function inodeLock(
  set: ReplicaSet,
  args: InodeLockArgs,
  call: (child: Subvolume, args: { command: number; flock: Flock }) => Promise<Reply<'inodelk'>>,
): Promise<Reply<'inodelk'>> {
  const { flock, command } = args
  if (flock.type === LockType.UNLCK) return unlockEverywhere(set, child => call(child, args))
  return lockAll(set, {
    waits: command === LockCommand.SETLKW,
    ask: (child, how) =>
      call(child, {
        command: how === 'wait' ? LockCommand.SETLKW : LockCommand.SETLK,
        flock: how === 'unlock' ? unlocking(flock) : flock,
      }),
  })
}

export function inodelk(
  set: ReplicaSet,
  ctx: Ctx,
  args: FopArgs['inodelk'],
): Promise<Reply<'inodelk'>> {
  return inodeLock(set, args, (child, how) => child.inodelk(ctx, { ...args, ...how }))
}

export function finodelk(
  set: ReplicaSet,
  ctx: Ctx,
  args: FopArgs['finodelk'],
): Promise<Reply<'finodelk'>> {
  return inodeLock(set, args, (child, how) => child.finodelk(ctx, { ...args, ...how }))
}

type EntryLockArgs = FopArgs['entrylk'] | FopArgs['fentrylk']

function entryLock(
  set: ReplicaSet,
  args: EntryLockArgs,
  call: (child: Subvolume, command: number) => Promise<Reply<'entrylk'>>,
): Promise<Reply<'entrylk'>> {
  if (args.command === EntrylkCommand.UNLOCK) {
    return unlockEverywhere(set, child => call(child, args.command))
  }
  return lockAll(set, {
    waits: args.command === EntrylkCommand.LOCK,
    ask: (child, how) =>
      call(
        child,
        how === 'wait'
          ? EntrylkCommand.LOCK
          : how === 'try'
            ? EntrylkCommand.LOCK_NB
            : EntrylkCommand.UNLOCK,
      ),
  })
}

export function entrylk(
  set: ReplicaSet,
  ctx: Ctx,
  args: FopArgs['entrylk'],
): Promise<Reply<'entrylk'>> {
  return entryLock(set, args, (child, command) => child.entrylk(ctx, { ...args, command }))
}

export function fentrylk(
  set: ReplicaSet,
  ctx: Ctx,
  args: FopArgs['fentrylk'],
): Promise<Reply<'fentrylk'>> {
  return entryLock(set, args, (child, command) => child.fentrylk(ctx, { ...args, command }))
}

function failuresIn(replies: readonly (object | undefined)[]): Failure[] {
  return (replies as readonly ({ readonly ok: boolean } | undefined)[]).filter(
    (reply): reply is Failure => reply?.ok === false,
  )
}
