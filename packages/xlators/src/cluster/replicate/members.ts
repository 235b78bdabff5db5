/**
 * Members: a set of a replica set's bricks, as bits of a number: bit i is child i. Small, comparable
 * with `===`, and cheap enough to be computed for every operation.
 */

export type Members = number

export const NOBODY: Members = 0

/** Most bricks of one set: more than anybody has, and all within one number. */
export const MEMBERS_MAX = 30

/** The first `count` bricks. */
export function everybody(count: number): Members {
  return 2 ** count - 1
}

export function only(index: number): Members {
  return 1 << index
}

export function has(members: Members, index: number): boolean {
  return (members & (1 << index)) !== 0
}

export function without(members: Members, others: Members): Members {
  return members & ~others
}

export function size(members: Members): number {
  let count = 0
  for (let rest = members; rest !== 0; rest &= rest - 1) count += 1
  return count
}

/** Positions of the members, ascending. */
export function indices(members: Members): number[] {
  const found: number[] = []
  for (let index = 0; members >> index !== 0; index++) if (has(members, index)) found.push(index)
  return found
}

/** The lowest position; -1 when nobody is in. */
export function first(members: Members): number {
  return members === 0 ? -1 : 31 - Math.clz32(members & -members)
}

/** The positions at which `test` holds. */
export function where(count: number, test: (index: number) => boolean): Members {
  let members = NOBODY
  for (let index = 0; index < count; index++) if (test(index)) members |= 1 << index
  return members
}
