/** Inodelks: locks of clients' translators on ranges of a file. Those of one owner never conflict. */

import type { LockRules } from './lock-domain.ts'
import type { Holder } from './waiting.ts'

export interface RangeLock extends Holder {
  readonly start: bigint
  /** Inclusive. */
  readonly end: bigint
  readonly write: boolean
}

/** The end of every file. */
export const RANGE_END = (1n << 63n) - 1n

export const RANGE_RULES: LockRules<RangeLock> = {
  conflicts: (one, other) =>
    (one.write || other.write) &&
    one.owner !== other.owner &&
    one.start <= other.end &&
    other.start <= one.end,
  means: (asked, held) => held.start === asked.start && held.end === asked.end,
}
