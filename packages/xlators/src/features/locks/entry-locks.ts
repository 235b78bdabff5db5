/**
 * Entrylks: locks on a name of a directory or, without one, on the whole directory. Every lock
 * excludes every other owner; its type only has to match when it is released.
 */

import type { LockRules } from './lock-domain.ts'
import type { Holder } from './waiting.ts'

export interface EntryLock extends Holder {
  /** undefined: the whole directory. */
  readonly name: string | undefined
  readonly type: number
}

export const ENTRY_RULES: LockRules<EntryLock> = {
  conflicts: (one, other) =>
    one.owner !== other.owner &&
    (one.name === undefined || other.name === undefined || one.name === other.name),
  means: (asked, held) => held.name === asked.name && held.type === asked.type,
}
