/** Stands in for healing while that is being built: nothing is healed, and it says so. */

import { Errno, failure, type Failure, type Gfid } from '@ashlar/core'
import type { Healer } from './healer.ts'
import type { ReplicaSet } from './replica-set.ts'

export interface SetHealer extends Healer {
  start(): void
  stop(): void
  brickUp(index: number): void
  brickDown(index: number): void
  reconfigure(): void
  dump(): Readonly<Record<string, unknown>>
  healInode(gfid: Gfid): Promise<'healed' | 'clean' | 'failed'>
  healName(parent: Gfid, name: string): Promise<Failure | undefined>
}

const ABSENT = failure(Errno.EOPNOTSUPP)
const nothing = (): void => {}

export function makeHealer(set: ReplicaSet): SetHealer {
  return {
    name: set.name,
    get bricks() {
      return set.children.map((child, i) => ({ brick: child.name, up: set.isUp(i) }))
    },
    start: nothing,
    stop: nothing,
    brickUp: nothing,
    brickDown: nothing,
    reconfigure: nothing,
    healIndex: nothing,
    healFull: nothing,
    dump: () => ({}),
    statistics: () => [],
    healInode: () => Promise.resolve('failed'),
    healName: () => Promise.resolve(ABSENT),
    info: () =>
      Promise.resolve(set.children.map(child => ({ brick: child.name, entries: ABSENT }))),
    counts: () => Promise.resolve(set.children.map(() => undefined)),
    resolve: () => Promise.resolve([]),
    markEmpty: () => Promise.resolve(ABSENT),
  }
}
