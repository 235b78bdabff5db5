/**
 * The shape of one row of the option table, and what a row means for volumes and volfiles.
 */

/** Types of values, as libglusterfs/src/options.c checks them. */
export type ValueKind =
  | 'any'
  | 'string'
  | 'int'
  | 'size'
  | 'percent'
  | 'percent-or-size'
  | 'bool'
  | 'xlator'
  | 'path'
  | 'time'
  | 'double'
  | 'address'
  | 'address-list'
  | 'priority-list'
  | 'size-list'
  | 'mount-auth'

/** One key of `volume set` on one translator. */
export interface OptionRow {
  readonly key: string
  /** Type of the translator that takes it. */
  readonly xlator: string
  /** Name of the option in volfiles. */
  readonly option: string
  /** Set when code decides what the key does; its option is then never written by the table. */
  readonly handler?: string
  /** Default that is written into volfiles even when nobody set the key. */
  readonly mapDefault?: string
  /** The translator's own default, never written. */
  readonly default?: string
  readonly kind?: ValueKind
  readonly min?: number
  readonly max?: number
  readonly values?: readonly string[]
  /** Op-version that a volume with this key needs. */
  readonly opVersion: number
  /** Clients need the op-version too. */
  readonly client?: boolean
  /** Puts a translator in or out. */
  readonly toggle?: boolean
  /** Only `reset … force` removes it. */
  readonly keptByReset?: boolean
  readonly neverReset?: boolean
  /** Belongs to the pool (`volume set all`), not to a volume. */
  readonly global?: boolean
  /** Shown by `volume set help`. */
  readonly documented?: boolean
  /** Not shown by `volume get V all`. */
  readonly unlisted?: boolean
  /** Name of a further check. */
  readonly rule?: string
}
